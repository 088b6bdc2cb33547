/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stays of the traces in a folder, as hours pass on a host without guests. */
#include "record_folder.h"
#include "replay.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT (8 * MIB)
#define STEP (30 * NSEC_PER_SEC)
#define CAPACITY 1
/* 2026-11-22 12:00:00 */
#define REALTIME_BEGIN (UINT64_C(1795348800) * NSEC_PER_SEC)
#define TRACES_MAX 64

static char folder_path[SCRATCH_FOLDER_MAX], traces[SCRATCH_FOLDER_MAX + 8];
static struct record_folder *folder;
static struct snapshot *snapshot;
static struct rules *rules;
static struct plan *plan;
static struct policy_state *state;
static void *buffer;
static bool stretch;

static void setup(void)
{
    scratch_make("folder", folder_path);
    (void)snprintf(traces, sizeof(traces), "%s/traces", folder_path);
    snapshot = calloc(1, snapshot_size(CAPACITY));
    rules = calloc(1, rules_size(CAPACITY));
    plan = calloc(1, plan_size(CAPACITY));
    state = malloc(policy_state_size(CAPACITY));
    buffer = malloc(record_frame_size_max(CAPACITY));
    ck_assert(snapshot && rules && plan && state && buffer);
    (void)policy_state_init(state, CAPACITY);
    host_rules_default(&rules->host);
    snapshot->vm_capacity = rules->vm_capacity = CAPACITY;
    snapshot->time = 1000 * NSEC_PER_SEC;
    snapshot->realtime = REALTIME_BEGIN;
    plan->action_capacity = plan_action_capacity(CAPACITY);
    stretch = true;
    ck_assert_int_eq(record_folder_new(traces, LIMIT, CAPACITY, &folder), 0);
}

static void teardown(void)
{
    folder = record_folder_free(folder);
    free(buffer);
    free(state);
    free(plan);
    free(rules);
    free(snapshot);
    scratch_remove(folder_path);
}

/* STEP later, with an action of KIND; ACTION_KIND_COUNT: none. */
static int frame_pass(enum action_kind kind)
{
    snapshot->time += STEP;
    snapshot->realtime += STEP;
    snapshot->sequence++;
    plan->action_count = kind < ACTION_KIND_COUNT;
    plan->actions[0] = (struct action){.kind = kind, .slot = ACTION_SLOT_HOST};
    struct record_frame *frame =
        record_frame_begin(buffer, snapshot, rules, stretch ? state : NULL);
    record_frame_end(frame, plan);
    return record_folder_write(folder, frame, &stretch);
}

static void time_pass(uint64_t time)
{
    for (uint64_t passed = 0; passed < time; passed += STEP)
        ck_assert_int_eq(frame_pass(ACTION_KIND_COUNT), 0);
}

