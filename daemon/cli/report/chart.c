/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the pictures. The host's is a hull: what is in use fills it from below, the floor is the
 * line near its top that is not to be crossed. Areas and lines are broken where the record has a
 * gap.
 */
#include "chart.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#include "text.h"
#include "words.h"

/* In pixels, at the width that they are meant for. */
#define HOST_WIDTH 960
#define HOST_HEIGHT 300
#define GUEST_WIDTH 460
#define GUEST_HEIGHT 112
#define MARGIN_LEFT 60
#define MARGIN_RIGHT 12
#define MARGIN_TOP 26
#define MARGIN_BOTTOM 40
#define GUEST_MARGIN 36 /* two lines: any name has one to itself */
#define BAND_HEIGHT 8

/* A frame into which times and bytes are drawn. */
struct plot {
    double left, top, width, height;
    uint64_t begin, end, whole;
};

static double plot_x(const struct plot *plot, uint64_t time)
{
    uint64_t span = plot->end > plot->begin ? plot->end - plot->begin : 1;

    return plot->left + plot->width * (double)sub_or_zero(time, plot->begin) / (double)span;
}

static double plot_y(const struct plot *plot, uint64_t bytes)
{
    double part = plot->whole > 0 ? (double)bytes / (double)plot->whole : 0;

    return plot->top + plot->height * (1 - (part < 1 ? part : 1));
}

void chart_escape(const char *text, FILE *out)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
            break;
        }
    }
}

/* The classes have one name in every picture, so that a page may hold many. */
static void begin_print(unsigned width, unsigned height, const char *label, FILE *out)
{
    fprintf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" role=\"img\" "
        "aria-label=\"",
        width, height);
    chart_escape(label, out);
    fputs(
        "\">\n<style>"
        ".t{font:12px sans-serif;fill:#59636e}.h{font:bold 13px sans-serif;fill:#1f2328}"
        ".g{fill:#0969da;opacity:.55}.o{fill:#8c959f;opacity:.55}"
        ".f{stroke:#cf222e;stroke-width:1.5;fill:none}.l{stroke:#0969da;stroke-width:1.5;fill:none}"
        ".x{stroke:#8c959f;stroke-width:1;fill:none}.d{stroke:#8c959f;stroke-dasharray:2 "
        "3;fill:none}"
        ".b0{fill:#2da44e}.b1{fill:#d4a72c}.b2{fill:#e16f24}.b3{fill:#cf222e}"
        ".s{fill:#cf222e;opacity:.22}.r{fill:#e16f24;opacity:.25}.e{fill:#8250df}"
        "@media(prefers-color-scheme:dark){.t{fill:#9198a1}.h{fill:#e6edf3}.l{stroke:#4493f8}"
        ".g{fill:#4493f8}.f{stroke:#f85149}}"
        "</style>\n",
        out);
}

static void __attribute__((format(printf, 5, 6)))
text_print(FILE *out, const char *class, double x, double y, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    text_finish(text, sizeof(text), vsnprintf(text, sizeof(text), format, arguments));
    va_end(arguments);
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    chart_escape(text, out);
    fputs("</text>\n", out);
}

/* Times below, bytes at the side. */
static void axes_print(const struct report *report, const struct plot *plot, FILE *out)
{
    char clock[TEXT_NUMBER_MAX], bytes[TEXT_NUMBER_MAX];

    for (unsigned i = 0; i <= 4; i++) {
        uint64_t time = plot->begin + (plot->end - plot->begin) / 4 * i;
        double x = plot_x(plot, time);
        fprintf(out, "<path class=\"d\" d=\"M%.1f %.1fV%.1f\"/>\n", x, plot->top,
            plot->top + plot->height);
        text_print(out, "t",
            x - (i == 4     ? 52
                    : i > 0 ? 24
                            : 0),
            plot->top + plot->height + BAND_HEIGHT + 18, "%s",
            words_clock(report, time, clock, sizeof(clock)));
    }
    for (unsigned i = 0; i <= 2; i++)
        text_print(out, "t", 4, plot_y(plot, plot->whole / 2 * i) + 4, "%s",
            text_format_bytes(plot->whole / 2 * i, bytes, sizeof(bytes)));
}

/* ---- the host ---- */

/* What is not known is drawn as nothing, and never as 0. */
static bool cell_is_measured(const struct host_cell *cell)
{
    return cell->any && known(cell->total) && known(cell->available) && known(cell->guests);
}

/* The top edge of an area in CELL: what all but the guests hold, or all that is held. */
static uint64_t edge_of(const struct host_cell *cell, bool all)
{
    uint64_t used = sub_or_zero(cell->total, cell->available);

    return all ? used : sub_or_zero(used, cell->guests);
}

