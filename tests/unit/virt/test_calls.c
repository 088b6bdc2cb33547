/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls between their coming and their answer, with a libvirt that hangs in a domain for as long as
 * the test holds it. Which thread runs when is the scheduler's affair: what is expected holds for
 * any order, and waits are for events.
 */
#include "calls.h"
#include "loop.h"
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define DOMAINS 16
#define TOLD_MAX 256
/* Far enough that no test comes to it, and near enough to be passed by one that waits for it. */
#define FAR PATIENCE
/* Long enough for a thread to begin on a loaded machine. */
#define NEAR (2 * NSEC_PER_SEC)

static struct scene {
    struct calls *calls;
    uint64_t number;
    bool deaf; /* the guard takes no record */
    struct virt_result told[TOLD_MAX];
    unsigned told_count;
    uint32_t hung;
    unsigned hung_told;

    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool held[DOMAINS];       /* domain N hangs; 0: connecting does */
    unsigned within[DOMAINS]; /* threads in a call to it now */
    unsigned most[DOMAINS];   /* … at most so far, Destroy apart */
    unsigned begun, prepared, under_way, most_under_way, looks, most_looks;
    uint8_t order[TOLD_MAX];
} scene;

static void hang_while_held(unsigned domain)
{
    while (scene.held[domain])
        (void)pthread_cond_wait(&scene.moved, &scene.lock);
}

static void fake_prepare(struct call_connection *connection)
{
    (void)connection;
    (void)pthread_mutex_lock(&scene.lock);
    hang_while_held(0);
    scene.prepared++;
    (void)pthread_mutex_unlock(&scene.lock);
}

static void fake_run(struct call_connection *connection, const struct virt_call *call,
    struct virt_result *ret_result)
{
    unsigned domain = call->uuid[0];
    bool destroy = call->operation == VIRT_OPERATION_DESTROY;
    bool look = call->operation == VIRT_OPERATION_MEMORY_STATS;

    (void)connection;
    (void)pthread_mutex_lock(&scene.lock);
    scene.order[scene.begun++] = (uint8_t)domain;
    if (!destroy) {
        scene.most[domain] = (unsigned)max_u64(scene.most[domain], ++scene.within[domain]);
        scene.most_under_way = (unsigned)max_u64(scene.most_under_way, ++scene.under_way);
        scene.looks += look;
        scene.most_looks = (unsigned)max_u64(scene.most_looks, scene.looks);
        hang_while_held(domain);
        scene.within[domain]--;
        scene.under_way--;
        scene.looks -= look;
    }
    (void)pthread_mutex_unlock(&scene.lock);
    *ret_result = (struct virt_result){.result = 0};
    (void)memcpy(ret_result->text, "done", 5);
}

static bool on_told(const struct virt_record *record, void *userdata)
{
    ck_assert_ptr_eq(userdata, &scene);
    if (scene.deaf)
        return false;
    if (record->kind == VIRT_RECORD_WORKERS) {
        scene.hung = record->workers.hung;
        scene.hung_told++;
        return true;
    }
    ck_assert_int_eq((int)record->kind, VIRT_RECORD_RESULT);
    ck_assert_uint_lt(scene.told_count, TOLD_MAX);
    scene.told[scene.told_count++] = record->result;
    return true;
}

static void setup(void)
{
    const struct calls_owner owner = {.tell = on_told,
        .userdata = &scene,
        .begin_limit = NEVER,
        .prepare = fake_prepare,
        .run = fake_run};

    ck_assert_int_eq(virEventRegisterDefaultImpl(), 0);
    (void)pthread_mutex_init(&scene.lock, NULL);
    (void)pthread_cond_init(&scene.moved, NULL);
    ck_assert_int_eq(calls_new("fake:///", &owner, &scene.calls), 0);
}

static void hold(unsigned domain, bool held)
{
    (void)pthread_mutex_lock(&scene.lock);
    scene.held[domain] = held;
    (void)pthread_cond_broadcast(&scene.moved);
    (void)pthread_mutex_unlock(&scene.lock);
}

static void teardown(void)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        hold(i, false);
    scene.calls = calls_free(scene.calls);
}

static uint64_t call(unsigned domain, enum virt_operation operation, uint64_t time)
{
    struct virt_call call = {
        .number = ++scene.number, .operation = (uint8_t)operation, .deadline = loop_now() + time};

    call.uuid[0] = (uint8_t)domain;
    call.uuid[1] = 1;
    calls_take(scene.calls, &call);
    return call.number;
}

static unsigned begun(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    unsigned count = scene.begun;
    (void)pthread_mutex_unlock(&scene.lock);
    return count;
}

static unsigned prepared(void)
{
    (void)pthread_mutex_lock(&scene.lock);
    unsigned count = scene.prepared;
    (void)pthread_mutex_unlock(&scene.lock);
    return count;
}

static void on_tick(int timer, void *userdata)
{
    (void)timer;
    (void)userdata;
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn();                                                          \
    }

