/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rehearsal. A player, which has the guard's rights and filters, does to an extra of its
 * own what an act does to a guest, and says before each call which it is. So the guard learns what
 * was forbidden even if the player is killed for it: a filter may answer with an error, or with
 * SIGSYS (SECCOMP_RET_KILL_PROCESS; SystemCallFilter= without SystemCallErrorNumber=).
 */
#include "rehearse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "loop.h"
#include "process.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

enum scene {
    SCENE_FORK,
    SCENE_HOLD,
    SCENE_CHECK,
    SCENE_STOP,
    SCENE_CONTINUE,
    SCENE_SCORE,
    SCENE_LIMIT_READ,
    SCENE_LIMIT_SET,
    SCENE_PASS,
    SCENE_TIMER,
    SCENE_KILL,
    SCENE_END,
    SCENE_COUNT, /* all were played */
};

static const struct {
    const char *call, *purpose;
} scenes[SCENE_COUNT] = {
    [SCENE_FORK] = {"fork()", "no helper could be replaced"},
    [SCENE_HOLD] = {"pidfd_open() (Linux 5.3)", "no guest could be held"},
    [SCENE_CHECK] = {"pidfd_send_signal() of nothing", "no guest could be told from another"},
    [SCENE_STOP] = {"pidfd_send_signal() of SIGSTOP", "no guest could be frozen"},
    [SCENE_CONTINUE] = {"pidfd_send_signal() of SIGCONT", "no guest could be thawed"},
    [SCENE_SCORE] = {"writing oom_score_adj", "the kernel could not be told whom to spare"},
    [SCENE_LIMIT_READ] = {"prlimit() that reads", "limits on locked memory could not be read"},
    [SCENE_LIMIT_SET] = {"prlimit() that sets", "limits on locked memory could not be capped"},
    [SCENE_PASS] = {"passing a descriptor", "no cgroup could be limited or reclaimed from"},
    [SCENE_TIMER] = {"setitimer()", "no cgroup could be limited or reclaimed from in time"},
    [SCENE_KILL] = {"pidfd_send_signal() of SIGKILL", "no guest could be killed"},
    [SCENE_END] = {"poll() of a pidfd", "the end of a guest could not be seen"},
};

/* The player's words: this scene begins (result 0), or has failed. */
struct cue {
    enum scene scene;
    int result;
};

/* ---- the player ---- */

static int play_score(pid_t extra)
{
    char path[PATH_MAX];
    int32_t score = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", extra);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = process_score_read(fd, &score);
    if (result == 0)
        result = process_score_write(fd, score < PROCESS_SCORE_MAX ? score + 1 : score);
    if (result == 0)
        result = process_score_write(fd, score);
    (void)close(fd);
    return result;
}

static int play_limit(pid_t extra, int pidfd, bool set)
{
    struct process_memlock limit = {0};
    int result = process_memlock_read(extra, pidfd, &limit);
    return result < 0 || !set ? result : process_memlock_exchange(extra, pidfd, &limit, &limit);
}

/* As writer.c hands a cgroup's file to its helper. */
static int play_pass(int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {
                     .cmsg_len = CMSG_LEN(sizeof(int)),
                     .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS,
                 }};
    char byte = 0;
    struct iovec part = {&byte, sizeof(byte)};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    int pair[2];

    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int result = 0;
    if (sendmsg(pair[0], &message, MSG_NOSIGNAL) < 0 ||
        recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) < 0)
        result = -errno;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return result;
}

