/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `plimsoll report` says of records in which all is known: each sentence, row and figure is
 * reckoned here by hand. Records of a guard as it runs are in the script beside this file.
 */
#include "report_scene.h"
#include "suite.h"
#include "terminal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *fate_of(const char *name)
{
    return json_object_get_string(scene_member("vms", "name", name, "fate"));
}

static uint64_t event_figure(const char *member)
{
    struct json_object *event = json_object_object_get(scene.json, "event");

    return json_object_get_uint64(json_object_object_get(event, member));
}

/* ---- what becomes of guests ---- */

START_TEST(a_kill_by_the_guard)
{
    scene_guest("one", 4 * GIB);
    scene_guest("two", 2 * GIB);
    scene_calm_before();
    scene_act(ACTION_KILL, REASON_KILL_FLOOR, 0);
    scene_looks(1, BAND_CRITICAL, 512 * MIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_KILLED;
    scene_looks(1, BAND_CRITICAL, 512 * MIB);
    scene_gone(0);
    scene_calm_after();
    scene_report(1);
    scene_says("Memory was short from 2026-01-01 12:00:20 to 2026-01-01 12:00:22 (2s)");
    scene_says("The floor was crossed: at 12:00:20 memory was 512M below it.");
    scene_says("The guard decided for 1 guest: 1 × kill.");
    scene_says("Of guests the guard killed 1, saved 0 and shut down 0.");
    scene_says("12:00:20 one kill: ");
    scene_says_not("dry run");
    ck_assert_str_eq(fate_of("one"), "killed");
    ck_assert_str_eq(fate_of("two"), "stayed");
    ck_assert_uint_eq(event_figure("killed"), 1);
}
END_TEST

/* No decision is in the record for who went in a gap; but SIGKILL was seen to be on its way. */
START_TEST(a_kill_that_was_decided_in_a_gap)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_looks(2, BAND_CRITICAL, 512 * MIB);
    scene_gap(10 * NSEC_PER_SEC);
    scene_vm(0)->measures.in_force = VM_MEASURE_KILLED;
    scene_looks(1, BAND_CRITICAL, 512 * MIB);
    scene_gone(0);
    scene_calm_after();
    scene_report(1);
    ck_assert_str_eq(fate_of("one"), "killed");
}
END_TEST

START_TEST(a_kill_by_the_kernel)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_looks(1, BAND_CRITICAL, 64 * MIB);
    scene.snapshot->host.oom_kills = 1;
    scene_gone(0);
    scene_calm_after();
    scene_report(1);
    scene_says("The guard did nothing to any guest. The guard ended no guest.");
    scene_says("The record has no decision of the guard for the end of 1 guest.");
    scene_says("The kernel killed 1 process for want of memory.");
    scene_says("WITHOUT THE GUARD No look shows anything held back from a guest");
    ck_assert_str_eq(fate_of("one"), "ended");
}
END_TEST

START_TEST(a_guest_that_ends_by_itself)
{
    scene_guest("before", GIB);
    scene_guest("margin", GIB);
    scene_guest("one", 4 * GIB);
    scene_looks(5, BAND_CALM, 8 * GIB);
    scene_gone(0);
    scene_looks(10, BAND_CALM, 8 * GIB);
    scene_gone(0);
    scene_looks(5, BAND_CALM, 8 * GIB);
    scene_looks(3, BAND_TIGHT, 2 * GIB);
    scene_gone(0);
    scene_calm_after();
    scene_report(1);
    ck_assert_str_eq(fate_of("one"), "ended");
    scene_says_not("kernel killed");
    /* Who was gone before it began has stayed nowhere. */
    scene_says_not("stayed");
    scene_says_not("more were there");
    ck_assert_uint_eq(json_object_array_length(json_object_object_get(scene.json, "vms")), 1);
}
END_TEST

