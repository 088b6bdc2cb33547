/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `plimsoll report` says would have happened without the guard, in cases small enough to be
 * reckoned here by hand; and where it has to say that it does not know.
 */
#include "report_scene.h"
#include "suite.h"

#include <check.h>

static const char *without_text(const char *member)
{
    struct json_object *without = json_object_object_get(scene.json, "without");

    return json_object_get_string(json_object_object_get(without, member));
}

/*
 * "grows" takes 256M in each second from 12:00:20 on. At 12:00:31 it holds 4.25G, 1.75G are left,
 * and KIND is decided for it. The other guest, which holds LARGE, does not move.
 */
static void growth(enum action_kind kind, enum reason reason, uint64_t large)
{
    scene_guest("grows", GIB + 256 * MIB);
    scene_guest("large", large);
    scene_calm_before();
    for (unsigned i = 1; i <= 11; i++) {
        scene_vm(0)->rss += 256 * MIB;
        scene_looks(1, BAND_TIGHT, 4 * GIB + 512 * MIB - i * (256 * MIB));
    }
    scene_vm(0)->rss += 256 * MIB;
    scene_act(kind, reason, 0);
    scene_looks(1, BAND_CRITICAL, GIB + 768 * MIB);
}

/* It stands from 12:00:32 on with 4.5G, and 1.5G are left. */
static void growth_stops(unsigned looks)
{
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_vm(0)->rss += 256 * MIB;
    scene_looks(looks, BAND_CRITICAL, GIB + 512 * MIB);
}

/* 1.5G at 256M a second are 6 s: at 12:00:38 it would hold 6G, and nothing would be left. */
START_TEST(without_it_is_out_of_memory)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 5 * GIB);
    growth_stops(20);
    scene_report(1);
    scene_says(
        "The host would have been out of memory at 12:00:38, when the guests would have held "
        "1.5G more than they did. The kernel would then have killed grows. Reckoned");
    ck_assert_str_eq(without_text("outcome"), "out-of-memory");
    ck_assert_str_eq(without_text("victim"), "grows");
    ck_assert_uint_eq(scene.report->without.points, 6 * GIB);
}
END_TEST

/* 6G against 7G: whom the guard would have kept. */
START_TEST(without_it_another_is_killed)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 7 * GIB);
    growth_stops(20);
    scene_report(1);
    scene_says("The kernel would then have killed large. Reckoned");
}
END_TEST

/* 5.9G of 6G are more than 95 %. */
START_TEST(without_it_either_may_be_killed)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 5 * GIB + 920 * MIB);
    growth_stops(20);
    scene_report(1);
    scene_says("killed grows, or large, which has nearly as many points.");
}
END_TEST

/* 500 of 1000 of 16G are 8G more; 4G + 8G against 6G. */
START_TEST(without_it_scores_count)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 4 * GIB);
    scene_vm(1)->oom_score_adj = 500;
    growth_stops(20);
    scene_report(1);
    scene_says("The kernel would then have killed large. Reckoned");
    ck_assert_uint_eq(scene.report->without.points, 12 * GIB);
}
END_TEST

START_TEST(without_it_nobody_is_named_who_is_not_measured)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 5 * GIB);
    scene_vm(1)->rss = UNKNOWN;
    growth_stops(20);
    scene_report(1);
    scene_says("out of memory at 12:00:38");
    scene_says("Whom the kernel would have killed cannot be told.");
    ck_assert_ptr_null(without_text("victim"));
}
END_TEST

/* Its own memory ends at 5G, half a G more: 1G of 1.5G is left from 12:00:34 on. */
START_TEST(without_it_lasts_where_the_guest_is_full)
{
    growth(ACTION_PAUSE, REASON_PAUSE_GROWTH, 5 * GIB);
    scene_vm(0)->maximum = 5 * GIB;
    growth_stops(20);
    scene_report(1);
    scene_says("Memory would have lasted: at the least, at 12:00:34, 1G would have been left.");
    ck_assert_str_eq(without_text("outcome"), "lasts");
}
END_TEST

/* What it gives up while it dies is the kill's doing: 1.75G at 256M a second are 7 s from 12:00:31.
 */
