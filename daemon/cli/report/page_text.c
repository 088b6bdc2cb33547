/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the layout of a report as text: sentences first, then who was there, then what was done. */
#include "page_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#include "terminal.h"
#include "text.h"
#include "view_table.h"
#include "words.h"

/* Guests that have a row. */
#define ROWS_MAX 40
#define NAME_WIDTH_MIN 12
/* "10:02:14  " */
#define CLOCK_WIDTH 10

static const struct style style = {.width = PAGE_WIDTH, .breaks = true};

static void sentences_print(const char *title, const struct sentences *sentences, FILE *out)
{
    if (sentences->count == 0)
        return;
    fprintf(out, "%s\n", title);
    for (unsigned i = 0; i < sentences->count; i++) {
        fputs("  ", out);
        terminal_wrap(&style, sentences->all[i], 2, 2, out);
    }
    fputc('\n', out);
}

/* ---- guests ---- */

enum {
    COLUMN_NAME,
    COLUMN_CLASS,
    COLUMN_END,
    COLUMN_LEAST,
    COLUMN_MOST,
    COLUMN_PAUSED,
    COLUMN_TAKEN,
    COLUMN_RETURNED,
    COLUMN_COUNT,
};

static const struct view_column columns[COLUMN_COUNT] = {
    [COLUMN_NAME] = {"GUEST", .cut = true},
    [COLUMN_CLASS] = {.title = "CLASS"},
    [COLUMN_END] = {.title = "FATE"},
    [COLUMN_LEAST] = {"LEAST", .right = true},
    [COLUMN_MOST] = {"MOST", .right = true},
    [COLUMN_PAUSED] = {"PAUSED", .right = true},
    [COLUMN_TAKEN] = {"TAKEN", .right = true},
    [COLUMN_RETURNED] = {"RETURNED", .right = true},
};
_Static_assert(COLUMN_COUNT <= VIEW_COLUMNS_MAX, "the table has room for all");
static const unsigned expendable[] = {COLUMN_CLASS, COLUMN_LEAST};

static int guest_add(struct view_table *table, const struct report *report, uint32_t guest)
{
    const struct guest_loss *loss = loss_of_guest(report->losses, guest);
    const struct guest_line *line = &report->timeline->guests[guest];
    char cells[COLUMN_COUNT][FIELD_MAX];

    (void)snprintf(cells[COLUMN_NAME], FIELD_MAX, "%s", report->guests->all[guest].name);
    (void)snprintf(cells[COLUMN_CLASS], FIELD_MAX, "%s", report->guests->all[guest].class_name);
    (void)snprintf(cells[COLUMN_END], FIELD_MAX, "%s", fate_name(loss->fate));
    (void)words_bytes(line->least_held, cells[COLUMN_LEAST], FIELD_MAX);
    (void)words_bytes(line->most_held, cells[COLUMN_MOST], FIELD_MAX);
    (void)text_format_time(loss->paused, cells[COLUMN_PAUSED], FIELD_MAX);
    (void)text_format_bytes(loss->taken, cells[COLUMN_TAKEN], FIELD_MAX);
    (void)text_format_bytes(loss->returned, cells[COLUMN_RETURNED], FIELD_MAX);
    return view_table_add(table, cells);
}

static int guests_print(const struct report *report, FILE *out)
{
    CLEANUP(view_table_free_at) struct view_table *table = NULL;
    uint32_t order[ROWS_MAX];
    uint32_t count = report_guests_rank(report, order, ROWS_MAX);
    int result = view_table_new(columns, COLUMN_COUNT, &table);

    for (uint32_t i = 0; i < count && result == 0; i++)
        result = guest_add(table, report, order[i]);
    if (result < 0 || count == 0)
        return result;
    fputs("GUESTS: what they held, and what was done to them\n", out);
    view_table_fit(table, PAGE_WIDTH, NAME_WIDTH_MIN, expendable, ELEMENTSOF(expendable));
    result = view_table_print(table, &style, out);
    if (report_guest_count(report) > count)
        fprintf(out, "%" PRIu32 " more were there.\n", report_guest_count(report) - count);
    fputc('\n', out);
    return result;
}

/* ---- deeds ---- */

static void deeds_print(const struct report *report, FILE *out)
{
    char clock[TEXT_NUMBER_MAX], what[256], words[SENTENCE_MAX];

    fputs("WHAT WAS DECIDED\n", out);
    if (report->deeds->count == 0)
        fputs("  nothing\n", out);
    for (uint32_t i = 0; i < report->deeds->count; i++) {
        const struct deed *deed = &report->deeds->all[i];
        words_deed(deed, what, sizeof(what));
        (void)snprintf(words, sizeof(words), "%s  %s: %s", words_guest(report, deed->guest), what,
            reason_text(deed->reason));
        int length = fprintf(out, "%s  ", words_clock(report, deed->first, clock, sizeof(clock)));
        terminal_wrap(&style, words, length > 0 ? (unsigned)length : 0, CLOCK_WIDTH, out);
    }
    fputc('\n', out);
}

int page_text_print(const struct report *report, FILE *out)
{
    struct sentences sentences;
    char moment[TEXT_NUMBER_MAX];

    fprintf(out, "%sMEMORY SHORTAGE of %s\n\n",
        event_is_all_dry(report->event) ? "DRY RUN: NOTHING WAS DONE. " : "",
        text_format_moment(report->event->begin_realtime, moment, sizeof(moment)));
    words_summary(report, &sentences);
    sentences_print("WHAT HAPPENED", &sentences, out);
    words_without(report, &sentences);
    sentences_print("WITHOUT THE GUARD", &sentences, out);
    int result = guests_print(report, out);
    if (result < 0)
        return result;
    deeds_print(report, out);
    words_notes(report, &sentences);
    sentences_print("NOTES", &sentences, out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* ---- the list ---- */

int page_text_list(const struct events *events, FILE *out)
{
    if (events->count == 0)
        fputs("The record has no event: memory was never short in it.\n", out);
    else
        fputs("   N  BEGAN                LASTED      WORST     ACTED ON  LOST\n", out);
    for (uint32_t i = events->count; i-- > 0;) {
        const struct event *event = &events->all[i];
        const uint32_t *fates = event->loss.fates;
        char moment[TEXT_NUMBER_MAX], lasted[TEXT_NUMBER_MAX];
        fprintf(out, "%4" PRIu32 "  %s  %-10s  %-8s  %8" PRIu32 "  %4" PRIu32 "%s%s\n",
            events->count - i, text_format_moment(event->begin_realtime, moment, sizeof(moment)),
            text_format_time(sub_or_zero(event->end, event->begin), lasted, sizeof(lasted)),
            band_name(event->worst), event->loss.acted_on,
            fates[FATE_KILLED] + fates[FATE_SAVED] + fates[FATE_SHUT_DOWN],
            event->ending == EVENT_GOES_ON ? "  goes on" : "",
            event_is_dry(event) ? "  dry run" : "");
    }
    if (events->left_out > 0)
        fprintf(out, "%" PRIu64 " older ones are left out.\n", events->left_out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