START_TEST(a_save_that_was_done_and_one_that_failed)
{
    scene_guest("done", 4 * GIB);
    scene_guest("failed", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_SAVE, REASON_SAVE_FLOOR, 0);
    scene_act(ACTION_SAVE, REASON_SAVE_FLOOR, 1);
    scene_looks(1, BAND_CRITICAL, 2 * GIB);
    scene_vm(0)->measures.in_force = scene_vm(1)->measures.in_force = VM_MEASURE_SAVING;
    scene_looks(20, BAND_CRITICAL, 2 * GIB);
    scene_vm(1)->measures.in_force = 0;
    scene_gone(0);
    scene_calm_after();
    scene_report(1);
    scene_says("The guard decided for 2 guests: 2 × save.");
    scene_says("Of guests the guard killed 0, saved 1 and shut down 0.");
    scene_says("12:00:20 done save: ");
    scene_says("12:00:20 failed save (not seen to be done): ");
    ck_assert_str_eq(fate_of("done"), "saved");
    ck_assert_str_eq(fate_of("failed"), "stayed");
    ck_assert_str_eq(json_object_get_string(scene_member("actions", "vm", "done", "seen")), "seen");
    ck_assert_uint_eq(json_object_get_uint64(scene_member("actions", "vm", "done", "seen_after")),
        21 * NSEC_PER_SEC);
    ck_assert_str_eq(
        json_object_get_string(scene_member("actions", "vm", "failed", "seen")), "not-seen");
    ck_assert_ptr_null(scene_member("actions", "vm", "failed", "seen_after"));
}
END_TEST

/* ---- what is done and undone ---- */

START_TEST(a_brake_and_its_release)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_BRAKE, REASON_BRAKE_GROWTH, 0);
    scene_looks(1, BAND_SCARCE, 2 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_BRAKED;
    scene_looks(29, BAND_SCARCE, 2 * GIB);
    scene_act(ACTION_RELEASE, REASON_RELEASE_ROOM, 0);
    scene_looks(1, BAND_CALM, 8 * GIB);
    scene_vm(0)->measures.in_force = 0;
    scene_calm_after();
    scene_report(1);
    /* In force at 30 looks: to the one after the last. */
    scene_says("Guests that were slowed down: 1, for 30s together.");
    scene_says("1 × brake, 1 × release.");
    scene_says("12:00:50 one release: ");
    scene_says_not("not seen");
    ck_assert_uint_eq(event_figure("braked"), 30 * NSEC_PER_SEC);
    ck_assert_uint_eq(event_figure("paused"), 0);
}
END_TEST

START_TEST(a_pause_and_its_resume)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_PAUSE, REASON_PAUSE_GROWTH, 0);
    scene_looks(1, BAND_CRITICAL, 2 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOP_SENT;
    scene_act(ACTION_MEMLOCK, REASON_MEMLOCK_CAP, 0);
    scene_looks(1, BAND_CRITICAL, 2 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_looks(38, BAND_CRITICAL, 2 * GIB);
    scene_act(ACTION_RESUME, REASON_RESUME_ROOM, 0);
    scene_looks(1, BAND_CALM, 8 * GIB);
    scene_vm(0)->measures.in_force = 0;
    scene_calm_after();
    scene_report(1);
    scene_says("The guard decided for 1 guest: 1 × pause, 1 × resume.");
    scene_says("Guests that stood still: 1, for 39s together.");
    scene_says_not("not seen");
    scene_says_not("still stood");
    ck_assert_uint_eq(event_figure("paused"), 39 * NSEC_PER_SEC);
}
END_TEST

START_TEST(ballooning_and_giving_back)
{
    struct vm_snapshot *vm = scene_guest("one", 6 * GIB);

    scene_calm_before();
    scene_act(ACTION_BALLOON, REASON_BALLOON_IDLE, 0)->target = 7 * GIB;
    scene_looks(1, BAND_TIGHT, 3 * GIB);
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = 8 * GIB;
    vm->balloon.actual = 7 * GIB;
    vm->rss = 5 * GIB;
    scene_act(ACTION_BALLOON, REASON_BALLOON_IDLE, 0)->target = 6 * GIB;
    scene_looks(1, BAND_TIGHT, 3 * GIB);
    vm->balloon.actual = 6 * GIB;
    vm->rss = 4 * GIB;
    scene_looks(10, BAND_TIGHT, 3 * GIB);
    scene_act(ACTION_BALLOON, REASON_BALLOON_RETURN, 0)->target = 7 * GIB;
    scene_looks(1, BAND_CALM, 8 * GIB);
    vm->balloon.actual = 7 * GIB;
    scene_calm_after();
    scene_report(1);
    scene_says("Balloons took 2G from guests and gave 1G back.");
    scene_says("At the end something was still held by balloon of 1 guest.");
    scene_says("12:00:20 one balloon to 6G (2 times): ");
    scene_says("12:00:32 one balloon to 7G: ");
    ck_assert_uint_eq(event_figure("taken"), 2 * GIB);
    ck_assert_uint_eq(event_figure("returned"), GIB);
    /* It holds 4G, and 6G without: 2G less of the 3G that were left. */
    scene_says("Memory would have lasted: at the least, at 12:00:22, 1G would have been left.");
}
END_TEST

START_TEST(a_limit_that_stands_at_all_times_is_nothing_done)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_CONTAIN, REASON_CONTAIN_CLASS, 0);
    scene_act(ACTION_MEMLOCK, REASON_MEMLOCK_CAP, 0);
    scene_looks(2, BAND_TIGHT, 3 * GIB);
    scene_calm_after();
    scene_report(1);
    scene_says("The guard did nothing to any guest.");
}
END_TEST

