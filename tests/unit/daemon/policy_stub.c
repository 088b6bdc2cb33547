/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Defaults and names that libpolicy defines, for a test of the configuration without it: values
 * unlike the built-in zeros, so that a default that is not asked for shows.
 */
#include <plimsoll/plan.h>
#include <plimsoll/policy.h>
#include <string.h>

void vm_rules_default(struct vm_rules *ret_rules)
{
    memset(ret_rules, 0, sizeof(*ret_rules));
    ret_rules->priority = PRIORITY_DEFAULT;
    ret_rules->shares = SHARES_DEFAULT;
    ret_rules->minimum = (struct amount){AMOUNT_SHARE, MINIMUM_DEFAULT_SHARE};
    ret_rules->rungs = RUNG_ALL;
    ret_rules->restart_cost = RESTART_COST_DEFAULT;
}

void host_rules_default(struct host_rules *ret_rules)
{
    memset(ret_rules, 0, sizeof(*ret_rules));
    for (int band = BAND_TIGHT; band < BAND_COUNT; band++)
        ret_rules->bands[band].time = UNKNOWN;
    ret_rules->max_destructive = MAX_DESTRUCTIVE_DEFAULT;
    ret_rules->max_destructive_window = MAX_DESTRUCTIVE_WINDOW_DEFAULT;
}

const char *band_name(enum band band)
{
    static const char *const names[] = {"calm", "tight", "scarce", "critical"};

    return names[band];
}

const char *mode_name(enum mode mode)
{
    static const char *const names[] = {"dry-run", "enforce"};

    return names[mode];
}

const char *rung_name(enum rung rung)
{
    static const char *const names[] = {
        "balloon", "reclaim", "brake", "pause", "save", "shutdown", "kill"};

    return names[rung];
}

const char *sacrifice_name(enum sacrifice sacrifice)
{
    static const char *const names[] = {"normal", "last", "never"};

    return names[sacrifice];
}
