/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the list of findings. A check never fails for want of memory: what cannot be kept goes to a
 * spare that nobody reads, and the list says that it is not whole.
 *
 * A command is pasted into a root shell, so it is either exactly what was meant or none.
 */
#include "finding.h"

#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64

static const char *const severity_names[] = {
    [SEVERITY_FINE] = "fine",
    [SEVERITY_NOTE] = "note",
    [SEVERITY_UNKNOWN] = "unknown",
    [SEVERITY_WARNING] = "warning",
    [SEVERITY_ERROR] = "error",
};
static_assert(ELEMENTSOF(severity_names) == SEVERITY_COUNT, "a severity has no name");

const char *severity_name(enum severity severity)
{
    return severity_names[severity];
}

void findings_clear(struct findings *findings)
{
    free(findings->list);
    *findings = (struct findings){.count = 0};
}

static struct finding *findings_next(struct findings *findings)
{
    if (findings->count == FINDINGS_MAX) {
        findings->left_out++;
        return &findings->spare;
    }
    if (findings->count == findings->capacity) {
        size_t capacity = findings->capacity ? 2 * findings->capacity : CAPACITY_FIRST;
        struct finding *list = reallocarray(findings->list, capacity, sizeof(*list));

        if (!list) {
            findings->failed = true;
            return &findings->spare;
        }
        findings->list = list;
        findings->capacity = capacity;
    }
    return &findings->list[findings->count++];
}

struct finding *findings_add(struct findings *findings, const char *check, enum severity severity,
    const char *why, const char *format, ...)
{
    struct finding *finding = findings_next(findings);
    va_list arguments;

    *finding = (struct finding){.check = check, .severity = severity, .why = why};
    va_start(arguments, format);
    int wanted = vsnprintf(finding->found, sizeof(finding->found), format, arguments);
    va_end(arguments);
    text_finish(finding->found, sizeof(finding->found), wanted);
    return finding;
}

void finding_set_subject(struct finding *finding, const char *name)
{
    text_finish(finding->subject, sizeof(finding->subject),
        snprintf(finding->subject, sizeof(finding->subject), "%s", name));
}

static bool is_clean(const char *text)
{
    for (size_t left = strlen(text), length; left > 0; text += length, left -= length)
        if ((length = text_character(text, left)) == 0)
            return false;
    return true;
}

void finding_set_command(struct finding *finding, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int wanted = vsnprintf(finding->mend, sizeof(finding->mend), format, arguments);
    va_end(arguments);
    finding->command =
        wanted > 0 && (size_t)wanted < sizeof(finding->mend) && is_clean(finding->mend);
    if (!finding->command)
        finding->mend[0] = '\0';
}

void finding_set_advice(struct finding *finding, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int wanted = vsnprintf(finding->mend, sizeof(finding->mend), format, arguments);
    va_end(arguments);
    text_finish(finding->mend, sizeof(finding->mend), wanted);
    finding->command = false;
}

bool shell_quote(const char *text, char *buffer, size_t size)
{
    static const char quote[] = "'\\''"; /* ends the quotes, has one of its own, begins anew */
    size_t used = 0;

    if (size < sizeof("''") || !is_clean(text))
        return false;
    buffer[used++] = '\'';
    for (; *text; text++) {
        bool ends = *text == '\'';

        if (used + (ends ? strlen(quote) : 1) + sizeof("'") > size)
            return false;
        if (!ends)
            buffer[used++] = *text;
        for (size_t i = 0; ends && quote[i]; i++)
            buffer[used++] = quote[i];
    }
    buffer[used++] = '\'';
    buffer[used] = '\0';
    return true;
}
