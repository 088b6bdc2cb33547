/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of systemd-oomd. It does nothing to whom it is not told to watch: a unit with
 * ManagedOOMSwap=kill or ManagedOOMMemoryPressure=kill, and what is below it
 * (systemd.resource-control(5)). For guests that is machine.slice or the root slice. Their settings
 * are read where systemd reads them (systemd.unit(5)): the unit's file in the first folder that
 * has one, then the drop-ins sorted by name, one of a folder further up in place of a namesake;
 * the last assignment holds.
 */
#include "doctor.h"
#include "kernel_directory.h"
#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Drop-ins of one unit: some distributions ship one. */
#define DROP_INS_MAX 64
/* Lines of one of its files. */
#define LINES_MAX 1024

static const char *const folders[] = {"/etc/systemd/system.control", "/run/systemd/system.control",
    "/run/systemd/transient", "/etc/systemd/system", "/run/systemd/system",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"};
static const char *const keys[] = {"ManagedOOMSwap", "ManagedOOMMemoryPressure"};

struct policy {
    bool kill[ELEMENTSOF(keys)];
    int error; /* a negative errno: something could not be read */
};

struct drop_in {
    char name[NAME_MAX + 1];
    unsigned folder;
};

struct drop_ins {
    unsigned count;
    bool cut;
    struct drop_in list[DROP_INS_MAX];
};

/* "KEY = VALUE"; both keys are known in no other section of a slice. */
static void line_note(const char *line, struct policy *policy)
{
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        size_t length = strlen(keys[i]);
        const char *cursor = line + strspn(line, " \t");

        if (strncmp(cursor, keys[i], length) != 0)
            continue;
        cursor += length;
        cursor += strspn(cursor, " \t");
        if (*cursor++ != '=')
            continue;
        cursor += strspn(cursor, " \t");
        policy->kill[i] = strncmp(cursor, "kill", strlen("kill")) == 0;
    }
}

/* True: there is such a file. */
static bool file_note(struct policy *policy, const char *files, const char *path)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s%s", files, path);
    struct kernel_lines lines;
    const char *line;

    if (fd < 0) {
        if (fd != -ENOENT && fd != -ENOTDIR)
            policy->error = fd;
        return fd != -ENOENT;
    }
    kernel_lines_begin(&lines, fd);
    for (unsigned i = 0; i < LINES_MAX && (line = kernel_lines_next(&lines)); i++)
        line_note(line, policy);
    return true;
}

static void drop_in_add(struct drop_ins *drop_ins, const char *name, unsigned folder)
{
    size_t length = strlen(name);

    if (length <= strlen(".conf") || strcmp(name + length - strlen(".conf"), ".conf") != 0)
        return;
    for (unsigned i = 0; i < drop_ins->count; i++)
        if (strcmp(drop_ins->list[i].name, name) == 0)
            return;
    if (drop_ins->count == DROP_INS_MAX) {
        drop_ins->cut = true;
        return;
    }
    struct drop_in *drop_in = &drop_ins->list[drop_ins->count++];
    drop_in->folder = folder;
    (void)snprintf(drop_in->name, sizeof(drop_in->name), "%s", name);
}

static int drop_in_compare(const void *a, const void *b)
{
    const struct drop_in *first = a, *second = b;

    return strcmp(first->name, second->name);
}

static void drop_ins_list(
    const char *files, const char *unit, struct drop_ins *drop_ins, struct policy *policy)
{
    struct kernel_directory directory;
    struct kernel_entry entry;
    char path[PATH_MAX];

    for (unsigned i = 0; i < ELEMENTSOF(folders); i++) {
        int length = snprintf(path, sizeof(path), "%s%s/%s.d", files, folders[i], unit);
        if (length < 0 || (size_t)length >= sizeof(path))
            continue;
        CLEANUP(kernel_file_close_at)
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            if (errno != ENOENT)
                policy->error = -errno;
            continue;
        }
        kernel_directory_begin(&directory, fd);
        /* Ends: what is kept is bounded, and a folder of root's is finite. */
        while (kernel_directory_next(&directory, &entry) > 0 && !drop_ins->cut)
            drop_in_add(drop_ins, entry.name, i);
    }
    qsort(drop_ins->list, drop_ins->count, sizeof(drop_ins->list[0]), drop_in_compare);
}

static struct policy policy_read(const char *files, const char *unit)
{
    struct drop_ins drop_ins = {.count = 0};
    struct policy policy = {.error = 0};
    char path[PATH_MAX];

    for (unsigned i = 0; i < ELEMENTSOF(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folders[i], unit);
        if (file_note(&policy, files, path))
            break;
    }
    drop_ins_list(files, unit, &drop_ins, &policy);
    for (unsigned i = 0; i < drop_ins.count; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s.d/%s", folders[drop_ins.list[i].folder], unit,
            drop_ins.list[i].name);
        (void)file_note(&policy, files, path);
    }
    if (drop_ins.cut)
        policy.error = -E2BIG;
    return policy;
}

/* True: it had something to say. */
static bool unit_check(struct doctor *doctor, const char *unit)
{
    struct policy policy = policy_read(doctor->input->files, unit);
    bool said = false;

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        if (!policy.kill[i])
            continue;
        struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
            "systemd-oomd kills all of a cgroup at once by its own measure, a guest with all its "
            "helpers, one that the guard would keep among them.",
            "systemd-oomd runs (/proc/%d), and %s has %s=kill (/etc/systemd/system, "
            "/usr/lib/systemd/system)",
            (int)doctor->watched.processes[WATCHED_SYSTEMD_OOMD].pid, unit, keys[i]);
        finding_set_command(finding, "systemctl set-property -- %s %s=auto", unit, keys[i]);
        said = true;
    }
    if (policy.error < 0) {
        (void)doctor_unknown(
            doctor, "what systemd-oomd may do to %s: its files: %s", unit, strerror(-policy.error));
        said = true;
    }
    return said;
}

void check_systemd_oomd(struct doctor *doctor)
{
    if (doctor->watched.processes[WATCHED_SYSTEMD_OOMD].pid == 0) {
        if (doctor->watched.error < 0)
            (void)doctor_unknown(doctor, "whether it runs: not all processes can be seen: %s",
                strerror(-doctor->watched.error));
        else
            doctor_fine(doctor, "systemd-oomd does not run");
        return;
    }
    bool said = unit_check(doctor, "machine.slice");
    said = unit_check(doctor, "-.slice") || said;
    if (!said)
        doctor_fine(doctor, "systemd-oomd runs, and is not told to watch machine.slice");
}