/* One area from cell FIRST to LAST, between the lower edge and the upper. */
static void area_print(const struct report *report, const struct plot *plot, unsigned first,
    unsigned last, bool guests, FILE *out)
{
    const struct host_cell *cells = report->timeline->host;
    char letter = 'M';

    fprintf(out, "<path class=\"%s\" d=\"", guests ? "g" : "o");
    for (unsigned i = first; i <= last; i++) {
        if (!cell_is_measured(&cells[i]))
            continue;
        fprintf(out, "%c%.1f %.1f", letter, plot_x(plot, cells[i].worst_at),
            plot_y(plot, edge_of(&cells[i], guests)));
        letter = 'L';
    }
    for (unsigned i = last + 1; i-- > first;)
        if (cell_is_measured(&cells[i]))
            fprintf(out, "L%.1f %.1f", plot_x(plot, cells[i].worst_at),
                guests ? plot_y(plot, edge_of(&cells[i], false)) : plot->top + plot->height);
    fputs("Z\"/>\n", out);
}

static void areas_print(const struct report *report, const struct plot *plot, FILE *out)
{
    const struct host_cell *cells = report->timeline->host;
    unsigned first = 0, last = 0;
    bool any = false;

    for (unsigned i = 0; i <= TIMELINE_CELLS; i++) {
        bool breaks = i == TIMELINE_CELLS || (cells[i].any && cells[i].gap_before);
        if (breaks && any) {
            area_print(report, plot, first, last, false, out);
            area_print(report, plot, first, last, true, out);
            any = false;
        }
        if (i == TIMELINE_CELLS || !cell_is_measured(&cells[i]))
            continue;
        first = any ? first : i;
        last = i;
        any = true;
    }
}

/* Cells without a look of their own are as the one before, AT; but not in a gap. */
static unsigned cells_until_next(const struct host_cell *cells, unsigned at)
{
    unsigned next = at + 1;

    while (next < TIMELINE_CELLS && !cells[next].any)
        next++;
    return next < TIMELINE_CELLS && cells[next].gap_before ? 1 : next - at;
}

static void bands_print(const struct report *report, const struct plot *plot, FILE *out)
{
    const struct host_cell *cells = report->timeline->host;
    double step = plot->width / TIMELINE_CELLS;

    for (unsigned i = 0; i < TIMELINE_CELLS; i++) {
        if (!cells[i].any)
            continue;
        fprintf(out, "<rect class=\"b%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%u\"/>\n",
            (unsigned)cells[i].band, plot->left + step * i, plot->top + plot->height + 2,
            step * cells_until_next(cells, i) + 0.3, BAND_HEIGHT - 2);
    }
}

void chart_host_print(const struct report *report, FILE *out)
{
    const struct timeline *timeline = report->timeline;
    const struct plot plot = {
        .left = MARGIN_LEFT,
        .top = MARGIN_TOP,
        .width = HOST_WIDTH - MARGIN_LEFT - MARGIN_RIGHT,
        .height = HOST_HEIGHT - MARGIN_TOP - MARGIN_BOTTOM,
        .begin = timeline->begin,
        .end = timeline->end,
        .whole = timeline->total,
    };
    uint64_t out_at = report->without.time;

    begin_print(HOST_WIDTH, HOST_HEIGHT, "The host's memory over time", out);
    text_print(out, "h", MARGIN_LEFT, 16, "Memory of the host%s",
        event_is_all_dry(report->event) ? " (dry run: nothing was done)" : "");
    fprintf(out, "<rect class=\"g\" x=\"560\" y=\"7\" width=\"10\" height=\"10\"/>"
                 "<rect class=\"o\" x=\"640\" y=\"7\" width=\"10\" height=\"10\"/>"
                 "<path class=\"f\" d=\"M740 12h16\"/>\n");
    text_print(out, "t", 574, 16, "guests");
    text_print(out, "t", 654, 16, "all else");
    text_print(out, "t", 760, 16, "the line: total less floor");
    axes_print(report, &plot, out);
    areas_print(report, &plot, out);
    fprintf(out, "<rect class=\"x\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
        plot.left, plot.top, plot.width, plot.height);
    if (known(timeline->floor))
        fprintf(out, "<path class=\"f\" d=\"M%.1f %.1fh%.1f\"/>\n", plot.left,
            plot_y(&plot, sub_or_zero(timeline->total, timeline->floor)), plot.width);
    if (report->without.outcome == WITHOUT_OUT && out_at <= timeline->end) {
        double x = plot_x(&plot, out_at);
        fprintf(out, "<path class=\"f\" stroke-dasharray=\"4 3\" d=\"M%.1f %.1fV%.1f\"/>\n", x,
            plot.top, plot.top + plot.height);
        text_print(out, "h", x > HOST_WIDTH / 2.0 ? x - 226 : x + 6, plot.top + plot.height - 8,
            "without the guard: out of memory");
    }
    bands_print(report, &plot, out);
    fputs("</svg>\n", out);
}

