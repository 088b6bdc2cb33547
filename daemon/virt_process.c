/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the process, the pidfd that holds it and our end of its socket. Both are watched from its
 * start, so that a spare which takes over needs nothing from the kernel but the sending of a
 * datagram.
 *
 * Starting is a fork(): until the child has read the program from disk, each page that the guard
 * writes is copied. When that may be is the caller's to know.
 */
#include "virt_process.h"

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/virt.h>

void virt_process_init(struct virt_process *process, struct loop *loop, void *owner)
{
    *process = (struct virt_process){
        .owner = owner,
        .loop = loop,
        .fd = -1,
        .pidfd = -1,
        .socket = LOOP_SOURCE_NONE,
        .exit = LOOP_SOURCE_NONE,
    };
}

/* ---- started ---- */

/* In the child: all other descriptors of the guard are closed by the exec. */
static void __attribute__((noreturn)) program_run(const char *path, int fd)
{
    char program[PATH_MAX];
    char *const arguments[] = {program, NULL};
    bool placed = fd == VIRT_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, VIRT_FD) == VIRT_FD;

    (void)snprintf(program, sizeof(program), "%s", path);
    process_score_reset();
    if (placed)
        (void)execv(program, arguments);
    _exit(VIRT_PROCESS_NO_PROGRAM);
}

static int process_watch(struct virt_process *process, const struct virt_process_options *options)
{
    int pidfd = process_hold(process->pid);

    if (pidfd < 0)
        return pidfd;
    process->pidfd = pidfd;
    int result = loop_add(process->loop, &process->exit, pidfd, EPOLLIN, options->exited);
    if (result < 0)
        return result;
    return loop_add(process->loop, &process->socket, process->fd, EPOLLIN, options->heard);
}

int virt_process_start(
    struct virt_process *process, const struct virt_process_options *options, uint64_t now)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        program_run(options->program, pair[1]);
    int result = pid < 0 ? -errno : 0;
    (void)close(pair[1]);
    if (pid < 0) {
        (void)close(pair[0]);
        return result;
    }
    process->pid = pid;
    process->fd = pair[0];
    process->greeted = process->ended = false;
    process->started = process->heard = now;
    result = process_watch(process, options);
    if (result < 0)
        virt_process_end(process);
    return result;
}

int virt_process_begin(struct virt_process *process, const char *uri)
{
    struct virt_record record = {.kind = VIRT_RECORD_BEGIN};
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    (void)snprintf(record.begin.uri, sizeof(record.begin.uri), "%s", uri);
    int length = virt_encode(&record, datagram);
    if (length < 0)
        return length;
    /* The first one to it: there is room. */
    if (send(process->fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}

/* ---- ended ---- */

void virt_process_hang_up(struct virt_process *process)
{
    if (process->fd < 0)
        return;
    loop_remove(process->loop, &process->socket);
    (void)close(process->fd);
    process->fd = -1;
}

void virt_process_end(struct virt_process *process)
{
    virt_process_hang_up(process);
    process->ended = true;
    if (process->pidfd >= 0)
        (void)process_signal(process->pidfd, SIGKILL);
    else
        (void)kill(process->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

static void process_release(struct virt_process *process)
{
    virt_process_hang_up(process);
    if (process->pidfd >= 0) {
        loop_remove(process->loop, &process->exit);
        (void)close(process->pidfd);
        process->pidfd = -1;
    }
    process->pid = 0;
    process->ended = false;
}

bool virt_process_reap(struct virt_process *process, int *ret_status)
{
    int status = 0;

    if (process->pid == 0 || waitpid(process->pid, &status, WNOHANG) == 0)
        return false;
    *ret_status = status;
    process_release(process);
    return true;
}

void virt_process_close(struct virt_process *process)
{
    int status;

    if (process->pid == 0)
        return;
    virt_process_end(process);
    if (!virt_process_reap(process, &status))
        process_release(process);
}
