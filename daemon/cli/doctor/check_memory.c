/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of the kernel's rules of memory: overcommit, OOM, swap, pressure. What each
 * setting does is as the kernel's own documentation has it (admin-guide/sysctl/vm.rst,
 * accounting/psi.rst, mm/overcommit-accounting.rst), and where that is silent as its source does.
 */
#include "doctor.h"
#include "kernel_file.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* So near to the CommitLimit one more guest of usual size does not fit. */
#define COMMIT_NEAR_PERCENT 90
/* Less free swap than this part of it, and there is next to no room for what is idle. */
#define SWAP_LOW_DIVISOR 10
/* What a swap file is proposed to have: an eighth of memory, within these. */
#define SWAP_FILE_DIVISOR 8
#define SWAP_FILE_MIN GIB
#define SWAP_FILE_MAX (16 * GIB)

static void overcommit_strict(struct doctor *doctor, const char *limit, const char *committed)
{
    const struct doctor_memory *memory = &doctor->memory;
    bool near = known(memory->committed) && known(memory->commit_limit) &&
                memory->committed >= scale_u64(memory->commit_limit, COMMIT_NEAR_PERCENT, 100);
    struct finding *finding = doctor_say(doctor, near ? SEVERITY_ERROR : SEVERITY_WARNING,
        "At the CommitLimit the kernel refuses memory though there is some: a guest does not "
        "start, and a running QEMU that is refused aborts.",
        "vm.overcommit_memory is 2: Committed_AS %s of a CommitLimit of %s (/proc/meminfo)",
        committed, limit);

    finding_set_sysctl(finding, "vm.overcommit_memory", 0);
}

void check_overcommit(struct doctor *doctor)
{
    char limit[TEXT_NUMBER_MAX], committed[TEXT_NUMBER_MAX];
    uint64_t mode;

    (void)text_format_bytes(doctor->memory.commit_limit, limit, sizeof(limit));
    (void)text_format_bytes(doctor->memory.committed, committed, sizeof(committed));
    if (!doctor_sysctl(doctor, "vm.overcommit_memory", &mode))
        return;
    if (mode == 0) {
        doctor_fine(doctor,
            "vm.overcommit_memory is 0: Committed_AS %s, and the CommitLimit of %s does not count",
            committed, limit);
    } else if (mode == 1) {
        struct finding *finding = doctor_say(doctor, SEVERITY_NOTE,
            "No request for memory is refused, however large, so that a mistaken one ends in the "
            "OOM killer and not in an error of its own.",
            "vm.overcommit_memory is 1: Committed_AS %s", committed);
        finding_set_sysctl(finding, "vm.overcommit_memory", 0);
    } else if (mode == 2) {
        overcommit_strict(doctor, limit, committed);
    } else {
        (void)doctor_unknown(
            doctor, "vm.overcommit_memory is %llu, which means nothing", (unsigned long long)mode);
    }
}

void check_panic(struct doctor *doctor)
{
    uint64_t value;

    if (!doctor_sysctl(doctor, "vm.panic_on_oom", &value))
        return;
    if (value == 0) {
        doctor_fine(doctor, "vm.panic_on_oom is 0");
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_ERROR,
        value == 1 ? "When the host as a whole is out of memory the kernel panics instead of "
                     "killing one process, and all guests are lost at once."
                   : "When the host, one node or one cgroup is out of memory the kernel panics "
                     "instead of killing one process, and all guests are lost at once.",
        "vm.panic_on_oom is %llu", (unsigned long long)value);
    finding_set_sysctl(finding, "vm.panic_on_oom", 0);
}

void check_allocating_task(struct doctor *doctor)
{
    uint64_t value;

    if (!doctor_sysctl(doctor, "vm.oom_kill_allocating_task", &value))
        return;
    if (value == 0) {
        doctor_fine(doctor, "vm.oom_kill_allocating_task is 0");
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "Out of memory the kernel kills whoever asks for some at that moment, whatever its "
        "oom_score_adj (but -1000), so no order of victims holds.",
        "vm.oom_kill_allocating_task is %llu", (unsigned long long)value);
    finding_set_sysctl(finding, "vm.oom_kill_allocating_task", 0);
}

