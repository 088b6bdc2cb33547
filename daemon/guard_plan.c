/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers what the guard would do now if so much memory were needed, and touches nothing. The
 * policy looks ahead (forecast.h) on copies of the last tick's snapshot and of its history, in
 * memory that is allocated for the answer, and that the guard keeps for the next one (isolate.c);
 * the guard's own scratch, whose content means nothing between two ticks, is used with it. Nothing
 * of it is recorded, logged or kept.
 *
 * It must not be in the way of what it tells about. It ends in time for the guard's next tick, a
 * single look apart; what could not be played by then is cut, and the answer says so. And where
 * memory is at its end it is refused: there nothing may be allocated that can wait.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/forecast.h>

#include "guard_private.h"
#include "json_writer.h"

/* The longest that the loop is held up for an answer, where the next tick leaves so much time, and
 * one look beyond it: of 1,024 guests one took 1 ms, and 58 ms where victims were chosen among all
 * of them; of 128 guests an answer took 18 ms at most, of 16 two. */
#define PLAN_TIME_MAX (50 * NSEC_PER_MSEC)
/* Room for the ids of all nodes, and the words around them. */
#define NODES_TEXT_MAX ((size_t)12 * NODES_MAX)

static void free_at(void **buffer)
{
    free(*buffer);
}

/* ---- the question ---- */

static void nodes_format(const struct host_snapshot *host, char text[static NODES_TEXT_MAX])
{
    size_t used = (size_t)snprintf(text, NODES_TEXT_MAX, "%s", host->node_count > 0 ? "" : "none");

    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        used += (size_t)snprintf(text + used, NODES_TEXT_MAX - used, "%s%u", i > 0 ? ", " : "",
            (unsigned)host->nodes[i].id);
}

static int number_read(
    struct json_object *parameters, const char *key, uint64_t *ret_number, struct error *ret_error)
{
    struct json_object *value = json_object_object_get(parameters, key);

    if (!value)
        return 0;
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return error_set(ret_error, -EBADR, "%s", key);
    *ret_number = (uint64_t)json_object_get_int64(value);
    return 0;
}

static int need_read(struct json_object *parameters, const struct host_snapshot *host,
    struct forecast_need *ret_need, struct error *ret_error)
{
    struct forecast_need need = {.node = FORECAST_ANY_NODE};
    uint64_t id = UNKNOWN;
    char nodes[NODES_TEXT_MAX];
    int result = number_read(parameters, "need", &need.bytes, ret_error);

    if (result == 0)
        result = number_read(parameters, "node", &id, ret_error);
    if (result < 0)
        return result;
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        if (host->nodes[i].id == id)
            need.node = i;
    if (known(id) && need.node == FORECAST_ANY_NODE) {
        nodes_format(host, nodes);
        return error_set(ret_error, -ENODEV, "this host has no node %llu; its nodes are: %s",
            (unsigned long long)id, nodes);
    }
    *ret_need = need;
    return 0;
}

static int guard_may_plan(const struct guard *guard, struct error *ret_error)
{
    const struct assessment *assessment = &guard->plan->assessment;

    if (!known(guard->snapshot->host.total) || !known(guard->snapshot->host.available))
        return error_set(ret_error, -ENODATA, "the host's memory cannot be measured");
    if (assessment->band >= BAND_CRITICAL || assessment->sprint)
        return error_set(ret_error, -EBUSY,
            "memory is at its end: the guard acts now and takes no time to plan; see `plimsoll "
            "log` for what it does");
    return 0;
}

/* ---- the answer ---- */

/* By what the last tick saw; NULL: it is about the host. */
static const struct vm_snapshot *vm_of(const struct snapshot *snapshot, uint32_t slot)
{
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (snapshot->vms[i].slot == slot)
            return &snapshot->vms[i];
    return NULL;
}

static void name_write(
    struct json_writer *writer, const char *key, const struct snapshot *snapshot, uint32_t slot)
{
    const struct vm_snapshot *vm = vm_of(snapshot, slot);

    json_writer_text(writer, key, vm ? vm->name : NULL);
}

static void node_write(struct json_writer *writer, const struct snapshot *snapshot, uint32_t node)
{
    json_writer_u64(writer, "node",
        node < snapshot->host.node_count && node < NODES_MAX ? snapshot->host.nodes[node].id
                                                             : UNKNOWN);
}

static void rival_write(
    struct json_writer *parent, const struct snapshot *snapshot, const struct action *action)
{
    const struct rival *rival = &action->choice.rival;
    bool chosen = action->kind == ACTION_PAUSE || action->kind == ACTION_FREEZE ||
                  action->kind == ACTION_SAVE || action->kind == ACTION_SHUTDOWN ||
                  action->kind == ACTION_KILL;
    struct json_writer writer;

    if (!chosen) {
        json_writer_null(parent, "rival");
        return;
    }
    json_writer_begin(&writer);
    name_write(&writer, "vm", snapshot, rival->slot);
    json_writer_text(&writer, "reason", rival_reason_name(rival->reason));
    json_writer_u64(&writer, "figure", rival->figure);
    json_writer_child(parent, "rival", json_writer_end(&writer));
}

static bool has_target(enum action_kind kind)
{
    return kind == ACTION_BALLOON || kind == ACTION_RESIZE || kind == ACTION_RECLAIM ||
           kind == ACTION_MEMLOCK || kind == ACTION_CONTAIN;
}

/* As it would be announced. */
static const char *step_mode(const struct guard *guard, const struct action *action)
{
    const struct vm *vm =
        action->slot < guard->vm_capacity ? inventory_vm(guard->inventory, action->slot) : NULL;

    return action->mode == MODE_DRY_RUN && vm && vm->held ? "held" : mode_name(action->mode);
}

