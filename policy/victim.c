/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns who is ended when somebody has to be. The victim is the least loss among those that cover
 * alone, as of a kill whatever the rung will be, so that a rung that costs less brings no valuable
 * guest before a lesser one; if none covers alone, the best loss per byte. SACRIFICE_LAST joins
 * only when the others together do not cover. A circuit breaker bounds how many guests are ended: a
 * rung that follows another on the same guest is no further loss. Who comes back under the same
 * uuid is not ended again.
 */
#include "victim.h"

#include "node.h"
#include "plan_add.h"
#include "relief.h"

/* ---- the circuit breaker ---- */

bool victim_breaker_open(const struct decision *d, uint32_t position)
{
    const struct policy_state *state = d->state;
    const struct host_rules *rules = &d->rules->host;
    const struct vm_identity *identity = &decision_vm(d, position)->identity;
    uint32_t allowed =
        rules->max_destructive < DESTRUCTION_MAX ? rules->max_destructive : DESTRUCTION_MAX;
    uint32_t recent = 0;
    for (uint32_t i = 0; i < state->destruction_count; i++)
        if (since(d->now, state->destructions[i].time) < rules->max_destructive_window &&
            !destruction_is_of(&state->destructions[i], identity))
            recent++;
    return recent >= allowed;
}

static bool is_restarted(const struct decision *d, uint32_t position)
{
    static const uint8_t none[UUID_SIZE];
    const struct vm_identity *identity = &decision_vm(d, position)->identity;
    bool restarted = false;
    if (__builtin_memcmp(identity->uuid, none, UUID_SIZE) == 0)
        return false;
    if (decision_vm(d, position)->migration == VM_MIGRATION_INCOMING)
        return false; /* it is being moved, and nothing is lost by its end */
    for (uint32_t i = 0; i < d->state->destruction_count; i++) {
        const struct destruction *past = &d->state->destructions[i];
        if (destruction_is_of(past, identity))
            return false; /* it was to be ended before, and is still here */
        restarted =
            restarted || (since(d->now, past->time) < RESTART_MEMORY &&
                             __builtin_memcmp(identity->uuid, past->identity.uuid, UUID_SIZE) == 0);
    }
    return restarted;
}

/* ---- who ---- */

uint64_t victim_relief(
    const struct decision *d, const struct pool_view *pool, uint32_t traits, bool last_too)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & traits) == traits && node_confines(d, pool, i) &&
            (last_too || decision_rules(d, i)->sacrifice == SACRIFICE_NORMAL))
            sum = add_held(sum, relief_kill(d, pool, i));
    return sum;
}

static uint64_t loss_of(const struct decision *d, uint32_t position)
{
    return loss_kill(decision_vm(d, position), decision_rules(d, position));
}

/* A loses less per byte than B; of equals, the larger. */
static bool cheaper_per_byte(
    const struct decision *d, const struct pool_view *pool, uint32_t a, uint32_t b)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t relief_a = relief_kill(d, pool, a), relief_b = relief_kill(d, pool, b);
    wide left = (wide)loss_of(d, a) * relief_b, right = (wide)loss_of(d, b) * relief_a;
    return left != right ? left < right : relief_a > relief_b;
}

static bool loses_less(
    const struct decision *d, const struct pool_view *pool, uint32_t a, uint32_t b)
{
    uint64_t loss_a = loss_of(d, a), loss_b = loss_of(d, b);
    if (loss_a != loss_b)
        return loss_a < loss_b;
    uint32_t refused_a = d->vms[a].traits & TRAIT_REFUSED,
             refused_b = d->vms[b].traits & TRAIT_REFUSED;
    if (refused_a != refused_b)
        return refused_a > refused_b;
    return relief_kill(d, pool, a) < relief_kill(d, pool, b); /* no more than it takes */
}

static uint32_t best(const struct decision *d, const struct victim_case *wanted, bool last_too,
    uint64_t at_least,
    bool (*before)(const struct decision *, const struct pool_view *, uint32_t, uint32_t))
{
    uint32_t chosen = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_CANDIDATE) || relief_kill(d, wanted->pool, i) < at_least)
            continue;
        if (!last_too && decision_rules(d, i)->sacrifice != SACRIFICE_NORMAL)
            continue;
        if (chosen == UINT32_MAX || before(d, wanted->pool, i, chosen))
            chosen = i;
    }
    return chosen;
}

uint32_t victim_choose(const struct decision *d, const struct victim_case *wanted)
{
    uint32_t alone = best(d, wanted, false, wanted->deficit, loses_less);
    if (alone != UINT32_MAX)
        return alone;
    bool normal_covers = victim_relief(d, wanted->pool, TRAIT_CANDIDATE, false) >= wanted->deficit;
    if (!normal_covers || wanted->leak)
        alone = best(d, wanted, true, wanted->deficit, loses_less);
    if (alone != UINT32_MAX)
        return alone;
    if (wanted->leak)
        return UINT32_MAX; /* it takes more than one, and so the first would not help */
    uint32_t cheapest = best(d, wanted, false, 1, cheaper_per_byte);
    if (!normal_covers || cheapest == UINT32_MAX)
        cheapest = best(d, wanted, true, 1, cheaper_per_byte);
    return cheapest;
}

bool victim_counts(
    struct decision *d, const struct victim_case *wanted, uint32_t position, bool enforced)
{
    if (!!(d->vms[position].traits & TRAIT_ENFORCED) != enforced ||
        (decision_state(d, position)->marks & MARK_KILLED_DRY) ||
        !node_confines(d, wanted->pool, position) || relief_kill(d, wanted->pool, position) == 0)
        return false;
    if (!is_restarted(d, position))
        return true;
    if (since(d->now, d->state->alerted[REASON_RESTARTED_VICTIM]) >= ALERT_INTERVAL &&
        plan_alert_vm(d, REASON_RESTARTED_VICTIM, position, wanted->index))
        d->state->alerted[REASON_RESTARTED_VICTIM] = d->now;
    return false;
}
