/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's calls to plimsoll-virt: one that serves, and many that do not. */
#include "fake_virt.h"
#include "said.h"
#include "scratch.h"
#include "suite.h"
#include "virt_link.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define ANSWERS_MAX 256

static const uint8_t web[UUID_SIZE] = FAKE_VIRT_UUID;

static struct scene {
    char folder[SCRATCH_FOLDER_MAX];
    struct loop *loop;
    struct virt_link *link;
    uint64_t ahead;
    struct virt_result answers[ANSWERS_MAX];
    unsigned count;
    int again; /* what another call from within the handler came to; 1: none is made */
} scene;

static void on_changed(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    (void)uuid;
    (void)userdata;
}

static int call(enum virt_operation operation, uint64_t argument);

static void on_answer(const struct virt_result *result, void *userdata)
{
    ck_assert_ptr_eq(userdata, &scene);
    ck_assert_uint_lt(scene.count, ANSWERS_MAX);
    scene.answers[scene.count++] = *result;
    if (scene.again == 0)
        scene.again = call(VIRT_OPERATION_SUSPEND, 0);
}

static int call_until(enum virt_operation operation, uint64_t argument, uint64_t deadline)
{
    struct virt_call asked = {
        .operation = (uint8_t)operation, .argument = argument, .deadline = deadline};

    memcpy(asked.uuid, web, UUID_SIZE);
    return virt_link_call(scene.link, &asked, on_answer, &scene);
}

static int call(enum virt_operation operation, uint64_t argument)
{
    return call_until(operation, argument, loop_now() + PATIENCE);
}

static void setup(void)
{
    struct virt_link_options options = {
        .program = FAKE_VIRT_PROGRAM,
        .run_folder = scene.folder,
        .capacity = 4,
        .changed = on_changed,
    };

    scratch_make("calls", scene.folder);
    ck_assert_int_eq(loop_new(&scene.loop), 0);
    ck_assert_int_eq(virt_link_new(scene.loop, &options, &scene.link), 0);
    scene.again = 1;
    said_begin();
}

static void teardown(void)
{
    said_end();
    scene.link = virt_link_free(scene.link);
    scene.loop = loop_free(scene.loop);
    scratch_remove(scene.folder);
}

static void turn(enum band band)
{
    uint64_t now = loop_now();

    virt_link_advance(scene.link, band, now + scene.ahead);
    ck_assert_int_eq(loop_wait(scene.loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await_in(band, condition)                                        \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn(band);                                                      \
    }
#define await(condition) await_in(BAND_CALM, condition)

static void start(const char *behaviour)
{
    char uri[64];

    (void)snprintf(uri, sizeof(uri), "fake://%s/4711/gold", behaviour);
    virt_link_set(scene.link, uri);
    await(virt_link_domain(scene.link, web, 4711));
    turn(BAND_CALM); /* its spare is started, and nothing else is due */
}

static void expect(int result)
{
    unsigned before = scene.count;

    await(scene.count > before);
    ck_assert_int_eq(scene.answers[before].result, result);
}

static void await_said(const char *words)
{
    do {
        await(said_within(0));
    } while (!strstr(said_line(), words));
}

START_TEST(a_call_is_answered)
{
    start("serves");
    ck_assert_int_eq(call(VIRT_OPERATION_SET_MEMORY, 512 * MIB), 0);
    ck_assert_uint_eq(scene.count, 0); /* never from within */
    expect(0);
    ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS, 0), 0);
    expect(0);
    ck_assert(scene.answers[1].looked);
    ck_assert_uint_eq(scene.answers[1].look.actual, 512 * MIB);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
        expect(i == 0 ? 0 : -EALREADY);
    }
}
END_TEST

START_TEST(nobody_is_there)
{
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), -ENOTCONN);
    virt_link_set(scene.link, "fake://mute/4711/gold"); /* never says whether libvirt is */
    for (int i = 0; i < 3; i++)
        turn(BAND_CALM);
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), -ENOTCONN);
    ck_assert_uint_eq(scene.count, 0);
}
END_TEST

START_TEST(no_answer_in_time)
{
    start("good");
    uint64_t deadline = loop_now() + PATIENCE;
    ck_assert_int_eq(call_until(VIRT_OPERATION_SUSPEND, 0, deadline), 0);
    deadline += VIRT_ANSWER_LAG;
    ck_assert_uint_eq(virt_link_deadline(scene.link), deadline);
    turn(BAND_CALM);
    ck_assert_uint_eq(scene.count, 0);
    scene.ahead = PATIENCE + VIRT_ANSWER_LAG;
    expect(-ETIMEDOUT);
    ck_assert_uint_gt(virt_link_deadline(scene.link), deadline);
}
END_TEST

