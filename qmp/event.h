/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of the peer (QAPI schema), as records.
 */
#ifndef PLIMSOLL_QMP_EVENT_H
#define PLIMSOLL_QMP_EVENT_H

#include <plimsoll/qmp.h>

struct json_object;

/* MESSAGE: a whole event, whose "event" is known to be a string. */
struct qmp_event_record qmp_event_parse(struct json_object *message);

#endif
