/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a real guard on a fake host records is played again, and comes to the same plans to the last
 * figure; whatever becomes of the process that writes, the guard's ticks go on.
 */
#include "fake_host.h"
#include "loop.h"
#include "replay.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK (100 * NSEC_PER_MSEC)
/* More frames than there is room for while nobody writes. */
#define TICKS_HUNG 500
/* Of guests, for a recorder without a guard: more than it takes pages for beforehand. */
#define CAPACITY 64
#define TURN_USEC 20000
#define PATIENCE_TURNS 1000

static struct fake_host host;
static char folder[SCRATCH_FOLDER_MAX + 16];
static pid_t guest;

static void setup(void)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    (void)snprintf(folder, sizeof(folder), "%s/traces", host.tree->folder);
    host.record_folder = folder;
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\nlibvirt=off\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "[class default]\nmode=enforce\n");
    guest = fake_host_guest(&host, "one", GIB);
    fake_host_start_guard(&host);
}

/* The guest takes all that there is, and is stopped or killed for it. */
static void storm(void)
{
    uint64_t rss = GIB, available = 4 * GIB;

    while (available > 400 * MIB) {
        rss += 100 * MIB;
        available -= 100 * MIB;
        fake_host_set_rss(&host, guest, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, TICK);
    }
}

/* The traces of a guard that has ended, played again: all together. */
static struct replay_score traces_replay(unsigned *ret_traces)
{
    struct dirent **entries = NULL;
    struct replay_score sum = {0};
    char path[512];
    int found = scandir(folder, &entries, NULL, alphasort);

    ck_assert_int_ge(found, 0);
    *ret_traces = 0;
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.') {
            struct replay_score score;
            struct error error = {0};
            (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            FILE *in = fopen(path, "re");
            ck_assert_ptr_nonnull(in);
            int result = replay_run(in, NULL, NULL, &score, &error);
            ck_assert_msg(result == 0, "%s: %s", path, error.text);
            (void)fclose(in);
            sum.frames += score.frames;
            sum.stretches += score.stretches;
            sum.actions += score.actions;
            sum.differences += score.differences;
            sum.cut |= score.cut;
            ++*ret_traces;
        }
        free(entries[i]);
    }
    free(entries);
    return sum;
}

/* Ends the guard, and waits until all is written; the tree stays. */
static struct replay_score guard_end(unsigned *ret_traces)
{
    pid_t helper = recorder_helper(host.guard->recorder);

    host.guard = guard_free(host.guard);
    (void)waitpid(helper, NULL, 0); /* or it has been reaped */
    struct replay_score score = traces_replay(ret_traces);
    fake_host_end(&host);
    return score;
}

START_TEST(a_live_run_comes_to_the_same_plans)
{
    unsigned traces;

    setup();
    fake_host_set_available(&host, 4 * GIB);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, TICK);
    storm();
    struct replay_score score = guard_end(&traces);
    ck_assert_uint_eq(traces, 1);
    ck_assert_uint_gt(score.frames, 0);
    ck_assert_uint_gt(score.actions, 0);
    ck_assert_uint_eq(score.differences, 0);
    ck_assert(!score.cut);
}
END_TEST

/* After each tick it is asked what would be done if memory were needed, which takes many looks: of
 * none of them there is a frame. */
START_TEST(of_what_would_be_it_has_nothing)
{
    struct json_object *parameters = json_object_new_object();
    unsigned traces, looks = 0;

    (void)json_object_object_add(parameters, "need", json_object_new_uint64(4 * GIB));
    setup();
    fake_host_set_available(&host, 4 * GIB);
    for (unsigned i = 0; i < 20; i++) {
        struct json_object *answer = NULL;
        struct error error = {0};
        fake_host_tick(&host, TICK);
        host.guard->next_tick = loop_now() + NSEC_PER_SEC;
        ck_assert_int_eq(guard_plan(parameters, &answer, &error, host.guard), 0);
        looks += (unsigned)json_object_get_int(json_object_object_get(answer, "looks"));
        json_object_put(answer);
    }
    uint64_t before = host.guard->snapshot->sequence;
    storm();
    uint64_t ticks = host.guard->snapshot->sequence - before + 20;
    json_object_put(parameters);
    struct replay_score score = guard_end(&traces);
    ck_assert_uint_gt(looks, 3 * ticks);
    ck_assert_uint_gt(score.frames, 0);
    ck_assert_uint_le(score.frames, ticks + 1);
    ck_assert_uint_eq(score.differences, 0);
}
END_TEST