/* The traces that are there, in order of their names. */
static unsigned traces_list(char names[TRACES_MAX][NAME_MAX + 1])
{
    struct dirent **entries = NULL;
    unsigned count = 0;
    int found = scandir(traces, &entries, NULL, alphasort);

    ck_assert_int_ge(found, 0);
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.') {
            ck_assert_uint_lt(count, TRACES_MAX);
            memcpy(names[count++], entries[i]->d_name, strlen(entries[i]->d_name) + 1);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

static unsigned traces_count(void)
{
    char names[TRACES_MAX][NAME_MAX + 1];

    return traces_list(names);
}

START_TEST(calm_leaves_two_traces)
{
    char names[TRACES_MAX][NAME_MAX + 1];
    struct stat status;

    time_pass(60 * NSEC_PER_MINUTE);
    ck_assert_uint_eq(traces_list(names), 2);
    ck_assert_str_eq(names[1], "trace-20261122T125530.000000000Z.ndjson");
    ck_assert_int_eq(stat(traces, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
}
END_TEST

START_TEST(a_score_is_no_event)
{
    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(frame_pass(ACTION_OOM_SCORE), 0);
    ck_assert_uint_eq(traces_count(), 2);
}
END_TEST

/* The trace of the event and the one before it; and the last two. */
START_TEST(the_minutes_before_an_event_stay)
{
    time_pass(60 * NSEC_PER_MINUTE);
    ck_assert_int_eq(frame_pass(ACTION_PAUSE), 0);
    time_pass(60 * NSEC_PER_MINUTE);
    ck_assert_uint_eq(traces_count(), 4);
}
END_TEST

START_TEST(each_trace_is_whole)
{
    char names[TRACES_MAX][NAME_MAX + 1], path[SCRATCH_FOLDER_MAX + NAME_MAX + 16];

    time_pass(20 * NSEC_PER_MINUTE);
    (void)frame_pass(ACTION_PAUSE);
    time_pass(20 * NSEC_PER_MINUTE);
    folder = record_folder_free(folder);
    unsigned count = traces_list(names);
    ck_assert_uint_gt(count, 2);
    for (unsigned i = 0; i < count; i++) {
        struct replay_score score;
        struct error error = {0};
        (void)snprintf(path, sizeof(path), "%s/%.255s", traces, names[i]);
        FILE *in = fopen(path, "re");
        ck_assert_ptr_nonnull(in);
        ck_assert_msg(replay_run(in, NULL, NULL, &score, &error) == 0, "%s: %s", path, error.text);
        ck_assert(!score.cut && score.stretches == 1);
        (void)fclose(in);
    }
}
END_TEST

static uint64_t traces_bytes(void)
{
    char names[TRACES_MAX][NAME_MAX + 1], path[SCRATCH_FOLDER_MAX + NAME_MAX + 16];
    unsigned count = traces_list(names);
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%.255s", traces, names[i]);
        ck_assert_int_eq(stat(path, &status), 0);
        bytes += (uint64_t)status.st_size;
    }
    return bytes;
}

/* Old traces, of 1 MiB each, as an earlier guard left them. */
START_TEST(the_oldest_go_at_the_limit)
{
    char names[TRACES_MAX][NAME_MAX + 1], path[SCRATCH_FOLDER_MAX + 64];
    char *bytes = calloc(1, MIB);

    ck_assert_ptr_nonnull(bytes);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(
            path, sizeof(path), "%s/trace-20200101T0000%02u.000000000Z.ndjson", traces, i);
        scratch_make_parents(path);
        scratch_write_bytes(path, bytes, MIB);
    }
    (void)snprintf(path, sizeof(path), "%s/notes.txt", traces);
    scratch_write_bytes(path, bytes, MIB);
    free(bytes);
    ck_assert_int_eq(frame_pass(ACTION_PAUSE), 0);
    ck_assert_uint_eq(traces_list(names), 8);
    ck_assert_str_eq(names[0], "notes.txt");
    ck_assert_str_eq(names[1], "trace-20200101T000014.000000000Z.ndjson");
    ck_assert_uint_lt(traces_bytes(), LIMIT);
}
END_TEST

/* As on a host with many guests: each trace takes an eighth of the limit. */
static void traces_swell(void)
{
    char names[TRACES_MAX][NAME_MAX + 1], path[SCRATCH_FOLDER_MAX + NAME_MAX + 16];
    unsigned count = traces_list(names);

    for (unsigned i = 0; i + 1 < count; i++) {
        (void)snprintf(path, sizeof(path), "%s/%.255s", traces, names[i]);
        ck_assert_int_eq(truncate(path, LIMIT / 8), 0);
    }
}

START_TEST(of_what_goes_on_the_beginning_stays)
{
    char before[TRACES_MAX][NAME_MAX + 1], names[TRACES_MAX][NAME_MAX + 1];

    time_pass(60 * NSEC_PER_MINUTE);
    ck_assert_uint_eq(traces_list(before), 2);
    for (unsigned i = 0; i < 400; i++) {
        /* A trace in which nothing is decided is no end of it. */
        bool quiet = i >= 100 && i < 112;
        ck_assert_int_eq(frame_pass(quiet ? ACTION_KIND_COUNT : ACTION_PAUSE), 0);
        traces_swell();
    }
    ck_assert_uint_gt(traces_list(names), 3);
    ck_assert_str_eq(names[0], before[0]);
    ck_assert_str_eq(names[1], before[1]);
    ck_assert_uint_lt(traces_bytes(), LIMIT);
    /* Once it is over they are as old as others. */
    time_pass(20 * NSEC_PER_MINUTE);
    traces_swell();
    for (unsigned i = 0; i < 400; i++) {
        ck_assert_int_eq(frame_pass(ACTION_PAUSE), 0);
        traces_swell();
    }
    (void)traces_list(names);
    ck_assert_str_ne(names[0], before[0]);
}
END_TEST

START_TEST(a_folder_that_cannot_be_is_told_once_a_minute)
{
    scratch_write(traces, "a file");
    ck_assert_int_eq(frame_pass(ACTION_KIND_COUNT), -ENOTDIR);
    ck_assert_int_eq(frame_pass(ACTION_KIND_COUNT), 0);
    ck_assert(!stretch);
    ck_assert_int_eq(frame_pass(ACTION_KIND_COUNT), 0);
    ck_assert(stretch); /* a minute has passed */
    ck_assert_int_eq(frame_pass(ACTION_KIND_COUNT), -ENOTDIR);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folder");
    TCase *tests = tcase_create("folder");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, calm_leaves_two_traces);
    tcase_add_test(tests, a_score_is_no_event);
    tcase_add_test(tests, the_minutes_before_an_event_stay);
    tcase_add_test(tests, each_trace_is_whole);
    tcase_add_test(tests, the_oldest_go_at_the_limit);
    tcase_add_test(tests, of_what_goes_on_the_beginning_stays);
    tcase_add_test(tests, a_folder_that_cannot_be_is_told_once_a_minute);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
