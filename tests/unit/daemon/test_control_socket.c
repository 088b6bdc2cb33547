/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket's group. The C library's look-up and change of groups are the test's own here,
 * because the group may not exist on this machine, and because a guard under its sandbox may not
 * change any.
 */
#include "control_socket.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16];
static char log_path[SCRATCH_FOLDER_MAX + 16];
static gid_t wanted;
static unsigned changes;

struct group *getgrnam(const char *name)
{
    static struct group group;

    group.gr_gid = wanted;
    return strcmp(name, CONTROL_GROUP) == 0 ? &group : NULL;
}

int lchown(const char *file, uid_t owner, gid_t group)
{
    (void)file;
    (void)owner;
    (void)group;
    changes++;
    errno = EPERM;
    return -1;
}

static void setup(void)
{
    scratch_make("place", folder);
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
}

static void teardown(void)
{
    scratch_remove(folder);
}

/* Opens the socket; what the guard says of it goes to TEXT. */
static void socket_open(char *text, size_t size)
{
    struct control_socket_place place;
    struct error error = {0};
    int fd = -1, log = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int before = dup(STDERR_FILENO);

    ck_assert_int_ge(log, 0);
    ck_assert_int_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
    int result = control_socket_open(path, &fd, &place, &error);
    ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
    ck_assert_msg(result == 0, "%s", error.text);
    ssize_t length = pread(log, text, size - 1, 0);
    ck_assert_int_ge(length, 0);
    text[length] = '\0';
    (void)close(before);
    (void)close(log);
    (void)close(fd);
}

START_TEST(the_group_of_the_folder_is_left)
{
    char text[512];
    struct stat status;

    /* A set-group-id folder, as tmpfiles.d makes it, gives its group to what is made in it. */
    ck_assert_int_eq(chmod(folder, 02755), 0);
    ck_assert_int_eq(stat(folder, &status), 0);
    wanted = status.st_gid;
    socket_open(text, sizeof(text));
    ck_assert_uint_eq(changes, 0);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_gid, wanted);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
}
END_TEST

START_TEST(a_wrong_group_is_told)
{
    char text[512];

    wanted = getegid() + 4711;
    socket_open(text, sizeof(text));
    ck_assert_uint_eq(changes, 1);
    ck_assert_ptr_nonnull(strstr(text, "cannot give"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control_socket");
    TCase *tests = tcase_create("control_socket");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_group_of_the_folder_is_left);
    tcase_add_test(tests, a_wrong_group_is_told);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