/* As in a write to a disk that does not answer. */
START_TEST(while_it_hangs_ticks_go_on)
{
    unsigned traces;

    setup();
    fake_host_tick(&host, TICK);
    pid_t helper = recorder_helper(host.guard->recorder);
    ck_assert_int_eq(kill(helper, SIGSTOP), 0);
    fake_host_await(helper, WSTOPPED);
    for (unsigned i = 0; i < TICKS_HUNG; i++)
        fake_host_tick(&host, TICK);
    ck_assert_int_eq(recorder_helper(host.guard->recorder), helper);
    ck_assert_int_eq(kill(helper, SIGCONT), 0);
    storm();
    struct replay_score score = guard_end(&traces);
    ck_assert_uint_lt(score.frames, TICKS_HUNG);
    ck_assert_uint_gt(score.frames, 0);
    ck_assert_uint_eq(score.differences, 0);
}
END_TEST

/* More than the head of a trace and its first frame without a plan. */
#define WRITTEN_MAX 65536

static bool has_plan(const char *name)
{
    char path[512], text[WRITTEN_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *in = fopen(path, "re");
    if (!in)
        return false;
    size_t length = fread(text, 1, sizeof(text) - 1, in);
    (void)fclose(in);
    text[length] = '\0';
    const char *plan = strstr(text, "\n{\"plan\":");
    return plan && strchr(plan + 1, '\n');
}

/* Waits until the helper has written a frame down: one that is killed before leaves a file in which
 * there is nothing to replay. */
static void await_writing(void)
{
    for (unsigned i = 0; i < PATIENCE_TURNS; i++) {
        struct dirent **entries = NULL;
        bool written = false;
        int found = scandir(folder, &entries, NULL, NULL);
        for (int entry = 0; entry < found; entry++) {
            written |= entries[entry]->d_name[0] != '.' && has_plan(entries[entry]->d_name);
            free(entries[entry]);
        }
        free(entries);
        if (written)
            return;
        (void)usleep(TURN_USEC);
    }
    ck_abort_msg("nothing was written");
}

START_TEST(another_takes_its_place)
{
    unsigned traces;

    setup();
    fake_host_tick(&host, TICK);
    pid_t helper = recorder_helper(host.guard->recorder);
    await_writing();
    ck_assert_int_eq(kill(helper, SIGKILL), 0);
    fake_host_await(helper, WEXITED);
    fake_host_tick(&host, TICK); /* it finds out */
    ck_assert_int_eq(recorder_helper(host.guard->recorder), 0);
    fake_host_tick(&host, TICK);
    recorder_advance(host.guard->recorder, BAND_SCARCE, host.now);
    ck_assert_int_eq(recorder_helper(host.guard->recorder), 0);
    recorder_advance(host.guard->recorder, BAND_CALM, host.now);
    ck_assert_int_ne(recorder_helper(host.guard->recorder), 0);
    storm();
    struct replay_score score = guard_end(&traces);
    ck_assert_uint_ge(traces, 1);
    ck_assert_uint_gt(score.frames, 0);
    ck_assert_uint_eq(score.differences, 0);
}
END_TEST

/* A reload with RECORD, after which the helper of before has ended and been reaped. */
static void record_change(const char *record)
{
    struct error error = {0};
    pid_t helper = recorder_helper(host.guard->recorder);

    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nlibvirt=off\nqmp-directory=/nonexistent\nmax-vms=8\n%s", record);
    ck_assert_int_eq(guard_reload(host.guard, &error), 0);
    ck_assert_int_eq(recorder_helper(host.guard->recorder), 0);
    if (helper > 0)
        fake_host_await(helper, WEXITED);
    host.now += NSEC_PER_SEC;
    recorder_advance(host.guard->recorder, BAND_CALM, host.now);
    if (helper > 0)
        ck_assert_int_eq(waitpid(helper, NULL, WNOHANG), -1);
}

START_TEST(a_reload_ends_it_and_begins_it_again)
{
    unsigned traces;

    setup();
    ck_assert_int_gt(recorder_helper(host.guard->recorder), 0);
    record_change("[record]\nmode=off\n");
    ck_assert_int_eq(recorder_helper(host.guard->recorder), 0);
    fake_host_tick(&host, TICK);
    record_change("[record]\nlimit=16M\n");
    ck_assert_int_gt(recorder_helper(host.guard->recorder), 0);
    fake_host_tick(&host, TICK);
    ck_assert_uint_gt(guard_end(&traces).frames, 0);
    ck_assert_uint_eq(traces, 1);
}
END_TEST

/* Of a host with COUNT guests that are as they were. */
static void frame_record(struct recorder *recorder, uint32_t count)
{
    struct snapshot *snapshot = calloc(1, snapshot_size(CAPACITY));
    struct rules *rules = calloc(1, rules_size(CAPACITY));
    struct plan *plan = calloc(1, plan_size(CAPACITY));
    struct policy_state *state = malloc(policy_state_size(CAPACITY));

    ck_assert(snapshot && rules && plan && state);
    (void)policy_state_init(state, CAPACITY);
    host_rules_default(&rules->host);
    snapshot->vm_capacity = rules->vm_capacity = CAPACITY;
    snapshot->time = loop_now();
    snapshot->vm_count = count;
    for (uint32_t i = 0; i < count; i++) {
        snapshot->vms[i].slot = i;
        vm_rules_default(&rules->vms[i]);
    }
    plan->action_capacity = plan_action_capacity(CAPACITY);
    recorder_begin(recorder, snapshot, rules, state);
    recorder_end(recorder, plan);
    free(state);
    free(plan);
    free(rules);
    free(snapshot);
}

/* Bytes of all traces. */
static long traces_size(void)
{
    struct dirent **entries = NULL;
    long sum = 0;
    int found = scandir(folder, &entries, NULL, NULL);

    for (int i = 0; i < found; i++) {
        char path[512];
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
            sum += (long)status.st_size;
        free(entries[i]);
    }
    free(entries);
    return sum;
}

/* Until there are more than BEFORE, and no more come. */
static long traces_await(long before)
{
    long size = before, last = before - 1;

    for (unsigned i = 0; i < PATIENCE_TURNS && (size == before || size != last); i++) {
        last = size;
        (void)usleep(TURN_USEC);
        size = traces_size();
    }
    ck_assert_int_gt(size, before);
    return size;
}

/* More guests than anybody expected come in scarce: no frame, until there are pages for one. */
START_TEST(in_scarce_no_pages_are_taken)
{
    struct recorder_options options = {
        .directory = folder, .limit = 8 * MIB, .vm_capacity = CAPACITY};
    struct recorder *recorder;
    unsigned traces;

    scratch_make("recorder", folder);
    ck_assert_int_eq(recorder_new(&options, &recorder), 0);
    pid_t helper = recorder_helper(recorder);
    recorder_prepare(recorder, 1);
    frame_record(recorder, 1);
    long first = traces_await(0);
    for (unsigned i = 0; i < 10; i++) {
        recorder_advance(recorder, BAND_SCARCE, loop_now());
        frame_record(recorder, CAPACITY);
    }
    ck_assert_int_eq(traces_size(), first);
    recorder_advance(recorder, BAND_TIGHT, loop_now());
    for (unsigned i = 0; i < PATIENCE_TURNS && traces_size() == first; i++) {
        frame_record(recorder, CAPACITY); /* once what was there is written */
        (void)usleep(TURN_USEC);
    }
    recorder_free(recorder);
    (void)waitpid(helper, NULL, 0);
    ck_assert_uint_ge(traces_replay(&traces).frames, 2);
    ck_assert_uint_eq(traces, 1);
    scratch_remove(folder);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("recorder");
    TCase *tests = tcase_create("recorder");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_live_run_comes_to_the_same_plans);
    tcase_add_test(tests, of_what_would_be_it_has_nothing);
    tcase_add_test(tests, while_it_hangs_ticks_go_on);
    tcase_add_test(tests, another_takes_its_place);
    tcase_add_test(tests, a_reload_ends_it_and_begins_it_again);
    tcase_add_test(tests, in_scarce_no_pages_are_taken);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
