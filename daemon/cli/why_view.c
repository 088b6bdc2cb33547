/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words of `plimsoll why`: who, what and when; then why, what was short, what it gives and
 * costs, and who came next. What a decision does not carry is left out: a balloon costs nothing,
 * and where nobody has to go there is no runner-up.
 */
#include "why_view.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "field.h"
#include "log.h"
#include "text.h"

/* Where the sentences begin, beside their titles. */
#define INDENT 13

/* Behind "was", "would have been" and "could not be". */
static const struct {
    const char *action, *done;
} participles[] = {
    {"balloon", "asked by its balloon"},
    {"resize", "resized by its virtio-mem"},
    {"reclaim", "relieved of memory that went to swap"},
    {"brake", "slowed down"},
    {"release", "released from its brake"},
    {"pause", "paused"},
    {"freeze", "frozen"},
    {"thaw", "thawed"},
    {"resume", "resumed"},
    {"save", "saved and ended"},
    {"shutdown", "told to shut down"},
    {"kill", "killed"},
    {"oom-score", "ranked anew for the kernel's OOM killer"},
    {"memlock", "given another limit on locked memory"},
    {"contain", "given another limit in its cgroup"},
};

static const char *participle_of(struct json_object *fields)
{
    for (size_t i = 0; i < ELEMENTSOF(participles); i++)
        if (field_is(fields, "action", participles[i].action))
            return participles[i].done;
    return "acted on";
}

/* What is said of who came next, around his name and its figure. */
static const struct {
    const char *reason, *figure; /* the figure's key; NULL: it has none */
    const char *before, *after;
} rivals[] = {
    {"none", NULL, "nobody else could have given it", ""},
    {"unsought", NULL, "none was looked for: there was no time", ""},
    {"dearer", "rival_loss", "", ": it would have lost more"},
    {"equal", "rival_bytes", "", ": no less to lose, and it gives less for it"},
    {"short", "rival_lacks", "", ": it does not give enough"},
    {"breaker", "rival_guests", "", ": more guests would have to go than max-destructive= allows"},
    {"last", NULL, "", ": it is sacrifice=last"},
    {"slow", NULL, "", ": its memory would have come too late"},
    {"protected", NULL, "", ": it is sacrifice=never"},
    {"next", NULL, "", ": it goes next if that is still needed"},
    {"together", NULL, "", ": it goes at once, too"},
};

static void row_print(const struct style *style, const char *title, const char *words, FILE *out)
{
    fprintf(out, "  %-*s", INDENT - 2, title);
    terminal_wrap(style, words, INDENT, INDENT, out);
}

static bool has(struct json_object *fields, const char *key)
{
    return field_get(fields, key) != NULL;
}

static void heading_print(struct json_object *line, struct json_object *fields, uint64_t now,
    const struct style *style, FILE *out)
{
    char name[FIELD_MAX], failed[FIELD_MAX], moment[TEXT_NUMBER_MAX], age[TEXT_NUMBER_MAX];
    char target[TEXT_NUMBER_MAX], words[LOG_LINE_MAX];
    uint64_t realtime = field_u64(line, "realtime"), bytes = alert_number(fields, "target");

    if (has(fields, "vm"))
        (void)field_text(fields, "vm", name);
    else
        (void)snprintf(name, sizeof(name), "the host");
    bool dry = field_is(fields, "mode", "dry-run"), held = field_is(fields, "mode", "held");
    const char *auxiliary = dry || held ? "would have been" : "was";
    if (has(fields, "failed"))
        auxiliary = "could not be";
    (void)text_format_moment(realtime, moment, sizeof(moment));
    (void)text_format_time(sub_or_zero(now, realtime), age, sizeof(age));
    (void)text_format_bytes(bytes, target, sizeof(target));
    if (field_is(fields, "event", "alert"))
        (void)snprintf(words, sizeof(words), "An alert about %s, %s ago (%s).", name, age, moment);
    else
        (void)snprintf(words, sizeof(words), "%s %s %s%s%s%s%s, %s ago (%s).", name, auxiliary,
            participle_of(fields), known(bytes) ? ", to " : "", known(bytes) ? target : "",
            has(fields, "failed") ? ": " : "",
            has(fields, "failed") ? field_text(fields, "failed", failed) : "", age, moment);
    terminal_wrap(style, words, 0, 0, out);
    if (dry)
        fputs("It is in dry run: nothing was done to it.\n", out);
    if (held)
        fputs("A hold kept the guard from acting: nothing was done to it.\n", out);
    fputc('\n', out);
}

static void because_print(struct json_object *fields, const struct style *style, FILE *out)
{
    char reason[FIELD_MAX], text[FIELD_MAX], words[2 * FIELD_MAX + 8];

    (void)field_text(fields, "reason", reason);
    (void)field_text(fields, "text", text);
    (void)snprintf(words, sizeof(words), "%s (%s)", text, reason);
    row_print(style, "Because", words, out);
}

