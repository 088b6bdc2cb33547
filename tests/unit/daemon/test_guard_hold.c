/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hold of a whole guard on a fake host: until when, what ends it, its file through restarts,
 * and what the guard does with guests meanwhile.
 */
#include "act.h"
#include "fake_guest.h"
#include "hold.h"
#include "status.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR (60 * NSEC_PER_MINUTE)
#define OTHER_BOOT "00000000-1111-2222-3333-444444444444"

static struct fake_host host;

static void setup(void)
{
    fake_guest_host(&host, "keep");
    fake_host_set_available(&host, 10 * GIB);
}

static void teardown(void)
{
    fake_host_end(&host);
}

static struct json_object *number(int64_t value)
{
    return json_object_new_int64(value);
}

/* Asks for a hold of TIME, which is taken over; *RET_REPLY may be NULL. */
static int ask(struct json_object *time, struct json_object **ret_reply)
{
    struct json_object *parameters = json_object_new_object(), *reply = NULL;
    struct error error = {0};

    (void)json_object_object_add(parameters, "time", time);
    int result = guard_hold(parameters, &reply, &error, host.guard);
    json_object_put(parameters);
    if (ret_reply)
        *ret_reply = reply;
    else
        json_object_put(reply);
    if (result == -EBADR)
        ck_assert_str_eq(error.text, "time");
    return result;
}

static void hold_for(uint64_t time)
{
    ck_assert_int_eq(ask(number((int64_t)time), NULL), 0);
}

static bool release(void)
{
    struct json_object *reply = NULL;

    ck_assert_int_eq(guard_release(NULL, &reply, NULL, host.guard), 0);
    bool held = json_object_get_boolean(json_object_object_get(reply, "held"));
    json_object_put(reply);
    return held;
}

static const char *mode(void)
{
    return status_mode(host.guard->rules, NULL);
}

static void file_write(const char *boot_id, uint64_t time)
{
    const struct hold_file file = {
        .folder = host.tree->folder, .name = HOLD_NAME, .boot_id = boot_id};

    ck_assert_int_eq(hold_write(&file, hold_clock() + time, NULL), 0);
}

static const char *file_path(void)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/" HOLD_NAME, host.tree->folder);
    return path;
}

static void restart(void)
{
    host.guard = guard_free(host.guard);
    fake_host_start_guard(&host);
}

static bool history_has(const char *text)
{
    struct json_object *log = history_json(host.guard->history, 0);
    bool found = strstr(json_object_to_json_string(log), text) != NULL;

    json_object_put(log);
    return found;
}

START_TEST(it_begins_and_is_over)
{
    fake_host_start_guard(&host);
    ck_assert_str_eq(mode(), "enforce");
    hold_for(HOUR);
    ck_assert_str_eq(mode(), "held");
    ck_assert(history_has("event=hold reason=asked until=2"));
    guard_hold_advance(host.guard, loop_now());
    ck_assert_str_eq(mode(), "held");
    ck_assert_uint_le(guard_hold_deadline(host.guard), loop_now() + HOUR);
    host.guard->hold.until = hold_clock(); /* the hour has passed */
    guard_hold_advance(host.guard, loop_now());
    ck_assert_str_eq(mode(), "enforce");
    ck_assert(history_has("event=release reason=expired"));
    ck_assert_uint_eq(guard_hold_deadline(host.guard), NEVER);
    ck_assert_int_eq(access(file_path(), F_OK), -1);
}
END_TEST