START_TEST(dry_run)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_KILL, REASON_KILL_FLOOR, 0)->mode = MODE_DRY_RUN;
    scene_looks(3, BAND_CRITICAL, 512 * MIB);
    scene_calm_after();
    scene_report(1);
    ck_assert_int_eq(strncmp(scene.text, "DRY RUN: NOTHING WAS DONE. ", 27), 0);
    scene_says("The guard did nothing to any guest. In dry run, so that it was NOT done, for 1 "
               "guest: 1 × kill. The guard ended no guest.");
    scene_says("one kill (dry run: not done): ");
    scene_says("No look shows anything held back from a guest");
    scene_says_not("there was a hold");
    ck_assert_ptr_nonnull(strstr(scene.html, "Dry run: nothing of this was done"));
    ck_assert_str_eq(
        json_object_get_string(scene_member("actions", "vm", "one", "seen")), "not-done");
    ck_assert_str_eq(fate_of("one"), "stayed");
}
END_TEST

/* What would have been done meanwhile was not, and that was a person's will. */
START_TEST(a_hold_in_the_middle)
{
    scene_guest("one", 4 * GIB);
    scene_guest("two", 4 * GIB);
    scene_calm_before();
    scene_looks(5, BAND_CRITICAL, GIB);
    scene.rules->host.mode = MODE_DRY_RUN;
    scene.rules->host.held = true;
    scene.rules->host.held_until = scene.snapshot->time + NSEC_PER_MINUTE;
    scene_act(ACTION_PAUSE, REASON_PAUSE_GROWTH, 0)->mode = MODE_DRY_RUN;
    scene_looks(10, BAND_CRITICAL, GIB);
    scene.rules->host.mode = MODE_ENFORCE;
    scene.rules->host.held = false;
    scene.rules->host.held_until = 0;
    scene_act(ACTION_PAUSE, REASON_PAUSE_GROWTH, 1);
    scene_looks(1, BAND_CRITICAL, GIB);
    scene_vm(1)->measures.in_force = VM_MEASURE_STOPPED;
    scene_looks(1, BAND_CRITICAL, GIB);
    scene_calm_after();
    scene_report(1);
    scene_says("Between 12:00:25 and 12:00:34 there was a hold");
    scene_says("In dry run, so that it was NOT done, for 1 guest: 1 × pause.");
    scene_says("The guard decided for 1 guest: 1 × pause.");
    scene_says("At the end 1 guest still stood paused.");
    ck_assert_int_ne(strncmp(scene.text, "DRY RUN", 7), 0);
}
END_TEST

/* ---- where it begins and ends ---- */

