/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See trace_scene.h. */
#include "trace_scene.h"

#include <check.h>
#include <plimsoll/simulator.h>
#include <stdlib.h>
#include <string.h>

#define GUESTS 4

static struct demand_point curves[GUESTS][2];
static struct scenario_guest guests[GUESTS];
static struct scenario scenario;
static struct rules *rules;

/* Four guests of 6 GiB grow to 5 on a host of 16, so balloons, pauses and more are decided. */
static void scenario_make(void)
{
    scenario = (struct scenario){.duration = 90 * NSEC_PER_SEC,
        .step = 20 * NSEC_PER_MSEC,
        .seed = 7,
        .host = {.total = 16 * GIB, .kernel = GIB, .cache = GIB, .cache_rate = 100 * MIB},
        .guests = guests,
        .guest_count = GUESTS};
    rules = calloc(1, rules_size(GUESTS));
    ck_assert_ptr_nonnull(rules);
    host_rules_default(&rules->host);
    rules->host.mode = MODE_ENFORCE;
    rules->vm_capacity = GUESTS;
    for (int i = 0; i < GUESTS; i++) {
        curves[i][0] = (struct demand_point){0, GIB};
        curves[i][1] = (struct demand_point){40 * NSEC_PER_SEC, 5 * GIB};
        guests[i] = (struct scenario_guest){.name = "guest",
            .start = (uint64_t)i * NSEC_PER_SEC,
            .maximum = 6 * GIB,
            .overhead = 64 * MIB,
            .touch_rate = 2 * GIB,
            .balloon_rate = GIB,
            .demand = {.points = curves[i], .count = 2, .noise = 8 * MIB}};
        vm_rules_default(&rules->vms[i]);
        rules->vms[i].mode = MODE_ENFORCE;
        rules->vms[i].priority = (uint32_t)(i + 1) * 50;
    }
}

struct recording {
    struct policy_state *state;
    struct policy_scratch *scratch;
    void *frame;
    struct record_writer *writer;
    FILE *out;
    uint64_t stride, frames;
};

/* As guard_reckon() does. */
static void recording_decide(
    const struct snapshot *snapshot, const struct rules *in_force, void *own, struct plan *ret_plan)
{
    struct recording *recording = own;
    uint64_t number = recording->frames++;
    bool begins = number == 0 || (recording->stride > 0 && number % recording->stride == 0);
    struct record_frame *frame =
        record_frame_begin(recording->frame, snapshot, in_force, begins ? recording->state : NULL);

    policy_decide(snapshot, in_force, recording->state, recording->scratch, ret_plan);
    record_frame_end(frame, ret_plan);
    ck_assert_uint_le(record_frame_size(frame), record_frame_size_max(GUESTS));
    ck_assert_int_eq(record_write_frame(recording->writer, frame, recording->out), 0);
}

static void scenario_run(struct recording *recording)
{
    struct watcher watcher = {.name = "recorded", .decide = recording_decide, .own = recording};
    void *buffer = malloc(simulator_size(GUESTS));

    ck_assert_ptr_nonnull(buffer);
    struct simulator *simulator = simulator_init(buffer, &scenario, rules);
    while (simulator_step(simulator, &watcher, NULL, NULL))
        ;
    free(buffer);
}

struct trace trace_record(uint64_t stride)
{
    struct trace trace = {0};
    struct recording recording = {.state = malloc(policy_state_size(GUESTS)),
        .scratch = malloc(policy_scratch_size(GUESTS)),
        .frame = malloc(record_frame_size_max(GUESTS)),
        .out = open_memstream(&trace.text, &trace.size),
        .stride = stride};

    ck_assert(recording.state && recording.scratch && recording.frame && recording.out);
    (void)policy_state_init(recording.state, GUESTS);
    (void)policy_scratch_init(recording.scratch, GUESTS);
    ck_assert_int_eq(record_writer_new(GUESTS, &recording.writer), 0);
    ck_assert_int_eq(record_write_head(recording.writer, recording.out), 0);
    scenario_make();
    scenario_run(&recording);
    ck_assert_int_eq(fclose(recording.out), 0);
    record_writer_free(recording.writer);
    free(recording.frame);
    free(recording.scratch);
    free(recording.state);
    free(rules);
    trace.frames = recording.frames;
    return trace;
}

struct replay_score trace_replay(
    const char *text, size_t size, const struct config *config, struct error *ret_error)
{
    struct replay_score score = {0};
    /* Which is only read, by "r". NOLINTNEXTLINE(performance-no-int-to-ptr) */
    void *bytes = (void *)(uintptr_t)text;
    /* fmemopen() opens nothing of no size. */
    FILE *in = size > 0 ? fmemopen(bytes, size, "r") : fopen("/dev/null", "re");

    ck_assert_ptr_nonnull(in);
    *ret_error = (struct error){0};
    (void)replay_run(in, config, NULL, &score, ret_error);
    (void)fclose(in);
    return score;
}
