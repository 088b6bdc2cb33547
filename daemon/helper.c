/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. A SOCK_SEQPACKET pair keeps records whole and in order and, unlike SOCK_DGRAM,
 * tells the reader when the writer is gone.
 */
#include "helper.h"

#include "process.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

/* Leaves the three standard descriptors and FD, which becomes HELPER_FD. */
static void descriptors_keep(int fd)
{
    if (fd != HELPER_FD) {
        if (dup2(fd, HELPER_FD) < 0)
            _exit(EXIT_FAILURE);
    }
    if (syscall(SYS_close_range, HELPER_FD + 1, ~0U, 0) == 0)
        return;
    /* Linux before 5.9. */
    long limit = sysconf(_SC_OPEN_MAX);
    for (int other = HELPER_FD + 1; other < limit; other++)
        (void)close(other);
}

/* Without a handler of the guard's, deaf to what ends a service or a foreground job: those signals
 * go to every process of it, and the guard's last words come after them. */
static void signals_reset(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t helper_fork(const char *name, int *ret_fd)
{
    sigset_t all, before;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* A signal for the whole group must not find the child before it is deaf to it. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    int result = child < 0 ? -errno : child;
    if (child != 0) {
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)close(pair[1]);
    }
    if (child > 0)
        *ret_fd = pair[0];
    else
        (void)close(pair[0]);
    if (child != 0)
        return result;
    signals_reset();
    descriptors_keep(pair[1]);
    process_score_reset();
    (void)prctl(PR_SET_NAME, name);
    return 0;
}