START_TEST(without_a_kill_it_would_have_grown_on)
{
    growth(ACTION_KILL, REASON_KILL_FLOOR, 5 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_KILLED;
    scene_vm(0)->rss = 2 * GIB + 256 * MIB;
    scene_looks(1, BAND_CRITICAL, 3 * GIB + 768 * MIB);
    scene_vm(0)->rss = 256 * MIB;
    scene_looks(1, BAND_SCARCE, 5 * GIB + 768 * MIB);
    scene_gone(0);
    scene_looks(120, BAND_CALM, 6 * GIB);
    scene_report(1);
    scene_says(
        "The host would have been out of memory at 12:00:38, when the guests would have held "
        "6G more than they did. The kernel would then have killed grows. Reckoned");
}
END_TEST

/* The same, when it is gone before any look shows it dying. */
START_TEST(without_a_quick_kill_it_would_have_grown_on)
{
    growth(ACTION_KILL, REASON_KILL_FLOOR, 5 * GIB);
    scene_gone(0);
    scene_looks(120, BAND_CALM, 6 * GIB);
    scene_report(1);
    scene_says("The host would have been out of memory at 12:00:38");
}
END_TEST

/* 2G that its virtio-mem gave up would be with it: of 3G 1G is left. */
START_TEST(without_a_resize_it_keeps_its_memory)
{
    struct vm_snapshot *vm = scene_guest("one", 6 * GIB);

    vm->resizable =
        (struct vm_resizable){.size = 4 * GIB, .requested = 4 * GIB, .maximum = 4 * GIB};
    scene_calm_before();
    scene_act(ACTION_RESIZE, REASON_RESIZE_IDLE, 0)->target = 2 * GIB;
    scene_looks(1, BAND_TIGHT, 3 * GIB);
    vm->measures.in_force = VM_MEASURE_RESIZE;
    vm->measures.resize = (struct vm_contained){.set = 2 * GIB, .before = 4 * GIB};
    scene_looks(1, BAND_TIGHT, 3 * GIB);
    vm->resizable.size = 2 * GIB;
    vm->rss = 4 * GIB;
    scene_looks(5, BAND_TIGHT, 3 * GIB);
    scene_report(1);
    scene_says("at the least, at 12:00:22, 1G would have been left.");
    scene_says("one resize to 2G: ");
}
END_TEST

START_TEST(without_it_cannot_be_told)
{
    scene_guest("one", 4 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_calm_before();
    scene_looks(5, BAND_TIGHT, 3 * GIB);
    scene_calm_after();
    scene_report(1);
    scene_says("That cannot be told: guests were held back already before it began.");
    ck_assert_str_eq(without_text("outcome"), "unknown");
    ck_assert_ptr_null(without_text("realtime"));
    ck_assert_ptr_null(without_text("victim"));
}
END_TEST

START_TEST(without_it_cannot_be_told_unmeasured)
{
    scene_guest("one", 4 * GIB);
    scene_calm_before();
    scene_act(ACTION_PAUSE, REASON_PAUSE_GROWTH, 0);
    scene_looks(1, BAND_CRITICAL, 3 * GIB);
    scene_vm(0)->measures.in_force = VM_MEASURE_STOPPED;
    scene_looks(5, BAND_CRITICAL, UNKNOWN);
    scene_report(1);
    scene_says("That cannot be told: the host's memory was not measured.");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli report without");
    TCase *without = scene_case(suite, "without");

    tcase_add_test(without, without_it_is_out_of_memory);
    tcase_add_test(without, without_it_another_is_killed);
    tcase_add_test(without, without_it_either_may_be_killed);
    tcase_add_test(without, without_it_scores_count);
    tcase_add_test(without, without_it_nobody_is_named_who_is_not_measured);
    tcase_add_test(without, without_it_lasts_where_the_guest_is_full);
    tcase_add_test(without, without_a_kill_it_would_have_grown_on);
    tcase_add_test(without, without_a_quick_kill_it_would_have_grown_on);
    tcase_add_test(without, without_a_resize_it_keeps_its_memory);
    tcase_add_test(without, without_it_cannot_be_told);
    tcase_add_test(without, without_it_cannot_be_told_unmeasured);
    return suite_run(suite);
}
