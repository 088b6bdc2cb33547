/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns who is ended when somebody has to be: of all sets of guests that together return what is
 * short the one that loses least (cover.c), loss as of a kill whatever the rung will be, so that a
 * rung that costs less brings no valuable guest before a lesser one. Who frees less than what fills
 * while he dies joins only when the others together do not cover, and SACRIFICE_LAST after that.
 * Who comes back under the same uuid is not ended again.
 *
 * One goes at a time, as long as there is time for that (kill.c): of the set whoever loses least
 * per byte, those that are to be last apart, and what is still short when its memory has come is
 * decided anew. So, if less is needed in the end, what went was worth it, and nobody who could wait
 * goes because he stood in a plan: the rest of a set of least loss is that of what is left, or
 * something better has turned up.
 *
 * What a guest gives is what it frees, and what it would have gone on taking until the horizon, if
 * no pause can stop it: with it goes a part of what is short. Of equals it goes first, and so does
 * one that has refused its balloon.
 *
 * A circuit breaker bounds how many guests are ended: a rung that follows another on the same guest
 * is no further loss. A set of more guests than may still be ended would be broken off in the
 * middle, all of them lost in vain, so the choice is then among sets that are small enough. Where
 * there is none, or nobody covers, the same order goes on for as long as it may.
 */
#include "victim.h"

#include "arrival.h"
#include "node.h"
#include "order.h"
#include "plan_add.h"
#include "relief.h"

/* ---- the circuit breaker ---- */

/* In the window, of others than IDENTITY. */
static uint32_t recent_of_others(const struct decision *d, const struct vm_identity *identity)
{
    const struct policy_state *state = d->state;
    uint32_t recent = 0;
    for (uint32_t i = 0; i < state->destruction_count; i++)
        if (since(d->now, state->destructions[i].time) < d->rules->host.max_destructive_window &&
            !destruction_is_of(&state->destructions[i], identity))
            recent++;
    return recent;
}

static uint32_t breaker_allows(const struct decision *d)
{
    uint32_t allowed = d->rules->host.max_destructive;
    return allowed < DESTRUCTION_MAX ? allowed : DESTRUCTION_MAX;
}

bool victim_is_barred(const struct decision *d, const struct victim_case *wanted, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return !wanted->dry_run && !vm_is_incoming(vm) &&
           recent_of_others(d, &vm->identity) >= breaker_allows(d);
}

static uint32_t breaker_leaves(const struct decision *d)
{
    static const struct vm_identity nobody;
    return (uint32_t)sub_or_zero(breaker_allows(d), recent_of_others(d, &nobody));
}

/* Its end counts for the breaker already, or not at all. */
static bool is_free(const struct decision *d, uint32_t position)
{
    static const struct vm_identity nobody;
    const struct vm_snapshot *vm = decision_vm(d, position);
    return vm_is_incoming(vm) || recent_of_others(d, &vm->identity) < recent_of_others(d, &nobody);
}

static bool is_restarted(const struct decision *d, uint32_t position)
{
    static const uint8_t none[UUID_SIZE];
    const struct vm_identity *identity = &decision_vm(d, position)->identity;
    bool restarted = false;
    if (__builtin_memcmp(identity->uuid, none, UUID_SIZE) == 0)
        return false;
    if (vm_is_incoming(decision_vm(d, position)))
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

/* What the end of the guest at POSITION leaves to POOL within TIME: the bytes it frees, and those
 * it would have taken. Not the latter of a guest that can be paused, or was a moment ago: they are
 * no part of what is short. */
static uint64_t gives_within(
    const struct decision *d, const struct pool_view *pool, uint32_t position, uint64_t time)
{
    uint64_t relief = relief_kill(d, pool, position);
    if ((d->vms[position].traits & TRAIT_PAUSABLE) || decision_state(d, position)->settling > 0)
        return relief;
    return add_held(relief, relief_growth_bytes(d, position, time));
}

static uint64_t gives(const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    return gives_within(d, pool, position, HORIZON);
}

uint64_t victim_relief(const struct decision *d, const struct pool_view *pool, uint32_t traits)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & traits) == traits && node_confines(d, pool, i))
            sum = add_held(sum, gives(d, pool, i));
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
    uint64_t relief_a = gives(d, pool, a), relief_b = gives(d, pool, b);
    wide left = (wide)loss_of(d, a) * relief_b, right = (wide)loss_of(d, b) * relief_a;
    return left != right ? left < right : relief_a > relief_b;
}

