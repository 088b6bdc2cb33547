/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An undo by a guard that lives: what is in force is taken back, if there is room, and the guest is
 * left alone for as long as was asked, through a restart as well.
 */
#include "act.h"
#include "fake_guest.h"
#include "hold.h"
#include "status.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR ((int64_t)(60 * NSEC_PER_MINUTE))

static struct fake_host host;
static struct fake_guest one, two;
static struct error error;

static struct vm *vm_of(const struct fake_guest *guest)
{
    return fake_guest_vm(&host, guest->pid);
}

static void begin_with(const char *on_exit, uint64_t rss, uint64_t available)
{
    fake_guest_host(&host, on_exit);
    fake_host_set_available(&host, available);
    fake_guest_start(&one, &host, "one", rss);
    fake_guest_start(&two, &host, "two", rss);
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &one);
    fake_guest_await_monitor(&host, &two);
    guard_reckon(host.guard, loop_now());
}

static void begin(uint64_t rss, uint64_t available)
{
    begin_with("keep", rss, available);
}

static void end(void)
{
    fake_guest_end(&one);
    fake_guest_end(&two);
    fake_host_end(&host);
}

/* As JSON that is taken over; *RET_REPLY may be NULL. */
static int call(const char *text, struct json_object **ret_reply)
{
    struct json_object *parameters = json_tokener_parse(text), *reply = NULL;

    ck_assert_ptr_nonnull(parameters);
    error = (struct error){0};
    int result = guard_undo(parameters, &reply, &error, host.guard);
    json_object_put(parameters);
    if (ret_reply)
        *ret_reply = reply;
    else
        json_object_put(reply);
    return result;
}

/* By pid: QEMU gives both the same name. */
static int ask(
    const struct fake_guest *guest, int64_t time, bool force, struct json_object **ret_reply)
{
    char text[160];

    (void)snprintf(text, sizeof(text), "{\"pid\":%d,\"time\":%lld,\"force\":%s}", (int)guest->pid,
        (long long)time, force ? "true" : "false");
    return call(text, ret_reply);
}

static int undo(const struct fake_guest *guest, bool force)
{
    return ask(guest, HOUR, force, NULL);
}

/* The guard's own turns, but for its looks, which here would decide as well. */
static void advance(void)
{
    guard_undo_advance(host.guard, loop_now());
    fake_guest_turn(&host);
}

static void await_nothing_in_force(const struct fake_guest *guest)
{
    uint64_t limit = loop_now() + FAKE_GUEST_PATIENCE;

    while (vm_of(guest)->figures.measures.in_force != 0) {
        ck_assert_uint_lt(loop_now(), limit);
        advance();
    }
}

static bool history_has(const char *text)
{
    struct json_object *log = history_json(host.guard->history, 0);
    bool found = strstr(json_object_to_json_string(log), text) != NULL;

    json_object_put(log);
    return found;
}

static bool has_file(const struct vm *vm)
{
    char name[HOLD_NAME_MAX], path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder,
        hold_guest_name(&vm->figures.identity, name));
    return access(path, F_OK) == 0;
}

/* "held" and the like, as the status has it. */
static void expect_mode(const char *mode)
{
    guard_reckon(host.guard, loop_now());
    const struct status_aside aside = guard_status_aside(host.guard);
    struct json_object *vm = NULL;

    for (uint32_t i = 0; i < host.guard->snapshot->vm_count; i++)
        if (host.guard->snapshot->vms[i].identity.pid == one.pid)
            vm = status_vm_json(host.guard->snapshot, i, host.guard->rules, &aside);
    ck_assert_ptr_nonnull(vm);
    ck_assert_str_eq(json_object_get_string(json_object_object_get(vm, "mode")), mode);
    ck_assert_int_eq(json_object_object_get(vm, "hold") != NULL, strcmp(mode, "held") == 0);
    json_object_put(vm);
}

/* NULL: all. */
static bool release(const struct fake_guest *guest)
{
    struct json_object *parameters = json_object_new_object(), *reply = NULL;
    char pid[24];

    (void)snprintf(pid, sizeof(pid), "%d", guest ? (int)guest->pid : 0);
    if (guest)
        (void)json_object_object_add(parameters, "name", json_object_new_string(pid));
    ck_assert_int_eq(guard_release(parameters, &reply, NULL, host.guard), 0);
    bool held = json_object_get_int(json_object_object_get(reply, "guests")) > 0;
    json_object_put(parameters);
    json_object_put(reply);
    return held;
}

