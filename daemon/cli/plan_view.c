/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words of `plimsoll plan`: what is asked, each step with when, whom, what, why and at
 * what cost, how it ends, and what was taken for granted.
 */
#include "plan_view.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/units.h>

#include "field.h"
#include "log.h"
#include "text.h"
#include "why_view.h"

/* Where a step's words begin: behind the time from now. */
#define INDENT 11

static size_t length_of(struct json_object *array)
{
    return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static bool flag_of(struct json_object *object, const char *key)
{
    return json_object_get_boolean(field_get(object, key));
}

static void heading_print(struct json_object *plan, const struct style *style, FILE *out)
{
    char need[FIELD_MAX], node[32] = "", words[LOG_LINE_MAX];
    uint64_t id = field_u64(plan, "node");

    if (known(id))
        (void)snprintf(node, sizeof(node), " on node %u", (unsigned)id);
    if (known(field_u64(plan, "need")) && field_u64(plan, "need") > 0)
        (void)snprintf(words, sizeof(words),
            "If %s more were needed now%s, the guard would do this. Nothing is touched.",
            field_bytes(plan, "need", need), node);
    else
        (void)snprintf(words, sizeof(words),
            "As things are now%s, the guard is about to do this. Nothing is touched.", node);
    terminal_wrap(style, words, 0, 0, out);
    fputc('\n', out);
}

/* How often, until when, at what cost, and who would be next. */
static void cost_format(struct json_object *step, char *words, size_t size)
{
    char number[TEXT_NUMBER_MAX], rival[WHY_RIVAL_MAX], reason[FIELD_MAX], name[FIELD_MAX];
    struct json_object *next = field_get(step, "rival");
    uint64_t loss = field_u64(step, "loss"), times = field_u64(step, "times");
    size_t used = 0;

    words[0] = '\0';
    if (known(times) && times > 1)
        used += (size_t)snprintf(words, size, "In %" PRIu64 " parts until %s. ", times,
            text_format_time(field_u64(step, "last"), number, sizeof(number)));
    if (known(loss) && loss > 0)
        used += (size_t)snprintf(
            words + used, size - used, "It costs %s. ", why_loss_format(loss, number));
    if (!next)
        return;
    (void)field_text(next, "reason", reason);
    (void)field_text(next, "vm", name);
    why_rival_format(field_get(next, "vm") ? name : "", reason, field_u64(next, "figure"), rival);
    if (rival[0] != '\0')
        (void)snprintf(words + used, size - used, "Runner-up: %s.", rival);
}

static void step_print(struct json_object *step, const struct style *style, FILE *out)
{
    char name[FIELD_MAX], action[FIELD_MAX], text[FIELD_MAX], after[FIELD_MAX];
    char target[FIELD_MAX], bytes[FIELD_MAX], words[LOG_LINE_MAX];
    uint64_t gives = field_u64(step, "bytes");
    bool alert = field_is(step, "action", "alert"), swaps = field_is(step, "action", "reclaim");

    (void)field_text(step, "vm", name);
    (void)field_text(step, alert ? "reason" : "action", action);
    (void)field_text(step, "text", text);
    (void)field_bytes(step, "target", target);
    (void)field_bytes(step, "bytes", bytes);
    (void)snprintf(words, sizeof(words), "%s%s: %s%s%s%s%s%s: %s", alert ? "alert about " : "",
        field_get(step, "vm") ? name : "the host", action,
        known(field_u64(step, "target")) && !swaps ? " to " : "",
        known(field_u64(step, "target")) && !swaps ? target : "",
        known(gives) && gives > 0 ? ", gives " : "", known(gives) && gives > 0 ? bytes : "",
        alert || field_is(step, "mode", "enforce") ? ""
        : field_is(step, "mode", "held")           ? " (held)"
                                                   : " (dry run)",
        text);
    fprintf(out, "%*s  ", INDENT - 2, field_time(step, "after", after));
    terminal_wrap(style, words, INDENT, INDENT, out);
    cost_format(step, words, sizeof(words));
    if (words[0] == '\0')
        return;
    fprintf(out, "%*s", INDENT, "");
    terminal_wrap(style, words, INDENT, INDENT, out);
}

static void steps_print(struct json_object *plan, const struct style *style, FILE *out)
{
    struct json_object *steps = field_get(plan, "steps");
    uint64_t dropped = field_u64(plan, "steps_dropped");

    for (size_t i = 0; i < length_of(steps); i++)
        step_print(json_object_array_get_idx(steps, i), style, out);
    if (length_of(steps) == 0)
        fputs("    nothing\n", out);
    if (known(dropped) && dropped > 0)
        fprintf(out, "    and %" PRIu64 " things more\n", dropped);
    fputc('\n', out);
}

static void outcome_print(struct json_object *plan, const struct style *style, FILE *out)
{
    struct json_object *after = field_get(plan, "after");
    char band[FIELD_MAX], headroom[FIELD_MAX], lacking[FIELD_MAX], since[FIELD_MAX];
    char words[LOG_LINE_MAX];
    bool asked = known(field_u64(plan, "need")) && field_u64(plan, "need") > 0;

    (void)field_text(after, "band", band);
    (void)field_signed_bytes(after, "headroom", "", headroom);
    (void)field_bytes(plan, "lacking", lacking);
    (void)field_time(plan, "met_after", since);
    if (flag_of(plan, "met"))
        (void)snprintf(words, sizeof(words),
            "%s after %s; in the end %s are left above the floor, and the band is %s.",
            asked ? "The need would be met" : "The floor would be kept", since, headroom, band);
    else
        (void)snprintf(words, sizeof(words), "%s: %s are lacking in the end, and the band is %s.",
            asked ? "The need would NOT be met" : "The floor would NOT be kept", lacking, band);
    terminal_wrap(style, words, 0, 0, out);
}

/* Who waits for memory in the meantime, and for whom it ends. */
static void harm_print(struct json_object *plan, const struct style *style, FILE *out)
{
    struct json_object *killed = field_get(plan, "killed");
    char most[FIELD_MAX], waited[FIELD_MAX], name[FIELD_MAX], words[LOG_LINE_MAX];
    uint64_t bytes = field_u64(plan, "waited_most");

    if (known(bytes) && bytes > 0) {
        (void)snprintf(words, sizeof(words),
            "For %s up to %s would not be there: who asks for it waits, and the kernel's OOM "
            "killer "
            "may come first.",
            field_time(plan, "waited", waited), field_bytes(plan, "waited_most", most));
        terminal_wrap(style, words, 0, 0, out);
    }
    if (length_of(killed) == 0) {
        fputs("Nobody would be killed.\n", out);
        return;
    }
    size_t used = (size_t)snprintf(words, sizeof(words), "Killed would be");
    for (size_t i = 0; i < length_of(killed) && used + FIELD_MAX + 2 < sizeof(words); i++) {
        (void)snprintf(
            name, sizeof(name), "%s", json_object_get_string(json_object_array_get_idx(killed, i)));
        text_clean(name);
        used +=
            (size_t)snprintf(words + used, sizeof(words) - used, "%s %s", i > 0 ? "," : "", name);
    }
    (void)snprintf(words + used, sizeof(words) - used, ".");
    terminal_wrap(style, words, 0, 0, out);
}

static void limits_print(struct json_object *plan, const struct style *style, FILE *out)
{
    char time[FIELD_MAX], assumed[LOG_LINE_MAX], words[LOG_LINE_MAX + 32];
    struct json_object *text = field_get(plan, "assumed");

    (void)field_time(plan, "time", time);
    if (flag_of(plan, "dry_run"))
        terminal_wrap(style,
            "What is marked as dry run would be told of and not done, so it gives nothing here.", 0,
            0, out);
    if (!field_is(plan, "ending", "settled")) {
        (void)snprintf(words, sizeof(words), "%s, after %s; what comes then is not said.",
            field_is(plan, "ending", "cut") ? "The guard had no time to look further ahead"
                                            : "It is not looked further ahead",
            time);
        terminal_wrap(style, words, 0, 0, out);
    }
    (void)snprintf(assumed, sizeof(assumed), "%s", text ? json_object_get_string(text) : "");
    text_clean(assumed);
    (void)snprintf(words, sizeof(words), "Taken for granted: %s.", assumed);
    fputc('\n', out);
    terminal_wrap(style, words, 0, 0, out);
}

void plan_view_print(struct json_object *plan, const struct style *style, FILE *out)
{
    heading_print(plan, style, out);
    steps_print(plan, style, out);
    outcome_print(plan, style, out);
    harm_print(plan, style, out);
    limits_print(plan, style, out);
}