/* One turn of libvirt's loop, which a thread's progress alone does not end. */
static void turn(void)
{
    int timer = virEventAddTimeout(5, on_tick, NULL, NULL);

    ck_assert_int_eq(virEventRunDefaultImpl(), 0);
    (void)virEventRemoveTimeout(timer);
}

static const struct virt_result *answer(uint64_t number)
{
    const struct virt_result *found = NULL;

    for (unsigned i = 0; i < scene.told_count; i++) {
        if (scene.told[i].number != number)
            continue;
        ck_assert_msg(!found, "call %llu was answered twice", (unsigned long long)number);
        found = &scene.told[i];
    }
    return found;
}

static void expect(uint64_t number, int result)
{
    await(answer(number));
    ck_assert_int_eq(answer(number)->result, result);
}

START_TEST(a_call_is_answered)
{
    uint64_t number = call(1, VIRT_OPERATION_SUSPEND, FAR);

    expect(number, 0);
    ck_assert_str_eq(answer(number)->text, "done");
    ck_assert_uint_eq(scene.hung_told, 0);
}
END_TEST

START_TEST(one_sick_domain_among_several)
{
    uint64_t sick, waiting, refused, fine[DOMAINS] = {0};

    hold(1, true);
    sick = call(1, VIRT_OPERATION_SET_MEMORY, NEAR);
    await(begun() == 1);
    waiting = call(1, VIRT_OPERATION_SUSPEND, FAR);
    for (unsigned i = 2; i < DOMAINS; i++)
        fine[i] = call(i, VIRT_OPERATION_SET_MEMORY, FAR);
    for (unsigned i = 2; i < DOMAINS; i++)
        expect(fine[i], 0);
    expect(sick, -ETIMEDOUT);
    expect(waiting, -EBUSY); /* at once, and not at its own deadline */
    refused = call(1, VIRT_OPERATION_MEMORY_STATS, FAR);
    ck_assert_ptr_nonnull(answer(refused));
    expect(refused, -EBUSY);
    await(scene.hung == 1);
    /* It returns: nothing more is said of it, and the domain can be called again. */
    hold(1, false);
    await(scene.hung == 0);
    expect(sick, -ETIMEDOUT);
    expect(call(1, VIRT_OPERATION_SUSPEND, FAR), 0);
    ck_assert_uint_eq(scene.most[1], 1);
}
END_TEST

START_TEST(one_call_to_a_domain_at_a_time)
{
    uint64_t numbers[8];

    hold(1, true);
    for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
        numbers[i] = call(1, VIRT_OPERATION_SET_MEMORY, FAR);
    await(begun() == 1);
    hold(1, false);
    for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
        expect(numbers[i], 0);
    ck_assert_uint_eq(scene.most[1], 1);
    /* In the order in which they came. */
    for (unsigned i = 1; i < scene.told_count; i++)
        ck_assert_uint_gt(scene.told[i].number, scene.told[i - 1].number);
}
END_TEST

START_TEST(at_most_three_at_a_time)
{
    uint64_t numbers[DOMAINS] = {0};

    for (unsigned i = 1; i < DOMAINS; i++) {
        hold(i, true);
        numbers[i] = call(i, VIRT_OPERATION_SET_MEMORY, FAR);
    }
    await(begun() == VIRT_WORKERS);
    for (unsigned i = 1; i < DOMAINS; i++)
        hold(i, false);
    for (unsigned i = 1; i < DOMAINS; i++)
        expect(numbers[i], 0);
    ck_assert_uint_eq(scene.most_under_way, VIRT_WORKERS);
}
END_TEST

START_TEST(looks_leave_room_for_acts)
{
    uint64_t looks[4], act;

    for (unsigned i = 1; i <= ELEMENTSOF(looks); i++) {
        hold(i, true);
        looks[i - 1] = call(i, VIRT_OPERATION_MEMORY_STATS, NEAR);
    }
    await(begun() == VIRT_WORKERS - 1);
    act = call(9, VIRT_OPERATION_SUSPEND, FAR);
    expect(act, 0);
    for (size_t i = 0; i < ELEMENTSOF(looks); i++)
        expect(looks[i], i < VIRT_WORKERS - 1 ? -ETIMEDOUT : -EAGAIN);
    expect(call(9, VIRT_OPERATION_RESUME, FAR), 0);
    ck_assert_uint_eq(scene.most_looks, VIRT_WORKERS - 1);
}
END_TEST

START_TEST(looks_that_hang_hold_up_no_others)
{
    for (unsigned i = 1; i < VIRT_WORKERS; i++) {
        hold(i, true);
        (void)call(i, VIRT_OPERATION_MEMORY_STATS, NEAR);
    }
    await(scene.hung == VIRT_WORKERS - 1);
    for (unsigned i = VIRT_WORKERS; i < DOMAINS; i++)
        expect(call(i, VIRT_OPERATION_MEMORY_STATS, FAR), 0);
}
END_TEST

