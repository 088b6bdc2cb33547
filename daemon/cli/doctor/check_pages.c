/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of huge pages and of merged ones (admin-guide/mm/hugetlbpage.rst, ksm.rst,
 * transhuge.rst).
 */
#include "doctor.h"
#include "kernel_file.h"
#include "sample_hugepage.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An unused pool above this part of memory is more than one guest that is yet to start. */
#define POOL_UNUSED_DIVISOR 10

struct pool {
    uint64_t total, free, reserved; /* pages */
};

/* Of one page size; 0 or a negative errno. */
static int pool_read(const char *folder, unsigned long long kib, struct pool *ret_pool)
{
    struct pool pool = {.total = 0};
    int result = doctor_number(&pool.total, "%s/hugepages-%llukB/nr_hugepages", folder, kib);

    if (result == 0)
        result = doctor_number(&pool.free, "%s/hugepages-%llukB/free_hugepages", folder, kib);
    if (result == 0)
        result = doctor_number(&pool.reserved, "%s/hugepages-%llukB/resv_hugepages", folder, kib);
    if (result == 0)
        *ret_pool = pool;
    return result;
}

/* True: it had something to say. */
static bool pool_check(struct doctor *doctor, const char *folder, uint64_t kib)
{
    unsigned long long size = kib;
    char unused_text[TEXT_NUMBER_MAX];
    struct pool pool = {.total = 0};

    int result = pool_read(folder, size, &pool);
    if (result < 0) {
        (void)doctor_unknown(doctor, "/sys/kernel/mm/hugepages/hugepages-%llukB: %s", size,
            result == -EBADMSG ? "it holds no number" : strerror(-result));
        return true;
    }
    /* What is reserved was promised to a mapping, and counts as free until it is touched. */
    uint64_t pages = sub_or_zero(min_u64(pool.free, pool.total), pool.reserved);
    uint64_t unused = scale_u64(pages, kib * KIB, 1), total = doctor->memory.total;
    if (pages == 0)
        return false;
    bool much = known(total) && unused > total / POOL_UNUSED_DIVISOR;
    (void)text_format_bytes(unused, unused_text, sizeof(unused_text));
    struct finding *finding = doctor_say(doctor, much ? SEVERITY_WARNING : SEVERITY_NOTE,
        "Memory in a pool of huge pages is there for nobody else, however short it gets.",
        "%llu of %llu huge pages of %llu kB are neither used nor reserved: %s "
        "(/sys/kernel/mm/hugepages)",
        (unsigned long long)pages, (unsigned long long)pool.total, size, unused_text);
    finding_set_command(finding,
        "echo %llu >/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
        (unsigned long long)(pool.total - pages), size);
    return true;
}

void check_hugepages(struct doctor *doctor)
{
    struct hugepage_sizes sizes = {.count = 0};
    char folder[PATH_MAX];
    bool said = false;

    int length =
        snprintf(folder, sizeof(folder), "%s/kernel/mm/hugepages", doctor->input->kernel.sys);
    if (length < 0 || (size_t)length >= sizeof(folder) || access(folder, R_OK | X_OK) < 0) {
        if (errno == ENOENT)
            doctor_fine(doctor, "this kernel has no pools of huge pages");
        else
            (void)doctor_unknown(doctor, "/sys/kernel/mm/hugepages: %s", strerror(errno));
        return;
    }
    hugepage_sizes_find(folder, &sizes);
    for (unsigned i = 0; i < sizes.count; i++)
        said = pool_check(doctor, folder, sizes.kib[i]) || said;
    if (!said)
        doctor_fine(doctor, "no pool of huge pages has any that nobody uses");
}