START_TEST(the_later_end_counts)
{
    struct json_object *reply;

    fake_host_start_guard(&host);
    hold_for(2 * HOUR);
    uint64_t until = host.guard->hold.until;
    ck_assert_int_eq(ask(number((int64_t)HOUR), &reply), 0);
    ck_assert(json_object_get_boolean(json_object_object_get(reply, "stands")));
    ck_assert_uint_gt(
        json_object_get_uint64(json_object_object_get(reply, "remaining")), HOUR + HOUR / 2);
    json_object_put(reply);
    ck_assert_uint_eq(host.guard->hold.until, until);
    hold_for(3 * HOUR);
    ck_assert_uint_gt(host.guard->hold.until, until + HOUR / 2);
    ck_assert(release());
    ck_assert_str_eq(mode(), "enforce");
    ck_assert(history_has("event=release reason=asked"));
    ck_assert(!release());
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    fake_host_start_guard(&host);
    ck_assert_int_eq(ask(number(0), NULL), -EBADR);
    ck_assert_int_eq(ask(number(-5), NULL), -EBADR);
    ck_assert_int_eq(ask(number((int64_t)HOLD_MOST + 1), NULL), -EBADR);
    ck_assert_int_eq(ask(number(INT64_MAX), NULL), -EBADR);
    ck_assert_int_eq(ask(json_object_new_string("1h"), NULL), -EBADR);
    ck_assert_int_eq(ask(json_object_new_double(1e9), NULL), -EBADR);
    ck_assert_int_eq(ask(NULL, NULL), -EBADR);
    ck_assert_str_eq(mode(), "enforce");
    ck_assert_int_eq(access(file_path(), F_OK), -1);
}
END_TEST

START_TEST(a_restart_keeps_it)
{
    struct stat info;

    fake_host_start_guard(&host);
    hold_for(HOUR);
    uint64_t until = host.guard->hold.until;
    ck_assert_int_eq(stat(file_path(), &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    restart();
    ck_assert_str_eq(mode(), "held");
    ck_assert_uint_eq(host.guard->hold.until, until);
    ck_assert(history_has("event=hold reason=kept"));
    ck_assert(history_has("mode=held max_vms"));
    ck_assert(release());
    restart();
    ck_assert_str_eq(mode(), "enforce");
}
END_TEST

START_TEST(a_reload_keeps_it)
{
    fake_host_start_guard(&host);
    hold_for(HOUR);
    ck_assert_int_eq(guard_reload(host.guard, NULL), 0);
    ck_assert_str_eq(mode(), "held");
    ck_assert_int_eq(host.guard->rules->host.mode, MODE_DRY_RUN);
}
END_TEST

/* One that was to hold till then does not when the host was started anew, or it is not whole, or
 * not ours. */
START_TEST(a_file_that_is_none_is_ignored)
{
    char text[512];
    int fd;

    fake_host_start_guard(&host);
    hold_for(HOUR);
    fd = open(file_path(), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    ck_assert_int_gt(length, 80);
    text[length] = '\0';
    switch (_i) {
    case 0:
        file_write(OTHER_BOOT, HOUR);
        break;
    case 1:
        ck_assert_int_eq(ftruncate(fd, length / 2), 0);
        break;
    case 2:
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        break;
    case 3: /* a digit more */
        ck_assert_int_eq(pwrite(fd, "9", 1, strstr(text, "until ") + 6 - text), 1);
        break;
    case 4:
        ck_assert_int_eq(fchmod(fd, 0666), 0);
        break;
    case 5:
        ck_assert_int_eq(unlink(file_path()), 0);
        ck_assert_int_eq(symlink("/proc/uptime", file_path()), 0);
        break;
    case 6:
        ck_assert_int_eq(pwrite(fd, "\0", 1, 3), 1);
        break;
    case 7:
        ck_assert_int_eq(unlink(file_path()), 0);
        ck_assert_int_eq(mkdir(file_path(), 0700), 0);
        break;
    case 8:
        file_write(host.guard->boot_id, 2 * HOLD_MOST);
        break;
    case 9:
        file_write(host.guard->boot_id, 0);
        break;
    default:
        ck_abort();
    }
    (void)close(fd);
    struct error error = {0};
    uint64_t until = 0;
    const struct hold_file file = {
        .folder = host.tree->folder, .name = HOLD_NAME, .boot_id = host.guard->boot_id};
    int result = hold_read(&file, hold_clock(), &until, &error);
    ck_assert_int_le(result, 0);
    ck_assert_int_eq(result == 0, _i == 9);
    ck_assert(result == 0 || strstr(error.text, file_path()));
    restart();
    ck_assert_str_eq(mode(), "enforce");
    ck_assert(!history_has("event=hold"));
    if (_i == 7)
        ck_assert_int_eq(rmdir(file_path()), 0);
}
END_TEST

/* A hold that no restart would keep is none. */
START_TEST(without_its_file_it_does_not_begin)
{
    char beside[300];

    fake_host_start_guard(&host);
    (void)snprintf(beside, sizeof(beside), "%s.new", file_path());
    ck_assert_int_eq(mkdir(beside, 0700), 0);
    ck_assert_int_lt(ask(number((int64_t)HOUR), NULL), 0);
    ck_assert_str_eq(mode(), "enforce");
    ck_assert_int_eq(rmdir(beside), 0);
}
END_TEST

/* Where memory is at its end no file is made: that can wait, and the hold cannot. */
START_TEST(in_critical_its_file_comes_later)
{
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 100 * MIB);
    guard_reckon(host.guard, loop_now());
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CRITICAL);
    hold_for(HOUR);
    ck_assert_str_eq(mode(), "held");
    guard_hold_advance(host.guard, loop_now());
    ck_assert_int_lt(access(file_path(), F_OK), 0);
    fake_host_set_available(&host, 12 * GIB);
    for (unsigned i = 0; i < 1000 && host.guard->plan->assessment.band == BAND_CRITICAL; i++)
        guard_reckon(host.guard, loop_now() + i * NSEC_PER_SEC);
    guard_hold_advance(host.guard, loop_now());
    ck_assert_int_eq(access(file_path(), F_OK), 0);
    restart();
    ck_assert_str_eq(mode(), "held");
}
END_TEST

START_TEST(a_guard_in_dry_run_stays_that)
{
    fake_host_end(&host);
    fake_host_begin(&host, FAKE_CGROUPS_V2, "[guard]\nlibvirt=off\nqmp-directory=/nonexistent\n");
    fake_host_set_available(&host, 10 * GIB);
    fake_host_start_guard(&host);
    hold_for(HOUR);
    ck_assert_str_eq(mode(), "dry-run");
    ck_assert(!host.guard->rules->host.held);
    ck_assert_uint_gt(host.guard->rules->host.held_until, 0);
    ck_assert(release());
}
END_TEST

/* ---- guests ---- */

START_TEST(status_shows_it)
{
    struct fake_guest guest;

    fake_guest_start(&guest, &host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    hold_for(HOUR);
    guard_reckon(host.guard, loop_now());
    struct json_object *status =
        status_json(host.guard->snapshot, host.guard->plan, host.guard->rules, NULL);
    const char *text = json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN);
    ck_assert_ptr_nonnull(strstr(text, "\"hold\":{\"until\":1"));
    const char *first = strstr(text, "\"mode\":\"held\"");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first + 1, "\"mode\":\"held\""));
    json_object_put(status);
    ck_assert(release());
    guard_reckon(host.guard, loop_now());
    status = status_json(host.guard->snapshot, host.guard->plan, host.guard->rules, NULL);
    text = json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN);
    ck_assert_ptr_nonnull(strstr(text, "\"hold\":null"));
    ck_assert_ptr_null(strstr(text, "\"held\""));
    json_object_put(status);
    fake_guest_end(&guest);
}
END_TEST

