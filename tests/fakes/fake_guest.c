/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The child is one loop over its sockets and a line to the test, by which it is told to listen or
 * to leave and says that it has done so. Its state is the record's, whichever socket is asked.
 */
#include "fake_guest.h"

#include "act.h"
#include "fake_qemu.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sockets of one guest; a test of two is the largest. */
#define SOCKETS_MAX 4
/* The guard is looked after at least this often, for what no event tells. */
#define TURN (100 * NSEC_PER_MSEC)

enum verb {
    VERB_LISTEN,
    VERB_LEAVE,
};

struct command {
    enum verb verb;
    char path[108];
};

struct server {
    struct fake_guest_record *record;
    char meminfo[128];
    struct fake_qemu sockets[SOCKETS_MAX];
    unsigned count;
};

/* ---- the child ---- */

/* In one write and always as long, so that no reader sees half of it. */
static void meminfo_write(const struct server *server, uint64_t available)
{
    char text[512];
    unsigned long long kib = available / KIB;
    int fd = open(server->meminfo, O_WRONLY | O_CLOEXEC);
    int length = snprintf(text, sizeof text,
        "MemTotal:       16777216 kB\nMemFree: %12llu kB\nMemAvailable: %12llu kB\n"
        "Buffers:               0 kB\nCached:                0 kB\nSwapTotal:             0 kB\n"
        "SwapFree:              0 kB\nAnonPages: %12llu kB\nShmem:                 0 kB\n"
        "SUnreclaim:        65536 kB\nPageTables:        20480 kB\n%200s\n",
        kib, kib, (unsigned long long)(FAKE_HOST_TOTAL / KIB) - kib, "");

    if (fd < 0 || pwrite(fd, text, (size_t)length, 0) != length)
        _exit(EXIT_FAILURE);
    close(fd);
}

static void answer(struct server *server, struct fake_qemu *qemu)
{
    struct fake_guest_record *record = server->record;
    bool stop = strstr(qemu->line, "\"stop\"") != NULL;
    bool cont = strstr(qemu->line, "\"cont\"") != NULL;
    bool balloon = strstr(qemu->line, "\"execute\":\"balloon\"") != NULL;

    record->stops += stop;
    record->conts += cont;
    record->balloons += balloon;
    qemu->running = record->running;
    qemu->balloon = record->balloon;
    if (balloon && record->available_then != 0)
        meminfo_write(server, record->available_then);
    if (cont && record->refuses_cont)
        (void)fake_qemu_fail(qemu, qemu->id, "GenericError", "not now");
    else
        (void)fake_qemu_answer(qemu);
    /* Only what this command changed: the test may be changing the rest. */
    if (stop || cont)
        record->running = qemu->running;
    if (balloon)
        record->balloon = qemu->balloon;
}

static void obey(struct server *server, int commands)
{
    struct command command;

    if (recv(commands, &command, sizeof command, 0) != sizeof command)
        _exit(EXIT_SUCCESS); /* the test has ended */
    switch (command.verb) {
    case VERB_LISTEN:
        if (server->count == SOCKETS_MAX ||
            fake_qemu_listen(&server->sockets[server->count], command.path) < 0)
            _exit(EXIT_FAILURE);
        server->sockets[server->count++].ram = FAKE_GUEST_RAM;
        break;
    case VERB_LEAVE:
        for (unsigned i = 0; i < server->count; i++) {
            if (strcmp(server->sockets[i].path, command.path) == 0)
                fake_qemu_close(&server->sockets[i]);
        }
        break;
    }
    (void)send(commands, "", 1, MSG_NOSIGNAL);
}

/* QEMU takes one client at a time. */
static void serve_one(struct server *server, struct fake_qemu *qemu, short events)
{
    if (qemu->fd < 0) {
        if (fake_qemu_accept(qemu) == 0)
            (void)fake_qemu_greet(qemu);
        return;
    }
    while (fake_qemu_has_heard(qemu) && fake_qemu_hear(qemu) == 0)
        answer(server, qemu);
    if (events & (POLLHUP | POLLERR))
        fake_qemu_hang_up(qemu);
}

static _Noreturn void serve(struct server *server, int commands)
{
    for (;;) {
        struct pollfd polled[SOCKETS_MAX + 1] = {{.fd = commands, .events = POLLIN}};

        for (unsigned i = 0; i < server->count; i++) {
            const struct fake_qemu *qemu = &server->sockets[i];

            polled[i + 1].fd = qemu->fd >= 0 ? qemu->fd : qemu->listener;
            polled[i + 1].events = POLLIN;
        }
        unsigned count = server->count;
        if (poll(polled, count + 1, -1) < 0)
            continue;
        for (unsigned i = 0; i < count; i++) {
            if (polled[i + 1].revents)
                serve_one(server, &server->sockets[i], polled[i + 1].revents);
        }
        if (polled[0].revents)
            obey(server, commands);
    }
}

