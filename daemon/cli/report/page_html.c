/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the page: well-formed XHTML, so that anything can read it, without scripts. */
#include "page_html.h"

#include <errno.h>
#include <inttypes.h>

#include "chart.h"
#include "text.h"
#include "words.h"

/* Guests that have a picture: what a person may scroll through. */
#define PICTURES_MAX 40

static const char head[] =
    "<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width\"/>\n"
    "<style>body{font:15px/1.45 sans-serif;max-width:980px;margin:2em auto;padding:0 1em;"
    "color:#1f2328;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.8em}"
    "svg{width:100%;height:auto}.guests{display:grid;"
    "grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:14px 20px}"
    ".wide{overflow-x:auto}.wide svg{min-width:800px}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:3px 10px 3px 0;vertical-align:top;"
    "border-bottom:1px solid #d1d9e0}td:first-child{white-space:nowrap}"
    "td:nth-child(2){overflow-wrap:anywhere;min-width:7em}"
    ".dry{background:#fff8c5;padding:.5em "
    ".8em;font-weight:bold}.small{color:#59636e;font-size:13px}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "td,th{border-color:#3d444d}.dry{background:#4b3a00}.small{color:#9198a1}}"
    "@media print{body{max-width:none}}</style>\n";

static void element_print(const char *element, const char *text, FILE *out)
{
    fprintf(out, "<%s>", element);
    chart_escape(text, out);
    fprintf(out, "</%s>\n", element);
}

static void sentences_print(const char *title, const struct sentences *sentences, FILE *out)
{
    element_print("h2", title, out);
    for (unsigned i = 0; i < sentences->count; i++)
        element_print("p", sentences->all[i], out);
}

static void guests_print(const struct report *report, FILE *out)
{
    uint32_t order[PICTURES_MAX];
    uint32_t count = report_guests_rank(report, order, PICTURES_MAX);

    element_print("h2", "Guests", out);
    fputs("<p class=\"small\">What each held. Red: it stood still; orange: it was slowed down; "
          "violet, "
          "below: its balloon held something back; ticks above: something was decided.</p>\n"
          "<div class=\"guests\">\n",
        out);
    for (uint32_t i = 0; i < count; i++) {
        fputs("<div>", out);
        chart_guest_print(report, order[i], out);
        fputs("</div>\n", out);
    }
    fputs("</div>\n", out);
    if (report_guest_count(report) > count)
        fprintf(out, "<p>%" PRIu32 " more were there.</p>\n", report_guest_count(report) - count);
}

static void deed_print(const struct report *report, const struct deed *deed, FILE *out)
{
    char clock[TEXT_NUMBER_MAX], what[256];

    words_deed(deed, what, sizeof(what));
    fputs("<tr>", out);
    element_print("td", words_clock(report, deed->first, clock, sizeof(clock)), out);
    element_print("td", words_guest(report, deed->guest), out);
    element_print("td", what, out);
    element_print("td", reason_text(deed->reason), out);
    fputs("</tr>\n", out);
}

static void deeds_print(const struct report *report, FILE *out)
{
    element_print("h2", "What was decided", out);
    if (report->deeds->count == 0) {
        element_print("p", "Nothing.", out);
        return;
    }
    fputs("<div "
          "class=\"wide\"><table>\n<tr><th>Time</th><th>Guest</th><th>What</th><th>Why</th></tr>\n",
        out);
    for (uint32_t i = 0; i < report->deeds->count; i++)
        deed_print(report, &report->deeds->all[i], out);
    fputs("</table></div>\n", out);
}

int page_html_print(const struct report *report, FILE *out)
{
    struct sentences sentences;
    char moment[TEXT_NUMBER_MAX], title[128];

    (void)snprintf(title, sizeof(title), "Memory shortage of %s",
        text_format_moment(report->event->begin_realtime, moment, sizeof(moment)));
    fprintf(out,
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n%s",
        head);
    element_print("title", title, out);
    fputs("</head>\n<body>\n", out);
    element_print("h1", title, out);
    if (event_is_all_dry(report->event))
        fputs("<p class=\"dry\">Dry run: nothing of this was done to any guest.</p>\n", out);
    words_summary(report, &sentences);
    for (unsigned i = 0; i < sentences.count; i++)
        element_print("p", sentences.all[i], out);
    fputs("<div class=\"wide\">", out);
    chart_host_print(report, out);
    fputs("</div>\n", out);
    words_without(report, &sentences);
    sentences_print("Without the guard", &sentences, out);
    guests_print(report, out);
    deeds_print(report, out);
    words_notes(report, &sentences);
    sentences_print("About this page", &sentences, out);
    fputs("</body>\n</html>\n", out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