START_TEST(all_is_taken_back_and_it_is_left_alone)
{
    struct json_object *reply;

    begin(7 * GIB, 12 * GIB);
    fake_guest_inflate(&host, &one, 6 * GIB);
    fake_guest_pause(&host, &one);
    fake_guest_pause(&host, &two);
    ck_assert_int_eq(act_oom_score(vm_of(&one), &host.guard->roots, -100, MODE_ENFORCE), 0);
    expect_mode("enforce");
    ck_assert_int_eq(ask(&one, HOUR, false, &reply), 0);
    ck_assert_str_eq(json_object_get_string(json_object_object_get(reply, "measures")),
        "[ \"balloon\", \"stopped\", \"oom-score\" ]");
    /* To its maximum, of which the process itself holds a little more than its memory. */
    int64_t most = json_object_get_int64(json_object_object_get(reply, "most"));
    ck_assert(most > (int64_t)(GIB - 16 * MIB) && most <= (int64_t)GIB);
    ck_assert_int_gt(
        json_object_get_int64(json_object_object_get(reply, "remaining")), HOUR - HOUR / 60);
    json_object_put(reply);
    await_nothing_in_force(&one);
    fake_guest_await(&host, one.record->running && one.record->balloon == FAKE_GUEST_RAM);
    ck_assert_ptr_null(ledger_get(host.guard->ledger, vm_of(&one)->slot));
    /* And nobody else's. */
    ck_assert(!two.record->running);
    ck_assert_uint_eq(vm_of(&two)->figures.measures.in_force, VM_MEASURE_STOPPED);
    ck_assert(!vm_of(&two)->held);
    ck_assert(history_has("event=undo vm=fake uuid="));
    ck_assert(history_has("measures=balloon,stopped,oom-score band=calm until=2"));
    expect_mode("held");
    ck_assert(release(&one));
    expect_mode("enforce");
    ck_assert(!has_file(vm_of(&one)));
    ck_assert(!release(&one));
    end();
}
END_TEST

