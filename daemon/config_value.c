/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way back from a guest's rules to what a configuration would have: config_parse.c reads
 * each of these texts as the very value that it was made of, so nothing is rounded.
 */
#include "config_rules.h"

#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>
#include <stdio.h>
#include <string.h>

#define NONE "none"

/* What one value is made of. */
struct wish {
    const struct vm_rules *rules;
    const struct host_rules *host;
    char *value; /* room for CONFIG_VALUE_MAX */
};

static void number_put(const struct wish *wish, uint64_t number, const char *unit)
{
    (void)snprintf(wish->value, CONFIG_VALUE_MAX, "%" PRIu64 "%s", number, unit);
}

/* In the largest unit that leaves no fraction. */
static void bytes_put(const struct wish *wish, uint64_t bytes)
{
    static const struct {
        uint64_t size;
        const char *unit;
    } units[] = {{TIB, "T"}, {GIB, "G"}, {MIB, "M"}, {KIB, "K"}};

    for (size_t i = 0; i < ELEMENTSOF(units); i++) {
        if (bytes > 0 && bytes % units[i].size == 0) {
            number_put(wish, bytes / units[i].size, units[i].unit);
            return;
        }
    }
    number_put(wish, bytes, "");
}

/* In hundredths of a percent, of which zeros at the end say nothing. */
static void share_put(const struct wish *wish, uint64_t share)
{
    unsigned fraction = (unsigned)(share % 100);

    if (fraction == 0)
        number_put(wish, share / 100, "%");
    else
        (void)snprintf(wish->value, CONFIG_VALUE_MAX, "%" PRIu64 ".%0*u%%", share / 100,
            fraction % 10 == 0 ? 1 : 2, fraction % 10 == 0 ? fraction / 10 : fraction);
}

static void amount_put(const struct wish *wish, struct amount amount)
{
    switch (amount.kind) {
    case AMOUNT_AUTO:
        (void)snprintf(wish->value, CONFIG_VALUE_MAX, NONE);
        break;
    case AMOUNT_BYTES:
        bytes_put(wish, amount.value);
        break;
    case AMOUNT_SHARE:
        share_put(wish, amount.value);
        break;
    }
}

static void time_put(const struct wish *wish, uint64_t time)
{
    static const struct {
        uint64_t length;
        const char *unit;
    } units[] = {{UINT64_C(24) * 60 * NSEC_PER_MINUTE, "d"}, {60 * NSEC_PER_MINUTE, "h"},
        {NSEC_PER_MINUTE, "min"}, {NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}, {1, "ns"}};
    size_t used = 0;

    if (time == 0)
        (void)snprintf(wish->value, CONFIG_VALUE_MAX, "0s");
    for (size_t i = 0; i < ELEMENTSOF(units) && time > 0; i++) {
        uint64_t count = time / units[i].length;
        time %= units[i].length;
        if (count > 0 && used < CONFIG_VALUE_MAX)
            used += (size_t)snprintf(wish->value + used, CONFIG_VALUE_MAX - used, "%s%" PRIu64 "%s",
                used > 0 ? " " : "", count, units[i].unit);
    }
}

static void word_put(const struct wish *wish, const char *word)
{
    (void)snprintf(wish->value, CONFIG_VALUE_MAX, "%s", word);
}

/* ---- one for each key ---- */

static void priority_put(const struct wish *wish)
{
    number_put(wish, wish->rules->priority, "");
}

static void shares_put(const struct wish *wish)
{
    number_put(wish, wish->rules->shares, "");
}

static void minimum_put(const struct wish *wish)
{
    if (wish->rules->minimum.kind == AMOUNT_AUTO)
        share_put(wish, MINIMUM_DEFAULT_SHARE);
    else
        amount_put(wish, wish->rules->minimum);
}

static void rungs_put(const struct wish *wish)
{
    size_t used = 0;

    wish->value[0] = '\0';
    for (int rung = 0; rung < RUNG_COUNT; rung++)
        if ((wish->rules->rungs & RUNG_BIT(rung)) && used < CONFIG_VALUE_MAX)
            used += (size_t)snprintf(wish->value + used, CONFIG_VALUE_MAX - used, "%s%s",
                used > 0 ? " " : "", rung_name((enum rung)rung));
}

static void sacrifice_put(const struct wish *wish)
{
    word_put(wish, sacrifice_name(wish->rules->sacrifice));
}

static void restart_cost_put(const struct wish *wish)
{
    time_put(wish, wish->rules->restart_cost);
}

static void commit_put(const struct wish *wish)
{
    enum commitment own = wish->rules->commitment;

    word_put(wish, commitment_name(own == COMMITMENT_AUTO ? wish->host->commitment : own));
}

static void memory_high_put(const struct wish *wish)
{
    amount_put(wish, wish->rules->memory_high);
}

static void memory_max_put(const struct wish *wish)
{
    amount_put(wish, wish->rules->memory_max);
}

static void pids_max_put(const struct wish *wish)
{
    if (wish->rules->pids_max == 0)
        word_put(wish, NONE);
    else
        number_put(wish, wish->rules->pids_max, "");
}

static void cpu_max_put(const struct wish *wish)
{
    if (wish->rules->cpu_max == 0)
        word_put(wish, NONE);
    else
        number_put(wish, wish->rules->cpu_max, "%");
}

static void oom_group_put(const struct wish *wish)
{
    word_put(wish, wish->rules->oom_group ? "yes" : "no");
}

static void mode_put(const struct wish *wish)
{
    word_put(wish, mode_name(wish->rules->mode));
}

static const struct {
    const char *key;
    void (*put)(const struct wish *wish);
} values[] = {
    {"priority", priority_put},
    {"shares", shares_put},
    {"minimum", minimum_put},
    {"rungs", rungs_put},
    {"sacrifice", sacrifice_put},
    {"restart-cost", restart_cost_put},
    {"commit", commit_put},
    {"memory-high", memory_high_put},
    {"memory-max", memory_max_put},
    {"pids-max", pids_max_put},
    {"cpu-max", cpu_max_put},
    {"oom-group", oom_group_put},
    {"mode", mode_put},
};

bool config_value_format(unsigned index, const struct vm_rules *rules,
    const struct host_rules *host, char ret_value[CONFIG_VALUE_MAX])
{
    const struct wish wish = {rules, host, ret_value};

    for (size_t i = 0; i < ELEMENTSOF(values) && config_key_is_rule(index); i++) {
        if (strcmp(values[i].key, config_keys[index].name) == 0) {
            values[i].put(&wish);
            return true;
        }
    }
    return false;
}
