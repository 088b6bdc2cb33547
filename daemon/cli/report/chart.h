/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures of an event as SVG, each complete in itself, for a light page and a dark one. */
#ifndef PLIMSOLL_REPORT_CHART_H
#define PLIMSOLL_REPORT_CHART_H

#include <stdio.h>

#include "report.h"

/* The host's memory over time, with the floor and the bands. */
void chart_host_print(const struct report *report, FILE *out);
/* What GUEST held, and when it stood still. */
void chart_guest_print(const struct report *report, uint32_t guest, FILE *out);
/* TEXT with what XML means by its own characters written out. */
void chart_escape(const char *text, FILE *out);

#endif
