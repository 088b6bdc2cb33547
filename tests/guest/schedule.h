/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the small guest does and when: the schedule on the kernel's command line (plimsoll=…) and
 * the lines it reads from its serial line, in one grammar:
 *
 *   schedule = item *( "," item )
 *   item     = "no-balloon"                          the balloon's driver is not loaded at all
 *            | step [ "@" time ] [ ":" rate ]        without a time: now
 *   step     = "grow" ":" size                       hold so much more
 *            | "free" ":" size                       give the youngest of it back to the guest
 *            | "touch"                               write all that is held anew
 *            | "check"                               tell whether all is as it was written
 *            | "unload-balloon" | "load-balloon"     the balloon's driver
 *            | "loop"                                free all, begin the schedule again
 *            | "poweroff"
 *   size     = digits [ "K" | "M" | "G" ]            powers of 1024
 *   rate     = size "/s"                             of grow, touch, check; else at once
 *   time     = digits ( "ms" | "s" | "m" )           since `ready`; of a serial line: since it came
 *
 * Steps stand in the order of their times. A step that comes due ends the one before, finished or
 * not. Between steps the guest holds what it has.
 *
 * Example: plimsoll=grow:300M@5s:50M/s,free:100M@60s,unload-balloon@65s
 */
#ifndef PLIMSOLL_TESTS_GUEST_SCHEDULE_H
#define PLIMSOLL_TESTS_GUEST_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* The kernel's command line has 2048 bytes and a step at least four: far more than any test tells.
 */
#define SCHEDULE_STEPS_MAX 64

enum step_kind {
    STEP_GROW,
    STEP_FREE,
    STEP_TOUCH,
    STEP_CHECK,
    STEP_UNLOAD_BALLOON,
    STEP_LOAD_BALLOON,
    STEP_LOOP,
    STEP_POWEROFF,
    STEP_COUNT,
};

struct step {
    enum step_kind kind;
    uint64_t size; /* bytes; of grow and free */
    uint64_t rate; /* bytes per second; 0: as fast as it goes */
    uint64_t at;   /* nanoseconds */
};

struct schedule {
    bool balloon; /* the driver is loaded at start */
    unsigned count;
    struct step steps[SCHEDULE_STEPS_MAX];
};

/* Parses TEXT; an empty one is an empty schedule. 0, or -EINVAL, or -E2BIG for too many steps. */
int schedule_parse(const char *text, struct schedule *ret_schedule);

/* Its word in the grammar; never NULL. */
const char *step_kind_name(enum step_kind kind);

#endif