START_TEST(an_event_goes_on_at_the_end)
{
    scene_guest("one", 4 * GIB);
    scene_looks(5, BAND_TIGHT, 2 * GIB);
    scene_report(1);
    scene_says("Memory was short from 2026-01-01 12:00:00, or longer, to 2026-01-01 12:00:04 (4s): "
               "of the host, at worst tight; it goes on where the record ends.");
    scene_says("At the least 1G was left above the floor, at 12:00:00: it was not crossed.");
    ck_assert_uint_eq(scene.events->all[0].ending, EVENT_GOES_ON);
}
END_TEST

/* The guard was started anew, and holds by then what the record did not see it take. */
START_TEST(a_gap_in_the_middle)
{
    scene_guest("one", 6 * GIB);
    scene_guest("gone", GIB);
    scene_calm_before();
    scene_looks(5, BAND_SCARCE, 2 * GIB);
    scene_gap(29 * NSEC_PER_SEC);
    scene_gone(1);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_looks(5, BAND_SCARCE, 2 * GIB);
    scene_vm(0)->measures.in_force = 0;
    scene_calm_after();
    scene_report(1);
    ck_assert_uint_eq(scene.events->count, 1);
    scene_says("from 2026-01-01 12:00:20 to 2026-01-01 12:00:59 (39s)");
    scene_says("The record has 1 gap, of 30s; lines are broken there.");
    scene_says("The record has no decision of the guard for the end of 1 guest.");
    /* Not the time in the gap, of which nobody knows. */
    scene_says("Guests that stood still: 1, for 5s together.");
    scene_says("That cannot be told: the record has a gap.");
}
END_TEST

START_TEST(a_gap_that_swallows_the_end)
{
    scene_guest("one", 6 * GIB);
    scene_calm_before();
    scene_looks(5, BAND_SCARCE, 2 * GIB);
    scene_gap(10 * NSEC_PER_MINUTE);
    scene_calm_after();
    scene_report(1);
    scene_says("to 2026-01-01 12:00:24 (4s): of the host, at worst scarce; there the record has a "
               "gap, and its end is not known.");
    ck_assert_uint_eq(scene.events->all[0].ending, EVENT_LOST);
}
END_TEST

START_TEST(several_events_are_told_apart)
{
    char *list = NULL;
    size_t size = 0;

    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_looks(5, BAND_TIGHT, 3 * GIB);
    scene_calm_after();
    scene_looks(7, BAND_SCARCE, 2 * GIB);
    scene_calm_after();
    scene_act(ACTION_KILL, REASON_KILL_FLOOR, 0)->mode = MODE_DRY_RUN;
    scene_looks(1, BAND_CRITICAL, GIB);
    scene_report(2);
    ck_assert_uint_eq(scene.events->count, 3);
    scene_says(
        "from 2026-01-01 12:02:35 to 2026-01-01 12:02:42 (7s): of the host, at worst scarce");
    FILE *out = open_memstream(&list, &size);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(page_text_list(scene.events, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_str_eq(list,
        "   N  BEGAN                LASTED      WORST     ACTED ON  LOST\n"
        "   1  2026-01-01 12:04:52  0s          critical         0     0  goes on  dry run\n"
        "   2  2026-01-01 12:02:35  7s          scarce           0     0\n"
        "   3  2026-01-01 12:00:20  5s          tight            0     0\n");
    free(list);
    ck_assert_uint_eq(json_object_array_length(json_object_object_get(scene.json, "events")), 3);
    ck_assert_uint_eq(event_figure("number"), 2);
}
END_TEST

/* ---- what filled it ---- */

START_TEST(what_filled_it_may_have_shrunk)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_vm(0)->rss = 3 * GIB;
    scene.plan->assessment.culprit.kind = CULPRIT_SLAB;
    scene_looks(3, BAND_TIGHT, 3 * GIB);
    scene.plan->assessment.culprit.kind = CULPRIT_NONE;
    scene_calm_after();
    scene_report(1);
    /* From the margin's first look to the least: in use are 5G more, guests hold 1G less. */
    scene_says("From 12:00:10 to 12:00:20 guests came to hold 1G less, all else 6G more; the guard "
               "named slab.");
}
END_TEST

/* ---- names ---- */

static const char hostile[] =
    "<script>alert(1)</script>&\"'\x1b[2J\n\x01\xff"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/* TASK_COMM_LEN, and no NUL that ends it where a trace gives all bytes. */
static const char hostile_process[PROCESS_NAME_MAX] = "<b>\x1b]0;\xff'\"&\n";

static void assert_clean(const char *page)
{
    for (const char *byte = page; *byte; byte++)
        ck_assert_msg((unsigned char)*byte >= 0x20 || *byte == '\n',
            "control character %02x in\n%s", (unsigned)*byte, page);
    ck_assert_uint_ne(mbstowcs(NULL, page, 0), (size_t)-1);
}

static void assert_narrow(const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        char *copy = strndup(line, length);
        ck_assert_msg(
            terminal_columns(copy) <= PAGE_WIDTH, "%u columns: %s", terminal_columns(copy), copy);
        free(copy);
        line += length + (line[length] == '\n');
    }
}

