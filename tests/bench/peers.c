/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays scenarios with Plimsoll's policy and with those of others, and prints for each scenario a
 * table of scores, and at the end where Plimsoll is not ahead. Without arguments it plays all that
 * stand in tests/bench/scenarios. Those that need traces are left out, aloud, without --traces.
 */
#include "peers.h"

#include "run.h"
#include "scenario_file.h"
#include "text.h"

#include <assert.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCHERS_MAX 8
#define CELL_MAX 32
#define LAGS_MAX 256

/* Columns of the table; of each, less is better. */
enum column {
    COLUMN_KERNEL_KILLS,
    COLUMN_LOSS,
    COLUMN_COST,
    COLUMN_CROSSINGS,
    COLUMN_BELOW,
    COLUMN_DENIED,
    COLUMN_OVERKILL,
    COLUMN_TURNS,
    COLUMN_MOVED,
    COLUMN_UNFAIRNESS,
    COLUMN_COUNT,
};

static const char *const column_names[] = {
    [COLUMN_KERNEL_KILLS] = "OOM",
    [COLUMN_LOSS] = "LOSS",
    [COLUMN_COST] = "COST",
    [COLUMN_CROSSINGS] = "CROSS",
    [COLUMN_BELOW] = "BELOW",
    [COLUMN_DENIED] = "DENIED",
    [COLUMN_OVERKILL] = "OVERKILL",
    [COLUMN_TURNS] = "TURNS",
    [COLUMN_MOVED] = "MOVED",
    [COLUMN_UNFAIRNESS] = "JAIN",
};
_Static_assert(ELEMENTSOF(column_names) == COLUMN_COUNT, "a name for each");

/* With the name, 80 columns. */
static const unsigned column_widths[COLUMN_COUNT] = {3, 6, 6, 5, 6, 6, 8, 5, 6, 5};

typedef bool (*peer_maker)(uint32_t guest_count, struct watcher *ret_watcher);
static const peer_maker makers[] = {peer_pve, peer_mom, peer_squeezed, peer_largest, peer_kernel};

struct result {
    const char *name;
    struct score score;
};

/* Where Plimsoll is behind. */
struct lag {
    char scenario[64];
    const char *best;
    enum column column;
    char ours[CELL_MAX], theirs[CELL_MAX];
};

struct bench {
    struct scenario_options options;
    struct lag lags[LAGS_MAX];
    unsigned lag_count, scenarios, mistakes;
};

static uint64_t column_value(const struct score *score, enum column column)
{
    switch (column) {
    case COLUMN_KERNEL_KILLS:
        return score->kernel_kills;
    case COLUMN_LOSS:
        return score->loss;
    case COLUMN_COST:
        return score->cost;
    case COLUMN_CROSSINGS:
        return score->crossings;
    case COLUMN_BELOW:
        return score->below;
    case COLUMN_DENIED:
        return score->denied;
    case COLUMN_OVERKILL:
        return score->overkill;
    case COLUMN_TURNS:
        return score->turns;
    case COLUMN_MOVED:
        return score->moved;
    case COLUMN_UNFAIRNESS:
        return FAIRNESS_WHOLE - score->fairness;
    case COLUMN_COUNT:
        break;
    }
    return 0;
}

static const char *column_format(const struct score *score, enum column column, char *cell)
{
    uint64_t value = column_value(score, column);

    switch (column) {
    case COLUMN_LOSS:
    case COLUMN_COST: /* in whole VM-minutes, rounded up: what was lost must not show as nothing */
        (void)snprintf(cell, CELL_MAX, "%" PRIu64, (value + 999) / 1000);
        break;
    case COLUMN_BELOW:
    case COLUMN_DENIED:
    case COLUMN_OVERKILL:
    case COLUMN_MOVED:
        (void)text_format_bytes(value, cell, CELL_MAX);
        break;
    case COLUMN_UNFAIRNESS:
        (void)snprintf(cell, CELL_MAX, "%u.%03u", score->fairness / FAIRNESS_WHOLE,
            score->fairness % FAIRNESS_WHOLE);
        break;
    case COLUMN_KERNEL_KILLS:
    case COLUMN_CROSSINGS:
    case COLUMN_TURNS:
    case COLUMN_COUNT:
        (void)snprintf(cell, CELL_MAX, "%" PRIu64, value);
        break;
    }
    return cell;
}

static bool result_make(const struct scenario *scenario, const struct rules *rules,
    const struct watcher *watcher, struct result *ret_result)
{
    struct simulator *simulator = run_scenario(scenario, rules, watcher, NULL, NULL);

    if (!simulator)
        return false;
    ret_result->name = watcher->name;
    simulator_score(simulator, &ret_result->score);
    free(simulator);
    return true;
}

