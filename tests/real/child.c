/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the children of a test: started so that they die with it, ended through a pidfd, so that
 * nothing else can be hit.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A killed process of a few hundred MiB is gone in a second; a machine under load takes longer. */
#define CHILD_END_LIMIT (30 * NSEC_PER_SEC)

_Noreturn static void child_execute(const char *const argv[], const int streams[3], pid_t parent)
{
    /* A parent that ended before the request is noticed by its pid. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(126);
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    for (int stream = 0; stream < 3; stream++) {
        int fd = streams[stream] >= 0 ? streams[stream] : open("/dev/null", O_RDWR | O_CLOEXEC);
        /* Two streams may share one descriptor; dup2 clears close-on-exec only on a new number. */
        if (dup2(fd, stream) < 0 || fcntl(stream, F_SETFD, 0) < 0)
            _exit(126);
    }
    /* execvp() promises not to write to its arguments, its type is older than const. */
    union {
        const char *const *in;
        char *const *out;
    } arguments = {.in = argv};
    execvp(argv[0], arguments.out);
    _exit(127);
}

void child_start(struct child *child, const char *const argv[], int in, int out, int error)
{
    const int streams[3] = {in, out, error};
    pid_t parent = getpid();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        child_execute(argv, streams, parent);
    int pidfd = pidfd_open(pid, 0);
    ck_assert_int_ge(pidfd, 0);
    *child = (struct child){.pid = pid, .pidfd = pidfd};
}

void child_signal(const struct child *child, int signal)
{
    ck_assert_int_eq(pidfd_send_signal(child->pidfd, signal, NULL, 0), 0);
}

bool child_alive(const struct child *child)
{
    struct pollfd pollfd = {.fd = child->pidfd, .events = POLLIN};
    return poll(&pollfd, 1, 0) == 0;
}

void child_describe(const struct child *child, char *text, size_t size)
{
    siginfo_t info = {0};
    /* WNOWAIT leaves the end to be collected by child_wait(). */
    if (child->pid == 0)
        (void)snprintf(text, size, "not there");
    else if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
             info.si_pid == 0)
        (void)snprintf(text, size, "alive");
    else
        (void)snprintf(text, size, "%s %d",
            info.si_code == CLD_EXITED ? "ended with status" : "ended by signal", info.si_status);
}

int child_wait(struct child *child, uint64_t limit)
{
    uint64_t deadline = harness_now() + limit;
    struct pollfd pollfd = {.fd = child->pidfd, .events = POLLIN};
    while (poll(&pollfd, 1, 100) == 0)
        ck_assert_msg(harness_now() < deadline, "process %d has not ended", child->pid);
    siginfo_t info = {0};
    ck_assert_int_eq(waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED), 0);
    close(child->pidfd);
    *child = CHILD_NONE;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void child_kill(struct child *child)
{
    if (child->pid == 0)
        return;
    (void)pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
    (void)child_wait(child, CHILD_END_LIMIT);
}
