/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what must hold where a plan ends guests, by whichever rung. */
#include "plan_check_ends.h"

#include <check.h>

/* The set of which this guest is one, and who would be next. */
static void check_choice(const struct world *world, const struct action *action)
{
    const struct choice *choice = &action->choice;
    const struct rival *rival = &choice->rival;
    ck_assert_uint_le(choice->guests, world->snapshot->vm_count);
    ck_assert_uint_le(choice->least, choice->loss);
    ck_assert_int_lt((int)rival->reason, RIVAL_REASON_COUNT);
    ck_assert_int_eq(rival->slot == ACTION_SLOT_HOST,
        rival->reason == RIVAL_NONE || rival->reason == RIVAL_UNSOUGHT);
    if (rival->slot == ACTION_SLOT_HOST)
        return;
    ck_assert_uint_lt(rival->slot, world->snapshot->vm_count);
    ck_assert_uint_ne(rival->slot, action->slot);
    const struct vm_rules *rules = &world->rules->vms[rival->slot];
    if (rules->sacrifice == SACRIFICE_NEVER)
        ck_assert_int_eq((int)rival->reason, RIVAL_PROTECTED);
    if (rival->reason == RIVAL_LAST)
        ck_assert_int_eq((int)rules->sacrifice, SACRIFICE_LAST);
}

void plan_check_end(
    const struct world *world, const struct action *action, const struct vm_snapshot *vm)
{
    check_choice(world, action);
    ck_assert(vm->callable);
    ck_assert_uint_gt(action->relief, 0);
    ck_assert_uint_gt(action->deadline, 0);
    ck_assert_int_eq(world->plan->assessment.band, BAND_CRITICAL);
    ck_assert(!world->plan->assessment.sprint);
    ck_assert_int_ne(world->rules->vms[vm->slot].sacrifice, SACRIFICE_NEVER);
    ck_assert_int_eq((int)vm->migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(
        vm->measures.in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_RESUMING |
                                    VM_MEASURE_ENDING | VM_MEASURE_KILLED),
        0);
    if (action->kind == ACTION_SAVE) {
        ck_assert(world->rules->vms[vm->slot].rungs & RUNG_BIT(RUNG_SAVE));
        ck_assert_int_eq((int)vm->definition.savable, TRISTATE_YES);
        ck_assert_uint_eq(vm->definition.vfio_devices, 0);
        return;
    }
    ck_assert(world->rules->vms[vm->slot].rungs & RUNG_BIT(RUNG_SHUTDOWN));
    ck_assert_int_eq((int)vm->run_state, VM_RUN_RUNNING);
    ck_assert_uint_eq(vm->measures.in_force & VM_MEASURE_PAUSE, 0);
}

void plan_check_kill(
    const struct world *world, const struct action *action, const struct vm_snapshot *vm)
{
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    check_choice(world, action);
    ck_assert(rules->rungs & RUNG_BIT(RUNG_KILL));
    ck_assert_uint_gt(action->relief, 0);
    ck_assert_int_eq(world->plan->assessment.band, BAND_CRITICAL);
    ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
    ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
}

void plan_check_batch(const struct world *world)
{
    const struct action *first = NULL;
    for (uint32_t i = 0; i < world->plan->action_count; i++) {
        const struct action *action = &world->plan->actions[i];
        if (action->kind != ACTION_KILL && action->kind != ACTION_SAVE &&
            action->kind != ACTION_SHUTDOWN)
            continue;
        if (!first) {
            first = action;
            continue;
        }
        ck_assert_int_eq((int)first->kind, ACTION_KILL);
        ck_assert_int_eq((int)action->kind, ACTION_KILL);
        ck_assert_int_eq((int)action->mode, (int)first->mode);
        ck_assert_int_eq((int)action->pool, (int)first->pool);
        ck_assert_int_eq((int)action->choice.rival.reason, RIVAL_TOGETHER);
        ck_assert_int_eq((int)first->choice.rival.reason, RIVAL_TOGETHER);
    }
}
