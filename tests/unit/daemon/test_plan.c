/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard says it would do is what it then does; and to be asked changes nothing. The
 * guard is whole, its host fake: what is asked about is then really taken from meminfo.
 */
#include "control_server.h"
#include "fake_guest.h"
#include "history.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/control.h>
#include <plimsoll/forecast.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES                                                                            \
    "qmp-directory=/nonexistent\nmax-vms=8\nfloor=512M\n[class default]\nmode=enforce\n" \
    "[class gold]\nmode=enforce\npriority=900\n[vm gold*]\nclass=gold\n"
#define ENFORCING "[guard]\nmode=enforce\n" RULES
#define WATCHING "[guard]\nmode=dry-run\n" RULES
/* So many things that are decided first have to be the same, as far as they are decided in such a
 * time; a later one may come sooner or later. */
#define COMPARED 3
#define COMPARED_TIME (2 * NSEC_PER_SEC)
#define ACTIONS_MAX 16
/* The guard is asked from a turn of its loop, right after a tick. */
#define NEXT_TICK (10 * NSEC_PER_SEC)

struct deed {
    char action[24];
    pid_t pid;     /* 0: about the host */
    uint64_t time; /* since it was asked */
};

struct deeds {
    unsigned count;
    struct deed deeds[ACTIONS_MAX];
};

static struct fake_host host;

/* ---- the host ---- */

/* In meminfo and, halved, on both nodes. */
static void available_set(uint64_t available)
{
    char path[64];

    fake_host_set_available(&host, available);
    for (unsigned node = 0; node < 2; node++) {
        (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/meminfo", node);
        fake_tree_write(host.tree, path,
            "Node %u MemTotal: 8388608 kB\nNode %u MemFree: %llu kB\n"
            "Node %u Active(file): 0 kB\nNode %u Inactive(file): 0 kB\n"
            "Node %u KReclaimable: 0 kB\nNode %u SReclaimable: 0 kB\n",
            node, node, (unsigned long long)(available / 2 / KIB), node, node, node, node);
    }
}

/* Two guests, of which the first grows by SPEED a second, on a host with AVAILABLE bytes at the
 * end of some seconds. */
struct scene {
    const char *config;
    uint64_t speed, available, need;
};

struct guests {
    pid_t pids[2];
    uint64_t rss[2], available;
};

static void pass(struct guests *guests, uint64_t speed, uint64_t elapsed)
{
    uint64_t grown = scale_u64(speed, elapsed, NSEC_PER_SEC);

    if (fake_host_real_state(guests->pids[0]) != 'S')
        grown = 0;
    guests->rss[0] += grown;
    guests->available = sub_or_zero(guests->available, grown);
    fake_host_set_rss(&host, guests->pids[0], guests->rss[0]);
    available_set(guests->available);
    fake_host_tick(&host, elapsed);
}

static struct guests begin(const struct scene *scene)
{
    struct guests guests = {.rss = {3 * GIB, 4 * GIB}};

    fake_host_begin(&host, FAKE_CGROUPS_V2, scene->config);
    guests.available = scene->available + 10 * scene->speed;
    available_set(guests.available);
    guests.pids[0] = fake_host_guest(&host, "bronze", guests.rss[0]);
    guests.pids[1] = fake_host_guest(&host, "gold", guests.rss[1]);
    fake_host_start_guard(&host);
    for (unsigned i = 0; i < 100; i++)
        pass(&guests, scene->speed, 100 * NSEC_PER_MSEC);
    return guests;
}

/* ---- the answer ---- */

static struct json_object *ask(uint64_t need, int64_t node, int *ret_result, struct error *error)
{
    struct json_object *parameters = json_object_new_object(), *answer = NULL;

    (void)json_object_object_add(parameters, "need", json_object_new_uint64(need));
    if (node >= 0)
        (void)json_object_object_add(parameters, "node", json_object_new_int64(node));
    uint64_t next = host.guard->next_tick;
    host.guard->next_tick = loop_now() + NEXT_TICK;
    *ret_result = guard_plan(parameters, &answer, error, host.guard);
    host.guard->next_tick = next;
    json_object_put(parameters);
    return answer;
}

static struct json_object *answer_of(uint64_t need)
{
    struct error error = {0};
    int result;
    struct json_object *answer = ask(need, -1, &result, &error);

    ck_assert_msg(result == 0, "%s", error.text);
    return answer;
}

static struct json_object *member(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    ck_assert_msg(json_object_object_get_ex(object, key, &value), "no %s", key);
    return value;
}

/* Alerts are no deeds: a need is a leak to the policy, and when it says so depends on how often the
 * guests were sampled by then. */
static void deed_add(struct deeds *deeds, const char *action, pid_t pid, uint64_t time)
{
    if (strcmp(action, "alert") == 0)
        return;
    for (unsigned i = 0; i < deeds->count; i++)
        if (strcmp(deeds->deeds[i].action, action) == 0 && deeds->deeds[i].pid == pid)
            return;
    if (deeds->count == ACTIONS_MAX)
        return;
    struct deed *deed = &deeds->deeds[deeds->count++];
    (void)snprintf(deed->action, sizeof(deed->action), "%s", action);
    deed->pid = pid;
    deed->time = time;
}

static struct deeds foretold(struct json_object *answer)
{
    struct json_object *steps = member(answer, "steps");
    struct deeds deeds = {0};

    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        deed_add(&deeds, json_object_get_string(member(step, "action")),
            (pid_t)json_object_get_int64(member(step, "pid")),
            json_object_get_uint64(member(step, "after")));
    }
    return deeds;
}

