/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what `plimsoll doctor` looks like. Theory of operation:
 *
 * The worst comes first. Findings of one check that share their reason are one group, in which the
 * reason is said once: a hundred guests without a balloon are a hundred lines, not a hundred
 * paragraphs. Words are wrapped at the terminal's width; a line to paste never is, for what is
 * copied out of a wrapped line runs in two.
 */
#include "finding_view.h"

#include "json_writer.h"

#include <assert.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2
/* Narrower than this a text is not wrapped to, but left to the terminal. */
#define WIDTH_MIN 30

struct severity_look {
    const char *title, *colour, *one, *many;
};

static const struct severity_look looks[] = {
    [SEVERITY_FINE] = {"fine", "\x1b[32m", "fine", "fine"},
    [SEVERITY_NOTE] = {"NOTE", "\x1b[1;36m", "note", "notes"},
    [SEVERITY_UNKNOWN] = {"UNKNOWN", "\x1b[1;35m", "unknown", "unknown"},
    [SEVERITY_WARNING] = {"WARNING", "\x1b[1;33m", "warning", "warnings"},
    [SEVERITY_ERROR] = {"ERROR", "\x1b[1;31m", "error", "errors"},
};
static_assert(ELEMENTSOF(looks) == SEVERITY_COUNT, "a severity has no look");

struct page {
    FILE *out;
    unsigned width; /* 0: nothing is wrapped */
    bool colours;
};

/* A paragraph, its first line at INDENT columns where COLUMN already are, the others at NEXT. */
static void text_wrap(
    const struct page *page, unsigned column, unsigned indent, unsigned next, const char *text)
{
    const struct style style = {.width = page->width};

    fprintf(page->out, "%*s", (int)(indent - column), "");
    terminal_wrap(&style, text, indent, next, page->out);
}

static void found_print(const struct page *page, const struct finding *finding)
{
    char text[VM_NAME_MAX + FINDING_FOUND_MAX + 2];

    (void)snprintf(text, sizeof(text), "%s%s%s", finding->subject, finding->subject[0] ? ": " : "",
        finding->found);
    text_wrap(page, 0, INDENT, 2 * INDENT, text);
}

static void mend_print(const struct page *page, const struct finding *finding)
{
    if (!finding->mend[0])
        return;
    if (!finding->command) {
        text_wrap(page, 0, 2 * INDENT, 2 * INDENT, finding->mend);
        return;
    }
    fprintf(page->out, "%*s%s%s%s\n", 2 * INDENT, "", page->colours ? "\x1b[1m" : "", finding->mend,
        page->colours ? "\x1b[0m" : "");
}

/* What is unknown for one reason is told once, of all checks that it stops. */
static bool is_grouped(const struct finding *a, const struct finding *b)
{
    if (a->severity == SEVERITY_UNKNOWN && a->check != b->check)
        return !a->subject[0] && !b->subject[0] && strcmp(a->found, b->found) == 0 &&
               strcmp(a->mend, b->mend) == 0;
    return a->check == b->check && a->why == b->why;
}

/* "SEVERITY check[, check…]" */
static void heading_print(const struct page *page, const struct finding *const *group, size_t count)
{
    const struct severity_look *look = &looks[group[0]->severity];
    char checks[1024]; /* the names of all */
    size_t used = 0;

    for (size_t i = 0; i < count && used < sizeof(checks); i++)
        if (i == 0 || group[i]->check != group[i - 1]->check)
            used += (size_t)snprintf(
                checks + used, sizeof(checks) - used, "%s%s", i > 0 ? ", " : "", group[i]->check);
    fprintf(page->out, "%s%s%s", page->colours ? look->colour : "", look->title,
        page->colours ? "\x1b[0m" : "");
    text_wrap(
        page, (unsigned)strlen(look->title), (unsigned)strlen(look->title) + 1, INDENT, checks);
}

/* Of GROUP's findings; COUNT at least 1. */
static void group_print(const struct page *page, const struct finding *const *group, size_t count)
{
    heading_print(page, group, count);
    if (count > 1 && group[0]->why)
        text_wrap(page, 0, INDENT, INDENT, group[0]->why);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || group[i]->check == group[i - 1]->check)
            found_print(page, group[i]);
        if (count == 1 && group[0]->why)
            text_wrap(page, 0, INDENT, INDENT, group[0]->why);
        if (i + 1 == count || strcmp(group[i]->mend, group[i + 1]->mend) != 0)
            mend_print(page, group[i]);
    }
    fputc('\n', page->out);
}

