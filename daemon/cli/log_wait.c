/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns one descriptor that can be read when either the runner has something to do or a signal came,
 * as the call of the guard heeds one descriptor beside its own.
 */
#include "log_wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "loop.h"
#include "runner.h"

static const int ending[] = {SIGTERM, SIGINT, SIGHUP};

/* What we were made deaf to, as by nohup(1), stays so: blocked it would be heard. */
static void signals_choose(sigset_t *ret_chosen)
{
    struct sigaction action;

    (void)sigemptyset(ret_chosen);
    for (size_t i = 0; i < ELEMENTSOF(ending); i++)
        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            (void)sigaddset(ret_chosen, ending[i]);
}

/* Whatever there is; false: we are to end. */
static bool wait_ready(void *userdata)
{
    struct log_wait *wait = userdata;
    struct signalfd_siginfo came;

    runner_serve(wait->runner, loop_now());
    if (read(wait->signals, &came, sizeof(came)) == sizeof(came))
        wait->ended = true;
    return !wait->ended;
}

int log_wait_begin(struct log_wait *wait, struct runner *runner)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t chosen;

    *wait = (struct log_wait){.runner = runner};
    signals_choose(&chosen);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Whoever began us may have it ignored, and then nobody learns how a program has ended. */
    (void)signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_BLOCK, &chosen, NULL) < 0)
        return -errno;
    wait->signals = signalfd(-1, &chosen, SFD_CLOEXEC | SFD_NONBLOCK);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (wait->signals < 0 || fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, wait->signals, &event) < 0 ||
        epoll_ctl(fd, EPOLL_CTL_ADD, runner_fd(runner), &event) < 0)
        return -errno;
    wait->aside = (struct client_aside){.fd = fd, .ready = wait_ready, .userdata = wait};
    return 0;
}

bool log_wait_for(struct log_wait *wait, uint64_t interval)
{
    struct pollfd source = {.fd = wait->aside.fd, .events = POLLIN};
    uint64_t now = loop_now(), end = now + interval;

    /* What was pushed is begun, and what has waited to be told of is told. */
    for (bool goes_on = wait_ready(wait); goes_on; now = loop_now()) {
        if (now >= end)
            return true;
        if (poll(&source, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) > 0)
            goes_on = wait_ready(wait);
    }
    return false;
}