START_TEST(a_freeze_is_thawed)
{
    begin(7 * GIB, 12 * GIB);
    ck_assert_int_eq(act_freeze(vm_of(&one), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(one.pid, WSTOPPED);
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    ck_assert_int_ne(fake_host_real_state(one.pid), 'T');
    fake_guest_await(&host, one.record->running);
    end();
}
END_TEST

/* Where the host is short, and where the guest could take more than there is. */
static const struct {
    uint64_t rss, first, available;
    const char *text;
} short_hosts[] = {
    {7 * GIB + 512 * MIB, 12 * GIB, 600 * MIB, "the host is critical and has room for "},
    {2 * GIB, 5 * GIB, 5 * GIB, "the host is calm and has room for "},
};

START_TEST(without_room_it_is_refused)
{
    begin(short_hosts[_i].rss, short_hosts[_i].first);
    fake_guest_pause(&host, &one);
    fake_host_set_available(&host, short_hosts[_i].available);
    guard_reckon(host.guard, loop_now());
    ck_assert_int_eq(undo(&one, false), -EBUSY);
    ck_assert_msg(strstr(error.text, short_hosts[_i].text), "%s", error.text);
    ck_assert_ptr_nonnull(strstr(error.text, "fake may take "));
    ck_assert_ptr_nonnull(strstr(error.text, "--force"));
    advance();
    ck_assert_uint_eq(vm_of(&one)->figures.measures.in_force, VM_MEASURE_STOPPED);
    ck_assert_uint_eq(one.record->conts, 0);
    ck_assert(!has_file(vm_of(&one)));
    ck_assert(!history_has("event=undo"));
    ck_assert_int_eq(undo(&one, true), 0);
    /* Where memory is at its end no file is made: that can wait. */
    ck_assert_int_eq(has_file(vm_of(&one)), host.guard->plan->assessment.band < BAND_CRITICAL);
    await_nothing_in_force(&one);
    fake_host_set_available(&host, short_hosts[_i].first);
    for (unsigned i = 0; i < 1000 && host.guard->plan->assessment.band == BAND_CRITICAL; i++)
        guard_reckon(host.guard, loop_now() + i * NSEC_PER_SEC);
    host.guard->undo.deadline = 0;
    guard_undo_advance(host.guard, loop_now());
    ck_assert(has_file(vm_of(&one)));
    fake_guest_await(&host, one.record->running);
    ck_assert(history_has("forced=yes"));
    end();
}
END_TEST

/* Each may take 4 GiB of some 7: the first has not taken them yet when the second is asked for. */
START_TEST(what_the_first_may_take_is_not_the_seconds)
{
    begin(4 * GIB, 8 * GIB);
    fake_guest_pause(&host, &one);
    fake_guest_pause(&host, &two);
    guard_reckon(host.guard, loop_now());
    ck_assert_int_eq(undo(&one, false), 0);
    ck_assert_int_eq(undo(&two, false), -EBUSY);
    await_nothing_in_force(&one);
    ck_assert_int_eq(undo(&two, false), -EBUSY);
    ck_assert(!two.record->running);
    /* It has them now, and the host as much as before. */
    vm_of(&one)->figures.rss = FAKE_GUEST_RAM;
    ck_assert_int_eq(undo(&two, false), 0);
    await_nothing_in_force(&two);
    end();
}
END_TEST

START_TEST(who_is_being_ended_is_not_undone)
{
    static const uint32_t ends[] = {VM_MEASURE_KILLED, VM_MEASURE_SAVING, VM_MEASURE_SHUTTING_DOWN};

    begin(4 * GIB, 12 * GIB);
    vm_of(&one)->figures.measures.in_force = ends[_i];
    ck_assert_int_eq(undo(&one, true), -EBUSY);
    ck_assert_ptr_nonnull(strstr(error.text, "which cannot be taken back"));
    ck_assert(!has_file(vm_of(&one)));
    vm_of(&one)->figures.measures.in_force = 0;
    end();
}
END_TEST

START_TEST(with_nothing_in_force_nothing_is_done)
{
    struct json_object *reply;

    begin(4 * GIB, 12 * GIB);
    ck_assert_int_eq(ask(&one, 1, false, &reply), 0);
    ck_assert_str_eq(json_object_get_string(json_object_object_get(reply, "vm")), "fake");
    ck_assert_int_eq(json_object_get_int(json_object_object_get(reply, "pid")), one.pid);
    ck_assert_uint_eq(json_object_array_length(json_object_object_get(reply, "measures")), 0);
    ck_assert_ptr_null(json_object_object_get(reply, "until"));
    json_object_put(reply);
    ck_assert_uint_eq(vm_of(&one)->hold_until, 0);
    expect_mode("enforce");
    end();
}
END_TEST

START_TEST(what_is_no_question_is_refused)
{
    static const struct {
        const char *text;
        int result;
    } questions[] = {
        {"{}", -EBADR},
        {"{\"name\":\"one\"}", -EBADR},
        {"{\"name\":\"one\",\"time\":0}", -EBADR},
        {"{\"name\":\"one\",\"time\":86400000000001}", -EBADR},
        {"{\"name\":\"one\",\"time\":1.5}", -EBADR},
        {"{\"time\":5}", -EBADR},
        {"{\"name\":7,\"time\":5}", -EBADR},
        {"{\"name\":\"one\",\"pid\":7,\"time\":5}", -EBADR},
        {"{\"pid\":\"one\",\"time\":5}", -EBADR},
        {"{\"name\":\"one\",\"time\":5,\"force\":1}", -EBADR},
        {"{\"name\":\"fak\",\"time\":5}", -ENOENT},
        {"{\"name\":\"fake\",\"time\":5}", -ENOTUNIQ},
        {"{\"pid\":1,\"time\":5}", -ESRCH},
        {"{\"pid\":-1,\"time\":5}", -ESRCH},
    };

    begin(4 * GIB, 12 * GIB);
    for (size_t i = 0; i < ELEMENTSOF(questions); i++)
        ck_assert_msg(call(questions[i].text, NULL) == questions[i].result, "%s: %s",
            questions[i].text, error.text);
    end();
}
END_TEST

START_TEST(a_restart_keeps_it)
{
    begin(4 * GIB, 12 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    uint64_t until = vm_of(&one)->hold_until;
    host.guard = guard_free(host.guard);
    fake_host_start_guard(&host);
    ck_assert_uint_eq(vm_of(&one)->hold_until, until);
    ck_assert_uint_eq(vm_of(&two)->hold_until, 0);
    ck_assert(history_has("event=hold reason=kept vm=one uuid="));
    expect_mode("held");
    ck_assert_int_eq(guard_reload(host.guard, NULL), 0);
    expect_mode("held");
    ck_assert(release(NULL)); /* all of them */
    expect_mode("enforce");
    end();
}
END_TEST

/* What it was given back once can be given back again, by the guard's own exit. */
START_TEST(an_exit_gives_back_what_was_taken_after_it)
{
    begin_with("restore", 7 * GIB, 12 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    ck_assert(release(&one));
    fake_guest_pause(&host, &one);
    guard_leave(host.guard);
    ck_assert_uint_eq(vm_of(&one)->figures.measures.in_force, 0);
    fake_guest_await(&host, one.record->running);
    end();
}
END_TEST

/* Its own memory does not count twice. */
START_TEST(it_may_be_asked_for_again)
{
    begin(4 * GIB, 8 * GIB);
    fake_guest_pause(&host, &one);
    guard_reckon(host.guard, loop_now());
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    end();
}
END_TEST

/* However short the guest is left alone. */
START_TEST(what_was_begun_is_brought_to_its_end)
{
    begin(7 * GIB, 12 * GIB);
    fake_guest_inflate(&host, &one, 6 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(ask(&one, 1, false, NULL), 0);
    uint64_t patience = loop_now() + FAKE_GUEST_PATIENCE;
    while (vm_of(&one)->hold_until != 0) {
        ck_assert_uint_lt(loop_now(), patience);
        advance();
    }
    ck_assert_uint_eq(vm_of(&one)->figures.measures.in_force, 0);
    fake_guest_await(&host, one.record->running && one.record->balloon == FAKE_GUEST_RAM);
    end();
}
END_TEST

START_TEST(it_is_over_in_time)
{
    begin(4 * GIB, 12 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(undo(&one, false), 0);
    ck_assert(has_file(vm_of(&one)));
    await_nothing_in_force(&one);
    vm_of(&one)->hold_until = hold_clock(); /* the hour has passed */
    host.guard->undo.deadline = 0;
    for (int turn = 0; turn < 3; turn++)
        guard_undo_advance(host.guard, loop_now() + (uint64_t)turn * NSEC_PER_SEC);
    ck_assert(history_has("event=release reason=expired vm=fake uuid="));
    ck_assert(!has_file(vm_of(&one)));
    ck_assert_uint_eq(guard_undo_deadline(host.guard), NEVER);
    expect_mode("enforce");
    end();
}
END_TEST

START_TEST(a_guest_that_ends_leaves_none)
{
    char name[HOLD_NAME_MAX], path[256];

    begin(4 * GIB, 12 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(undo(&one, false), 0);
    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder,
        hold_guest_name(&vm_of(&one)->figures.identity, name));
    ck_assert_int_eq(access(path, F_OK), 0);
    fake_guest_end(&one);
    fake_guest_await(&host, access(path, F_OK) < 0);
    ck_assert_uint_eq(host.guard->undo.held, 0);
    fake_guest_end(&two);
    fake_host_end(&host);
}
END_TEST

/* Both grow until memory is out: only the other one is stopped. */
START_TEST(in_a_storm_it_is_left_alone)
{
    begin(3 * GIB, 9 * GIB);
    fake_guest_pause(&host, &one);
    guard_reckon(host.guard, loop_now());
    ck_assert_int_eq(undo(&one, false), 0);
    await_nothing_in_force(&one);
    uint64_t rss = 3 * GIB;
    for (uint64_t available = 9 * GIB; available > 400 * MIB; available -= 400 * MIB) {
        rss += 200 * MIB;
        fake_host_set_rss(&host, one.pid, rss);
        fake_host_set_rss(&host, two.pid, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
        guard_undo_advance(host.guard, loop_now());
    }
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CRITICAL);
    ck_assert_uint_eq(vm_of(&one)->figures.measures.in_force, 0);
    ck_assert_int_ne(fake_host_real_state(one.pid), 'T');
    ck_assert(vm_has(vm_of(&two), VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED));
    end();
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("guard_undo");
    TCase *tests = tcase_create("undo");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, all_is_taken_back_and_it_is_left_alone);
    tcase_add_test(tests, a_freeze_is_thawed);
    tcase_add_loop_test(tests, without_room_it_is_refused, 0, ELEMENTSOF(short_hosts));
    tcase_add_test(tests, what_the_first_may_take_is_not_the_seconds);
    tcase_add_loop_test(tests, who_is_being_ended_is_not_undone, 0, 3);
    tcase_add_test(tests, with_nothing_in_force_nothing_is_done);
    tcase_add_test(tests, what_is_no_question_is_refused);
    tcase_add_test(tests, a_restart_keeps_it);
    tcase_add_test(tests, an_exit_gives_back_what_was_taken_after_it);
    tcase_add_test(tests, it_may_be_asked_for_again);
    tcase_add_test(tests, what_was_begun_is_brought_to_its_end);
    tcase_add_test(tests, it_is_over_in_time);
    tcase_add_test(tests, a_guest_that_ends_leaves_none);
    tcase_add_test(tests, in_a_storm_it_is_left_alone);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
