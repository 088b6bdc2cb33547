/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words for differences. Those of a long trace may be many, so none is kept: the array in
 * the JSON object is written element by element.
 */
#include "replay_view.h"

#include "json_writer.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* A name as it may be shown; an action of no guest is the host's. */
static void name_format(
    const struct snapshot *snapshot, const struct action *action, char name[VM_NAME_MAX])
{
    const char *found = action->slot == ACTION_SLOT_HOST ? "host" : "?";

    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (snapshot->vms[i].slot == action->slot)
            found = snapshot->vms[i].name;
    text_finish(name, VM_NAME_MAX, snprintf(name, VM_NAME_MAX, "%s", found));
}

/* ---- text ---- */

static const char *time_format(uint64_t realtime, char *buffer, size_t size)
{
    char stamp[TEXT_NUMBER_MAX];

    (void)text_format_moment(realtime, stamp, sizeof(stamp));
    if (strchr(stamp, ':'))
        (void)snprintf(
            buffer, size, "%s.%03u", stamp, (unsigned)(realtime % NSEC_PER_SEC / NSEC_PER_MSEC));
    else
        (void)snprintf(buffer, size, "%s", stamp);
    return buffer;
}

/* What of an action is more than its name. */
static const char *extent_format(const struct action *action, char *buffer, size_t size)
{
    char bytes[TEXT_NUMBER_MAX];

    buffer[0] = '\0';
    if (action->kind == ACTION_OOM_SCORE)
        (void)snprintf(buffer, size, " %" PRIi32, action->oom_score_adj);
    else if (action->kind == ACTION_BALLOON || action->kind == ACTION_RESIZE ||
             action->kind == ACTION_RECLAIM || action->kind == ACTION_MEMLOCK ||
             action->kind == ACTION_CONTAIN)
        (void)snprintf(
            buffer, size, " %s", text_format_bytes(action->target, bytes, sizeof(bytes)));
    return buffer;
}

static void actions_print(const struct replay_view *view,
    const struct replay_difference *difference, const char *word, const struct plan *plan,
    const struct plan *other)
{
    char name[VM_NAME_MAX], extent[2 * TEXT_NUMBER_MAX];
    bool any = false;

    for (uint32_t i = 0; i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        if (!replay_plan_lacks(other, action, difference->exact))
            continue;
        name_format(difference->snapshot, action, name);
        fprintf(view->out, "  %-4s  %s: %s%s (%s)\n", word, name, action_kind_name(action->kind),
            extent_format(action, extent, sizeof(extent)), reason_text(action->reason));
        any = true;
    }
    if (!any)
        fprintf(view->out, "  %-4s  nothing else\n", word);
}

static void difference_print(
    const struct replay_view *view, const struct replay_difference *difference)
{
    const char *then = band_name(difference->then->assessment.band);
    const char *now = band_name(difference->now->assessment.band);
    char time[64];

    fprintf(view->out, "%s  band %s then, %s now\n",
        time_format(difference->snapshot->realtime, time, sizeof(time)), then, now);
    actions_print(view, difference, "then", difference->then, difference->now);
    actions_print(view, difference, "now", difference->now, difference->then);
}

static void end_print(
    const struct replay_view *view, const struct replay_score *score, const struct error *error)
{
    if (score->cut)
        fputs("The trace ends within a decision, which is left out.\n", view->out);
    if (error)
        return; /* which is told of where errors are */
    fprintf(view->out,
        "%" PRIu64 " looks with %" PRIu64 " actions; decided otherwise in %" PRIu64 " of them.\n",
        score->frames, score->actions, score->differences);
}

/* ---- JSON ---- */

static struct json_object *action_json(
    const struct replay_difference *difference, const struct action *action)
{
    struct json_writer writer;
    char name[VM_NAME_MAX];

    name_format(difference->snapshot, action, name);
    json_writer_begin(&writer);
    json_writer_text(&writer, "vm", action->slot == ACTION_SLOT_HOST ? NULL : name);
    json_writer_text(&writer, "action", action_kind_name(action->kind));
    json_writer_text(&writer, "reason", reason_name(action->reason));
    json_writer_u64(&writer, "target", action->target);
    json_writer_i64(&writer, "oom_score_adj", action->oom_score_adj);
    return json_writer_end(&writer);
}

static struct json_object *actions_json(
    const struct replay_difference *difference, const struct plan *plan, const struct plan *other)
{
    struct json_object *actions = json_object_new_array();

    for (uint32_t i = 0; actions && i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        if (!replay_plan_lacks(other, action, difference->exact))
            continue;
        if (!json_array_append(actions, action_json(difference, action))) {
            json_object_put(actions);
            return NULL;
        }
    }
    return actions;
}

static void difference_json(
    const struct replay_view *view, const struct replay_difference *difference)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "realtime", difference->snapshot->realtime);
    json_writer_u64(&writer, "sequence", difference->snapshot->sequence);
    json_writer_text(&writer, "band_then", band_name(difference->then->assessment.band));
    json_writer_text(&writer, "band_now", band_name(difference->now->assessment.band));
    json_writer_child(&writer, "then", actions_json(difference, difference->then, difference->now));
    json_writer_child(&writer, "now", actions_json(difference, difference->now, difference->then));
    struct json_object *object = json_writer_end(&writer);
    fprintf(view->out, "%s%s", view->any ? "," : "{\"differences\":[",
        object ? json_object_to_json_string_ext(object, JSON_FLAGS) : "null");
    json_object_put(object);
}

static void end_json(
    const struct replay_view *view, const struct replay_score *score, const struct error *error)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "looks", score->frames);
    json_writer_u64(&writer, "stretches", score->stretches);
    json_writer_u64(&writer, "actions", score->actions);
    json_writer_u64(&writer, "different", score->differences);
    json_writer_bool(&writer, "cut", score->cut);
    json_writer_text(&writer, "error", error ? error->text : NULL);
    struct json_object *object = json_writer_end(&writer);
    const char *text = object ? json_object_to_json_string_ext(object, JSON_FLAGS) : "{}";
    /* The rest of the same object: its opening brace becomes the comma. */
    fprintf(view->out, "%s],%s\n", view->any ? "" : "{\"differences\":[", text + 1);
    json_object_put(object);
}

/* ---- either ---- */

void replay_view_difference(const struct replay_difference *difference, void *userdata)
{
    struct replay_view *view = userdata;

    if (view->json)
        difference_json(view, difference);
    else
        difference_print(view, difference);
    view->any = true;
}

void replay_view_end(
    struct replay_view *view, const struct replay_score *score, const struct error *error)
{
    if (view->json)
        end_json(view, score, error);
    else
        end_print(view, score, error);
}