START_TEST(an_answer_after_the_deadline)
{
    struct virt_calls calls = {0};
    struct virt_call asked = {.operation = VIRT_OPERATION_SUSPEND, .deadline = 10};
    struct virt_result late = {0};

    memcpy(asked.uuid, web, UUID_SIZE);
    ck_assert_int_eq(virt_calls_add(&calls, &asked, on_answer, &scene, 1), 0);
    ck_assert_uint_eq(virt_calls_deadline(&calls), 10 + VIRT_ANSWER_LAG);
    virt_calls_expire(&calls, 9 + VIRT_ANSWER_LAG);
    ck_assert_uint_eq(scene.count, 0);
    virt_calls_expire(&calls, 10 + VIRT_ANSWER_LAG);
    ck_assert_uint_eq(scene.count, 1);
    ck_assert_int_eq(scene.answers[0].result, -ETIMEDOUT);
    late.number = asked.number;
    virt_calls_take(&calls, &late, 11 + VIRT_ANSWER_LAG);
    ck_assert_uint_eq(scene.count, 1);
    ck_assert_uint_eq(virt_calls_deadline(&calls), NEVER);
}
END_TEST

START_TEST(answers_that_are_none)
{
    start("wrong");
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
    expect(0);
    ck_assert_int_eq(call(VIRT_OPERATION_RESUME, 0), 0);
    expect(0);
    ck_assert_uint_eq(scene.count, 2);
}
END_TEST

START_TEST(a_look_without_figures)
{
    start("blank");
    ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS, 0), 0);
    expect(-EPROTO);
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
    expect(0);
}
END_TEST

START_TEST(a_call_instead_of_an_answer)
{
    start("answers-itself");
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
    expect(-ECONNRESET);
    await_said("talks nonsense; ended");
}
END_TEST

START_TEST(one_that_dies_with_calls_outstanding)
{
    unsigned asked = 0;

    start("drops");
    scene.again = 0; /* a handler that calls anew is told at once that nobody is there */
    for (int i = 0; i < 5; i++) {
        int result = call(VIRT_OPERATION_SUSPEND, 0);
        ck_assert(result == 0 || (asked > 0 && result == -ENOTCONN)); /* it may be gone already */
        asked += result == 0;
    }
    await(scene.count == asked);
    for (unsigned i = 0; i < asked; i++)
        ck_assert_int_eq(scene.answers[i].result, -ECONNRESET);
    ck_assert_int_eq(scene.again, -ENOTCONN);
    await_said("has ended by status 3; ");
}
END_TEST

START_TEST(more_calls_than_there_is_room_for)
{
    start("good");
    for (int i = 0; i < VIRT_LOOKS_MAX; i++)
        ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS, 0), 0);
    ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS, 0), -EAGAIN);
    ck_assert_int_eq(call(VIRT_OPERATION_STATS_PERIOD, 5), -EAGAIN);
    for (int i = VIRT_LOOKS_MAX; i < VIRT_CALLS_MAX; i++)
        ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), -EAGAIN);
    scene.ahead = PATIENCE;
    await(scene.count == VIRT_CALLS_MAX);
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
}
END_TEST

/* It has stopped reading: its socket fills before the table does, or never. */
START_TEST(one_that_does_not_listen)
{
    int result;

    start("hangs");
    do
        result = call(VIRT_OPERATION_SUSPEND, 0);
    while (result == 0);
    ck_assert_int_eq(result, -EAGAIN);
    scene.ahead = VIRT_LINK_SILENCE + NSEC_PER_SEC;
    await_said("has said nothing for too long; ended");
    ck_assert_uint_gt(scene.count, 0);
}
END_TEST

START_TEST(whoever_is_gone_is_not_told)
{
    start("serves");
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND, 0), 0);
    virt_link_forget(scene.link, &scene);
    for (int i = 0; i < 3; i++)
        turn(BAND_CALM);
    scene.link = virt_link_free(scene.link);
    ck_assert_uint_eq(scene.count, 0);
}
END_TEST