/* What was missing where, and by when. */
static void short_print(struct json_object *fields, const struct style *style, FILE *out)
{
    char pool[FIELD_MAX], node[FIELD_MAX], band[FIELD_MAX], words[LOG_LINE_MAX];
    char bytes[TEXT_NUMBER_MAX], time[TEXT_NUMBER_MAX];
    uint64_t left = alert_time(fields, "left");
    uint64_t deficit = alert_number(fields, "deficit");

    if (!has(fields, "pool"))
        return;
    (void)field_text(fields, "pool", pool);
    (void)field_text(fields, "node", node);
    (void)field_text(fields, "band", band);
    (void)snprintf(words, sizeof(words), "%s%s%s%s%s; the band was %s%s%s", pool,
        has(fields, "node") ? " " : "", has(fields, "node") ? node : "",
        known(deficit) && deficit > 0 ? " by " : ": nothing",
        known(deficit) && deficit > 0 ? text_format_bytes(deficit, bytes, sizeof(bytes)) : "", band,
        known(left) ? ", the floor reached in " : "",
        known(left) ? text_format_time(left, time, sizeof(time)) : "");
    row_print(style, "Short", words, out);
}

const char *why_loss_format(uint64_t loss, char *buffer)
{
    if (!known(loss))
        (void)snprintf(buffer, TEXT_NUMBER_MAX, FIELD_UNKNOWN);
    else if (loss % 1000 == 0)
        (void)snprintf(buffer, TEXT_NUMBER_MAX, "%" PRIu64, loss / 1000);
    else
        (void)snprintf(
            buffer, TEXT_NUMBER_MAX, "%" PRIu64 ".%03u", loss / 1000, (unsigned)(loss % 1000));
    return buffer;
}

static void gives_print(struct json_object *fields, const struct style *style, FILE *out)
{
    char bytes[TEXT_NUMBER_MAX], number[TEXT_NUMBER_MAX], words[LOG_LINE_MAX];
    uint64_t relief = alert_number(fields, "bytes"), loss = alert_number(fields, "loss");
    uint64_t guests = alert_number(fields, "cover"), together = alert_number(fields, "cover_loss");

    if (known(relief) && relief > 0)
        row_print(style, "It gives", text_format_bytes(relief, bytes, sizeof(bytes)), out);
    if (known(loss)) {
        (void)snprintf(words, sizeof(words), "%s (its priority times the minutes that it loses)",
            why_loss_format(loss, number));
        row_print(style, "It costs", words, out);
    }
    if (known(guests) && guests > 1) {
        (void)snprintf(words, sizeof(words),
            "%" PRIu64 " guests have to go by the forecast, at %s together", guests,
            why_loss_format(together, number));
        row_print(style, "Of a set", words, out);
    } else if (known(guests) && guests == 0) {
        row_print(style, "Of a set", "all that may go do not give enough", out);
    }
}

void why_rival_format(
    const char *name, const char *reason, uint64_t figure, char words[static WHY_RIVAL_MAX])
{
    char value[FIELD_MAX] = "", number[TEXT_NUMBER_MAX];

    words[0] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(rivals); i++) {
        const char *key = rivals[i].figure;
        if (strcmp(rivals[i].reason, reason) != 0)
            continue;
        bool is_bytes = key && (strcmp(key, "rival_lacks") == 0 || strcmp(key, "rival_bytes") == 0);
        if (!key || !known(figure))
            value[0] = '\0';
        else if (is_bytes)
            (void)snprintf(
                value, sizeof(value), " (%s)", text_format_bytes(figure, number, sizeof(number)));
        else if (strcmp(key, "rival_loss") == 0)
            (void)snprintf(value, sizeof(value), " (by %s)", why_loss_format(figure, number));
        else
            (void)snprintf(value, sizeof(value), " (%" PRIu64 ")", figure);
        (void)snprintf(
            words, WHY_RIVAL_MAX, "%s%s%s%s", name, rivals[i].before, rivals[i].after, value);
    }
}

static void rival_print(struct json_object *fields, const struct style *style, FILE *out)
{
    char name[FIELD_MAX] = "", reason[FIELD_MAX], words[WHY_RIVAL_MAX];
    uint64_t figure = UNKNOWN;

    (void)field_text(fields, "rival_reason", reason);
    for (size_t i = 0; i < ELEMENTSOF(rivals); i++)
        if (rivals[i].figure && strcmp(rivals[i].reason, reason) == 0)
            figure = alert_number(fields, rivals[i].figure);
    if (has(fields, "rival"))
        (void)field_text(fields, "rival", name);
    why_rival_format(name, reason, figure, words);
    if (words[0] != '\0')
        row_print(style, "Runner-up", words, out);
}

void why_view_print(struct json_object *line, struct json_object *fields, uint64_t now,
    const struct style *style, FILE *out)
{
    heading_print(line, fields, now, style, out);
    because_print(fields, style, out);
    short_print(fields, style, out);
    gives_print(fields, style, out);
    rival_print(fields, style, out);
}