static void deeds_note(struct deeds *deeds, uint64_t time)
{
    const struct plan *plan = host.guard->plan;

    for (uint32_t i = 0; i < plan->action_count; i++)
        if (plan->actions[i].kind != ACTION_OOM_SCORE)
            deed_add(deeds, action_kind_name(plan->actions[i].kind), plan->actions[i].identity.pid,
                time);
}

static bool is_early(const struct deeds *deeds, unsigned i)
{
    return i < deeds->count && deeds->deeds[i].time < COMPARED_TIME;
}

static void check_same(const struct deeds *told, const struct deeds *done)
{
    for (unsigned i = 0; i < COMPARED && (is_early(told, i) || is_early(done, i)); i++) {
        const struct deed *a = &told->deeds[i], *b = &done->deeds[i];
        ck_assert_msg(strcmp(a->action, b->action) == 0 && a->pid == b->pid,
            "%u: told <%s> of %d after %llu ms, and done was <%s> of %d after %llu ms", i,
            a->action, (int)a->pid, (unsigned long long)(a->time / NSEC_PER_MSEC), b->action,
            (int)b->pid, (unsigned long long)(b->time / NSEC_PER_MSEC));
        if (strcmp(a->action, "kill") == 0)
            return; /* the fake host gets nothing back from the dead */
    }
}

/* ---- it agrees ---- */

static const struct scene scenes[] = {
    {ENFORCING, 0, 8 * GIB, GIB},
    {ENFORCING, 60 * MIB, 6 * GIB, 5 * GIB},
    {ENFORCING, 60 * MIB, 6 * GIB, 3 * GIB},
    {ENFORCING, 5 * MIB, 4 * GIB, 3 * GIB + 500 * MIB},
    {ENFORCING, 0, 6 * GIB, 6 * GIB - 100 * MIB},
    {ENFORCING, 0, 6 * GIB, 8 * GIB},
    {ENFORCING, 200 * MIB, 8 * GIB, 6 * GIB},
    {WATCHING, 60 * MIB, 6 * GIB, 5 * GIB},
    {WATCHING, 0, 6 * GIB, 6 * GIB - 100 * MIB},
};

START_TEST(what_is_told_is_done)
{
    const struct scene *scene = &scenes[_i];
    struct guests guests = begin(scene);
    struct json_object *answer = answer_of(scene->need);
    struct deeds told = foretold(answer), done = {0};
    uint64_t began = host.now, end = began + 2 * COMPARED_TIME;

    guests.available = sub_or_zero(guests.available, scene->need);
    while (host.now < end && done.count < COMPARED) {
        pass(&guests, scene->speed, host.guard->plan->next_wake);
        deeds_note(&done, host.now - began);
    }
    check_same(&told, &done);
    json_object_put(answer);
    fake_host_end(&host);
}
END_TEST

