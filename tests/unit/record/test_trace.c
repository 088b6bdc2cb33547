/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Traces of a whole run: played again they come to the same plans, byte by byte, from wherever they
 * begin; by other rules they do not; and one that is broken is told of, with its line.
 */
#include "config_scene.h"
#include "record_read.h"
#include "suite.h"
#include "trace_scene.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STRIDE 50
/* So many places at which a trace is cut. */
#define CUTS 40

static struct trace trace;

/* Once for all tests, none of which changes it. */
static void setup(void)
{
    trace = trace_record(STRIDE);
}

static void teardown(void)
{
    free(trace.text);
}

START_TEST(a_run_comes_to_the_same_plans)
{
    struct error error;
    struct replay_score score = trace_replay(trace.text, trace.size, NULL, &error);

    ck_assert_msg(error.code == 0, "%s", error.text);
    ck_assert_uint_eq(score.frames, trace.frames);
    ck_assert_uint_eq(score.stretches, (trace.frames + STRIDE - 1) / STRIDE);
    ck_assert_uint_gt(score.actions, 10);
    ck_assert_uint_eq(score.differences, 0);
    ck_assert(!score.cut);
}
END_TEST

/* What was read and decided is written again. */
static void frame_again(struct record_writer *writer, const struct record_seen *seen,
    struct policy_state *state, FILE *out)
{
    uint32_t capacity = seen->snapshot->vm_capacity;
    void *buffer = malloc(record_frame_size_max(capacity));
    struct policy_scratch *scratch = malloc(policy_scratch_size(capacity));
    struct plan *plan = calloc(1, plan_size(capacity));

    ck_assert(buffer && scratch && plan);
    plan->action_capacity = plan_action_capacity(capacity);
    if (seen->state)
        memcpy(state, seen->state, policy_state_size(capacity));
    struct record_frame *frame =
        record_frame_begin(buffer, seen->snapshot, seen->rules, seen->state ? state : NULL);
    policy_decide(seen->snapshot, seen->rules, state, policy_scratch_init(scratch, capacity), plan);
    record_frame_end(frame, plan);
    ck_assert_int_eq(record_write_frame(writer, frame, out), 0);
    free(plan);
    free(scratch);
    free(buffer);
}

START_TEST(the_replay_makes_the_same_trace)
{
    struct record_reader *reader = NULL;
    struct record_writer *writer = NULL;
    struct error error = {0};
    struct record_seen seen;
    bool cut = false;
    char *again = NULL;
    size_t size = 0;
    FILE *in = fmemopen(trace.text, trace.size, "r"), *out = open_memstream(&again, &size);

    ck_assert(in && out);
    ck_assert_msg(record_reader_new(in, &reader, &error) == 0, "%s", error.text);
    uint32_t capacity = record_reader_capacity(reader);
    struct policy_state *state = malloc(policy_state_size(capacity));
    ck_assert_ptr_nonnull(state);
    ck_assert_int_eq(record_writer_new(capacity, &writer), 0);
    ck_assert_int_eq(record_write_head(writer, out), 0);
    while (record_read_frame(reader, &seen, &cut, &error) > 0)
        frame_again(writer, &seen, state, out);
    ck_assert_msg(error.code == 0, "%s", error.text);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_uint_eq(size, trace.size);
    ck_assert_mem_eq(again, trace.text, size);
    free(again);
    free(state);
    record_writer_free(writer);
    record_reader_free(reader);
    (void)fclose(in);
}
END_TEST

/* The NUMBER-th line after the head that begins with WORD. */
static const char *line_find(const char *word, unsigned number)
{
    const char *at = trace.text;

    for (unsigned i = 0; i < number; i++) {
        at = strstr(at + 1, word);
        ck_assert_ptr_nonnull(at);
    }
    return at;
}

/* A trace as of a guard whose disk was too slow for a while: some frames are missing. */
START_TEST(it_can_be_played_from_any_stretch_on)
{
    struct error error;
    size_t head = (size_t)(line_find("{\"state\"", 1) - trace.text);
    size_t third = (size_t)(line_find("{\"state\"", 3) - trace.text);
    char *text = malloc(trace.size);

    ck_assert_ptr_nonnull(text);
    memcpy(text, trace.text, head);
    memcpy(text + head, trace.text + third, trace.size - third);
    struct replay_score score = trace_replay(text, head + trace.size - third, NULL, &error);
    free(text);
    ck_assert_msg(error.code == 0, "%s", error.text);
    ck_assert_uint_eq(score.frames, trace.frames - UINT64_C(2) * STRIDE);
    ck_assert_uint_eq(score.differences, 0);
}
END_TEST

START_TEST(other_rules_decide_otherwise)
{
    struct error error;
    struct config *config = config_load_good("[guard]\nmode=enforce\n[class default]\n"
                                             "rungs=balloon\nminimum=100%\n");
    struct replay_score score = trace_replay(trace.text, trace.size, config, &error);

    ck_assert_msg(error.code == 0, "%s", error.text);
    ck_assert_uint_eq(score.frames, trace.frames);
    ck_assert_uint_gt(score.differences, 0);
    config_free(config);
}
END_TEST

/* Wherever it ends, what is whole before counts. */
START_TEST(a_trace_may_be_cut_anywhere)
{
    for (size_t i = 0; i < CUTS; i++) {
        size_t size = trace.size * i / CUTS;
        struct error error;
        struct replay_score score = trace_replay(trace.text, size, NULL, &error);
        ck_assert_msg(error.code == 0 || score.frames == 0, "%zu bytes: %s", size, error.text);
        ck_assert_uint_eq(score.differences, 0);
    }
}
END_TEST

/* ---- broken ones ---- */

