/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of the cgroup hierarchies, and of the limits of machine.slice, under which
 * systemd puts every guest of libvirt's (admin-guide/cgroup-v2.rst).
 */
#include "doctor.h"
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SLICE "machine.slice"
/* v1 shows "no limit" as the largest page-aligned number; whatever is above this is none. */
#define LEGACY_LIMIT_MAX (UINT64_C(1) << 62)
/* Used to this part, a limit is about to be felt. */
#define NEAR_PERCENT 90

static bool word_is_in(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (; *text; text += strcspn(text, " \n"), text += strspn(text, " \n"))
        if (strncmp(text, word, length) == 0 && strchr(" \n", text[length]))
            return true;
    return false;
}

int doctor_controller(const struct doctor *doctor, const char *name)
{
    char folder[PATH_MAX], text[512]; /* a dozen names */

    int result = cgroup_path_find(doctor->mounts, CGROUP_UNIFIED, "/", folder);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/cgroup.controllers", folder);
    result = fd < 0 ? fd : kernel_file_read(fd, text, sizeof(text));
    if (result < 0)
        return result == -ENODATA ? 0 : result;
    return word_is_in(text, name);
}

void check_cgroup(struct doctor *doctor)
{
    struct finding *finding;
    char folder[PATH_MAX];

    if (!doctor->mounts) {
        (void)doctor_unknown(doctor, "/proc/self/mountinfo cannot be read");
        return;
    }
    if (cgroup_path_find(doctor->mounts, CGROUP_MEMORY_V1, "/", folder) == 0) {
        finding = doctor_say(doctor, SEVERITY_WARNING,
            "On v1 the guard limits, freezes and brakes no guest by its cgroup, and has nothing "
            "idle "
            "of it swapped.",
            "the memory controller is on cgroup v1, at %s", folder);
        finding_set_advice(finding,
            "systemd.unified_cgroup_hierarchy=1 on the kernel's command line (on Debian "
            "GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub), and a reboot");
        return;
    }
    int result = doctor_controller(doctor, "memory");
    if (result < 0) {
        (void)doctor_unknown(doctor, "cgroup.controllers: %s", strerror(-result));
    } else if (result > 0) {
        doctor_fine(doctor, "cgroup v2, with the memory controller");
    } else {
        finding = doctor_say(doctor, SEVERITY_WARNING,
            "The guard can limit no guest by its cgroup, nor have anything idle of it swapped.",
            "no cgroup hierarchy has a memory controller (/proc/self/mountinfo, "
            "cgroup.controllers)");
        finding_set_advice(finding, "take cgroup_disable=memory off the kernel's command line, and "
                                    "reboot; else the kernel was built without CONFIG_MEMCG");
    }
}

/* A limit of the slice; VM_LIMIT_NONE: "max". Negative errno: as reading. */
static int slice_limit_read(const char *folder, const char *name, uint64_t *ret_limit)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s/%s", folder, name);
    char text[32]; /* 20 digits, newline, NUL */

    int result = fd < 0 ? fd : kernel_file_read(fd, text, sizeof(text));
    if (result < 0)
        return result;
    if (strcmp(text, "max\n") == 0) {
        *ret_limit = VM_LIMIT_NONE;
        return 0;
    }
    result = kernel_file_read_number(fd, ret_limit);
    if (result == 0 && *ret_limit >= LEGACY_LIMIT_MAX)
        *ret_limit = VM_LIMIT_NONE;
    return result;
}

struct slice_limit {
    const char *name, *use; /* files */
    const char *property;   /* systemd's */
    bool bytes;
    enum severity far, near; /* FINE: not worth a word */
    const char *why;
};

