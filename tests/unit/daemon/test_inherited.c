/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors from the service manager, in a child that has them where the protocol says. */
#include "inherited.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3
#define PASSED 2 /* descriptors 3 and 4 */

static const struct {
    const char *pid, *count, *names; /* NULL: unset; pid "own": the child's */
    int result;
} cases[] = {
    {"own", "1", "kmsg", FIRST_FD},
    {"own", "2", "other:kmsg", FIRST_FD + 1},
    {"own", "2", "kmsgs:kmsg", FIRST_FD + 1},
    {"own", "2", ":kmsg", FIRST_FD + 1},
    {"own", "3", "other:another:kmsg", -EBADF}, /* said to be there, but it is not */
    {"own", "1", "other:kmsg", -ENOENT},
    {"own", "2", "other", -ENOENT},
    {"own", "0", "kmsg", -ENOENT},
    {"own", "1", "", -ENOENT},
    {"own", "1", NULL, -ENOENT},
    {"own", NULL, "kmsg", -ENOENT},
    {NULL, "1", "kmsg", -ENOENT},
    {"1", "1", "kmsg", -ENOENT}, /* another process's */
    {"own", "-1", "kmsg", -EINVAL},
    {"own", "99999999999", "kmsg", -EINVAL},
    {"1x", "1", "kmsg", -EINVAL},
};

static void put(const char *name, const char *value)
{
    if (value)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

static int child_try(int i)
{
    char own[16];
    int fd;

    (void)snprintf(own, sizeof own, "%d", (int)getpid());
    put("LISTEN_PID", cases[i].pid && cases[i].pid[0] == 'o' ? own : cases[i].pid);
    put("LISTEN_FDS", cases[i].count);
    put("LISTEN_FDNAMES", cases[i].names);
    fd = open("/dev/null", O_RDONLY);
    for (int passed = FIRST_FD; passed < FIRST_FD + PASSED; passed++) {
        if (dup2(fd, passed) < 0)
            return 2;
    }
    (void)close(FIRST_FD + PASSED);
    fd = inherited_fd("kmsg");
    if (fd != cases[i].result)
        return 3;
    if (fd < 0)
        return 0;
    return fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK ? 0 : 4;
}

START_TEST(a_descriptor_is_found_by_its_name)
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(child_try(_i));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inherited");
    TCase *tests = tcase_create("inherited");

    tcase_add_loop_test(tests, a_descriptor_is_found_by_its_name, 0, ELEMENTSOF(cases));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
