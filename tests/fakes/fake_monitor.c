/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake_monitor.h. The owner's handlers do what the inventory's and the guard's do. */
#include "fake_monitor.h"

#include "act.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BOOT_ID "11111111-2222-3333-4444-555555555555"
/* Looks in a row at which nothing was said: then nothing is on its way any more. */
#define QUIET_LOOKS 3
/* Requests before the one that is waited for; a fresh connection asks 17. */
#define REQUESTS_MAX 64

/* ---- the monitor's owner ---- */

static void on_connected(struct monitor *connected, pid_t pid, void *userdata)
{
    struct fake_monitor *bench = userdata;

    (void)pid;
    bench->vm->stop_pending = false;
    bench->vm->resume_pending = false;
    monitor_attach(connected, bench->vm);
}

static bool on_may_touch(void *userdata)
{
    const struct fake_monitor *bench = userdata;

    return bench->touching;
}

static void on_vcpus(struct vm *vm, const struct qmp_cpus *cpus, void *userdata)
{
    (void)vm;
    (void)cpus;
    (void)userdata;
}

static void on_renamed(struct vm *vm, void *userdata)
{
    (void)vm;
    (void)userdata;
}

static void on_pause_moved(struct vm *vm, void *userdata)
{
    (void)userdata;
    act_pause_advance(vm, loop_now());
}

/* ---- the conversation ---- */

static void hear(struct fake_monitor *bench)
{
    static const struct {
        const char *needle;
        char letter;
    } letters[] = {{"\"stop\"", 's'}, {"\"cont\"", 'c'}, {"\"query-status\"", 'q'},
        {"\"query-migrate\"", 'm'}, {"guest-stats-polling-interval", 'i'}, {"", '.'}};
    size_t i = 0, length = strlen(bench->heard);

    ck_assert_int_eq(fake_qemu_hear(&bench->fake), 0);
    while (!strstr(bench->fake.line, letters[i].needle))
        i++;
    ck_assert_uint_lt(length + 1, sizeof bench->heard);
    bench->heard[length] = letters[i].letter;
    bench->heard[length + 1] = '\0';
}

static void answer(struct fake_monitor *bench)
{
    struct fake_qemu *fake = &bench->fake;
    char body[128];
    int result;

    if (bench->status && strstr(fake->line, "\"query-status\"")) {
        (void)snprintf(body, sizeof body,
            "{\"status\": \"%s\", \"singlestep\": false, \"running\": false}", bench->status);
        result = fake_qemu_reply(fake, fake->id, body);
    } else if (bench->migration && strstr(fake->line, "\"query-migrate\"")) {
        result = fake_qemu_reply(fake, fake->id, bench->migration);
    } else {
        result = fake_qemu_answer(fake);
    }
    ck_assert_int_eq(result, 0);
}

void fake_monitor_look(struct fake_monitor *bench)
{
    ck_assert_int_eq(loop_wait(bench->loop, 0), 0);
    monitor_advance(bench->monitor, BAND_CALM, loop_now());
    act_pause_advance(bench->vm, loop_now());
}

void fake_monitor_settle(struct fake_monitor *bench)
{
    for (unsigned quiet = 0; quiet < QUIET_LOOKS; quiet++) {
        fake_monitor_look(bench);
        while (fake_qemu_has_heard(&bench->fake)) {
            hear(bench);
            answer(bench);
            quiet = 0;
        }
    }
}

uint64_t fake_monitor_hold(struct fake_monitor *bench, const char *command)
{
    for (unsigned i = 0; i < REQUESTS_MAX; i++) {
        fake_monitor_look(bench);
        while (fake_qemu_has_heard(&bench->fake)) {
            hear(bench);
            if (strstr(bench->fake.line, command))
                return bench->fake.id;
            answer(bench);
        }
    }
    ck_abort_msg("%s was never sent", command);
    return 0;
}

void fake_monitor_say_event(struct fake_monitor *bench, const char *event)
{
    ck_assert_int_eq(fake_qemu_say(&bench->fake,
                         "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": "
                         "\"%s\"}",
                         event),
        0);
}

void fake_monitor_pass(struct fake_monitor *bench, uint64_t delay)
{
    monitor_advance(bench->monitor, BAND_CALM, loop_now() + delay);
}

unsigned fake_monitor_count(const struct fake_monitor *bench, char letter)
{
    unsigned found = 0;

    for (const char *at = bench->heard; *at; at++)
        found += *at == letter;
    return found;
}

void fake_monitor_expect(const struct fake_monitor *bench, uint32_t measures)
{
    const struct ledger_entry *entry = ledger_get(bench->ledger, 0);

    ck_assert_uint_eq(bench->vm->figures.measures.in_force, measures);
    ck_assert_uint_eq(entry ? entry->measures.in_force : 0, measures);
}

/* ---- begin and end ---- */

static void vm_begin(struct fake_monitor *bench)
{
    const struct roots *roots = &bench->host.tree->roots;
    struct vm_identity identity = {.start_time = FAKE_HOST_START_TIME};
    struct error error = {0};
    char path[108];

    identity.pid = bench->child = fake_host_guest(&bench->host, "one", FAKE_MONITOR_RAM);
    (void)snprintf(path, sizeof path, "%s/ledger", bench->host.tree->folder);
    ck_assert_int_eq(ledger_open(path, BOOT_ID, 1, &bench->ledger, &error), 0);
    ck_assert_int_eq(cgroup_mounts_new(roots, &bench->mounts), 0);
    ck_assert_int_eq(vm_new(0, &identity, roots, bench->mounts, bench->ledger, &bench->vm), 0);
}

void fake_monitor_begin(struct fake_monitor *bench, bool may_touch)
{
    struct monitor_owner owner = {.may_touch = on_may_touch,
        .connected = on_connected,
        .vcpus = on_vcpus,
        .renamed = on_renamed,
        .pause_moved = on_pause_moved,
        .userdata = bench};
    char path[108];

    *bench = (struct fake_monitor){.touching = may_touch};
    fake_host_begin(&bench->host, FAKE_CGROUPS_V2, "");
    vm_begin(bench);
    (void)snprintf(path, sizeof path, "%s/qmp", bench->host.tree->folder);
    ck_assert_int_eq(fake_qemu_listen(&bench->fake, path), 0);
    bench->fake.ram = bench->fake.balloon = FAKE_MONITOR_RAM;
    ck_assert_int_eq(loop_new(&bench->loop), 0);
    owner.loop = bench->loop;
    ck_assert_int_eq(monitor_new(path, &owner, &bench->monitor), 0);
    ck_assert_int_eq(fake_qemu_accept(&bench->fake), 0);
    ck_assert_int_eq(fake_qemu_greet(&bench->fake), 0);
    fake_monitor_settle(bench);
    ck_assert_int_eq(bench->vm->figures.monitor, VM_MONITOR_READY);
    ck_assert_int_eq(bench->vm->figures.run_state, VM_RUN_RUNNING);
}

void fake_monitor_end(struct fake_monitor *bench)
{
    bench->monitor = monitor_free(bench->monitor);
    fake_qemu_close(&bench->fake);
    bench->vm = vm_free(bench->vm);
    bench->mounts = cgroup_mounts_free(bench->mounts);
    bench->ledger = ledger_free(bench->ledger);
    bench->loop = loop_free(bench->loop);
    ck_assert_int_eq(kill(bench->child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(bench->child, NULL, 0), bench->child);
    fake_host_end(&bench->host);
}