START_TEST(names_may_be_hostile)
{
    ck_assert_uint_eq(strlen(hostile), 310);
    scene_guest(hostile, 4 * GIB);
    scene_guest("one", 3 * GIB);
    struct host_snapshot *host = &scene.snapshot->host;
    host->largest_process = (struct process_snapshot){.pid = 5, .rss = 5 * GIB};
    memcpy(host->largest_process.name, hostile_process, sizeof(hostile_process));
    scene_calm_before();
    scene.plan->assessment.culprit.kind = CULPRIT_PROCESS;
    scene.plan->assessment.culprit.pid = 5;
    scene_act(ACTION_PAUSE, REASON_PAUSE_GROWTH, 0);
    scene_looks(1, BAND_CRITICAL, 0);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_looks(2, BAND_CRITICAL, 0);
    scene_calm_after();
    scene_report(1);
    scene_says("The host was out of memory at 12:00:21, with the guard as without.");
    scene_says("killed the process <b>?]0;?'\"&?");
    assert_narrow(scene.text);
    assert_clean(scene.text);
    assert_clean(scene.html);
    ck_assert_ptr_null(strstr(scene.html, "<script"));
    ck_assert_ptr_null(strstr(scene.html, "<b>"));
    ck_assert_ptr_nonnull(
        strstr(scene.html, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;?[2J???xxx"));
    const char *json = json_object_to_json_string(scene.json);
    assert_clean(json);
    ck_assert_ptr_null(strstr(json, "\\u001b"));
    struct json_object *without = json_object_object_get(scene.json, "without");
    ck_assert_str_eq(
        json_object_get_string(json_object_object_get(without, "victim")), "<b>?]0;?'\"&?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli report");
    TCase *fates = scene_case(suite, "fates");
    TCase *deeds = scene_case(suite, "deeds");
    TCase *ends = scene_case(suite, "ends");
    TCase *names = scene_case(suite, "names");

    tcase_add_test(fates, a_kill_by_the_guard);
    tcase_add_test(fates, a_kill_that_was_decided_in_a_gap);
    tcase_add_test(fates, a_kill_by_the_kernel);
    tcase_add_test(fates, a_guest_that_ends_by_itself);
    tcase_add_test(fates, a_save_that_was_done_and_one_that_failed);
    tcase_add_test(deeds, a_brake_and_its_release);
    tcase_add_test(deeds, a_pause_and_its_resume);
    tcase_add_test(deeds, ballooning_and_giving_back);
    tcase_add_test(deeds, a_limit_that_stands_at_all_times_is_nothing_done);
    tcase_add_test(deeds, dry_run);
    tcase_add_test(deeds, a_hold_in_the_middle);
    tcase_add_test(ends, an_event_goes_on_at_the_end);
    tcase_add_test(ends, a_gap_in_the_middle);
    tcase_add_test(ends, a_gap_that_swallows_the_end);
    tcase_add_test(ends, several_events_are_told_apart);
    tcase_add_test(names, what_filled_it_may_have_shrunk);
    tcase_add_test(names, names_may_be_hostile);
    return suite_run(suite);
}