/* Of equals the larger, with which a cover is found sooner. */
static bool loses_less(const struct decision *d, uint32_t a, uint32_t b)
{
    uint64_t loss_a = loss_of(d, a), loss_b = loss_of(d, b);
    if (loss_a != loss_b)
        return loss_a < loss_b;
    if (d->vms[a].held != d->vms[b].held)
        return d->vms[a].held > d->vms[b].held;
    return decision_vm(d, a)->slot < decision_vm(d, b)->slot;
}

static bool is_last(const struct decision *d, uint32_t position)
{
    return decision_rules(d, position)->sacrifice != SACRIFICE_NORMAL;
}

/* It frees more than what fills while it dies; with who does not, ground is lost one by one. But
 * where nothing is lost otherwise, there is nothing to weigh that against. */
static bool gains(const struct decision *d, const struct victim_case *wanted, uint32_t position)
{
    if (loss_of(d, position) == 0)
        return true;
    uint64_t relief = relief_kill(d, wanted->pool, position);
    uint64_t time = relief_kill_time(decision_vm(d, position), relief);
    time = add_held(time, add_held(wanted->ahead, KILL_POLL));
    return gives_within(d, wanted->pool, position, time) > rate_bytes(wanted->filling, time);
}

/* Who may be in a set; each joins when those before do not give enough. */
enum circle {
    CIRCLE_GAINING,
    CIRCLE_NORMAL,
    CIRCLE_ALL, /* SACRIFICE_LAST, too */
    CIRCLE_COUNT,
};

static bool is_within(const struct decision *d, const struct victim_case *wanted, uint32_t position,
    enum circle circle)
{
    switch (circle) {
    case CIRCLE_GAINING:
        return !is_last(d, position) && gains(d, wanted, position);
    case CIRCLE_NORMAL:
        return !is_last(d, position);
    case CIRCLE_ALL:
    case CIRCLE_COUNT:
        break;
    }
    return true;
}

/* Hands the candidates to the cover, the least loss first; returns how many, and what they give. */
static uint32_t gather(
    struct decision *d, const struct victim_case *wanted, enum circle circle, uint64_t *ret_relief)
{
    uint64_t sum = 0;
    uint32_t count = 0, candidates = order_sort(d, TRAIT_CANDIDATE, loses_less);
    for (uint32_t rank = 0; rank < candidates; rank++) {
        uint32_t position = d->vms[rank].order;
        if (!is_within(d, wanted, position, circle))
            continue;
        uint64_t relief = gives(d, wanted->pool, position);
        d->cover->guests[count++] = (struct cover_guest){
            .options = {{relief, loss_of(d, position)}},
            .number = position,
            .free = !wanted->leak && is_free(d, position),
            .blamed = (d->vms[position].traits & TRAIT_REFUSED) ||
                      relief > relief_kill(d, wanted->pool, position),
            .chosen = COVER_SPARED,
        };
        sum = add_held(sum, relief);
    }
    *ret_relief = sum;
    return count;
}

static bool goes_before(
    const struct decision *d, const struct victim_case *wanted, uint32_t a, uint32_t b)
{
    if (is_last(d, a) != is_last(d, b))
        return is_last(d, b);
    bool gains_a = gains(d, wanted, a), gains_b = gains(d, wanted, b);
    return gains_a != gains_b ? gains_a : cheaper_per_byte(d, wanted->pool, a, b);
}

/* Of those gathered who are candidates still, and CHOSEN if so asked, who is to go first, EXCEPT
 * for one; UINT32_MAX: nobody is left. Of equals whoever was gathered first. */
static uint32_t first_of(const struct decision *d, const struct victim_case *wanted, uint32_t count,
    bool chosen, uint32_t except)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct cover_guest *guest = &d->cover->guests[i];
        if ((chosen && guest->chosen == COVER_SPARED) || guest->number == except ||
            !(d->vms[guest->number].traits & TRAIT_CANDIDATE))
            continue;
        if (first == UINT32_MAX || goes_before(d, wanted, guest->number, first))
            first = guest->number;
    }
    return first;
}

static uint32_t killed_dry(const struct decision *d)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        count += (d->vms[i].traits & TRAIT_USABLE) &&
                 (decision_state(d, i)->marks & MARK_KILLED_DRY) != 0;
    return count;
}

