/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the ledger and the child of the running test. */
#include "undo_scene.h"
#include "kernel_file.h"
#include "sample_process.h"
#include "undo.h"

#include <check.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY 8
#define BOOT_ID "11111111-2222-3333-4444-555555555555"

struct undo_scene scene;

void undo_scene_setup(void)
{
    struct error error = {0};

    scratch_make("undo", scene.folder);
    (void)snprintf(scene.proc, sizeof(scene.proc), "%s", "/proc");
    snprintf(scene.ledger_path, sizeof(scene.ledger_path), "%s/ledger", scene.folder);
    snprintf(scene.socket_path, sizeof(scene.socket_path), "%s/qmp", scene.folder);
    ck_assert_msg(ledger_open(scene.ledger_path, BOOT_ID, CAPACITY, &scene.ledger, &error) == 0,
        "%s", error.text);
    scene.said[0] = '\0';
}

void undo_scene_teardown(void)
{
    scene.ledger = ledger_free(scene.ledger);
    if (scene.child > 0) {
        kill(scene.child, SIGKILL);
        waitpid(scene.child, NULL, 0);
    }
    scene.child = 0;
    scratch_remove(scene.folder);
}

void undo_child_start(char *const *arguments)
{
    scene.child = fork();
    ck_assert_int_ge(scene.child, 0);
    if (scene.child > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (arguments)
        execv(arguments[0], arguments);
    else
        for (;;)
            pause();
    _exit(127);
}

static uint64_t start_time_read(pid_t pid)
{
    struct process_stat stat;
    int fd = kernel_file_open_format("/proc/%d/stat", (int)pid);

    ck_assert_int_eq(process_stat_read(fd, &stat), 0);
    (void)kernel_file_close(fd);
    return stat.start_time;
}

void undo_put(uint32_t slot, const char *name, struct vm_measures measures)
{
    struct ledger_entry entry = {
        .identity = {.pid = scene.child, .start_time = start_time_read(scene.child)},
        .measures = measures};

    (void)snprintf(entry.name, sizeof(entry.name), "%s", name);
    (void)snprintf(entry.monitor, sizeof(entry.monitor), "%s", scene.socket_path);
    ledger_put(scene.ledger, slot, &entry);
}

static void report(const char *vm, const char *measure, bool done, const char *text, void *userdata)
{
    size_t used = strlen(scene.said);

    ck_assert_ptr_eq(userdata, &scene.ledger);
    snprintf(scene.said + used, sizeof(scene.said) - used, "%s %s %s %s\n", vm, measure,
        done ? "ok" : "no", text);
}

unsigned undo_run(const char *name)
{
    struct roots roots = {.proc = scene.proc, .sys = "/sys"};
    struct undo_options options = {.roots = &roots,
        .monitor_timeout = 5 * NSEC_PER_SEC,
        .report = report,
        .userdata = &scene.ledger};

    scene.said[0] = '\0';
    return undo_all(scene.ledger, &options, &name, name ? 1 : 0);
}

void undo_assert_said(const char *text)
{
    ck_assert_msg(strstr(scene.said, text) != NULL, "no “%s” in:\n%s", text, scene.said);
}

uint32_t undo_in_force(uint32_t slot)
{
    const struct ledger_entry *entry = ledger_get(scene.ledger, slot);

    return entry ? entry->measures.in_force : 0;
}
