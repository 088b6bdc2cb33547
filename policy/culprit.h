/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What, outside the guests, fills the host: for the alert that must name it. No rung depends on it.
 */
#ifndef PLIMSOLL_POLICY_CULPRIT_H
#define PLIMSOLL_POLICY_CULPRIT_H

#include "state.h"

/* Looks at what meminfo shows, less the guests' part, at most once in CULPRIT_INTERVAL. The
 * assessment names whom culprit_seen() has named in the last LEAK_MEMORY, else nobody. */
void culprit_observe(struct decision *d);

/* A leak was seen that fills the host by OUTSIDE bytes per second: the assessment names who. */
void culprit_seen(struct decision *d, int64_t outside);

/* Nothing need grow any more: the assessment names who was last seen, else who holds most. */
void culprit_recall(struct decision *d);

#endif