START_TEST(all_its_workers_hang)
{
    start("stuck");
    ck_assert_int_eq(call_until(VIRT_OPERATION_SUSPEND, 0, loop_now() + NSEC_PER_MSEC), 0);
    /* Where no other can be started it is kept, for what it tells, and is asked no more. */
    await_in(BAND_SCARCE, call(VIRT_OPERATION_SUSPEND, 0) == -EBUSY);
    ck_assert_int_eq(call(VIRT_OPERATION_DESTROY, 0), 0);
    ck_assert(!said_within(0) || strstr(said_line(), "connected"));
    await_said("hangs in all its calls to libvirt; ended");
    scene.ahead = 5 * NSEC_PER_SEC;
    await_said("libvirt is connected");
    ck_assert_uint_gt(scene.count, 0);
}
END_TEST

START_TEST(a_new_process_is_spared_the_sick)
{
    struct virt_calls calls = {0};
    struct virt_call sick = {.operation = VIRT_OPERATION_SUSPEND, .uuid = {1}, .deadline = 10};
    struct virt_call well = {.operation = VIRT_OPERATION_SUSPEND, .uuid = {2}, .deadline = NEVER};
    struct virt_call end = {.operation = VIRT_OPERATION_DESTROY, .uuid = {1}, .deadline = NEVER};
    struct virt_result done = {0};

    ck_assert_int_eq(virt_calls_add(&calls, &sick, on_answer, &scene, 1), 0);
    ck_assert_int_eq(virt_calls_add(&calls, &well, on_answer, &scene, 1), 0);
    done.number = well.number;
    virt_calls_take(&calls, &done, 5);
    virt_calls_expire(&calls, 10 + VIRT_ANSWER_LAG);
    /* While the process is there it answers for itself. */
    sick.deadline = NEVER;
    ck_assert_int_eq(virt_calls_add(&calls, &sick, on_answer, &scene, 11), 0);
    virt_calls_fail(&calls, 12);
    ck_assert_uint_eq(scene.count, 3);
    ck_assert_int_eq(virt_calls_add(&calls, &sick, on_answer, &scene, 13), -EBUSY);
    ck_assert_int_eq(virt_calls_add(&calls, &well, on_answer, &scene, 13), 0);
    ck_assert_int_eq(virt_calls_add(&calls, &end, on_answer, &scene, 13), 0);
    /* Not for ever, and no longer than it answers. */
    ck_assert_int_eq(virt_calls_add(&calls, &sick, on_answer, &scene, 12 + VIRT_SICK_TIME), 0);
    done.number = sick.number;
    virt_calls_take(&calls, &done, 13 + VIRT_SICK_TIME);
    ck_assert_int_eq(virt_calls_add(&calls, &sick, on_answer, &scene, 13), 0);
}
END_TEST

/* Where nobody was answered it is libvirt that hung, and no domain. */
START_TEST(nobody_is_sick_of_a_libvirt_that_hangs)
{
    struct virt_calls calls = {0};
    struct virt_call one = {.operation = VIRT_OPERATION_SUSPEND, .uuid = {1}, .deadline = 10};
    struct virt_call two = {.operation = VIRT_OPERATION_SUSPEND, .uuid = {2}, .deadline = 10};
    struct virt_result refused = {.result = -ETIMEDOUT};

    ck_assert_int_eq(virt_calls_add(&calls, &one, on_answer, &scene, 1), 0);
    ck_assert_int_eq(virt_calls_add(&calls, &two, on_answer, &scene, 1), 0);
    refused.number = one.number;
    virt_calls_take(&calls, &refused, 10);
    virt_calls_expire(&calls, 10 + VIRT_ANSWER_LAG);
    virt_calls_fail(&calls, 12);
    ck_assert_int_eq(virt_calls_add(&calls, &one, on_answer, &scene, 13), 0);
    ck_assert_int_eq(virt_calls_add(&calls, &two, on_answer, &scene, 13), 0);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_link_calls");
    TCase *tests = tcase_create("calls");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_call_is_answered);
    tcase_add_test(tests, nobody_is_there);
    tcase_add_test(tests, no_answer_in_time);
    tcase_add_test(tests, an_answer_after_the_deadline);
    tcase_add_test(tests, answers_that_are_none);
    tcase_add_test(tests, a_look_without_figures);
    tcase_add_test(tests, a_call_instead_of_an_answer);
    tcase_add_test(tests, one_that_dies_with_calls_outstanding);
    tcase_add_test(tests, more_calls_than_there_is_room_for);
    tcase_add_test(tests, one_that_does_not_listen);
    tcase_add_test(tests, whoever_is_gone_is_not_told);
    tcase_add_test(tests, all_its_workers_hang);
    tcase_add_test(tests, a_new_process_is_spared_the_sick);
    tcase_add_test(tests, nobody_is_sick_of_a_libvirt_that_hangs);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
