/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spare of plimsoll-virt: it takes over from one that fails, at the edge as well and from what
 * there is, and a libvirt in which everybody fails is not stormed.
 */
#include "allocations.h"
#include "fake_virt.h"
#include "said.h"
#include "scratch.h"
#include "suite.h"
#include "virt_link.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define WEB_PID 4711
#define ANSWERS_MAX 8
/* Turns of the loop after which what is not done at once is not done. */
#define TURNS 3

static const uint8_t web[UUID_SIZE] = FAKE_VIRT_UUID;

static struct scene {
    char folder[SCRATCH_FOLDER_MAX];
    struct loop *loop;
    struct virt_link *link;
    uint64_t ahead;   /* how much later it is for the link than it is */
    bool at_the_edge; /* from now on no process is forked, and no memory allocated */
    struct virt_result answers[ANSWERS_MAX];
    unsigned count;
} scene;

/* glibc's name for who brings a fork() of his own; in no header.
 * NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
pid_t __fork(void);

/* As the guard calls it; check has its own from the C library. */
pid_t fork(void)
{
    ck_assert_msg(!scene.at_the_edge, "a fork at the edge");
    return __fork();
}

static void on_changed(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    (void)uuid;
    (void)userdata;
}

static void on_answer(const struct virt_result *result, void *userdata)
{
    (void)userdata;
    scene.answers[scene.count++ % ANSWERS_MAX] = *result;
}

static int call(enum virt_operation operation)
{
    struct virt_call asked = {.operation = (uint8_t)operation, .deadline = loop_now() + PATIENCE};

    memcpy(asked.uuid, web, UUID_SIZE);
    return virt_link_call(scene.link, &asked, on_answer, &scene);
}

static void setup(void)
{
    struct virt_link_options options = {
        .program = FAKE_VIRT_PROGRAM,
        .run_folder = scene.folder,
        .capacity = 4,
        .changed = on_changed,
    };

    scratch_make("spare", scene.folder);
    fake_virt_follow(scene.folder, NULL);
    ck_assert_int_eq(loop_new(&scene.loop), 0);
    ck_assert_int_eq(virt_link_new(scene.loop, &options, &scene.link), 0);
    said_begin();
}

static void teardown(void)
{
    said_end();
    scene.link = virt_link_free(scene.link);
    scene.loop = loop_free(scene.loop);
    scratch_remove(scene.folder);
}

/* One turn of the guard's loop. */
static void turn(enum band band)
{
    uint64_t now = loop_now();
    unsigned before = allocations_count();

    virt_link_advance(scene.link, band, now + scene.ahead);
    int result = loop_wait(scene.loop, now + 20 * NSEC_PER_MSEC);
    unsigned after = allocations_count(); /* check allocates, too */
    ck_assert_int_eq(result, 0);
    ck_assert_msg(!scene.at_the_edge || after == before, "an allocation at the edge");
}

static void turns(enum band band)
{
    for (int i = 0; i < TURNS; i++)
        turn(band);
}

#define await_in(band, condition)                                        \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn(band);                                                      \
    }
#define await(condition) await_in(BAND_CALM, condition)

static void await_said_in(enum band band, const char *words)
{
    do {
        await_in(band, said_within(0));
    } while (!strstr(said_line(), words));
}

static const struct virt_domain *known_web(void)
{
    return virt_link_domain(scene.link, web, WEB_PID);
}

static unsigned started(void)
{
    return fake_virt_count(scene.folder, "started");
}

static unsigned begun(void)
{
    return fake_virt_count(scene.folder, "begun");
}

static void end_started(unsigned place)
{
    ck_assert_int_eq(kill(fake_virt_pid(scene.folder, "started", place), SIGKILL), 0);
}

/* One acts, and a spare waits. */
static void start(const char *behaviours)
{
    char uri[128];

    (void)snprintf(uri, sizeof(uri), "fake://%s/%d/gold", behaviours, WEB_PID);
    virt_link_set(scene.link, uri);
    await(known_web());
    await(started() == 2);
    ck_assert_uint_eq(begun(), 1);
    ck_assert(virt_link_connected(scene.link));
}

static void edge_begin(void)
{
    turn(BAND_CRITICAL);
    scene.at_the_edge = true;
}

START_TEST(one_waits_and_one_acts)
{
    start("good");
    turns(BAND_CALM);
    ck_assert_uint_eq(started(), 2);
    ck_assert_uint_eq(begun(), 1);
    ck_assert_int_eq(
        fake_virt_pid(scene.folder, "begun", 0), fake_virt_pid(scene.folder, "started", 0));
}
END_TEST

START_TEST(no_spare_is_started_in_bad_times)
{
    virt_link_set(scene.link, "fake://good/4711/gold");
    await_in(BAND_SCARCE, known_web());
    turns(BAND_SCARCE);
    ck_assert_uint_eq(started(), 1);
    scene.at_the_edge = true;
    turns(BAND_CRITICAL);
    scene.at_the_edge = false;
    await_in(BAND_TIGHT, started() == 2);
}
END_TEST

/* ---- taken over ---- */

