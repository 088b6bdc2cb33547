/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll simulate SCENARIO`: plays a scenario through with the policy of the guard and prints
 * what it came to. Needs no guard and no rights: all of it is in this process.
 */
#include "command.h"
#include "progress.h"
#include "run.h"
#include "scenario_file.h"
#include "simulate_view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The scores are to be pasted, too: as wide as people's terminals, whatever this one is. */
#define TABLE_WIDTH 80

static void mistake_print(const char *line, void *userdata)
{
    (void)userdata;
    fprintf(stderr, "%s\n", line);
}

static int arguments_parse(
    int argc, char **argv, struct scenario_options *options, bool *ret_actions)
{
    static const struct option known_options[] = {
        {"config", required_argument, NULL, 'c'},
        {"traces", required_argument, NULL, 't'},
        {"actions", no_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 't':
            options->traces = optarg;
            break;
        case 'a':
            *ret_actions = true;
            break;
        default:
            return command_usage_error("see `plimsoll help simulate`");
        }
    }
    if (argc - optind != 1)
        return command_usage_error("simulate needs one SCENARIO");
    return COMMAND_OK;
}

/* The policy watches; how far it has come is seen by the time that it is shown. */
struct playing {
    struct simulation *simulation;
    struct watcher policy;
    struct progress progress;
    uint64_t begun; /* virtual time of the first look; UNKNOWN: there was none */
    bool tells;
};

static void playing_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    struct playing *playing = own;

    if (playing->begun == UNKNOWN)
        playing->begun = snapshot->time;
    playing->policy.decide(snapshot, rules, playing->policy.own, ret_plan);
    progress_update(&playing->progress, snapshot->time - playing->begun,
        playing->simulation->scenario->duration);
}

static void playing_plan(const struct plan *plan, uint64_t since_start, void *userdata)
{
    struct playing *playing = userdata;

    if (!playing->tells)
        return;
    progress_hide(&playing->progress);
    simulate_view_plan(plan, since_start, playing->simulation);
}

static int simulation_print(const struct simulation *simulation, bool json)
{
    static const struct style style = {.width = TABLE_WIDTH};
    int result = 0;

    if (json) {
        struct json_object *answer = simulate_view_json(simulation);
        result = answer ? 0 : -ENOMEM;
        if (answer)
            puts(json_object_to_json_string_ext(
                answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(answer);
    } else {
        result = simulate_view_print(simulation, &style, stdout);
    }
    if (result < 0)
        fprintf(stderr, "plimsoll: cannot print the scores: %s\n", strerror(-result));
    return result < 0 ? COMMAND_FAILED : COMMAND_OK;
}

int command_simulate(const struct command_context *context, int argc, char **argv)
{
    struct scenario_file *file CLEANUP(scenario_file_free_at) = NULL;
    struct policy_watcher *policy CLEANUP(policy_watcher_free_at) = NULL;
    struct scenario_options options = {0};
    bool actions = false;
    int result = arguments_parse(argc, argv, &options, &actions);

    if (result != COMMAND_OK)
        return result;
    const char *path = argv[optind];
    if (scenario_file_load(path, &options, mistake_print, NULL, &file) < 0)
        return COMMAND_FAILED;
    struct simulation simulation = {
        .path = path, .scenario = scenario_file_scenario(file), .rules = scenario_file_rules(file)};
    policy = policy_watcher_new(simulation.scenario->guest_count);
    if (!policy) {
        fputs("plimsoll: out of memory\n", stderr);
        return COMMAND_FAILED;
    }
    struct playing playing = {
        .simulation = &simulation,
        .policy = policy_watcher_get(policy),
        .progress = progress_begin("Simulating"),
        .begun = UNKNOWN,
        .tells = actions && !context->json,
    };
    struct watcher watcher = playing.policy;
    watcher.decide = playing_decide;
    watcher.own = &playing;
    struct simulator *simulator =
        run_scenario(simulation.scenario, simulation.rules, &watcher, playing_plan, &playing);
    progress_hide(&playing.progress);
    if (!simulator) {
        fputs("plimsoll: out of memory\n", stderr);
        return COMMAND_FAILED;
    }
    if (playing.tells)
        putchar('\n');
    simulation.simulator = simulator;
    result = simulation_print(&simulation, context->json);
    free(simulator);
    return result;
}