/* Plimsoll first; returns how many there are, 0 without memory. */
static unsigned results_make(
    const struct scenario *scenario, const struct rules *rules, struct result *results)
{
    struct policy_watcher *policy CLEANUP(policy_watcher_free_at) =
        policy_watcher_new(scenario->guest_count);
    struct watcher watcher;
    unsigned count = 0;

    if (!policy)
        return 0;
    watcher = policy_watcher_get(policy);
    if (!result_make(scenario, rules, &watcher, &results[count++]))
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
        bool made = makers[i](scenario->guest_count, &watcher) &&
                    result_make(scenario, rules, &watcher, &results[count++]);
        free(watcher.own);
        if (!made)
            return 0;
    }
    return count;
}

static void lags_note(
    struct bench *bench, const char *scenario, const struct result *results, unsigned count)
{
    for (int column = 0; column < COLUMN_COUNT; column++) {
        unsigned best = 0;
        for (unsigned i = 1; i < count; i++)
            if (column_value(&results[i].score, (enum column)column) <
                column_value(&results[best].score, (enum column)column))
                best = i;
        if (best == 0 || bench->lag_count == LAGS_MAX)
            continue;
        struct lag *lag = &bench->lags[bench->lag_count++];
        (void)snprintf(lag->scenario, sizeof(lag->scenario), "%s", scenario);
        lag->best = results[best].name;
        lag->column = (enum column)column;
        (void)column_format(&results[0].score, lag->column, lag->ours);
        (void)column_format(&results[best].score, lag->column, lag->theirs);
    }
}

static void results_print(const char *scenario, const struct result *results, unsigned count)
{
    char cell[CELL_MAX];

    printf("%s\n%-13s", scenario, "");
    for (int column = 0; column < COLUMN_COUNT; column++)
        printf(" %*s", (int)column_widths[column], column_names[column]);
    putchar('\n');
    for (unsigned i = 0; i < count; i++) {
        printf("%-13s", results[i].name);
        for (int column = 0; column < COLUMN_COUNT; column++)
            printf(" %*s", (int)column_widths[column],
                column_format(&results[i].score, (enum column)column, cell));
        putchar('\n');
    }
    putchar('\n');
    (void)fflush(stdout);
}

static void mistake_print(const char *line, void *userdata)
{
    (void)userdata;
    fprintf(stderr, "%s\n", line);
}

static void scenario_play(struct bench *bench, const char *path)
{
    struct scenario_file *file CLEANUP(scenario_file_free_at) = NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct result results[WATCHERS_MAX];

    static_assert(ELEMENTSOF(makers) < WATCHERS_MAX, "room for all, and Plimsoll");
    if (scenario_file_load(path, &bench->options, mistake_print, NULL, &file) < 0) {
        printf("%s: left out: it cannot be read, or needs --traces\n\n", name);
        bench->mistakes++;
        return;
    }
    unsigned count = results_make(scenario_file_scenario(file), scenario_file_rules(file), results);
    if (count == 0) {
        printf("%s: left out: out of memory\n\n", name);
        bench->mistakes++;
        return;
    }
    bench->scenarios++;
    results_print(name, results, count);
    lags_note(bench, name, results, count);
}

static void lags_print(const struct bench *bench)
{
    printf("Plimsoll is ahead or equal in %u of %u figures; behind in\n",
        bench->scenarios * COLUMN_COUNT - bench->lag_count, bench->scenarios * COLUMN_COUNT);
    for (unsigned i = 0; i < bench->lag_count; i++) {
        const struct lag *lag = &bench->lags[i];
        printf("  %-18s %-9s %s, %s %s\n", lag->scenario, column_names[lag->column], lag->ours,
            lag->best, lag->theirs);
    }
}

int main(int argc, char **argv)
{
    static const struct option known_options[] = {
        {"traces", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct bench bench = {.mistakes = 0};
    glob_t all = {0};
    int option;

    while ((option = getopt_long(argc, argv, "", known_options, NULL)) != -1) {
        if (option != 't')
            return EXIT_FAILURE;
        bench.options.traces = optarg;
    }
    for (int i = optind; i < argc; i++)
        scenario_play(&bench, argv[i]);
    if (optind == argc && glob(SCENARIOS "/*.ini", 0, NULL, &all) == 0)
        for (size_t i = 0; i < all.gl_pathc; i++)
            scenario_play(&bench, all.gl_pathv[i]);
    globfree(&all);
    lags_print(&bench);
    return bench.scenarios > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