/* With a monitor: who grows is paused in order. */
START_TEST(what_is_told_is_done_by_monitor)
{
    const uint64_t speed = 40 * MIB, need = (2 + (uint64_t)_i) * GIB;
    struct fake_guest guest;
    struct deeds done = {0};

    fake_guest_host(&host, "keep");
    struct guests guests = {.rss = {2 * GIB}, .available = 7 * GIB};
    available_set(guests.available);
    fake_guest_start(&guest, &host, "one", guests.rss[0]);
    guests.pids[0] = guest.pid;
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &guest);
    host.now = loop_now();
    for (unsigned i = 0; i < 100; i++)
        pass(&guests, speed, 100 * NSEC_PER_MSEC);
    struct json_object *answer = answer_of(need);
    struct deeds told = foretold(answer);
    ck_assert_uint_eq(guest.record->balloons + guest.record->stops, 0);
    guests.available -= need;
    for (uint64_t began = host.now;
         host.now < began + 2 * COMPARED_TIME && done.count < COMPARED;) {
        pass(&guests, speed, host.guard->plan->next_wake);
        deeds_note(&done, host.now - began);
    }
    check_same(&told, &done);
    json_object_put(answer);
    fake_guest_end(&guest);
    fake_host_end(&host);
}
END_TEST

static bool has_decided(enum action_kind kind)
{
    const struct plan *plan = host.guard->plan;
    bool decided = false;

    for (uint32_t i = 0; i < plan->action_count; i++)
        decided = decided || plan->actions[i].kind == kind;
    return decided;
}

/* What the last tick saw is from before what it did, and who is paused need not be frozen. Asked
 * past the method, which refuses where memory is at its end. */
START_TEST(what_was_just_done_is_not_told_again)
{
    const struct forecast_need nothing = {.node = FORECAST_ANY_NODE};
    const uint64_t speed = 40 * MIB;
    struct fake_guest guest;
    uint32_t count;

    fake_guest_host(&host, "keep");
    struct guests guests = {.rss = {2 * GIB}, .available = 7 * GIB};
    available_set(guests.available);
    fake_guest_start(&guest, &host, "one", guests.rss[0]);
    guests.pids[0] = guest.pid;
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &guest);
    host.now = loop_now();
    for (unsigned i = 0; i < 100; i++)
        pass(&guests, speed, 100 * NSEC_PER_MSEC);
    guests.available -= 5 * GIB;
    for (unsigned i = 0; i < 100 && !has_decided(ACTION_PAUSE); i++)
        pass(&guests, speed, host.guard->plan->next_wake);
    ck_assert(has_decided(ACTION_PAUSE));
    void *buffer = malloc(forecast_size(host.guard->vm_capacity));
    struct forecast *forecast =
        forecast_begin(buffer, host.guard->snapshot, host.guard->state, host.guard->plan, &nothing);
    while (forecast_look(forecast, host.guard->rules, host.guard->scratch))
        ;
    const struct forecast_step *steps = forecast_steps(forecast, &count);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(steps[i].action.kind, ACTION_ALERT);
    free(buffer);
    fake_guest_end(&guest);
    fake_host_end(&host);
}
END_TEST

/* ---- it touches nothing ---- */

static void *copy_of(const void *bytes, size_t size)
{
    void *copy = malloc(size);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    return copy;
}

static void check_unchanged(void *copy, const void *bytes, size_t size)
{
    ck_assert_int_eq(memcmp(copy, bytes, size), 0);
    free(copy);
}