/* The trace up to its LINE-th line, and TEXT in the place of that. */
static void expect_refused(unsigned line, const char *text, const char *words)
{
    struct error error;
    char *broken = NULL, number[32];
    const char *end = trace.text;
    size_t size;
    FILE *out = open_memstream(&broken, &size);

    for (unsigned i = 1; i < line; i++)
        end = strchr(end, '\n') + 1;
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(trace.text, (size_t)(end - trace.text), 1, out), line > 1);
    fprintf(out, "%s\n", text);
    ck_assert_int_eq(fclose(out), 0);
    (void)trace_replay(broken, size, NULL, &error);
    (void)snprintf(number, sizeof(number), "line %u: ", line);
    ck_assert_msg(error.code == -EINVAL && strncmp(error.text, number, strlen(number)) == 0 &&
                      strstr(error.text, words),
        "%u: %.200s: %s", line, text, error.text);
    free(broken);
}

static const struct {
    unsigned line;
    const char *text, *words;
} broken[] = {
    {1, "", "JSON"},
    {1, "garbage", "JSON"},
    {1, "{}", "no trace"},
    {1, "{\"trace\":\"1\"}", "no trace"},
    {1, "{\"trace\":2,\"version\":\"9.9\",\"layout\":\"00\",\"max_vms\":1}", "plimsolld 9.9"},
    {1, "{\"trace\":1,\"version\":\"9.9\",\"layout\":\"0123456789abcdef\",\"max_vms\":1}", "9.9"},
    {1, "{\"trace\":1}", "replay it with"},
    {2, "{\"plan\":{}}", "no stretch"},
    {2, "{\"vm\":{},\"at\":0}", "no stretch"},
    {3, "{\"state\":{}}", "within a frame"},
    {3, "[]", "JSON"},
    {3, "{", "JSON"},
    {3, "{}{}", "JSON"},
    {3, "{\"no\":{}}", "no part"},
    {3, "{\"vm\":{},\"at\":4}", "no place 4"},
    {3, "{\"vm\":{},\"at\":-1}", "place"},
    {3, "{\"vm\":{},\"at\":4294967296}", "place"},
    {3, "{\"vm\":{},\"at\":\"0\"}", "place"},
    {3, "{\"vm\":{},\"at\":0,\"more\":1}", "place"},
    {3, "{\"vm\":7,\"at\":0}", "vm: "},
    {3, "{\"vm\":{\"rss\":99999999999999999999},\"at\":0}", "rss"},
    {3, "{\"vm_rules\":{\"shares\":0},\"at\":0}", "shares"},
    {3, "{\"vm_rules\":{\"priority\":1001},\"at\":0}", "priority"},
    {3, "{\"snapshot\":{\"host\":{\"node_count\":33}}}", "node_count"},
    {3, "{\"snapshot\":{\"reservation_count\":65}}", "reservation_count"},
    {3, "{\"action\":{},\"at\":1}", "no place 1"},
    {3, "{\"action\":{\"kind\":99},\"at\":0}", "kind"},
    {3, "{\"plan\":{}}", "as many"},
    {3, "{\"plan\":{\"action_count\":5}}", "as many"},
    {3, "{\"snapshot\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}", "JSON"},
};

START_TEST(what_is_broken_is_told_with_its_line)
{
    expect_refused(broken[_i].line, broken[_i].text, broken[_i].words);
}
END_TEST

/* Two at one slot: the second would be decided about with the first one's rules and history. */
START_TEST(guests_must_be_in_order_of_their_slots)
{
    struct error error;
    char text[1024], *head_end = strchr(trace.text, '\n');

    (void)snprintf(text, sizeof(text),
        "%.*s\n{\"state\":{}}\n{\"snapshot\":{\"vm_capacity\":4,\"vm_count\":2}}\n"
        "{\"plan\":{\"action_capacity\":136}}\n",
        (int)(head_end - trace.text), trace.text);
    (void)trace_replay(text, strlen(text), NULL, &error);
    ck_assert_int_eq(error.code, -EINVAL);
    ck_assert_str_eq(error.text, "line 4: the guests are not in order of their slots");
}
END_TEST

START_TEST(a_line_without_end_takes_no_memory)
{
    size_t length = (size_t)1000 * 1000;
    char *line = malloc(length + 1);

    ck_assert_ptr_nonnull(line);
    memset(line, 'a', length);
    line[length] = '\0';
    expect_refused(1, line, "longer than");
    expect_refused(3, line, "longer than");
    free(line);
}
END_TEST

START_TEST(nothing_is_no_trace)
{
    struct error error;

    (void)trace_replay("", 0, NULL, &error);
    ck_assert_int_eq(error.code, -EINVAL);
    char *end = strchr(trace.text, '\n') + 1;
    (void)trace_replay(trace.text, (size_t)(end - trace.text), NULL, &error);
    ck_assert_int_eq(error.code, -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "nothing"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tests = tcase_create("trace");

    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_checked_fixture(tests, config_scene_setup, config_scene_teardown);
    tcase_add_test(tests, a_run_comes_to_the_same_plans);
    tcase_add_test(tests, the_replay_makes_the_same_trace);
    tcase_add_test(tests, it_can_be_played_from_any_stretch_on);
    tcase_add_test(tests, other_rules_decide_otherwise);
    tcase_add_test(tests, a_trace_may_be_cut_anywhere);
    tcase_add_loop_test(tests, what_is_broken_is_told_with_its_line, 0, (int)ELEMENTSOF(broken));
    tcase_add_test(tests, guests_must_be_in_order_of_their_slots);
    tcase_add_test(tests, a_line_without_end_takes_no_memory);
    tcase_add_test(tests, nothing_is_no_trace);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
