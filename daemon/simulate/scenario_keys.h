/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of a scenario's own keys: where each may stand, what reads it, where its value goes.
 */
#ifndef PLIMSOLL_SIMULATE_SCENARIO_KEYS_H
#define PLIMSOLL_SIMULATE_SCENARIO_KEYS_H

#include "config_parse.h"

#include <plimsoll/simulator.h>
#include <stddef.h>

/* Written out in a scenario; more is a trace. */
#define CURVE_POINTS_MAX 64
#define GUESTS_MAX 1024

enum scenario_section {
    SCENARIO_SIMULATION,
    SCENARIO_HOST,
    SCENARIO_GUEST,
    SCENARIO_SECTION_COUNT,
};

/* The value of demand=. */
struct curve {
    struct demand_point points[CURVE_POINTS_MAX];
    uint32_t count; /* 0: it is a trace */
    bool stepwise;
    uint64_t period;             /* of a wave; 0: it does not repeat by itself */
    char trace[CONFIG_TEXT_MAX]; /* as written */
};

/* Where the keys of [guest NAME] go. */
struct guest_section {
    struct scenario_guest guest; /* its demand has no points yet */
    struct curve curve;
    uint32_t count; /* so many alike */
    uint64_t scale; /* of its demand, in 1/10000 */
    uint32_t line, curve_line;
    struct demand_point *trace; /* as read; NULL: none */
    uint32_t trace_count;
};

struct scenario_key {
    const char *name;
    enum scenario_section section;
    config_parser parser;
    size_t offset; /* in struct scenario or struct guest_section */
};

/* NULL: there is none of this NAME in SECTION. */
const struct scenario_key *scenario_key_find(enum scenario_section section, const char *name);

/* The section of this HEAD; false: it is none of a scenario. Of a guest RET_NAME is its name. */
bool scenario_section_find(
    const char *head, enum scenario_section *ret_section, const char **ret_name);

#endif