/* ---- the test ---- */

void fake_guest_host(struct fake_host *host, const char *on_exit)
{
    char path[128];

    fake_host_begin(host, FAKE_CGROUPS_V2, "");
    (void)snprintf(path, sizeof path, "%s/qmp", host->tree->folder);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    fake_tree_write(host->tree, "plimsoll.conf",
        "[guard]\nmode=enforce\nmax-vms=8\nqmp-directory=%s\non-exit=%s\n"
        "[class default]\nmode=enforce\n",
        path, on_exit);
}

void fake_guest_path(const struct fake_host *host, const char *name, char ret_path[static 108])
{
    (void)snprintf(ret_path, 108, "%s/qmp/%s", host->tree->folder, name);
}

static void command_send(struct fake_guest *guest, enum verb verb, const char *path)
{
    struct command command = {.verb = verb};
    char done;

    (void)snprintf(command.path, sizeof command.path, "%s", path);
    ck_assert_int_eq(send(guest->commands, &command, sizeof command, MSG_NOSIGNAL), sizeof command);
    ck_assert_int_eq(recv(guest->commands, &done, 1, 0), 1);
}

void fake_guest_listen(struct fake_guest *guest, const char *path)
{
    command_send(guest, VERB_LISTEN, path);
}

void fake_guest_leave(struct fake_guest *guest, const char *path)
{
    command_send(guest, VERB_LEAVE, path);
}

void fake_guest_start(
    struct fake_guest *guest, struct fake_host *host, const char *name, uint64_t rss)
{
    char path[108];
    int ends[2];

    guest->record = mmap(
        NULL, sizeof *guest->record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(guest->record, MAP_FAILED);
    guest->record->running = true;
    guest->record->balloon = FAKE_GUEST_RAM;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    guest->pid = fork();
    ck_assert_int_ge(guest->pid, 0);
    if (guest->pid == 0) {
        struct server server = {.record = guest->record};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        (void)snprintf(server.meminfo, sizeof server.meminfo, "%s/meminfo", host->tree->proc);
        serve(&server, ends[1]);
    }
    close(ends[1]);
    guest->commands = ends[0];
    fake_host_dress(host, guest->pid, name, rss);
    fake_guest_path(host, name, path);
    fake_guest_listen(guest, path);
}

struct fake_guest *fake_guest_end(struct fake_guest *guest)
{
    ck_assert_int_eq(kill(guest->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(guest->pid, NULL, 0), guest->pid);
    close(guest->commands);
    ck_assert_int_eq(munmap(guest->record, sizeof *guest->record), 0);
    return NULL;
}

struct vm *fake_guest_vm(const struct fake_host *host, pid_t pid)
{
    for (uint32_t slot = 0; slot < host->guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host->guard->inventory, slot);

        if (vm && vm->figures.identity.pid == pid)
            return vm;
    }
    ck_abort_msg("the guard does not know process %d", (int)pid);
    return NULL;
}

void fake_guest_turn(struct fake_host *host)
{
    struct inventory *inventory = host->guard->inventory;
    uint64_t now = loop_now();

    inventory_advance(inventory, BAND_CALM, now);
    ck_assert_int_eq(
        loop_wait(host->guard->loop, min_u64(inventory_deadline(inventory), now + TURN)), 0);
}

void fake_guest_await_monitor(struct fake_host *host, const struct fake_guest *guest)
{
    const struct vm *vm = fake_guest_vm(host, guest->pid);

    /* The balloon is the last but one of the questions that always have an answer. */
    fake_guest_await(
        host, vm->figures.monitor == VM_MONITOR_READY && known(vm->figures.balloon.actual));
}

void fake_guest_pause(struct fake_host *host, const struct fake_guest *guest)
{
    struct vm *vm = fake_guest_vm(host, guest->pid);

    ck_assert_int_eq(act_pause(vm, MODE_ENFORCE, loop_now()), 0);
    fake_guest_await(host, vm_has(vm, VM_MEASURE_STOPPED));
}

void fake_guest_inflate(struct fake_host *host, const struct fake_guest *guest, uint64_t target)
{
    struct vm *vm = fake_guest_vm(host, guest->pid);

    ck_assert_int_eq(act_balloon(vm, target, MODE_ENFORCE, loop_now()), 0);
    fake_guest_await(host, vm->figures.balloon.actual == target);
    guest->record->balloons = 0;
}
