/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the table of checks, and what several of them read. Theory of operation: what is common
 * (meminfo, the cgroup mounts, the processes that matter) is read once, the guard was asked once by
 * the caller; then each check reads what is its own, by short-lived descriptors and into bounded
 * buffers, and adds its findings. None depends on another.
 */
#include "doctor.h"

#include "field.h"
#include "kernel_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct doctor_check checks[] = {
    {"guard", check_guard},
    {"guard-mode", check_guard_mode},
    {"hook", check_hook},
    {"hook-seen", check_hook_seen},
    {"overcommit", check_overcommit},
    {"panic-on-oom", check_panic},
    {"oom-kill-allocating-task", check_allocating_task},
    {"swap", check_swap},
    {"swappiness", check_swappiness},
    {"pressure", check_pressure},
    {"min-free", check_min_free},
    {"watermarks", check_watermarks},
    {"hugepages", check_hugepages},
    {"ksm", check_ksm},
    {"thp", check_thp},
    {"thp-defrag", check_thp_defrag},
    {"tmpfs", check_tmpfs},
    {"cgroup", check_cgroup},
    {"machine-slice", check_machine_slice},
    {"score-libvirt", check_score_libvirt},
    {"score-sshd", check_score_sshd},
    {"score-guard", check_score_guard},
    {"oom-daemons", check_oom_daemons},
    {"systemd-oomd", check_systemd_oomd},
    {"guest-mode", check_guest_mode},
    {"guest-class", check_guest_class},
    {"guest-balloon", check_balloon},
    {"guest-statistics", check_statistics},
    {"guest-rigid", check_rigid_share},
    {"guest-limit", check_guest_limit},
    {"guest-score", check_guest_score},
    {"guest-numa", check_numa},
    {"guest-memlock", check_memlock},
    {"guest-pids", check_pids},
};

size_t doctor_check_count(void)
{
    return ELEMENTSOF(checks);
}

const struct doctor_check *doctor_check_at(size_t index)
{
    return &checks[index];
}

/* In the file's order. */
static const struct kernel_field meminfo_fields[] = {
    KERNEL_FIELD("MemTotal", struct doctor_memory, total),
    KERNEL_FIELD("MemAvailable", struct doctor_memory, available),
    KERNEL_FIELD("SwapTotal", struct doctor_memory, swap_total),
    KERNEL_FIELD("SwapFree", struct doctor_memory, swap_free),
    KERNEL_FIELD("CommitLimit", struct doctor_memory, commit_limit),
    KERNEL_FIELD("Committed_AS", struct doctor_memory, committed),
};

static void memory_read(const struct roots *kernel, struct doctor_memory *memory)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s/meminfo", kernel->proc);
    char text[KERNEL_FILE_TEXT];

    if (kernel_file_read(fd, text, sizeof(text)) < 0)
        text[0] = '\0';
    (void)kernel_fields_parse(text, 0, meminfo_fields, ELEMENTSOF(meminfo_fields), memory);
}

void doctor_run(const struct doctor_input *input, struct findings *findings)
{
    struct doctor doctor = {.input = input, .findings = findings};

    memory_read(&input->kernel, &doctor.memory);
    if (cgroup_mounts_new(&input->kernel, &doctor.mounts) < 0)
        doctor.mounts = NULL;
    watched_find(&input->kernel, &doctor.watched);
    for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
        doctor.check = checks[i].name;
        checks[i].run(&doctor);
    }
    (void)cgroup_mounts_free(doctor.mounts);
}

int doctor_number(uint64_t *ret_number, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(AT_FDCWD, path);
    return fd < 0 ? fd : kernel_file_read_number(fd, ret_number);
}

/* NAME has points where the path has slashes. */
static int sysctl_read(const struct roots *kernel, const char *name, uint64_t *ret_number)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s", name);
    for (char *point = path; (point = strchr(point, '.'));)
        *point = '/';
    return doctor_number(ret_number, "%s/sys/%s", kernel->proc, path);
}

bool doctor_sysctl(struct doctor *doctor, const char *name, uint64_t *ret_number)
{
    int result = sysctl_read(&doctor->input->kernel, name, ret_number);

    if (result < 0)
        (void)doctor_unknown(
            doctor, "%s: %s", name, result == -EBADMSG ? "it holds no number" : strerror(-result));
    return result >= 0;
}

void finding_set_sysctl(struct finding *finding, const char *name, uint64_t value)
{
    /* sysctl prints what it has set in the words of its own configuration. */
    finding_set_command(finding, "sysctl -w %s=%llu | tee -a /etc/sysctl.d/90-plimsoll.conf", name,
        (unsigned long long)value);
}

bool doctor_guests(struct doctor *doctor, size_t *ret_count)
{
    struct json_object *guests = field_get(doctor->input->status, "vms");

    if (!doctor->input->status) {
        (void)doctor_unknown(doctor, "the guard does not answer, and nobody else knows the guests");
        return false;
    }
    if (!json_object_is_type(guests, json_type_array)) {
        (void)doctor_unknown(doctor, "the guard's status has no list of guests");
        return false;
    }
    *ret_count = json_object_array_length(guests);
    return true;
}

struct json_object *doctor_guest(const struct doctor *doctor, size_t index)
{
    return json_object_array_get_idx(field_get(doctor->input->status, "vms"), index);
}

bool doctor_enforces(const struct doctor *doctor)
{
    return field_is(field_get(doctor->input->status, "host"), "mode", "enforce");
}

bool guest_domain(struct json_object *guest, char buffer[UUID_TEXT])
{
    struct json_object *sources = field_get(guest, "source");
    size_t count =
        json_object_is_type(sources, json_type_array) ? json_object_array_length(sources) : 0;
    uint8_t uuid[UUID_SIZE];
    char text[FIELD_MAX];

    if (text_parse_uuid(field_text(guest, "uuid", text), uuid) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json_object *source = json_object_array_get_idx(sources, i);

        if (json_object_is_type(source, json_type_string) &&
            strcmp(json_object_get_string(source), "libvirt") == 0) {
            (void)snprintf(buffer, UUID_TEXT, "%.36s", text);
            return true;
        }
    }
    return false;
}

struct finding *guest_named(struct finding *finding, struct json_object *guest)
{
    char name[FIELD_MAX];

    finding_set_subject(finding, field_text(guest, "name", name));
    return finding;
}
