/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rules nobody wrote, and what a minimum means in bytes. As installed nothing is enforced.
 */
#include <plimsoll/policy.h>

void vm_rules_default(struct vm_rules *ret_rules)
{
    *ret_rules = (struct vm_rules){
        .class_name = "default",
        .mode = MODE_DRY_RUN,
        .priority = PRIORITY_DEFAULT,
        .shares = SHARES_DEFAULT,
        .minimum = {.kind = AMOUNT_AUTO},
        .rungs = RUNGS_DEFAULT,
        .sacrifice = SACRIFICE_NORMAL,
        .restart_cost = RESTART_COST_DEFAULT,
    };
}

void host_rules_default(struct host_rules *ret_rules)
{
    *ret_rules = (struct host_rules){
        .mode = MODE_DRY_RUN,
        .on_exit = ON_EXIT_KEEP,
        .floor = {.kind = AMOUNT_AUTO},
        .budget = {.kind = AMOUNT_AUTO},
        .max_destructive = MAX_DESTRUCTIVE_DEFAULT,
        .max_destructive_window = MAX_DESTRUCTIVE_WINDOW_DEFAULT,
        .memlock = MEMLOCK_REPORT,
        .pinned_limit = {.kind = AMOUNT_AUTO},
        .admission = ADMISSION_WARN,
        .commitment = COMMITMENT_MINIMUM,
    };
    for (int band = 0; band < BAND_COUNT; band++)
        ret_rules->bands[band] =
            (struct threshold){.headroom = {.kind = AMOUNT_AUTO}, .time = UNKNOWN};
}

uint64_t vm_minimum(const struct vm_snapshot *vm, const struct vm_rules *rules)
{
    if (!known(vm->maximum))
        return UNKNOWN;
    uint64_t fallback = scale_u64(vm->maximum, MINIMUM_DEFAULT_SHARE, AMOUNT_SHARE_WHOLE);
    return min_u64(amount_bytes(rules->minimum, vm->maximum, fallback), vm->maximum);
}