static struct json_object *step_json(const struct guard *guard, const struct forecast_step *step)
{
    const struct snapshot *snapshot = guard->snapshot;
    const struct action *action = &step->action;
    uint64_t left = action->choice.left;
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "after", step->time);
    json_writer_u64(&writer, "last", step->last);
    json_writer_u64(&writer, "times", step->times);
    name_write(&writer, "vm", snapshot, action->slot);
    json_writer_u64(
        &writer, "pid", action->identity.pid > 0 ? (uint64_t)action->identity.pid : UNKNOWN);
    json_writer_text(&writer, "action", action_kind_name(action->kind));
    json_writer_text(&writer, "reason", reason_name(action->reason));
    json_writer_child(&writer, "text", json_object_new_string(reason_text(action->reason)));
    json_writer_text(&writer, "mode", step_mode(guard, action));
    json_writer_text(&writer, "band", band_name(step->band));
    json_writer_text(&writer, "pool", pool_kind_name(action->pool));
    node_write(&writer, snapshot, action->pool == POOL_NODE ? action->node : FORECAST_ANY_NODE);
    json_writer_u64(&writer, "target", has_target(action->kind) ? action->target : UNKNOWN);
    json_writer_u64(&writer, "bytes", action->relief);
    json_writer_u64(&writer, "deficit", action->deficit);
    json_writer_u64(&writer, "loss", action->loss);
    json_writer_u64(&writer, "left", left == NEVER ? UNKNOWN : left);
    rival_write(&writer, snapshot, action);
    return json_writer_end(&writer);
}

/* All of them, or the names alone of those who are killed. */
static struct json_object *steps_json(
    const struct guard *guard, const struct forecast *forecast, bool killed)
{
    struct json_object *array = json_object_new_array();
    uint32_t count;
    const struct forecast_step *steps = forecast_steps(forecast, &count);

    for (uint32_t i = 0; i < count; i++) {
        const struct vm_snapshot *vm = vm_of(guard->snapshot, steps[i].action.slot);
        struct json_object *child;

        if (killed && (steps[i].action.kind != ACTION_KILL || !vm))
            continue;
        child = killed ? json_object_new_string(vm->name) : step_json(guard, &steps[i]);
        if (!json_array_append(array, child)) {
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

/* Of the host, or of the node that was asked about. */
static void pool_write(struct json_writer *parent, const char *key, const struct plan *plan,
    const struct forecast_need *need)
{
    const struct assessment *assessment = &plan->assessment;
    const struct pool_view *pool = &assessment->pools[0];
    struct json_writer writer;

    for (uint32_t i = 0; i < assessment->pool_count; i++)
        if (assessment->pools[i].kind == POOL_NODE && assessment->pools[i].node == need->node)
            pool = &assessment->pools[i];
    json_writer_begin(&writer);
    json_writer_text(&writer, "band", band_name(assessment->band));
    json_writer_u64(&writer, "available", pool->available);
    json_writer_u64(&writer, "floor", pool->floor);
    json_writer_i64(&writer, "headroom", pool->headroom);
    json_writer_u64(&writer, "time_to_exhaustion",
        pool->time_to_exhaustion == NEVER ? UNKNOWN : pool->time_to_exhaustion);
    json_writer_child(parent, key, json_writer_end(&writer));
}

static struct json_object *plan_json(
    const struct guard *guard, const struct forecast_need *need, const struct forecast *forecast)
{
    const struct snapshot *snapshot = guard->snapshot;
    struct forecast_result result;
    struct json_writer writer;

    forecast_result(forecast, &result);
    json_writer_begin(&writer);
    json_writer_u64(&writer, "need", need->bytes);
    node_write(&writer, snapshot, need->node);
    json_writer_text(&writer, "mode", status_mode(guard->rules, NULL));
    json_writer_bool(&writer, "met", result.met);
    json_writer_u64(&writer, "met_after", result.met_at);
    json_writer_u64(&writer, "lacking", result.lacking);
    json_writer_u64(&writer, "waited_most", result.waited_most);
    json_writer_u64(&writer, "waited", result.waited);
    json_writer_text(&writer, "ending", forecast_ending_name(result.ending));
    json_writer_u64(&writer, "time", result.time);
    json_writer_u64(&writer, "looks", result.looks);
    json_writer_u64(&writer, "steps_dropped", result.steps_dropped);
    json_writer_bool(&writer, "dry_run", result.dry);
    pool_write(&writer, "before", guard->plan, need);
    pool_write(&writer, "after", forecast_plan(forecast), need);
    json_writer_child(&writer, "steps", steps_json(guard, forecast, false));
    json_writer_child(&writer, "killed", steps_json(guard, forecast, true));
    json_writer_child(&writer, "assumed", json_object_new_string(FORECAST_ASSUMED));
    return json_writer_end(&writer);
}

const char *const guard_plan_parameters[] = {"need", "node", NULL};

int guard_plan(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    CLEANUP(free_at) void *buffer = NULL;
    struct forecast_need need;
    uint64_t deadline = min_u64(loop_now() + PLAN_TIME_MAX, guard->next_tick);
    int result = guard_may_plan(guard, ret_error);

    if (result == 0)
        result = need_read(parameters, &guard->snapshot->host, &need, ret_error);
    if (result < 0)
        return result;
    buffer = malloc(forecast_size(guard->vm_capacity));
    if (!buffer)
        return error_set(ret_error, -ENOMEM, "no memory to plan with");
    struct forecast *forecast =
        forecast_begin(buffer, guard->snapshot, guard->state, guard->plan, &need);
    while (forecast_look(forecast, guard->rules, guard->scratch) && loop_now() < deadline)
        ;
    *ret_parameters = plan_json(guard, &need, forecast);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
