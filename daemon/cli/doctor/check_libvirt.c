/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of libvirt's hook. libvirt runs every executable file of qemu.d, and looks
 * whether there is any when it starts and on SIGHUP (src/util/virhook.c). A reload leaves no trace
 * that could be read here: that it saw a hook is certain only where it was started after that came.
 */
#include "doctor.h"
#include "kernel_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBVIRT_FOLDER "/etc/libvirt"

/* 0 or a negative errno. */
static int file_look(const struct doctor *doctor, const char *path, struct stat *ret_status)
{
    char full[PATH_MAX];

    int length = snprintf(full, sizeof(full), "%s%s", doctor->input->files, path);
    if (length < 0 || (size_t)length >= sizeof(full))
        return -ENAMETOOLONG;
    return stat(full, ret_status) < 0 ? -errno : 0;
}

static bool is_program(const struct stat *status)
{
    return S_ISREG(status->st_mode) && (status->st_mode & S_IXUSR);
}

/* True: PATH is a program. Else it was said what is with it. */
static bool program_check(struct doctor *doctor, const char *path, const char *why)
{
    struct finding *finding;
    struct stat status;

    int result = file_look(doctor, path, &status);
    if (result < 0 && result != -ENOENT) {
        (void)doctor_unknown(doctor, "%s: %s", path, strerror(-result));
        return false;
    }
    if (result == 0 && is_program(&status))
        return true;
    if (result == -ENOENT) {
        finding = doctor_say(doctor, SEVERITY_WARNING, why, "%s is not there", path);
        finding_set_advice(finding, "install Plimsoll again: meson install -C build");
    } else if (!S_ISREG(status.st_mode)) {
        finding = doctor_say(doctor, SEVERITY_WARNING, why, "%s is no file", path);
        finding_set_advice(finding, "move it away, and install Plimsoll again");
    } else {
        finding = doctor_say(doctor, SEVERITY_WARNING, why, "%s is not executable", path);
        finding_set_command(finding, "chmod 0755 %s", path);
    }
    return false;
}

/* Whether the check goes on: there is a libvirt. */
static bool libvirt_is_here(struct doctor *doctor)
{
    struct stat status;

    int result = file_look(doctor, LIBVIRT_FOLDER, &status);
    if (result == 0)
        return true;
    if (result == -ENOENT)
        doctor_fine(doctor, "there is no libvirt here (" LIBVIRT_FOLDER ")");
    else
        (void)doctor_unknown(doctor, LIBVIRT_FOLDER ": %s", strerror(-result));
    return false;
}

void check_hook(struct doctor *doctor)
{
    static const char why_script[] = "libvirt starts every guest without asking whether it fits.";
    static const char why_program[] =
        "The hook says yes to every start without it, whether the guest fits or not.";

    if (!libvirt_is_here(doctor) || !program_check(doctor, DOCTOR_HOOK_SCRIPT, why_script) ||
        !program_check(doctor, DOCTOR_HOOK_PROGRAM, why_program))
        return;
    doctor_fine(doctor, DOCTOR_HOOK_SCRIPT " and " DOCTOR_HOOK_PROGRAM " are there");
}

/* Seconds since 1970 when a process that was started TICKS after boot was; 0: not known. */
static uint64_t start_time(const struct doctor *doctor, uint64_t ticks)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/stat", doctor->input->kernel.proc);
    static const char key[] = "btime ";
    uint64_t boot = 0;
    struct kernel_lines lines;
    const char *line;

    kernel_lines_begin(&lines, fd);
    while ((line = kernel_lines_next(&lines)) && boot == 0) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        line += strlen(key);
        if (!kernel_number_parse(&line, &boot))
            return 0;
    }
    return boot > 0 ? add_held(boot, ticks / (uint64_t)sysconf(_SC_CLK_TCK)) : 0;
}

void check_hook_seen(struct doctor *doctor)
{
    static const enum watched_name daemons[] = {WATCHED_LIBVIRTD, WATCHED_VIRTQEMUD};
    struct stat status;
    bool said = false;

    if (!libvirt_is_here(doctor))
        return;
    int result = file_look(doctor, DOCTOR_HOOK_SCRIPT, &status);
    if (result == -ENOENT) {
        doctor_fine(doctor, "there is no hook to be seen");
        return;
    }
    if (result < 0) {
        (void)doctor_unknown(doctor, DOCTOR_HOOK_SCRIPT ": %s", strerror(-result));
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(daemons); i++) {
        const struct watched_process *process = &doctor->watched.processes[daemons[i]];
        uint64_t start = process->pid > 0 ? start_time(doctor, process->start) : 0;

        /* The change of the file's place counts, which no copy of times can predate. */
        if (process->pid == 0 || (start > 0 && start > (uint64_t)status.st_ctim.tv_sec))
            continue;
        said = true;
        struct finding *finding = doctor_unknown(doctor,
            "whether %s (/proc/%d) sees the hook: it was started before " DOCTOR_HOOK_SCRIPT
            " was put there or replaced, and a reload since leaves no trace",
            watched_name(daemons[i]), (int)process->pid);
        finding_set_command(finding, "systemctl reload %s", watched_name(daemons[i]));
    }
    if (said)
        return;
    if (doctor->watched.error < 0)
        (void)doctor_unknown(doctor, "whether libvirtd runs: not all processes can be seen: %s",
            strerror(-doctor->watched.error));
    else
        doctor_fine(
            doctor, "whatever of libvirtd and virtqemud runs was started after the hook came");
}