static int play_scene(enum scene scene, pid_t extra, int *pidfd)
{
    static const struct itimerval no_timer;
    struct pollfd ended = {.fd = *pidfd, .events = POLLIN};

    switch (scene) {
    case SCENE_HOLD:
        *pidfd = process_hold(extra);
        return *pidfd;
    case SCENE_CHECK:
        return process_signal(*pidfd, 0);
    case SCENE_STOP:
        return process_signal(*pidfd, SIGSTOP);
    case SCENE_CONTINUE:
        return process_signal(*pidfd, SIGCONT);
    case SCENE_SCORE:
        return play_score(extra);
    case SCENE_LIMIT_READ:
    case SCENE_LIMIT_SET:
        return play_limit(extra, *pidfd, scene == SCENE_LIMIT_SET);
    case SCENE_PASS:
        return play_pass(*pidfd);
    case SCENE_TIMER:
        return setitimer(ITIMER_REAL, &no_timer, NULL) < 0 ? -errno : 0;
    case SCENE_KILL:
        return process_signal(*pidfd, SIGKILL);
    case SCENE_END:
        /* Whoever waits for us has less patience. */
        return poll(&ended, 1, -1) < 0 ? -errno : 0;
    case SCENE_FORK:
    case SCENE_COUNT:
        break;
    }
    return 0;
}

static bool say(enum scene scene, int result)
{
    const struct cue cue = {scene, result};
    return write(HELPER_FD, &cue, sizeof(cue)) == (ssize_t)sizeof(cue);
}

/* The player's whole life. */
static _Noreturn void play(void)
{
    if (!say(SCENE_FORK, 0))
        _exit(1);
    const pid_t player = getpid();
    pid_t extra = fork();
    if (extra < 0)
        (void)say(SCENE_FORK, -errno);
    if (extra < 0)
        _exit(1);
    if (extra == 0) {
        (void)close(HELPER_FD);                 /* the player's end is to be seen */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it may have been stopped by then */
        while (getppid() == player)
            (void)pause();
        _exit(0);
    }
    int pidfd = -1;
    for (enum scene scene = SCENE_HOLD; scene < SCENE_COUNT; scene++) {
        int result = say(scene, 0) ? play_scene(scene, extra, &pidfd) : -EPIPE;
        if (result < 0) {
            (void)say(scene, result);
            (void)kill(extra, SIGKILL);
            _exit(1);
        }
    }
    _exit(say(SCENE_COUNT, 0) ? 0 : 1);
}

/* ---- the guard ---- */

/* The player's last words; SCENE_COUNT: it came to its end. -ETIMEDOUT: it hangs. */
static struct cue last_cue(int fd)
{
    struct cue last = {SCENE_FORK, 0}, cue;
    uint64_t end = loop_now() + REHEARSE_TIMEOUT;

    while (last.result == 0 && last.scene < SCENE_COUNT) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        uint64_t left = sub_or_zero(end, loop_now()) / NSEC_PER_MSEC;
        int count = poll(&ready, 1, (int)left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            last.result = -errno;
        else if (count == 0)
            last.result = -ETIMEDOUT;
        else if (read(fd, &cue, sizeof(cue)) != (ssize_t)sizeof(cue))
            break; /* it has ended in the middle of that scene */
        else
            last = cue;
    }
    return last;
}

int rehearse(struct error *ret_error)
{
    int fd = -1, status = 0;
    pid_t player = helper_fork("plimsoll-try", &fd);

    if (player == 0)
        play();
    if (player < 0)
        return error_set(ret_error, player, "no process can be forked: %s", strerror(-player));
    struct cue last = last_cue(fd);
    (void)close(fd);
    (void)kill(player, SIGKILL);
    (void)waitpid(player, &status, 0);
    if (last.scene >= SCENE_COUNT)
        return 0;
    if (last.result < 0)
        return error_set(ret_error, last.result, "in rehearsal %s failed: %s; %s",
            scenes[last.scene].call, strerror(-last.result), scenes[last.scene].purpose);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return error_set(ret_error, -EACCES,
            "in rehearsal %s had the process killed, as by a seccomp filter: %s",
            scenes[last.scene].call, scenes[last.scene].purpose);
    return error_set(ret_error, -ECHILD,
        "the rehearsal was ended from outside, by signal %d; try again",
        WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}