static void cause_death(void)
{
    end_started(0);
}

static void cause_silence(void)
{
    scene.ahead = VIRT_LINK_SILENCE + NSEC_PER_SEC;
}

static void cause_nonsense(void)
{
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), 0);
}

static void cause_hanging(void)
{
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), 0);
    await_in(BAND_CRITICAL, call(VIRT_OPERATION_SUSPEND) == -EBUSY);
    /* libvirt itself does not hang: another call is answered. */
    ck_assert_int_eq(call(VIRT_OPERATION_DESTROY), 0);
    await_in(BAND_CRITICAL, scene.count > 0);
    ck_assert_int_eq(scene.answers[0].result, -EREMOTEIO);
    scene.ahead = VIRT_LINK_STUCK;
}

static const struct failure {
    const char *behaviours;
    void (*cause)(void);
    const char *said;
} failures[] = {
    {"good,serves", cause_death, "has ended by signal 9; its spare takes over"},
    {"hangs,serves", cause_silence, "has said nothing for too long; ended, and its spare takes"},
    {"answers-itself,serves", cause_nonsense, "talks nonsense; ended, and its spare takes over"},
    {"sick,serves", cause_hanging, "hangs in all its calls to libvirt; ended, and its spare"},
};

START_TEST(a_spare_takes_over_at_the_edge)
{
    const struct failure *failure = &failures[_i];

    start(failure->behaviours);
    edge_begin();
    failure->cause();
    await_said_in(BAND_CRITICAL, failure->said);
    ck_assert(!virt_link_connected(scene.link));
    ck_assert_ptr_nonnull(known_web()); /* what was said of it holds */
    ck_assert_uint_eq(known_web()->asked, UNKNOWN);
    scene.ahead += 2 * NSEC_PER_SEC;
    turn(BAND_CRITICAL);
    scene.ahead = 0; /* what it says, it says now */
    await_in(BAND_CRITICAL, virt_link_connected(scene.link) && known(known_web()->asked));
    ck_assert_int_eq(
        fake_virt_pid(scene.folder, "begun", 1), fake_virt_pid(scene.folder, "started", 1));
    /* It serves, and the old one is gone for good. */
    unsigned before = scene.count;
    ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS), 0);
    await_in(BAND_CRITICAL, scene.count > before);
    ck_assert_int_eq(scene.answers[before].result, 0);
    await_in(BAND_CRITICAL, kill(fake_virt_pid(scene.folder, "started", 0), 0) < 0);
    ck_assert_uint_eq(started(), 2);
    /* When times are better it has a spare, too. */
    scene.at_the_edge = false;
    await_in(BAND_TIGHT, started() == 3);
    ck_assert_uint_eq(begun(), 2);
}
END_TEST

/* Whether it was carried out nobody knows: it is answered so, once, and not done again. */
START_TEST(an_open_call_stays_open)
{
    start("good,serves");
    edge_begin();
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), 0);
    ck_assert_int_eq(call(VIRT_OPERATION_DESTROY), 0);
    end_started(0);
    await_in(BAND_CRITICAL, scene.count == 2);
    ck_assert_int_eq(scene.answers[0].result, -ECONNRESET);
    ck_assert_int_eq(scene.answers[1].result, -ECONNRESET);
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), -ENOTCONN);
    scene.ahead = 2 * NSEC_PER_SEC;
    await_in(BAND_CRITICAL, virt_link_connected(scene.link));
    ck_assert_int_eq(call(VIRT_OPERATION_MEMORY_STATS), 0);
    await_in(BAND_CRITICAL, scene.count == 3);
    ck_assert_int_eq((int)scene.answers[2].look.run_state, VM_RUN_RUNNING);
}
END_TEST

/* Where libvirt answers nobody, a successor would hang as well, and there is but one. */
START_TEST(the_spare_is_not_wasted_on_a_libvirt_that_hangs)
{
    start("stuck,good");
    edge_begin();
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), 0);
    await_in(BAND_CRITICAL, call(VIRT_OPERATION_SUSPEND) == -EBUSY);
    scene.ahead = 2 * VIRT_LINK_STUCK;
    turns(BAND_CRITICAL);
    turns(BAND_SCARCE);
    ck_assert(virt_link_connected(scene.link));
    ck_assert_uint_gt(virt_link_deadline(scene.link), loop_now() + scene.ahead);
    scene.at_the_edge = false;
    await_said_in(BAND_TIGHT, "hangs in all its calls to libvirt; ended, and its spare takes over");
}
END_TEST

START_TEST(a_late_worker_is_not_a_hanging_one)
{
    start("stuck,good");
    ck_assert_int_eq(call(VIRT_OPERATION_SUSPEND), 0);
    await(call(VIRT_OPERATION_SUSPEND) == -EBUSY);
    turn(BAND_CALM);
    ck_assert(virt_link_connected(scene.link));
    ck_assert_uint_le(virt_link_deadline(scene.link), loop_now() + VIRT_LINK_STUCK);
}
END_TEST

