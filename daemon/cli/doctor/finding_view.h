/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings as text for a person, or as JSON. */
#ifndef PLIMSOLL_CLI_DOCTOR_FINDING_VIEW_H
#define PLIMSOLL_CLI_DOCTOR_FINDING_VIEW_H

#include "finding.h"
#include "terminal.h"

/* Worst first, and a summary; ALL: also what is fine. 0 or a negative errno of writing. */
int findings_print(const struct findings *findings, const struct style *style, bool all, FILE *out);

/* An array of { check, severity, subject, found, why, mend }, in the order of the checks; NULL: no
 * memory. */
struct json_object *findings_json(const struct findings *findings, bool all);

/* Of all findings; FINE where there are none. */
enum severity findings_worst(const struct findings *findings);

#endif