/* Grows until memory is out. */
static void storm(pid_t pid)
{
    uint64_t rss = 4 * GIB;

    for (uint64_t available = 8 * GIB; available > 400 * MIB; available -= 200 * MIB) {
        rss += 200 * MIB;
        fake_host_set_rss(&host, pid, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
        guard_hold_advance(host.guard, host.now);
    }
}

START_TEST(in_critical_nothing_is_done_and_all_is_said)
{
    pid_t pid = fake_host_guest(&host, "grower", 4 * GIB);

    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    hold_for(HOUR);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    storm(pid);
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CRITICAL);
    ck_assert(history_has("action=freeze"));
    ck_assert(history_has("mode=held"));
    ck_assert(!history_has("mode=enforce t"));
    ck_assert(history_has("event=held band=critical until="));
    ck_assert_int_eq(fake_host_real_state(pid), 'S');
    ck_assert_uint_eq(fake_guest_vm(&host, pid)->figures.measures.in_force, 0);
    /* And then it acts by itself. */
    ck_assert(release());
    for (uint64_t i = 0; i < 20 && fake_host_real_state(pid) == 'S'; i++) {
        fake_host_set_rss(&host, pid, 12 * GIB + i * 20 * MIB);
        fake_host_set_available(&host, 400 * MIB - i * 20 * MIB);
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    }
    ck_assert_int_ne(fake_host_real_state(pid), 'S');
}
END_TEST