/* Fine ones are a line each. */
static void fine_print(const struct page *page, const struct findings *findings)
{
    unsigned widest = 0;

    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].severity == SEVERITY_FINE && strlen(findings->list[i].check) > widest)
            widest = (unsigned)strlen(findings->list[i].check);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        unsigned indent = (unsigned)strlen(looks[SEVERITY_FINE].title) + 1 + widest + 1;

        if (finding->severity != SEVERITY_FINE)
            continue;
        fprintf(page->out, "%s%s%s %s", page->colours ? looks[SEVERITY_FINE].colour : "",
            looks[SEVERITY_FINE].title, page->colours ? "\x1b[0m" : "", finding->check);
        text_wrap(page, (unsigned)(strlen(looks[SEVERITY_FINE].title) + 1 + strlen(finding->check)),
            indent, indent, finding->found);
    }
    if (widest > 0)
        fputc('\n', page->out);
}

static void severity_print(const struct page *page, const struct findings *findings,
    enum severity severity, const struct finding **group)
{
    size_t count = 0;

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];

        if (finding->severity != severity)
            continue;
        if (count > 0 && !is_grouped(group[0], finding)) {
            group_print(page, group, count);
            count = 0;
        }
        group[count++] = finding;
    }
    if (count > 0)
        group_print(page, group, count);
}

/* Each check counts once, by its worst finding; those of one check stand together. */
static void summary_print(const struct page *page, const struct findings *findings)
{
    size_t counts[SEVERITY_COUNT] = {0}, checks = 0;
    const struct finding *list = findings->list;
    char text[256];
    size_t used;

    for (size_t i = 0; i < findings->count;) {
        enum severity worst = SEVERITY_FINE;
        const char *check = list[i].check;

        for (; i < findings->count && list[i].check == check; i++)
            if (list[i].severity > worst)
                worst = list[i].severity;
        counts[worst]++;
        checks++;
    }
    used =
        (size_t)snprintf(text, sizeof(text), "%zu checks: %zu fine", checks, counts[SEVERITY_FINE]);
    for (int severity = SEVERITY_NOTE; severity < SEVERITY_COUNT; severity++)
        if (counts[severity] > 0)
            used += (size_t)snprintf(text + used, sizeof(text) - used, ", %zu %s", counts[severity],
                counts[severity] == 1 ? looks[severity].one : looks[severity].many);
    if (findings->left_out > 0)
        (void)snprintf(text + used, sizeof(text) - used, "; %zu findings more than are kept",
            findings->left_out);
    text_wrap(page, 0, 0, 0, text);
}

int findings_print(const struct findings *findings, const struct style *style, bool all, FILE *out)
{
    const struct page page = {.out = out,
        .width = style->width < WIDTH_MIN ? 0 : style->width,
        .colours = style->colours};
    const struct finding **group = calloc(findings->count + 1, sizeof(const struct finding *));

    if (!group)
        return -ENOMEM;
    for (int severity = SEVERITY_ERROR; severity > SEVERITY_FINE; severity--)
        severity_print(&page, findings, (enum severity)severity, group);
    free(group);
    if (all)
        fine_print(&page, findings);
    summary_print(&page, findings);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* Text that may be longer than json_writer_text() keeps; NULL and "" are null. */
static void string_write(struct json_writer *writer, const char *key, const char *text)
{
    if (!text || !text[0])
        json_writer_null(writer, key);
    else
        json_writer_child(writer, key, json_object_new_string(text));
}

static struct json_object *finding_json(const struct finding *finding)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    string_write(&writer, "check", finding->check);
    string_write(&writer, "severity", severity_name(finding->severity));
    string_write(&writer, "subject", finding->subject);
    string_write(&writer, "found", finding->found);
    string_write(&writer, "why", finding->why);
    string_write(&writer, "mend", finding->mend);
    return json_writer_end(&writer);
}

struct json_object *findings_json(const struct findings *findings, bool all)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];

        if (!all && finding->severity == SEVERITY_FINE)
            continue;
        if (!json_array_append(array, finding_json(finding))) {
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

enum severity findings_worst(const struct findings *findings)
{
    enum severity worst = SEVERITY_FINE;

    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].severity > worst)
            worst = findings->list[i].severity;
    return worst;
}
