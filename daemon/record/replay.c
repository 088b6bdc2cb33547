/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the policy's memory while a trace is played again, and what counts as decided otherwise. */
#include "replay.h"

#include "field_write.h"
#include "record_frame.h"
#include "record_read.h"
#include "record_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    const struct config *config;
    uint32_t vm_capacity;
    struct policy_state *state;
    struct policy_scratch *scratch;
    struct rules *rules; /* of `config` */
    struct plan *plan;
};

static void replay_clear(struct replay *replay)
{
    free(replay->state);
    free(replay->scratch);
    free(replay->rules);
    free(replay->plan);
}

static int replay_allocate(struct replay *replay, uint32_t capacity)
{
    replay->vm_capacity = capacity;
    replay->state = malloc(policy_state_size(capacity));
    replay->scratch = malloc(policy_scratch_size(capacity));
    replay->rules = calloc(1, rules_size(capacity));
    replay->plan = calloc(1, plan_size(capacity));
    if (!replay->state || !replay->scratch || !replay->rules || !replay->plan)
        return -ENOMEM;
    (void)policy_scratch_init(replay->scratch, capacity);
    replay->rules->vm_capacity = capacity;
    replay->plan->action_capacity = plan_action_capacity(capacity);
    return 0;
}

/* ---- differences ---- */

/* Plain structs are the same if nothing would have to be written to tell them apart. */
static bool structs_equal(const struct field_table *table, const void *a, const void *b)
{
    char line[RECORD_LINE_MAX];
    struct record_text text = {.bytes = line, .size = sizeof(line)};

    return !fields_write(&text, table, a, b);
}

static bool actions_equal(const struct action *a, const struct action *b, bool exact)
{
    if (exact)
        return structs_equal(&fields_action, a, b);
    return a->kind == b->kind && a->reason == b->reason && a->slot == b->slot &&
           a->target == b->target && a->limit == b->limit && a->oom_score_adj == b->oom_score_adj;
}

bool replay_plan_lacks(const struct plan *plan, const struct action *action, bool exact)
{
    if (!exact && action->kind == ACTION_OOM_SCORE)
        return false;
    for (uint32_t i = 0; i < plan->action_count; i++)
        if (actions_equal(&plan->actions[i], action, exact))
            return false;
    return true;
}

/* All that PLAN has OTHER has, too. */
static bool plan_within(const struct plan *plan, const struct plan *other, bool exact)
{
    for (uint32_t i = 0; i < plan->action_count; i++)
        if (replay_plan_lacks(other, &plan->actions[i], exact))
            return false;
    return true;
}

static bool plans_equal(const struct plan *then, const struct plan *now, bool exact)
{
    if (!exact)
        return plan_within(then, now, false) && plan_within(now, then, false);
    if (!structs_equal(&fields_plan, then, now)) /* so there are as many actions */
        return false;
    for (uint32_t i = 0; i < then->action_count; i++)
        if (!actions_equal(&then->actions[i], &now->actions[i], true))
            return false;
    return true;
}

/* ---- one frame ---- */

/* The configuration's, for the guests of this frame. Who acted in earnest then does so now. */
static const struct rules *rules_of(struct replay *replay, const struct record_seen *seen)
{
    struct rules *rules = replay->rules;

    if (!replay->config)
        return seen->rules;
    rules->host = *config_host_rules(replay->config);
    rules->host.mode = seen->rules->host.mode;
    rules->host.held = seen->rules->host.held;
    rules->host.kills_from = seen->rules->host.kills_from;
    for (uint32_t i = 0; i < seen->snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &seen->snapshot->vms[i];
        config_vm_rules(replay->config, vm->name, &rules->vms[vm->slot]);
        rules->vms[vm->slot].mode = seen->rules->vms[vm->slot].mode;
    }
    return rules;
}

static bool frame_replay(
    struct replay *replay, const struct record_seen *seen, struct replay_score *score)
{
    score->frames++;
    score->actions += seen->plan->action_count;
    if (seen->state) {
        score->stretches++;
        memcpy(replay->state, seen->state, policy_state_size(replay->vm_capacity));
    }
    policy_decide(
        seen->snapshot, rules_of(replay, seen), replay->state, replay->scratch, replay->plan);
    return plans_equal(seen->plan, replay->plan, !replay->config);
}

static int frames_replay(struct replay *replay, struct record_reader *reader,
    const struct replay_witness *witness, struct replay_score *score, struct error *ret_error)
{
    struct record_seen seen;
    int result;

    while ((result = record_read_frame(reader, &seen, &score->cut, ret_error)) > 0) {
        const struct replay_difference difference = {.snapshot = seen.snapshot,
            .then = seen.plan,
            .now = replay->plan,
            .exact = !replay->config};
        bool same = frame_replay(replay, &seen, score);
        score->differences += same ? 0 : 1;
        if (witness && !same)
            witness->difference(&difference, witness->userdata);
        if (witness && witness->frame)
            witness->frame(witness->userdata);
    }
    if (result == 0 && score->frames == 0)
        return error_set(ret_error, -EINVAL, "there is nothing to replay in it");
    return result;
}

int replay_run(FILE *in, const struct config *config, const struct replay_witness *witness,
    struct replay_score *ret_score, struct error *ret_error)
{
    CLEANUP(record_reader_free_at) struct record_reader *reader = NULL;
    CLEANUP(replay_clear) struct replay replay = {.config = config};
    int result = record_reader_new(in, &reader, ret_error);

    if (result < 0)
        return result;
    *ret_score = (struct replay_score){0};
    if (replay_allocate(&replay, record_reader_capacity(reader)) < 0)
        return error_set(
            ret_error, -ENOMEM, "no memory for %" PRIu32 " guests", record_reader_capacity(reader));
    return frames_replay(&replay, reader, witness, ret_score, ret_error);
}