static void swap_missing(struct doctor *doctor)
{
    uint64_t wanted = known_or(doctor->memory.total, 0) / SWAP_FILE_DIVISOR;
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "What is idle cannot leave memory: a paused guest frees nothing, and from short of memory "
        "to the OOM killer it is one step.",
        "there is no swap and no zram (SwapTotal 0 in /proc/meminfo)");

    wanted = min_u64(max_u64(wanted, SWAP_FILE_MIN), SWAP_FILE_MAX);
    finding_set_command(finding,
        "(umask 077; dd if=/dev/zero of=/swapfile bs=1M count=%llu) && mkswap /swapfile && "
        "swapon /swapfile && echo '/swapfile none swap sw 0 0' >>/etc/fstab",
        (unsigned long long)(wanted / MIB));
}

/* Whether a line of /proc/swaps is of zram; NULL: not known. */
static const char *swap_kind(const struct doctor *doctor)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/swaps", doctor->input->kernel.proc);
    bool zram = false, other = false;
    struct kernel_lines lines;
    const char *line;

    kernel_lines_begin(&lines, fd);
    for (unsigned i = 0; i < 64 && (line = kernel_lines_next(&lines)); i++) {
        zram = zram || strncmp(line, "/dev/zram", strlen("/dev/zram")) == 0;
        other = other || (i > 0 && strncmp(line, "/dev/zram", strlen("/dev/zram")) != 0);
    }
    if (!zram)
        return "";
    return other ? ", some of it zram" : ", all of it zram, which takes memory itself";
}

void check_swap(struct doctor *doctor)
{
    uint64_t total = doctor->memory.swap_total, free = doctor->memory.swap_free;
    char total_text[TEXT_NUMBER_MAX], free_text[TEXT_NUMBER_MAX];

    (void)text_format_bytes(total, total_text, sizeof(total_text));
    (void)text_format_bytes(free, free_text, sizeof(free_text));
    if (!known(total) || !known(free)) {
        (void)doctor_unknown(doctor, "/proc/meminfo says nothing of SwapTotal and SwapFree");
    } else if (total == 0) {
        swap_missing(doctor);
    } else if (free < total / SWAP_LOW_DIVISOR) {
        struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
            "When swap is full what is idle can no longer leave memory.",
            "%s of %s swap is free (/proc/meminfo)%s", free_text, total_text, swap_kind(doctor));
        finding_set_advice(finding, "add a swap file (`mkswap`, `swapon`), or see who is in it: "
                                    "grep VmSwap /proc/[0-9]*/status");
    } else {
        doctor_fine(doctor, "%s of %s swap is free%s", free_text, total_text, swap_kind(doctor));
    }
}

void check_swappiness(struct doctor *doctor)
{
    uint64_t value;

    if (!doctor_sysctl(doctor, "vm.swappiness", &value))
        return;
    if (value > 0 || doctor->memory.swap_total == 0) {
        doctor_fine(doctor, "vm.swappiness is %llu%s", (unsigned long long)value,
            doctor->memory.swap_total == 0 ? ", and there is no swap" : "");
        return;
    }
    /* get_scan_count(), mm/vmscan.c. */
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "What is reclaimed from a cgroup never goes to swap then, so that of an idle or paused "
        "guest's memory nothing can be taken.",
        "vm.swappiness is 0, and there is swap");
    finding_set_sysctl(finding, "vm.swappiness", 60);
}

void check_pressure(struct doctor *doctor)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/pressure/memory", doctor->input->kernel.proc);
    char text[256]; /* two lines of about 60 characters */
    int result = fd < 0 ? fd : kernel_file_read(fd, text, sizeof(text));

    if (result >= 0 && strncmp(text, "some ", strlen("some ")) == 0 && strstr(text, "\nfull ")) {
        doctor_fine(doctor, "/proc/pressure/memory can be read");
        return;
    }
    if (result >= 0 || (result != -ENOENT && result != -EOPNOTSUPP)) {
        (void)doctor_unknown(doctor, "/proc/pressure/memory: %s",
            result >= 0 ? "it is not what the kernel writes" : strerror(-result));
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "Nobody can tell that tasks wait for memory while there seems to be some, and the guard "
        "lacks what wakes it should its own polling come late.",
        "/proc/pressure/memory: %s: the kernel was built or started without PSI",
        strerror(-result));
    finding_set_advice(finding, "psi=1 on the kernel's command line (on Debian "
                                "GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub), and a "
                                "reboot");
}