/* ---- a guest ---- */

static void marks_print(
    const struct report *report, const struct guest_line *line, const struct plot *plot, FILE *out)
{
    const struct host_cell *host = report->timeline->host;
    double step = plot->width / TIMELINE_CELLS;

    for (unsigned i = 0; i < TIMELINE_CELLS; i++) {
        uint32_t marks = line->cells[i].marks;
        if (marks == 0)
            continue;
        double width = step * cells_until_next(host, i) + 0.3;
        if (marks & (GUEST_STILL | GUEST_BRAKED))
            fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                marks & GUEST_STILL ? "s" : "r", plot->left + step * i, plot->top, width,
                plot->height);
        if (marks & GUEST_HELD)
            fprintf(out, "<rect class=\"e\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"3\"/>\n",
                plot->left + step * i, plot->top + plot->height - 3, width);
    }
}

/* Least and most of each cell, in the order in which they were. */
static void held_print(
    const struct report *report, const struct guest_line *line, const struct plot *plot, FILE *out)
{
    const struct host_cell *host = report->timeline->host;
    bool broken = true;

    fputs("<path class=\"l\" d=\"", out);
    for (unsigned i = 0; i < TIMELINE_CELLS; i++) {
        const struct line_cell *cell = &line->cells[i].held;
        if (!cell->any)
            continue;
        bool rises = cell->least_at <= cell->most_at;
        int64_t first = rises ? cell->least : cell->most, second = rises ? cell->most : cell->least;
        uint64_t first_at = rises ? cell->least_at : cell->most_at;
        uint64_t second_at = rises ? cell->most_at : cell->least_at;
        broken |= host[i].gap_before;
        fprintf(out, "%c%.1f %.1fL%.1f %.1f", broken ? 'M' : 'L', plot_x(plot, first_at),
            plot_y(plot, first > 0 ? (uint64_t)first : 0), plot_x(plot, second_at),
            plot_y(plot, second > 0 ? (uint64_t)second : 0));
        broken = false;
    }
    fputs("\"/>\n", out);
}

/* A line where something was decided that harms it. */
static void deeds_print(
    const struct report *report, uint32_t guest, const struct plot *plot, FILE *out)
{
    char what[256];

    for (uint32_t i = 0; i < report->deeds->count; i++) {
        const struct deed *deed = &report->deeds->all[i];
        if (deed->guest != guest || deed->kind == ACTION_ALERT)
            continue;
        words_deed(deed, what, sizeof(what));
        fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1fv-6\"><title>",
            deed_harms(deed->kind) ? "f" : "x", plot_x(plot, deed->first), plot->top);
        chart_escape(what, out);
        fputs("</title></path>\n", out);
    }
}

void chart_guest_print(const struct report *report, uint32_t guest, FILE *out)
{
    const struct timeline *timeline = report->timeline;
    const struct guest_line *line = &timeline->guests[guest];
    const struct guest *who = &report->guests->all[guest];
    char most[TEXT_NUMBER_MAX], maximum[TEXT_NUMBER_MAX];
    uint64_t held = line->any && line->most_held > 0 ? (uint64_t)line->most_held : 0;
    const struct plot plot = {
        .left = 1,
        .top = GUEST_MARGIN + 8,
        .width = GUEST_WIDTH - 2,
        .height = GUEST_HEIGHT - GUEST_MARGIN - 10,
        .begin = timeline->begin,
        .end = timeline->end,
        .whole = known(who->maximum) && who->maximum > held ? who->maximum : held,
    };

    begin_print(GUEST_WIDTH, GUEST_HEIGHT, who->name, out);
    text_print(out, "h", 2, 14, "%.60s", who->name);
    text_print(out, "t", 2, 30, "%.31s, held at most %s of %s", who->class_name,
        text_format_bytes(held, most, sizeof(most)),
        text_format_bytes(who->maximum, maximum, sizeof(maximum)));
    if (line->any && line->cells) {
        marks_print(report, line, &plot, out);
        held_print(report, line, &plot, out);
        deeds_print(report, guest, &plot, out);
    }
    fprintf(out,
        "<rect class=\"x\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n</svg>\n",
        plot.left, plot.top, plot.width, plot.height);
}
