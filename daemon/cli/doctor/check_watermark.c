/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of the zones' watermarks (admin-guide/sysctl/vm.rst, and
 * __setup_per_zone_wmarks() and calculate_min_free_kbytes() of mm/page_alloc.c).
 *
 * Below the low watermark kswapd begins to free memory; below the minimum each task that takes some
 * frees some first and waits for it. Between the two lies as much as watermark_scale_factor says,
 * and how long that lasts is a matter of how fast this host's memory can be filled, which the guard
 * has measured.
 */
#include "doctor.h"
#include "field.h"
#include "kernel_file.h"
#include "sample_zone.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From seeing that memory is short to a kill is 9 ms: a poll of 1 ms, and 8 ms until the victim's
 * first pages are free. What lasts longer leaves room for somebody to act. */
#define GAP_TIME (10 * NSEC_PER_MSEC)
/* watermark_scale_factor is in 1/10000 of memory; 1000 is the most that every kernel takes. */
#define SCALE_WHOLE 10000
#define SCALE_MAX 1000
/* Under 1024 kB the kernel's documentation calls a system subtly broken. */
#define MIN_FREE_BROKEN MIB
#define MIN_FREE_CHOSEN_MAX (256 * MIB)
/* khugepaged raises the kernel's choice, to a twentieth of memory at most
 * (set_recommended_min_free_kbytes()); what is above was set by somebody. */
#define MIN_FREE_MUCH_DIVISOR 20

/* 4 * sqrt(kB of memory) kB, as calculate_min_free_kbytes() chooses; bytes. */
static uint64_t min_free_default(uint64_t total)
{
    uint64_t square = total / KIB * 16, root = 0;

    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
        if ((root | bit) * (root | bit) <= square)
            root |= bit;
    return min_u64(root * KIB, MIN_FREE_CHOSEN_MAX);
}

void check_min_free(struct doctor *doctor)
{
    uint64_t total = doctor->memory.total, kib;
    struct finding *finding;

    if (!doctor_sysctl(doctor, "vm.min_free_kbytes", &kib))
        return;
    if (!known(total) || kib > UNKNOWN / KIB - 1) {
        (void)doctor_unknown(
            doctor, "vm.min_free_kbytes is %llu, of an unknown total", (unsigned long long)kib);
        return;
    }
    uint64_t chosen = min_free_default(total);
    /* Half of it: what counts there is memory less what the kernel itself took at boot. */
    if (kib * KIB < MIN_FREE_BROKEN || kib * KIB < chosen / 2) {
        finding = doctor_say(doctor, SEVERITY_WARNING,
            "What may not wait for memory, the network and the freeing of memory itself among it, "
            "finds none on the day that it is short.",
            "vm.min_free_kbytes is %llu; the kernel would choose %llu", (unsigned long long)kib,
            (unsigned long long)(chosen / KIB));
    } else if (kib * KIB > total / MIN_FREE_MUCH_DIVISOR) {
        finding = doctor_say(doctor, SEVERITY_WARNING,
            "Nobody may use that memory, and the OOM killer comes while it is still free.",
            "vm.min_free_kbytes is %llu, %llu %% of memory; the kernel would choose %llu",
            (unsigned long long)kib, (unsigned long long)(kib * KIB / (total / 100)),
            (unsigned long long)(chosen / KIB));
    } else {
        doctor_fine(doctor, "vm.min_free_kbytes is %llu", (unsigned long long)kib);
        return;
    }
    finding_set_sysctl(finding, "vm.min_free_kbytes", chosen / KIB);
}

/* Bytes between the zones' low watermarks and their minimums. */
static bool gap_read(const struct doctor *doctor, uint64_t *ret_gap)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/zoneinfo", doctor->input->kernel.proc);
    struct zone_sample *zones = malloc(sizeof(*zones));
    bool read = zones && fd >= 0 && zone_sample_read(fd, zones) == 0;

    if (read)
        *ret_gap = sub_or_zero(zones->low, zones->min);
    free(zones);
    return read;
}

void check_watermarks(struct doctor *doctor)
{
    uint64_t rate = field_u64(field_get(doctor->input->status, "host"), "fill_rate_most");
    uint64_t total = doctor->memory.total, gap, factor;
    char gap_text[TEXT_NUMBER_MAX], rate_text[TEXT_NUMBER_MAX], time_text[TEXT_NUMBER_MAX];

    if (!doctor_sysctl(doctor, "vm.watermark_scale_factor", &factor))
        return;
    if (!gap_read(doctor, &gap) || !known(total) || total == 0) {
        (void)doctor_unknown(doctor, "/proc/zoneinfo or /proc/meminfo cannot be read");
        return;
    }
    (void)text_format_bytes(gap, gap_text, sizeof(gap_text));
    if (!known(rate) || rate == 0) {
        (void)doctor_unknown(doctor,
            "vm.watermark_scale_factor %llu leaves %s between the low watermarks and the minimums "
            "(/proc/zoneinfo); how fast that is filled the guard has not said",
            (unsigned long long)factor, gap_text);
        return;
    }
    uint64_t lasts = scale_u64(gap, NSEC_PER_SEC, rate);
    (void)text_format_bytes(rate, rate_text, sizeof(rate_text));
    (void)text_format_time(lasts, time_text, sizeof(time_text));
    uint64_t wanted = scale_u64(scale_u64(rate, GAP_TIME, NSEC_PER_SEC), SCALE_WHOLE, total) + 1;
    wanted = min_u64(wanted, SCALE_MAX);
    if (lasts >= GAP_TIME || factor >= wanted) {
        doctor_fine(doctor,
            "vm.watermark_scale_factor %llu leaves %s between the low watermarks and the minimums, "
            "filled in %s at the %s/s measured",
            (unsigned long long)factor, gap_text, time_text, rate_text);
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_NOTE,
        "The kernel begins to free memory in the background at the low watermark, and below the "
        "minimum whoever takes some has to free some first, so that guests stand still.",
        "vm.watermark_scale_factor %llu leaves %s between the low watermarks and the minimums "
        "(/proc/zoneinfo), filled in %s at the %s/s that the guard measured",
        (unsigned long long)factor, gap_text, time_text, rate_text);
    finding_set_sysctl(finding, "vm.watermark_scale_factor", wanted);
}
