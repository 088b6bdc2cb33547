/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report as one page of HTML, which needs nothing else. */
#ifndef PLIMSOLL_REPORT_PAGE_HTML_H
#define PLIMSOLL_REPORT_PAGE_HTML_H

#include <stdio.h>

#include "report.h"

/* 0 or a negative errno of writing. */
int page_html_print(const struct report *report, FILE *out);

#endif