static const struct slice_limit limits_unified[] = {
    {"memory.max", "memory.current", "MemoryMax", true, SEVERITY_WARNING, SEVERITY_ERROR,
        "At this limit of all guests together the kernel kills one of them, though the host has "
        "room, and the guard's figures of the host do not show it coming."},
    {"memory.high", "memory.current", "MemoryHigh", true, SEVERITY_WARNING, SEVERITY_WARNING,
        "Above this limit of all guests together the kernel slows down each of them and its "
        "monitor, though the host has room."},
    {"pids.max", "pids.current", "TasksMax", false, SEVERITY_FINE, SEVERITY_WARNING,
        "At this limit no thread can be made: guests do not start, and a running QEMU that needs "
        "one aborts."},
};
static const struct slice_limit limits_legacy[] = {
    {"memory.limit_in_bytes", "memory.usage_in_bytes", "MemoryMax=infinity MemoryLimit", true,
        SEVERITY_WARNING, SEVERITY_ERROR,
        "At this limit of all guests together the kernel kills one of them, though the host has "
        "room, and the guard's figures of the host do not show it coming."},
};

static void figure_format(uint64_t value, bool bytes, char *buffer, size_t size)
{
    if (bytes || !known(value))
        (void)text_format_bytes(value, buffer, size);
    else
        (void)snprintf(buffer, size, "%llu", (unsigned long long)value);
}

/* True: it had something to say. */
static bool slice_limit_check(
    struct doctor *doctor, const char *folder, const struct slice_limit *row)
{
    char limit_text[TEXT_NUMBER_MAX], use_text[TEXT_NUMBER_MAX];
    uint64_t limit, use;

    int result = slice_limit_read(folder, row->name, &limit);
    if (result == -ENOENT || (result == 0 && limit == VM_LIMIT_NONE))
        return false; /* the controller is off there, and limits nothing */
    if (result < 0) {
        (void)doctor_unknown(doctor, "%s/%s: %s", folder, row->name,
            result == -EBADMSG ? "it holds no number" : strerror(-result));
        return true;
    }
    if (doctor_number(&use, "%s/%s", folder, row->use) < 0)
        use = UNKNOWN;
    bool near = known(use) && use >= scale_u64(limit, NEAR_PERCENT, 100);
    enum severity severity = near ? row->near : row->far;
    if (severity == SEVERITY_FINE)
        return false;
    figure_format(limit, row->bytes, limit_text, sizeof(limit_text));
    figure_format(use, row->bytes, use_text, sizeof(use_text));
    struct finding *finding =
        doctor_say(doctor, severity, row->why, "%s of " SLICE " is %s, and %s of it is used (%s)",
            row->name, limit_text, use_text, folder);
    finding_set_command(finding, "systemctl set-property " SLICE " %s=infinity", row->property);
    return true;
}

void check_machine_slice(struct doctor *doctor)
{
    const struct slice_limit *limits = limits_unified;
    size_t count = ELEMENTSOF(limits_unified);
    char folder[PATH_MAX];
    bool said = false;

    if (!doctor->mounts) {
        (void)doctor_unknown(doctor, "/proc/self/mountinfo cannot be read");
        return;
    }
    if (cgroup_path_find(doctor->mounts, CGROUP_MEMORY_V1, "/" SLICE, folder) == 0) {
        limits = limits_legacy;
        count = ELEMENTSOF(limits_legacy);
    } else if (cgroup_path_find(doctor->mounts, CGROUP_UNIFIED, "/" SLICE, folder) < 0) {
        (void)doctor_unknown(doctor, "the root of no cgroup hierarchy is mounted here");
        return;
    }
    int fd = kernel_file_open(AT_FDCWD, folder);
    if (fd == -ENOENT) {
        doctor_fine(doctor, "there is no " SLICE " (%s)", folder);
        return;
    }
    if (fd < 0) {
        (void)doctor_unknown(doctor, "%s: %s", folder, strerror(-fd));
        return;
    }
    (void)kernel_file_close(fd);
    for (size_t i = 0; i < count; i++)
        said = slice_limit_check(doctor, folder, &limits[i]) || said;
    if (!said)
        doctor_fine(doctor, "nothing limits " SLICE " (%s)", folder);
}