START_TEST(to_be_asked_changes_nothing)
{
    const struct scene scene = {ENFORCING, 60 * MIB, 6 * GIB, 0};
    char path[256];

    struct guests guests = begin(&scene);
    struct guard *guard = host.guard;
    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, LEDGER_NAME);
    size_t snapshot_bytes =
        sizeof(struct snapshot) + (size_t)guard->snapshot->vm_count * sizeof(struct vm_snapshot);
    size_t state_bytes = policy_state_size(guard->vm_capacity);
    size_t plan_bytes = plan_size(guard->vm_capacity), rules_bytes = rules_size(guard->vm_capacity);
    uint64_t next = guard->next_tick;
    void *snapshot = copy_of(guard->snapshot, snapshot_bytes);
    void *state = copy_of(guard->state, state_bytes), *plan = copy_of(guard->plan, plan_bytes);
    void *rules = copy_of(guard->rules, rules_bytes);
    struct json_object *log = history_json(guard->history, 0);
    char *ledger = copy_of(scratch_read(path), strlen(scratch_read(path)) + 1);

    for (uint64_t need = 0; need <= 10 * GIB; need += 2 * GIB) {
        struct json_object *answer = answer_of(need);
        ck_assert_uint_eq(json_object_get_uint64(member(answer, "need")), need);
        json_object_put(answer);
    }
    check_unchanged(snapshot, guard->snapshot, snapshot_bytes);
    check_unchanged(state, guard->state, state_bytes);
    check_unchanged(plan, guard->plan, plan_bytes);
    check_unchanged(rules, guard->rules, rules_bytes);
    ck_assert_uint_eq(guard->next_tick, next);
    struct json_object *log_after = history_json(guard->history, 0);
    ck_assert_str_eq(json_object_to_json_string(log), json_object_to_json_string(log_after));
    ck_assert_str_eq(ledger, scratch_read(path));
    ck_assert_int_eq(fake_host_real_state(guests.pids[0]), 'S');
    json_object_put(log);
    json_object_put(log_after);
    free(ledger);
    fake_host_end(&host);
}
END_TEST

/* ---- what has no answer ---- */

START_TEST(a_question_that_is_none)
{
    static const char *const questions[] = {"{\"need\":-1}", "{\"need\":\"4G\"}", "{\"need\":1.5}",
        "{\"node\":[]}", "{\"node\":-1}", "{\"need\":true}"};
    const struct scene scene = {ENFORCING, 0, 8 * GIB, 0};
    struct error error = {0};
    int result;

    (void)begin(&scene);
    for (size_t i = 0; i < ELEMENTSOF(questions); i++) {
        struct json_object *parameters = json_tokener_parse(questions[i]), *answer = NULL;
        ck_assert_int_eq(guard_plan(parameters, &answer, &error, host.guard), -EBADR);
        ck_assert_ptr_null(answer);
        json_object_put(parameters);
    }
    ck_assert_ptr_null(ask(GIB, 7, &result, &error));
    ck_assert_int_lt(result, 0);
    ck_assert_str_eq(error.text, "this host has no node 7; its nodes are: 0, 1");
    struct json_object *answer = ask(GIB, 1, &result, &error);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(json_object_get_int(member(answer, "node")), 1);
    json_object_put(answer);
    answer = ask(INT64_MAX, 0, &result, &error);
    ck_assert_int_eq(result, 0);
    ck_assert(!json_object_get_boolean(member(answer, "met")));
    json_object_put(answer);
    fake_host_end(&host);
}
END_TEST

START_TEST(at_the_edge_there_is_no_answer)
{
    const struct scene scene = {ENFORCING, 0, 600 * MIB, 0};
    struct error error = {0};
    int result;

    (void)begin(&scene);
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CRITICAL);
    ck_assert_ptr_null(ask(GIB, -1, &result, &error));
    ck_assert_int_eq(result, -EBUSY);
    ck_assert_ptr_nonnull(strstr(error.text, "memory is at its end"));
    fake_host_end(&host);
}
END_TEST

/* A tick that is due is not waited for. */
START_TEST(it_ends_for_the_next_tick)
{
    const struct scene scene = {ENFORCING, 60 * MIB, 6 * GIB, 0};
    struct json_object *parameters = json_object_new_object(), *answer = NULL;
    struct error error = {0};

    (void)begin(&scene);
    host.guard->next_tick = loop_now();
    ck_assert_int_eq(guard_plan(parameters, &answer, &error, host.guard), 0);
    ck_assert_int_eq(json_object_get_int(member(answer, "looks")), 1);
    ck_assert_str_eq(json_object_get_string(member(answer, "ending")), "cut");
    json_object_put(answer);
    json_object_put(parameters);
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    TCase *tests = tcase_create("plan");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_is_told_is_done, 0, ELEMENTSOF(scenes));
    tcase_add_loop_test(tests, what_is_told_is_done_by_monitor, 0, 2);
    tcase_add_test(tests, what_was_just_done_is_not_told_again);
    tcase_add_test(tests, to_be_asked_changes_nothing);
    tcase_add_test(tests, a_question_that_is_none);
    tcase_add_test(tests, at_the_edge_there_is_no_answer);
    tcase_add_test(tests, it_ends_for_the_next_tick);
    Suite *suite = suite_create("plan");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
