/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the grammar of the schedule. A cursor walks the text once; each take_…() either moves it
 * over what it names or leaves it where it is. Nothing is copied and nothing allocated.
 */
#include "schedule.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

struct step_form {
    const char *name;
    bool size, rate; /* what it takes */
};

static const struct step_form step_forms[] = {
    [STEP_GROW] = {.name = "grow", .size = true, .rate = true},
    [STEP_FREE] = {.name = "free", .size = true},
    [STEP_TOUCH] = {.name = "touch", .rate = true},
    [STEP_CHECK] = {.name = "check", .rate = true},
    [STEP_UNLOAD_BALLOON] = {.name = "unload-balloon"},
    [STEP_LOAD_BALLOON] = {.name = "load-balloon"},
    [STEP_LOOP] = {.name = "loop"},
    [STEP_POWEROFF] = {.name = "poweroff"},
};
static_assert(sizeof(step_forms) / sizeof(step_forms[0]) == STEP_COUNT, "a step lacks its word");

const char *step_kind_name(enum step_kind kind)
{
    return step_forms[kind].name;
}

static bool take_word(const char **cursor, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*cursor, word, length) != 0)
        return false;
    *cursor += length;
    return true;
}

static bool take_number(const char **cursor, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *c = *cursor;
    for (; *c >= '0' && *c <= '9'; c++) {
        /* More than any memory or time has, and safe to scale by a minute's nanoseconds. */
        if (number >= UINT64_C(100000000))
            return false;
        number = number * 10 + (uint64_t)(*c - '0');
    }
    if (c == *cursor)
        return false;
    *cursor = c;
    *ret_number = number;
    return true;
}

static bool take_size(const char **cursor, uint64_t *ret_size)
{
    uint64_t number;
    if (!take_number(cursor, &number))
        return false;
    if (take_word(cursor, "K"))
        number <<= 10;
    else if (take_word(cursor, "M"))
        number <<= 20;
    else if (take_word(cursor, "G"))
        number <<= 30;
    *ret_size = number;
    return true;
}

static bool take_time(const char **cursor, uint64_t *ret_time)
{
    uint64_t number;
    if (!take_number(cursor, &number))
        return false;
    if (take_word(cursor, "ms"))
        *ret_time = number * NSEC_PER_MSEC;
    else if (take_word(cursor, "s"))
        *ret_time = number * NSEC_PER_SEC;
    else if (take_word(cursor, "m"))
        *ret_time = number * 60 * NSEC_PER_SEC;
    else
        return false;
    return true;
}

static bool take_step(const char **cursor, struct step *ret_step)
{
    struct step step = {.kind = STEP_COUNT};
    for (unsigned kind = 0; kind < STEP_COUNT && step.kind == STEP_COUNT; kind++) {
        if (take_word(cursor, step_forms[kind].name))
            step.kind = (enum step_kind)kind;
    }
    if (step.kind == STEP_COUNT)
        return false;
    const struct step_form *form = &step_forms[step.kind];
    if (form->size && (!take_word(cursor, ":") || !take_size(cursor, &step.size)))
        return false;
    if (take_word(cursor, "@") && !take_time(cursor, &step.at))
        return false;
    if (form->rate && take_word(cursor, ":") &&
        (!take_size(cursor, &step.rate) || !take_word(cursor, "/s") || step.rate == 0))
        return false;
    *ret_step = step;
    return true;
}

int schedule_parse(const char *text, struct schedule *ret_schedule)
{
    struct schedule schedule = {.balloon = true};
    const char *cursor = text;
    while (*cursor) {
        if (take_word(&cursor, "no-balloon")) {
            schedule.balloon = false;
        } else {
            if (schedule.count == SCHEDULE_STEPS_MAX)
                return -E2BIG;
            struct step *step = &schedule.steps[schedule.count];
            if (!take_step(&cursor, step))
                return -EINVAL;
            if (schedule.count > 0 && step->at < step[-1].at)
                return -EINVAL;
            schedule.count++;
        }
        if (*cursor && (!take_word(&cursor, ",") || !*cursor))
            return -EINVAL;
    }
    *ret_schedule = schedule;
    return 0;
}
