/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scenario out of its file, and the rules that hold in it. The file is INI as the configuration
 * is, by the same reader: [simulation], [host] and [guest NAME] say what happens, and [guard],
 * [class NAME], [vm NAME] and the rest what the operator wants, as in plimsoll.conf. Modes are not
 * heeded: all is enforced, nothing is at stake.
 */
#ifndef PLIMSOLL_SIMULATE_SCENARIO_FILE_H
#define PLIMSOLL_SIMULATE_SCENARIO_FILE_H

#include "config.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/simulator.h>

struct scenario_file;

struct scenario_options {
    const char *config; /* rules come from this configuration instead; NULL: from the scenario */
    const char *traces; /* traces are looked for here; NULL: beside the scenario */
};

/* Reports mistakes as config_load() does. 0, -EINVAL for mistakes, or another negative errno,
 * reported too. */
int scenario_file_load(const char *path, const struct scenario_options *options, config_sink sink,
    void *userdata, struct scenario_file **ret_file);
struct scenario_file *scenario_file_free(struct scenario_file *file);
DEFINE_CLEANUP(struct scenario_file *, scenario_file_free);

/* Both stay the file's. */
const struct scenario *scenario_file_scenario(const struct scenario_file *file);
const struct rules *scenario_file_rules(const struct scenario_file *file);

#endif
