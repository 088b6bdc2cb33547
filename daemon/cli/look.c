/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the meaning of colours.
 */
#include "look.h"

#include <string.h>
#include <syslog.h>

#include "field.h"

const char *look_band(struct json_object *object)
{
    if (field_is(object, "band", "critical"))
        return "red";
    if (field_is(object, "band", "scarce"))
        return "magenta";
    if (field_is(object, "band", "tight"))
        return "yellow";
    return field_is(object, "band", "calm") ? "green" : NULL;
}

const char *look_state(struct json_object *vm)
{
    if (field_is(vm, "state", "paused") || field_is(vm, "state", "frozen") ||
        field_is(vm, "state", "stopping"))
        return "yellow";
    return field_is(vm, "state", "killed") || field_is(vm, "state", "failed") ? "red" : NULL;
}

const char *look_level(uint64_t level)
{
    if (level <= LOG_ERR)
        return "red";
    return level == LOG_WARNING ? "yellow" : NULL;
}

const char *look_code(const char *colour)
{
    static const struct {
        const char *name, *code;
    } codes[] = {
        {"red", "31"},
        {"green", "32"},
        {"yellow", "33"},
        {"magenta", "35"},
        {"cyan", "36"},
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].name, colour) == 0)
            return codes[i].code;
    return "39"; /* the terminal's own */
}
