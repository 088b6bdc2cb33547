/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report, or the list of events, as JSON: bytes, nanoseconds, times since 1970. */
#ifndef PLIMSOLL_REPORT_PAGE_JSON_H
#define PLIMSOLL_REPORT_PAGE_JSON_H

#include <json-c/json.h>

#include "report.h"

/* NULL without memory. REPORT may be NULL: then there is the list alone. */
struct json_object *page_json(const struct events *events, const struct report *report);

#endif