static uint32_t limit_of(const struct decision *d, const struct victim_case *wanted)
{
    if (wanted->leak)
        return 1; /* where it takes more than one, the first would not help */
    if (!wanted->dry_run)
        return breaker_leaves(d);
    /* As it would be for real, but that a dry run goes on telling. */
    uint64_t left = sub_or_zero(breaker_leaves(d), killed_dry(d));
    return left > 0 ? (uint32_t)left : 1;
}

/* So few of those gathered could give enough, were it those who give most. Spares a search among
 * small sets that costs most where there is none. */
static bool may_cover(
    const struct decision *d, const struct victim_case *wanted, uint32_t count, uint32_t limit)
{
    uint64_t most[COVER_LIMIT_MOST] = {0}, sum = 0;
    limit = limit < COVER_LIMIT_MOST ? limit : COVER_LIMIT_MOST;
    for (uint32_t i = 0; i < count; i++) {
        const struct cover_guest *guest = &d->cover->guests[i];
        uint64_t relief = guest->options[0].relief;
        if (guest->free)
            sum = add_held(sum, relief);
        for (uint32_t k = 0; !guest->free && k < limit; k++) {
            uint64_t lesser = min_u64(relief, most[k]);
            most[k] = max_u64(relief, most[k]);
            relief = lesser;
        }
    }
    for (uint32_t k = 0; k < limit; k++)
        sum = add_held(sum, most[k]);
    return sum >= wanted->deficit;
}

/* Sets that the breaker would break off are the last resort. */
static void choose_set(struct decision *d, const struct victim_case *wanted, uint32_t count,
    struct cover_result *ret_result)
{
    uint32_t limit = limit_of(d, wanted);
    cover_choose(d->cover, count, wanted->deficit, COVER_NO_LIMIT, ret_result);
    if (!ret_result->covers || ret_result->limited <= limit)
        return;
    bool may = may_cover(d, wanted, count, limit);
    if (!may && wanted->leak)
        *ret_result = (struct cover_result){0};
    if (!may)
        return;
    cover_choose(d->cover, count, wanted->deficit, limit, ret_result);
    if (!ret_result->covers && !wanted->leak)
        cover_choose(d->cover, count, wanted->deficit, COVER_NO_LIMIT, ret_result);
}

bool victim_choose(
    struct decision *d, const struct victim_case *wanted, struct victim_choice *ret_choice)
{
    struct victim_choice choice = {.position = UINT32_MAX};
    bool enough = false;
    for (int circle = 0; circle < CIRCLE_COUNT && !enough; circle++) {
        uint64_t relief;
        choice.count = gather(d, wanted, (enum circle)circle, &relief);
        choice.cover = (struct cover_result){0};
        enough = relief >= wanted->deficit;
        if (enough)
            choose_set(d, wanted, choice.count, &choice.cover);
        if (wanted->leak || circle == CIRCLE_GAINING)
            enough = choice.cover.covers;
    }
    /* It may take all of them, whom units do not show to be enough: then by loss per byte. */
    if (enough || !wanted->leak)
        choice.position = first_of(d, wanted, choice.count, choice.cover.covers, UINT32_MAX);
    *ret_choice = choice;
    return choice.position != UINT32_MAX;
}

bool victim_follow(
    struct decision *d, const struct victim_case *wanted, struct victim_choice *choice)
{
    uint32_t next = choice->position;
    do {
        d->vms[next].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        next = first_of(d, wanted, choice->count, choice->cover.covers, UINT32_MAX);
    } while (next != UINT32_MAX && victim_is_barred(d, wanted, next));
    if (next == UINT32_MAX)
        return false;
    choice->position = next;
    return true;
}

/* ---- and who not ---- */

static bool comes_first(const struct decision *d, uint32_t position, uint32_t first)
{
    return first == UINT32_MAX || loses_less(d, position, first);
}

/* Whom the breaker, or else the rules alone spare, the least loss of them; UINT32_MAX: they spare
 * nobody. */
