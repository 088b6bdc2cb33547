/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a simulation came to, for a person and as JSON. */
#ifndef PLIMSOLL_CLI_SIMULATE_VIEW_H
#define PLIMSOLL_CLI_SIMULATE_VIEW_H

#include "status_view.h"

#include <plimsoll/simulator.h>

struct simulation {
    const char *path; /* of the scenario */
    const struct scenario *scenario;
    const struct rules *rules;
    const struct simulator *simulator; /* at its end */
};

/* 0, -ENOMEM, or another negative errno of writing. */
int simulate_view_print(const struct simulation *simulation, const struct style *style, FILE *out);
/* NULL without memory. */
struct json_object *simulate_view_json(const struct simulation *simulation);
/* One line for each action of PLAN but changes of oom_score_adj: a simulator_witness whose
 * USERDATA is the struct simulation. */
void simulate_view_plan(const struct plan *plan, uint64_t since_start, void *userdata);

#endif
