/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the keys that only a scenario has, and the reading of their values; each parser keeps to
 * the contract of config_parse.h. All is bounded so that no sum in the simulator can overflow.
 */
#include "scenario_keys.h"

#include "text.h"

#include <assert.h>
#include <plimsoll/cleanup.h>
#include <string.h>

#define BLANKS " \t"
#define SIZE_MOST (64 * TIB)
#define TIME_MOST (UINT64_C(366) * 24 * 60 * NSEC_PER_MINUTE)
#define STEP_LEAST NSEC_PER_MSEC
#define STEP_MOST NSEC_PER_SEC
/* Of its guest's demand, a hundredfold. */
#define SCALE_MOST 10000
/* Longest demand= with all its points. */
#define DEMAND_MAX 1024

static bool size_read(const char *value, uint64_t *ret_size)
{
    uint64_t size;

    if (text_parse_size(value, &size) < 0 || size > SIZE_MOST)
        return false;
    *ret_size = size;
    return true;
}

static bool time_read(const char *value, uint64_t *ret_time)
{
    uint64_t time;

    if (text_parse_time(value, &time) < 0 || time > TIME_MOST)
        return false;
    *ret_time = time;
    return true;
}

static const char *parse_size(const char *value, void *ret)
{
    return size_read(value, ret) ? NULL : "a size such as 4G, of 64T at most";
}

static const char *parse_rate(const char *value, void *ret)
{
    return size_read(value, ret) ? NULL : "bytes per second such as 100M, 64T at most";
}

static const char *parse_time(const char *value, void *ret)
{
    return time_read(value, ret) ? NULL : "a time such as 10min, of 366d at most";
}

static const char *parse_step(const char *value, void *ret)
{
    uint64_t time;

    if (!time_read(value, &time) || time < STEP_LEAST || time > STEP_MOST)
        return "a time from 1ms to 1s";
    *(uint64_t *)ret = time;
    return NULL;
}

static const char *parse_seed(const char *value, void *ret)
{
    return text_parse_number(value, 0, UINT32_MAX, ret) == 0 ? NULL
                                                             : "a number from 0 to 4294967295";
}

static const char *parse_count(const char *value, void *ret)
{
    uint64_t count;

    static_assert(GUESTS_MAX == 1024, "the words below");
    if (text_parse_number(value, 1, GUESTS_MAX, &count) < 0)
        return "a number from 1 to 1024";
    *(uint32_t *)ret = (uint32_t)count;
    return NULL;
}

/* Shares of configurations end at 100 %. */
static const char *parse_scale(const char *value, void *ret)
{
    size_t digits = strspn(value, "0123456789");
    char number[8];
    uint64_t percent;

    static_assert(SCALE_MOST == 10000, "the words below");
    if (digits < sizeof(number) && strcmp(value + digits, "%") == 0) {
        memcpy(number, value, digits);
        number[digits] = '\0';
        if (text_parse_number(number, 1, SCALE_MOST, &percent) == 0) {
            *(uint64_t *)ret = percent * (AMOUNT_SHARE_WHOLE / 100);
            return NULL;
        }
    }
    return "whole percent from 1% to 10000%";
}

static const char *parse_bool(const char *value, void *ret)
{
    bool yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0)
        return "\"yes\" or \"no\"";
    *(bool *)ret = yes;
    return NULL;
}

static const char *parse_balloon(const char *value, void *ret)
{
    for (int i = 0; i < BALLOON_MANNER_COUNT; i++) {
        if (strcmp(value, balloon_manner_name((enum balloon_manner)i)) == 0) {
            *(enum balloon_manner *)ret = (enum balloon_manner)i;
            return NULL;
        }
    }
    return "\"obeys\", \"refuses\", \"takes-back\" or \"absent\"";
}

static const char *parse_statistics(const char *value, void *ret)
{
    for (int i = 0; i < REPORT_MANNER_COUNT; i++) {
        if (strcmp(value, report_manner_name((enum report_manner)i)) == 0) {
            *(enum report_manner *)ret = (enum report_manner)i;
            return NULL;
        }
    }
    return "\"honest\", \"none\", \"stale\", \"full\" or \"idle\"";
}

/* ---- demand= ---- */

/* FROM TO TIME, as two points. */
static bool ramp_read(char **rest, struct curve *curve)
{
    const char *from = strtok_r(NULL, BLANKS, rest), *to = strtok_r(NULL, BLANKS, rest);
    const char *time = strtok_r(NULL, BLANKS, rest);

    curve->count = 2;
    return from && to && time && size_read(from, &curve->points[0].bytes) &&
           size_read(to, &curve->points[1].bytes) && time_read(time, &curve->points[1].time) &&
           curve->points[1].time > 0;
}

/* LOW HIGH PERIOD: up for half of it and down again. */
static bool wave_read(char **rest, struct curve *curve)
{
    if (!ramp_read(rest, curve))
        return false;
    curve->period = curve->points[1].time;
    curve->points[1].time = curve->period / 2;
    curve->points[2] = (struct demand_point){curve->period, curve->points[0].bytes};
    curve->count = 3;
    return curve->points[1].time > 0;
}

/* SIZE, then any number of TIME SIZE, where TIME is how long the size before lasts. With a TIME at
 * its end it begins anew. */