void check_ksm(struct doctor *doctor)
{
    const char *sys = doctor->input->kernel.sys;
    uint64_t run, sharing = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    char saved_text[TEXT_NUMBER_MAX], available_text[TEXT_NUMBER_MAX];

    int result = doctor_number(&run, "%s/kernel/mm/ksm/run", sys);
    if (result == -ENOENT) {
        doctor_fine(doctor, "this kernel has no KSM");
        return;
    }
    if (result == 0)
        result = doctor_number(&sharing, "%s/kernel/mm/ksm/pages_sharing", sys);
    if (result < 0) {
        (void)doctor_unknown(doctor, "/sys/kernel/mm/ksm: %s",
            result == -EBADMSG ? "it holds no number" : strerror(-result));
        return;
    }
    uint64_t saved = scale_u64(sharing, page, 1), available = doctor->memory.available;
    (void)text_format_bytes(saved, saved_text, sizeof(saved_text));
    (void)text_format_bytes(available, available_text, sizeof(available_text));
    if (saved == 0 && run != 1) {
        doctor_fine(
            doctor, "KSM does not run (/sys/kernel/mm/ksm/run is %llu)", (unsigned long long)run);
        return;
    }
    bool much = known(available) && saved > available;
    struct finding *finding = doctor_say(doctor, much ? SEVERITY_WARNING : SEVERITY_NOTE,
        "What is merged is promised twice: a guest that writes to it takes memory anew, and its "
        "RSS, "
        "which counts merged pages in full, does not show it.",
        "/sys/kernel/mm/ksm/run is %llu, and merging saves %s (pages_sharing), with %s available",
        (unsigned long long)run, saved_text, available_text);
    /* 2 would take all of it at once. */
    if (run == 1)
        finding_set_command(finding, "echo 0 >/sys/kernel/mm/ksm/run");
    else
        finding_set_advice(
            finding, "with %s free, unmerge: echo 2 >/sys/kernel/mm/ksm/run", saved_text);
}

/* The word in brackets; false: it was said that it is not known, or that there is no such file. */
static bool choice_read(struct doctor *doctor, const char *file, char *ret_choice, size_t size)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format(
        "%s/kernel/mm/transparent_hugepage/%s", doctor->input->kernel.sys, file);
    char text[256]; /* five words */

    int result = fd < 0 ? fd : kernel_file_read(fd, text, sizeof(text));
    if (result == -ENOENT) {
        doctor_fine(doctor, "this kernel has no transparent huge pages");
        return false;
    }
    const char *begin = result < 0 ? NULL : strchr(text, '[');
    const char *end = begin ? strchr(begin, ']') : NULL;
    if (!end || (size_t)(end - begin) > size) {
        (void)doctor_unknown(doctor, "/sys/kernel/mm/transparent_hugepage/%s: %s", file,
            result < 0 ? strerror(-result) : "it is not what the kernel writes");
        return false;
    }
    (void)snprintf(ret_choice, size, "%.*s", (int)(end - begin - 1), begin + 1);
    return true;
}

void check_thp(struct doctor *doctor)
{
    char choice[32];

    if (!choice_read(doctor, "enabled", choice, sizeof(choice)))
        return;
    if (strcmp(choice, "never") != 0) {
        doctor_fine(doctor, "transparent huge pages: %s", choice);
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_NOTE,
        "Guests' memory in pages of 4 KiB is slower to use, and after a kill some thirty times "
        "slower to come back.",
        "/sys/kernel/mm/transparent_hugepage/enabled is never");
    finding_set_command(finding, "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
}

void check_thp_defrag(struct doctor *doctor)
{
    char choice[32];

    if (!choice_read(doctor, "defrag", choice, sizeof(choice)))
        return;
    if (strcmp(choice, "always") != 0) {
        doctor_fine(doctor, "defrag of transparent huge pages: %s", choice);
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_NOTE,
        "Whoever takes a huge page, any process of the host, stands still until the kernel has "
        "freed and moved memory for one.",
        "/sys/kernel/mm/transparent_hugepage/defrag is always");
    finding_set_command(finding, "echo madvise >/sys/kernel/mm/transparent_hugepage/defrag");
}
