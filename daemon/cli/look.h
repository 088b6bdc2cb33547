/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which colours mean what, the same in every view: worse is hotter. Colours have the names by which
 * smartcols knows them.
 */
#ifndef PLIMSOLL_CLI_LOOK_H
#define PLIMSOLL_CLI_LOOK_H

#include <json-c/json.h>
#include <stdint.h>

/* Of the member "band" of OBJECT; NULL: none is known. */
const char *look_band(struct json_object *object);
/* Of a guest's state, where somebody may be waiting for it; else NULL. */
const char *look_state(struct json_object *vm);
/* Of a level of syslog's; NULL: nothing that stands out. */
const char *look_level(uint64_t level);
/* The number of a terminal's sequence ("31") for a colour that any of these returned. */
const char *look_code(const char *colour);

#endif
