/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP directory: which of its entries get a monitor, which lose it, and that a pass which finds
 * nothing new asks the file system for next to nothing. The sockets are real and nobody listens.
 */
#include "fake_host.h"
#include "inventory_private.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKETS 1024
#define PASSES 21

static char folder[SCRATCH_FOLDER_MAX];
static struct fake_host host;

static void setup(void)
{
    char configuration[128];

    scratch_make("sockets", folder);
    (void)snprintf(configuration, sizeof configuration, "[guard]\nqmp-directory=%s\nmax-vms=%d\n",
        folder, SOCKETS);
    fake_host_begin(&host, FAKE_CGROUPS_V2, configuration);
    fake_host_start_guard(&host);
}

static void teardown(void)
{
    fake_host_end(&host);
    scratch_remove(folder);
}

static void path_of(unsigned number, char path[108])
{
    (void)snprintf(path, 108, "%s/instance-%08x.sock", folder, number);
}

static void socket_make(unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    path_of(number, address.sun_path);
    ck_assert_int_eq(bind(fd, (void *)&address, sizeof address), 0);
    ck_assert_int_eq(close(fd), 0);
}

static void socket_remove(unsigned number)
{
    char path[108];

    path_of(number, path);
    ck_assert_int_eq(unlink(path), 0);
}

/* How many monitors there are of that socket. */
static unsigned monitors_of(unsigned number)
{
    const struct inventory *inventory = host.guard->inventory;
    char path[108];
    unsigned count = 0;

    path_of(number, path);
    for (unsigned i = 0; i < inventory->monitor_count; i++)
        count += strcmp(monitor_path(inventory->monitors[i]), path) == 0;
    return count;
}

START_TEST(one_monitor_a_socket)
{
    struct inventory *inventory = host.guard->inventory;
    char path[108];

    for (unsigned i = 0; i < 20; i++)
        socket_make(i);
    path_of(100, path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    path_of(101, path);
    ck_assert_int_eq(symlink("instance-00000000.sock", path), 0);
    path_of(102, path);
    scratch_write(path, "");
    for (unsigned pass = 0; pass < 3; pass++) {
        inventory_find_sockets(inventory);
        ck_assert_uint_eq(inventory->monitor_count, 20);
        for (unsigned i = 0; i < 20; i++)
            ck_assert_uint_eq(monitors_of(i), 1);
    }
    socket_remove(0);
    socket_remove(7);
    socket_make(30);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, 19);
    ck_assert_uint_eq(monitors_of(0) + monitors_of(7), 0);
    ck_assert_uint_eq(monitors_of(30), 1);
    ck_assert_uint_eq(monitors_of(19), 1);
    /* Monitors of another directory stay for as long as their sockets do. */
    ck_assert_int_eq(inventory_set_qmp_directory(inventory, "/nonexistent"), 0);
    socket_remove(19);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, 18);
    ck_assert_uint_eq(monitors_of(30), 1);
}
END_TEST

/* What went makes room for what came, in one pass. */
START_TEST(a_full_house)
{
    struct inventory *inventory = host.guard->inventory;

    for (unsigned i = 0; i < SOCKETS; i++)
        socket_make(i);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, SOCKETS);
    socket_make(SOCKETS);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, SOCKETS);
    ck_assert_uint_eq(monitors_of(SOCKETS), 0);
    socket_remove(3);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, SOCKETS);
    ck_assert_uint_eq(monitors_of(3), 0);
    ck_assert_uint_eq(monitors_of(SOCKETS), 1);
}
END_TEST

/* Instead of the C library's: how often the file system is asked for a single name is what a pass
 * without news costs beyond the listing. */
static unsigned questions;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): theirs are reserved */
int access(const char *path, int mode)
{
    questions++;
    return faccessat(AT_FDCWD, path, mode, 0);
}

/* The time is for people: it depends on the machine. */
START_TEST(a_pass_without_news_is_cheap)
{
    struct inventory *inventory = host.guard->inventory;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < SOCKETS; i++)
        socket_make(i);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(inventory->monitor_count, SOCKETS);
    questions = 0;
    for (unsigned i = 0; i < PASSES; i++) {
        uint64_t begin = loop_now();
        inventory_find_sockets(inventory);
        least = min_u64(least, loop_now() - begin);
    }
    (void)printf("a pass over %d sockets: %.0f us\n", SOCKETS, (double)least / 1e3);
    ck_assert_uint_eq(questions, 0);
    socket_remove(5);
    inventory_find_sockets(inventory);
    ck_assert_uint_eq(questions, 1);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("inventory_sockets");
    TCase *tests = tcase_create("inventory_sockets");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_monitor_a_socket);
    tcase_add_test(tests, a_full_house);
    tcase_add_test(tests, a_pass_without_news_is_cheap);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