START_TEST(destroy_waits_for_nobody)
{
    for (unsigned i = 1; i <= VIRT_WORKERS; i++) {
        hold(i, true);
        (void)call(i, VIRT_OPERATION_SET_MEMORY, NEAR);
    }
    await(scene.hung == VIRT_WORKERS);
    expect(call(1, VIRT_OPERATION_DESTROY, FAR), 0);
    expect(call(8, VIRT_OPERATION_DESTROY, FAR), 0);
    /* Nobody is left for all others. */
    expect(call(9, VIRT_OPERATION_SUSPEND, NEAR), -EAGAIN);
}
END_TEST

/* By index: whether the save came before the others hang, or took the last worker. */
START_TEST(beside_a_save_those_that_hang_are_all_there_are)
{
    const unsigned saved = VIRT_WORKERS;

    hold(saved, true);
    if (_i == 0)
        (void)call(saved, VIRT_OPERATION_MANAGED_SAVE, 10 * FAR);
    for (unsigned i = 1; i < VIRT_WORKERS; i++) {
        hold(i, true);
        (void)call(i, VIRT_OPERATION_SUSPEND, NEAR);
    }
    if (_i == 1) {
        await(scene.hung == VIRT_WORKERS - 1);
        (void)call(saved, VIRT_OPERATION_MANAGED_SAVE, 10 * FAR);
    }
    await(scene.hung == VIRT_WORKERS);
    hold(saved, false);
    await(scene.hung == VIRT_WORKERS - 1);
}
END_TEST

START_TEST(a_save_is_no_worker_that_hangs)
{
    hold(1, true);
    (void)call(1, VIRT_OPERATION_MANAGED_SAVE, 10 * FAR);
    await(begun() == 1);
    for (unsigned i = 2; i < DOMAINS; i++)
        expect(call(i, VIRT_OPERATION_SUSPEND, FAR), 0);
    ck_assert_uint_eq(scene.hung_told, 0);
}
END_TEST

START_TEST(a_connection_that_hangs_is_a_thread_that_hangs)
{
    /* Its limit is longer than a test should take, so that only its end is seen here. */
    hold(0, true);
    calls_prepare(scene.calls);
    uint64_t number = call(1, VIRT_OPERATION_SUSPEND, NEAR);
    await(answer(number));
    hold(0, false);
    await(prepared() == VIRT_WORKERS + 1);
    expect(call(1, VIRT_OPERATION_SUSPEND, FAR), 0);
}
END_TEST

START_TEST(what_finds_no_room_is_told_later)
{
    uint64_t done, late;

    hold(2, true);
    scene.deaf = true;
    done = call(1, VIRT_OPERATION_SUSPEND, FAR);
    late = call(2, VIRT_OPERATION_SUSPEND, NEAR);
    await(begun() == 2);
    uint64_t passed = loop_now() + 2 * NEAR;
    await(loop_now() > passed);
    ck_assert_uint_eq(scene.told_count, 0);
    scene.deaf = false;
    calls_flush(scene.calls);
    expect(done, 0);
    expect(late, -ETIMEDOUT);
    ck_assert_uint_eq(scene.hung, 1);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
    unsigned refused = 0, sent = 2 * VIRT_CALLS_MAX;

    for (unsigned i = 1; i <= VIRT_WORKERS; i++)
        hold(i, true);
    for (unsigned i = 0; i < sent; i++)
        (void)call(1 + i % VIRT_WORKERS, VIRT_OPERATION_SET_MEMORY, FAR);
    for (unsigned i = 0; i < scene.told_count; i++)
        refused += scene.told[i].result == -EAGAIN;
    ck_assert_uint_eq(refused, scene.told_count);
    ck_assert_uint_eq(refused, sent - VIRT_CALLS_MAX - VIRT_WORKERS - 1);
    for (unsigned i = 1; i <= VIRT_WORKERS; i++)
        hold(i, false);
    await(scene.told_count == sent);
}
END_TEST

START_TEST(a_deadline_that_is_past)
{
    struct virt_call past = {.number = 77, .uuid = {1, 1}, .operation = VIRT_OPERATION_SUSPEND};

    calls_take(scene.calls, &past);
    expect(77, -EAGAIN);
    expect(call(1, VIRT_OPERATION_SUSPEND, FAR), 0);
    ck_assert_uint_eq(begun(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_calls");
    TCase *tests = tcase_create("calls");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_call_is_answered);
    tcase_add_test(tests, one_sick_domain_among_several);
    tcase_add_test(tests, one_call_to_a_domain_at_a_time);
    tcase_add_test(tests, at_most_three_at_a_time);
    tcase_add_test(tests, looks_leave_room_for_acts);
    tcase_add_test(tests, looks_that_hang_hold_up_no_others);
    tcase_add_test(tests, destroy_waits_for_nobody);
    tcase_add_loop_test(tests, beside_a_save_those_that_hang_are_all_there_are, 0, 2);
    tcase_add_test(tests, a_save_is_no_worker_that_hangs);
    tcase_add_test(tests, a_connection_that_hangs_is_a_thread_that_hangs);
    tcase_add_test(tests, what_finds_no_room_is_told_later);
    tcase_add_test(tests, more_than_there_is_room_for);
    tcase_add_test(tests, a_deadline_that_is_past);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
