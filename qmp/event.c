/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: names of events to values. An event asks for nothing and nobody waits for it, so
 * one whose data is not as the schema has it is still that event, with its data unknown.
 */
#include "event.h"

#include "json.h"

#include <plimsoll/cleanup.h>

#include <assert.h>
#include <string.h>

static const char *const names[] = {
    [QMP_EVENT_STOP] = "STOP",
    [QMP_EVENT_RESUME] = "RESUME",
    [QMP_EVENT_SHUTDOWN] = "SHUTDOWN",
    [QMP_EVENT_RESET] = "RESET",
    [QMP_EVENT_BALLOON_CHANGE] = "BALLOON_CHANGE",
    [QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE] = "MEMORY_DEVICE_SIZE_CHANGE",
    [QMP_EVENT_MIGRATION] = "MIGRATION",
    [QMP_EVENT_DEVICE_DELETED] = "DEVICE_DELETED",
};
static_assert(ELEMENTSOF(names) == QMP_EVENT_OTHER, "one name for each known event");
static_assert(QMP_EVENT_OTHER + 1 == QMP_EVENT_COUNT, "what is not known comes last");

struct qmp_event_record qmp_event_parse(struct json_object *message)
{
    struct qmp_event_record record = {.event = 0, .balloon_actual = QMP_UNKNOWN};
    const char *name = "";
    (void)qmp_json_string(message, "event", &name);
    while (record.event < QMP_EVENT_OTHER && strcmp(names[record.event], name) != 0)
        record.event++;

    struct json_object *data;
    if (record.event == QMP_EVENT_BALLOON_CHANGE && qmp_json_object(message, "data", &data) == 0)
        (void)qmp_json_number(data, "actual", QMP_SIZE_MAX, &record.balloon_actual);
    return record;
}
