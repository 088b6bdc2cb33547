/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report as plain text, to be read in a mail; and the list of events. */
#ifndef PLIMSOLL_REPORT_PAGE_TEXT_H
#define PLIMSOLL_REPORT_PAGE_TEXT_H

#include <stdio.h>

#include "report.h"

/* Columns; mails are quoted, and terminals have 80. */
#define PAGE_WIDTH 78

/* 0, -ENOMEM, or another negative errno of writing. */
int page_text_print(const struct report *report, FILE *out);
int page_text_list(const struct events *events, FILE *out);

#endif