static void process_show(pid_t pid, char state)
{
    fake_tree_process(host.tree, &(struct fake_process){.pid = pid,
                                     .start_time = FAKE_HOST_START_TIME,
                                     .state = state,
                                     .rss_kib = 7 * GIB / KIB});
}

/* A freeze from before it becomes a pause in it, by the guard's own ticks. */
START_TEST(a_freeze_becomes_a_pause)
{
    struct fake_guest guest;

    fake_guest_start(&guest, &host, "one", 7 * GIB);
    /* Room to thaw it, as long as a `stop` may take, and none to let it run. */
    fake_host_set_available(&host, 1320 * MIB);
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &guest);
    struct vm *vm = fake_guest_vm(&host, guest.pid);
    ck_assert_int_eq(act_freeze(vm, MODE_ENFORCE, loop_now()), 0);
    fake_host_await(guest.pid, WSTOPPED);
    process_show(guest.pid, 'T');
    hold_for(HOUR);
    uint64_t limit = loop_now() + FAKE_GUEST_PATIENCE;
    while (!vm_has(vm, VM_MEASURE_STOPPED)) {
        ck_assert_uint_lt(loop_now(), limit);
        guard_tick(host.guard, loop_now());
        if (fake_host_real_state(guest.pid) != 'T')
            process_show(guest.pid, 'S');
        fake_guest_turn(&host);
    }
    ck_assert_uint_eq(guest.record->stops, 1);
    ck_assert(!vm_has(vm, VM_MEASURE_FROZEN));
    ck_assert_int_ne(fake_host_real_state(guest.pid), 'T');
    fake_guest_end(&guest);
}
END_TEST

/* ---- starts ---- */

static struct json_object *admit(const char *uuid)
{
    struct json_object *asked = json_tokener_parse(
        "{\"name\":\"web\",\"pinned\":false,\"allocated\":false,\"hugepages\":false,"
        "\"balloon\":true,\"nodes\":[],\"patience\":2000000000,\"maximum\":4294967296}");
    struct json_object *answer = NULL;

    (void)json_object_object_add(asked, "uuid", json_object_new_string(uuid));
    ck_assert_int_eq(guard_admit(asked, &answer, NULL, host.guard), 0);
    json_object_put(asked);
    return answer;
}

START_TEST(starts_that_were_granted_are_kept)
{
    fake_host_end(&host);
    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nmode=enforce\nlibvirt=off\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "[class default]\nmode=enforce\n[admission]\nmode=enforce\n");
    fake_host_set_available(&host, 12 * GIB);
    fake_host_start_guard(&host);
    fake_host_tick(&host, NSEC_PER_SEC);
    json_object_put(admit("00112233-4455-6677-8899-aabbccddeeff"));
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    hold_for(HOUR);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    /* A new one is told what would be, and has nothing kept for it. */
    struct json_object *answer = admit("11112233-4455-6677-8899-aabbccddeeff");
    ck_assert(!json_object_get_boolean(json_object_object_get(answer, "acts")));
    json_object_put(answer);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    ck_assert(release());
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    TCase *tests = tcase_create("guard_hold");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_begins_and_is_over);
    tcase_add_test(tests, the_later_end_counts);
    tcase_add_test(tests, what_is_no_time_is_refused);
    tcase_add_test(tests, a_restart_keeps_it);
    tcase_add_test(tests, a_reload_keeps_it);
    tcase_add_loop_test(tests, a_file_that_is_none_is_ignored, 0, 10);
    tcase_add_test(tests, without_its_file_it_does_not_begin);
    tcase_add_test(tests, in_critical_its_file_comes_later);
    tcase_add_test(tests, a_guard_in_dry_run_stays_that);
    tcase_add_test(tests, status_shows_it);
    tcase_add_test(tests, in_critical_nothing_is_done_and_all_is_said);
    tcase_add_test(tests, a_freeze_becomes_a_pause);
    tcase_add_test(tests, starts_that_were_granted_are_kept);
    Suite *suite = suite_create("guard_hold");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