static uint32_t spared_find(
    const struct decision *d, const struct victim_case *wanted, struct rival *rival)
{
    const uint32_t ends = RUNG_BIT(RUNG_SAVE) | RUNG_BIT(RUNG_SHUTDOWN) | RUNG_BIT(RUNG_KILL);
    uint32_t by_breaker = UINT32_MAX, by_rules = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) ||
            !(d->vms[i].traits & TRAIT_ENFORCED) != wanted->dry_run ||
            !node_confines(d, wanted->pool, i) || relief_kill(d, wanted->pool, i) == 0)
            continue;
        const struct vm_rules *rules = decision_rules(d, i);
        bool by_rule = rules->sacrifice == SACRIFICE_NEVER || !(rules->rungs & ends);
        bool barred = (d->vms[i].traits & TRAIT_KILLABLE) && victim_is_barred(d, wanted, i);
        if (by_rule && comes_first(d, i, by_rules))
            by_rules = i;
        if (barred && comes_first(d, i, by_breaker))
            by_breaker = i;
    }
    if (by_breaker != UINT32_MAX) {
        rival->reason = RIVAL_BREAKER;
        rival->figure = recent_of_others(d, &decision_vm(d, by_breaker)->identity) + 1;
        return by_breaker;
    }
    rival->reason = by_rules != UINT32_MAX ? RIVAL_PROTECTED : RIVAL_NONE;
    return by_rules;
}

/* A guest of the set that was found last for whose sake it stands back: who is sacrificed last, or
 * else does not gain. UINT32_MAX: there is none. */
static uint32_t burden_of(
    const struct decision *d, const struct victim_case *wanted, uint32_t count, bool last)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cover_guest *guest = &d->cover->guests[i];
        if (guest->chosen != COVER_SPARED &&
            (last ? is_last(d, guest->number) : !gains(d, wanted, guest->number)))
            return guest->number;
    }
    return UINT32_MAX;
}

/* Why OTHER, the best that can be had without the one that was chosen, is not taken; whom it names
 * then is the rival. */
static void rival_compare(const struct decision *d, const struct victim_case *wanted,
    const struct victim_choice *choice, struct victim_choice *other, struct rival *rival)
{
    uint32_t last = burden_of(d, wanted, other->count, true);
    uint32_t slow = burden_of(d, wanted, other->count, false);
    if (!other->cover.covers) {
        uint64_t relief = wanted->leak ? gives(d, wanted->pool, other->position)
                                       : victim_relief(d, wanted->pool, TRAIT_CANDIDATE);
        rival->reason = RIVAL_SHORT;
        rival->figure = sub_or_zero(wanted->deficit, relief);
    } else if (other->cover.limited > limit_of(d, wanted)) {
        rival->reason = RIVAL_BREAKER;
        rival->figure = other->cover.limited;
    } else if (last != UINT32_MAX && !is_last(d, choice->position)) {
        rival->reason = RIVAL_LAST;
        other->position = last;
    } else if (slow != UINT32_MAX && gains(d, wanted, choice->position)) {
        rival->reason = RIVAL_SLOW;
        other->position = slow;
    } else if (other->cover.loss > choice->cover.loss) {
        rival->reason = RIVAL_DEARER;
        rival->figure = other->cover.loss - choice->cover.loss;
    } else {
        rival->reason = RIVAL_EQUAL;
        rival->figure = other->cover.relief;
    }
}

void victim_explain(struct decision *d, const struct victim_case *wanted,
    const struct victim_choice *choice, struct choice *ret_choice)
{
    struct rival rival = {.slot = ACTION_SLOT_HOST, .reason = RIVAL_NONE};
    const struct cover_result *cover = &choice->cover;
    uint32_t position = cover->guests == 1
                            ? UINT32_MAX
                            : first_of(d, wanted, choice->count, cover->covers, choice->position);
    if (position != UINT32_MAX) {
        rival.reason = RIVAL_NEXT;
    } else if (d->plan->assessment.sprint && d->vm_count > RIVAL_IN_SPRINT) {
        rival.reason = RIVAL_UNSOUGHT;
    } else {
        struct victim_choice other;
        d->vms[choice->position].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        if (!victim_choose(d, wanted, &other))
            other.position = first_of(d, wanted, other.count, false, UINT32_MAX);
        if (other.position != UINT32_MAX)
            rival_compare(d, wanted, choice, &other, &rival);
        else
            other.position = spared_find(d, wanted, &rival);
        position = other.position;
    }
    if (position != UINT32_MAX)
        rival.slot = decision_vm(d, position)->slot;
    ret_choice->guests = cover->guests;
    ret_choice->loss = cover->loss;
    ret_choice->least = cover->covers ? cover->least : 0;
    ret_choice->left = rate_exhaustion(diff_i64(wanted->has, wanted->below), wanted->filling);
    ret_choice->rival = rival;
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