static bool steps_read(char **rest, struct curve *curve)
{
    const char *size = strtok_r(NULL, BLANKS, rest);
    uint64_t time = 0, lasts;

    curve->stepwise = true;
    while (size) {
        struct demand_point *point = &curve->points[curve->count];
        if (curve->count == CURVE_POINTS_MAX || !size_read(size, &point->bytes))
            return false;
        point->time = time;
        curve->count++;
        const char *word = strtok_r(NULL, BLANKS, rest);
        if (!word)
            return true;
        if (!time_read(word, &lasts) || lasts == 0)
            return false;
        time += lasts;
        size = strtok_r(NULL, BLANKS, rest);
    }
    curve->period = time;
    return curve->count > 0;
}

static bool curve_read(char *words, struct curve *curve)
{
    char *rest = NULL;
    const char *form = strtok_r(words, BLANKS, &rest);
    bool well = false;

    if (strcmp(form, "constant") == 0)
        well = steps_read(&rest, curve) && curve->count == 1 && curve->period == 0;
    else if (strcmp(form, "ramp") == 0)
        well = ramp_read(&rest, curve);
    else if (strcmp(form, "wave") == 0)
        well = wave_read(&rest, curve);
    else if (strcmp(form, "steps") == 0)
        well = steps_read(&rest, curve);
    return well && !strtok_r(NULL, BLANKS, &rest);
}

static const char *parse_demand(const char *value, void *ret)
{
    static const char expected[] = "\"constant SIZE\", \"ramp FROM TO TIME\", \"wave LOW HIGH "
                                   "PERIOD\", \"steps SIZE TIME SIZE "
                                   "TIME …\" or \"trace FILE\"";
    char words[DEMAND_MAX];
    struct curve curve = {.count = 0};
    size_t length = strlen(value), word = strcspn(value, BLANKS);

    if (length >= sizeof(words))
        return "fewer words";
    if (strncmp(value, "trace", word) == 0 && word == strlen("trace")) {
        const char *path = value + word + strspn(value + word, BLANKS);
        if (*path == '\0' || strlen(path) >= sizeof(curve.trace))
            return expected;
        memcpy(curve.trace, path, strlen(path) + 1);
    } else {
        memcpy(words, value, length + 1);
        if (!curve_read(words, &curve))
            return expected;
    }
    *(struct curve *)ret = curve;
    return NULL;
}

/* ---- the table ---- */

#define SIMULATION(name, parser, member)                                             \
    {                                                                                \
        name, SCENARIO_SIMULATION, parse_##parser, offsetof(struct scenario, member) \
    }
#define HOST(name, parser, member)                                                  \
    {                                                                               \
        name, SCENARIO_HOST, parse_##parser, offsetof(struct scenario, host.member) \
    }
#define GUEST(name, parser, member)                                                  \
    {                                                                                \
        name, SCENARIO_GUEST, parse_##parser, offsetof(struct guest_section, member) \
    }

static const struct scenario_key keys[] = {
    SIMULATION("duration", time, duration),
    SIMULATION("step", step, step),
    SIMULATION("seed", seed, seed),
    HOST("total", size, total),
    HOST("kernel", size, kernel),
    HOST("cache", size, cache),
    HOST("cache-rate", rate, cache_rate),
    HOST("swap", size, swap),
    HOST("swap-rate", rate, swap_rate),
    HOST("process", size, process),
    HOST("process-growth", rate, process_growth),
    HOST("process-delay", time, process_delay),
    GUEST("maximum", size, guest.maximum),
    GUEST("demand", demand, curve),
    GUEST("scale", scale, scale),
    GUEST("delay", time, guest.demand.delay),
    GUEST("repeat", time, guest.demand.repeat),
    GUEST("noise", size, guest.demand.noise),
    GUEST("start", time, guest.start),
    GUEST("count", count, count),
    GUEST("overhead", size, guest.overhead),
    GUEST("touch-rate", rate, guest.touch_rate),
    GUEST("balloon-rate", rate, guest.balloon_rate),
    GUEST("balloon", balloon, guest.balloon),
    GUEST("statistics", statistics, guest.report),
    GUEST("pinned", bool, guest.pinned),
    GUEST("free-page-reporting", bool, guest.reporting),
    GUEST("endable", bool, guest.endable),
};

const struct scenario_key *scenario_key_find(enum scenario_section section, const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

bool scenario_section_find(
    const char *head, enum scenario_section *ret_section, const char **ret_name)
{
    static const char *const names[] = {
        [SCENARIO_SIMULATION] = "simulation",
        [SCENARIO_HOST] = "host",
        [SCENARIO_GUEST] = "guest",
    };
    static_assert(ELEMENTSOF(names) == SCENARIO_SECTION_COUNT, "a name for each");
    size_t word = strcspn(head, BLANKS);

    for (int i = 0; i < SCENARIO_SECTION_COUNT; i++) {
        if (strlen(names[i]) != word || strncmp(head, names[i], word) != 0)
            continue;
        /* Only guests have names. */
        const char *name = head + word + strspn(head + word, BLANKS);
        if ((i == SCENARIO_GUEST) != (*name != '\0'))
            return false;
        *ret_section = (enum scenario_section)i;
        *ret_name = name;
        return true;
    }
    return false;
}
