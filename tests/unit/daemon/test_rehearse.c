/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rehearsal under filters of the kind that a unit has: earlyoom was killed by its own, when it
 * first had to act (PR 315 of that project).
 */
#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#include "rehearse.h"
#include "suite.h"

/* From now on ACTION is taken where this process, or a child of it, makes the system call. */
static bool forbid(long number, uint32_t action)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {ELEMENTSOF(lines), lines};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/* What the rehearsal says of it. */
static void rehearse_without(long number, uint32_t action, struct error *ret_error)
{
    int pair[2], status = 0;
    ck_assert_int_eq(pipe(pair), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct error error = {0};
        if (!forbid(number, action))
            _exit(2);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        (void)rehearse(&error);
        while (wait(NULL) > 0)
            ; /* whom it left behind: each ends */
        _exit(write(pair[1], &error, sizeof(error)) == (ssize_t)sizeof(error) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(read(pair[0], ret_error, sizeof(*ret_error)), (ssize_t)sizeof(*ret_error));
    (void)close(pair[0]);
    (void)close(pair[1]);
}

START_TEST(all_calls_can_be_made_here)
{
    struct error error = {0};
    ck_assert_msg(rehearse(&error) == 0, "%s", error.text);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left behind */
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(peer_11_a_forbidden_call_is_found_at_start)
{
    static const struct {
        long number;
        const char *call, *purpose;
    } cases[] = {
        {SYS_pidfd_open, "pidfd_open()", "held"},
        {SYS_pidfd_send_signal, "pidfd_send_signal()", "told from another"},
        {SYS_prlimit64, "prlimit()", "locked memory"},
        {SYS_sendmsg, "passing a descriptor", "cgroup"},
        {SYS_setitimer, "setitimer()", "cgroup"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct error error = {0};
        rehearse_without(cases[i].number, SECCOMP_RET_ERRNO | EPERM, &error);
        ck_assert_int_eq(error.code, -EPERM);
        ck_assert_ptr_nonnull(strstr(error.text, cases[i].call));
        ck_assert_ptr_nonnull(strstr(error.text, cases[i].purpose));
        ck_assert_ptr_nonnull(strstr(error.text, strerror(EPERM)));

        memset(&error, 0, sizeof(error));
        rehearse_without(cases[i].number, SECCOMP_RET_KILL_PROCESS, &error);
        ck_assert_int_eq(error.code, -EACCES);
        ck_assert_ptr_nonnull(strstr(error.text, cases[i].call));
        ck_assert_ptr_nonnull(strstr(error.text, "seccomp"));
    }
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    TCase *tests = tcase_create("rehearse");
    tcase_add_test(tests, all_calls_can_be_made_here);
    tcase_add_test(tests, peer_11_a_forbidden_call_is_found_at_start);
    Suite *suite = suite_create("rehearse");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