/* It has not heard of the old one, so it need not be another. */
START_TEST(another_libvirt_is_the_spare_s)
{
    start("good");
    edge_begin();
    virt_link_set(scene.link, "fake://good/4711/silver");
    ck_assert_ptr_null(known_web());
    await_in(BAND_CRITICAL, known_web());
    ck_assert_str_eq(known_web()->metadata.rules.class_name, "silver");
    ck_assert_uint_eq(started(), 2);
}
END_TEST

START_TEST(off_needs_no_spare)
{
    start("good");
    virt_link_set(scene.link, "off");
    await(kill(fake_virt_pid(scene.folder, "started", 0), 0) < 0);
    await(kill(fake_virt_pid(scene.folder, "started", 1), 0) < 0);
    ck_assert_uint_eq(virt_link_deadline(scene.link), NEVER);
    ck_assert_uint_eq(started(), 2);
}
END_TEST

/* ---- bounds ---- */

/* Each that begins fails at once. It is not only later than the one before but later by more. */
START_TEST(everybody_who_begins_fails)
{
    uint64_t wait = NSEC_PER_SEC;

    virt_link_set(scene.link, "fake://dies/4711/gold");
    /* Later by less than it may be silent. */
    for (unsigned n = 1; wait < VIRT_LINK_SILENCE; n++, wait *= 2) {
        await(begun() == n);
        await(virt_link_settled(scene.link) && !virt_link_connected(scene.link));
        turns(BAND_CALM); /* as late as the one before had to wait */
        ck_assert_uint_eq(begun(), n);
        ck_assert_uint_le(started(), n + 1);
        scene.ahead = wait;
    }
    ck_assert_ptr_nonnull(known_web());
}
END_TEST

START_TEST(a_spare_that_dies_is_replaced)
{
    start("good");
    end_started(1);
    await_said_in(BAND_CALM, "the spare plimsoll-virt (pid ");
    turns(BAND_CALM);
    ck_assert_uint_eq(started(), 2);
    ck_assert(!said_within(0));
    scene.ahead = 2 * NSEC_PER_SEC;
    await(started() == 3);
    ck_assert_uint_eq(begun(), 1);
    ck_assert(virt_link_connected(scene.link));
}
END_TEST

START_TEST(no_spare_is_left)
{
    start("good");
    edge_begin();
    end_started(1);
    await_said_in(BAND_CRITICAL, "has ended by signal 9");
    end_started(0);
    await_said_in(BAND_CRITICAL, "has ended by signal 9; it is started anew");
    scene.ahead = 2 * NSEC_PER_SEC;
    turns(BAND_CRITICAL);
    ck_assert_uint_eq(started(), 2);
    ck_assert_uint_eq(virt_link_deadline(scene.link), NEVER);
    scene.at_the_edge = false;
    await_in(BAND_SCARCE, virt_link_connected(scene.link));
    ck_assert_uint_eq(started(), 3);
    ck_assert_uint_eq(begun(), 2);
}
END_TEST

/* It is gone, and that is not heard yet. */
START_TEST(both_end_at_once)
{
    start("good");
    edge_begin();
    end_started(1);
    end_started(0);
    await_in(BAND_CRITICAL, !virt_link_connected(scene.link));
    scene.ahead = 2 * NSEC_PER_SEC;
    turns(BAND_CRITICAL);
    ck_assert_uint_eq(begun(), 1);
    scene.at_the_edge = false;
    scene.ahead = 5 * NSEC_PER_SEC;
    await(virt_link_connected(scene.link));
    await(started() == 4);
    ck_assert_uint_eq(begun(), 2);
}
END_TEST

START_TEST(a_spare_that_does_not_wait)
{
    static const struct {
        const char *way, *said;
    } cases[] = {
        {"version", "is of another version than plimsolld; ended"},
        {"eager", "says more than a greeting, and was not told to begin; ended"},
        {"silent", "does not get ready; ended"},
    };

    fake_virt_follow(scene.folder, cases[_i].way);
    start("good");
    if (strcmp(cases[_i].way, "silent") == 0)
        scene.ahead = VIRT_LINK_SILENCE + NSEC_PER_SEC;
    await_said_in(BAND_CALM, cases[_i].said);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, one_waits_and_one_acts);
    tcase_add_test(tests, no_spare_is_started_in_bad_times);
    tcase_add_loop_test(tests, a_spare_takes_over_at_the_edge, 0, (int)ELEMENTSOF(failures));
    tcase_add_test(tests, an_open_call_stays_open);
    tcase_add_test(tests, the_spare_is_not_wasted_on_a_libvirt_that_hangs);
    tcase_add_test(tests, a_late_worker_is_not_a_hanging_one);
    tcase_add_test(tests, another_libvirt_is_the_spare_s);
    tcase_add_test(tests, off_needs_no_spare);
    tcase_add_test(tests, everybody_who_begins_fails);
    tcase_add_test(tests, a_spare_that_dies_is_replaced);
    tcase_add_test(tests, no_spare_is_left);
    tcase_add_test(tests, both_end_at_once);
    tcase_add_loop_test(tests, a_spare_that_does_not_wait, 0, 3);
}

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_link_spare");
    TCase *tests = tcase_create("spare");

    add_tests(tests);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
