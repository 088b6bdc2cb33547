/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts that are tables: kinds of VMs, minimums, names, defaults. */
#include <check.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#include "story.h"
#include "suite.h"

struct kind_case {
    const char *name;
    void (*change)(struct vm_snapshot *vm);
    enum vm_kind kind;
    enum vm_kind_reason reason;
};

#define CHANGE(name, ...)                    \
    static void name(struct vm_snapshot *vm) \
    {                                        \
        __VA_ARGS__;                         \
    }
CHANGE(nothing, (void)vm)
CHANGE(vfio, vm->wiring.vfio_groups = 1)
CHANGE(vfio_and_virtio_mem, vm->wiring.vfio_groups = 1; vm->resizable.maximum = GIB)
CHANGE(iommufd, vm->wiring.iommufd = 1)
CHANGE(vdpa, vm->wiring.vdpa = 2)
CHANGE(locked, vm->locked = vm->maximum)
CHANGE(locked_unknown, vm->locked = UNKNOWN)
CHANGE(hugetlb, vm->hugetlb = GIB)
CHANGE(encrypted, vm->wiring.encrypted = TRISTATE_YES)
CHANGE(encrypted_unknown, vm->wiring.encrypted = TRISTATE_UNKNOWN)
CHANGE(no_device, vm->balloon.device = TRISTATE_NO)
CHANGE(no_driver, vm->balloon.driver = TRISTATE_NO)
CHANGE(driver_unknown, vm->balloon.driver = TRISTATE_UNKNOWN)
CHANGE(no_monitor, vm->monitor = VM_MONITOR_NONE)
CHANGE(outgoing, vm->migration = VM_MIGRATION_OUTGOING)
CHANGE(migration_unknown, vm->migration = VM_MIGRATION_UNKNOWN)
CHANGE(virtio_mem, vm->resizable.maximum = GIB)
CHANGE(deflates, vm->balloon.deflate_on_oom = TRISTATE_YES)
CHANGE(reports, vm->balloon.free_page_reporting = TRISTATE_YES)

static const struct kind_case kind_cases[] = {
    {"plain", nothing, VM_KIND_ELASTIC, VM_KIND_REASON_NONE},
    {"vfio", vfio, VM_KIND_RIGID, VM_KIND_REASON_VFIO},
    {"vfio but virtio-mem", vfio_and_virtio_mem, VM_KIND_RESIZABLE, VM_KIND_REASON_VIRTIO_MEM},
    {"iommufd", iommufd, VM_KIND_RIGID, VM_KIND_REASON_IOMMUFD},
    {"vdpa", vdpa, VM_KIND_RIGID, VM_KIND_REASON_VDPA},
    {"locked", locked, VM_KIND_RIGID, VM_KIND_REASON_LOCKED},
    {"locked unknown", locked_unknown, VM_KIND_UNKNOWN, VM_KIND_REASON_UNSEEN},
    {"hugetlb", hugetlb, VM_KIND_RIGID, VM_KIND_REASON_HUGETLB},
    {"encrypted", encrypted, VM_KIND_RIGID, VM_KIND_REASON_ENCRYPTED},
    {"encryption unknown", encrypted_unknown, VM_KIND_UNKNOWN, VM_KIND_REASON_UNSEEN},
    {"no device", no_device, VM_KIND_RIGID, VM_KIND_REASON_NO_DEVICE},
    {"no driver", no_driver, VM_KIND_RIGID, VM_KIND_REASON_NO_DRIVER},
    {"driver unknown", driver_unknown, VM_KIND_UNKNOWN, VM_KIND_REASON_UNSEEN},
    {"no monitor", no_monitor, VM_KIND_RIGID, VM_KIND_REASON_NO_MONITOR},
    {"migrating", outgoing, VM_KIND_RIGID, VM_KIND_REASON_MIGRATING},
    {"migration unknown", migration_unknown, VM_KIND_UNKNOWN, VM_KIND_REASON_UNSEEN},
    {"virtio-mem", virtio_mem, VM_KIND_RESIZABLE, VM_KIND_REASON_VIRTIO_MEM},
    {"deflate on oom", deflates, VM_KIND_SELF_DEFLATING, VM_KIND_REASON_DEFLATES_ON_OOM},
    {"page reporting", reports, VM_KIND_SELF_DEFLATING, VM_KIND_REASON_FREE_PAGE_REPORTING},
};

START_TEST(kinds_follow_the_facts)
{
    const struct kind_case *test = &kind_cases[_i];
    struct story *story = story_new(64 * GIB, GIB);
    struct vm_snapshot *vm = story_vm(story, story_guest(story, 4 * GIB, 2 * GIB));
    test->change(vm);
    enum vm_kind kind;
    enum vm_kind_reason reason;
    vm_classify(vm, &kind, &reason);
    ck_assert_msg(kind == test->kind && reason == test->reason, "%s: %s, %s", test->name,
        vm_kind_name(kind), vm_kind_reason_name(reason));
    story_free(story);
}
END_TEST

START_TEST(a_minimum_is_never_above_the_maximum)
{
    struct vm_snapshot vm = {.maximum = 4 * GIB};
    struct vm_rules rules;
    vm_rules_default(&rules);
    ck_assert_uint_eq(vm_minimum(&vm, &rules), 2 * GIB);
    rules.minimum = (struct amount){AMOUNT_BYTES, 8 * GIB};
    ck_assert_uint_eq(vm_minimum(&vm, &rules), 4 * GIB);
    rules.minimum = (struct amount){AMOUNT_SHARE, 2500};
    ck_assert_uint_eq(vm_minimum(&vm, &rules), GIB);
    vm.maximum = UNKNOWN;
    ck_assert_uint_eq(vm_minimum(&vm, &rules), UNKNOWN);
}
END_TEST

START_TEST(every_name_is_there_and_unique)
{
    for (int i = 0; i < REASON_COUNT; i++) {
        ck_assert_str_ne(reason_name((enum reason)i), "unknown");
        ck_assert_str_ne(reason_text((enum reason)i), "unknown");
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(reason_name((enum reason)i), reason_name((enum reason)j));
    }
    ck_assert_str_eq(action_kind_name(ACTION_OOM_SCORE), "oom-score");
    ck_assert_str_eq(band_name(BAND_CRITICAL), "critical");
    ck_assert_str_eq(mode_name(MODE_DRY_RUN), "dry-run");
    ck_assert_str_eq(rung_name(RUNG_SHUTDOWN), "shutdown");
    ck_assert_str_eq(vm_kind_name(VM_KIND_SELF_DEFLATING), "self-deflating");
    ck_assert_str_eq(reason_name(REASON_COUNT), "unknown");
}
END_TEST

/* What a guard that only looks on does all the same. */
START_TEST(what_is_given_back_is_never_dry)
{
    static const struct {
        enum action_kind kind;
        enum reason reason;
        uint64_t target;
        uint32_t in_force;
        bool gives;
    } cases[] = {
        {ACTION_RESUME, REASON_RESUME_ROOM, 0, VM_MEASURE_STOPPED, true},
        {ACTION_RELEASE, REASON_RELEASE_TIME, 0, VM_MEASURE_BRAKED, true},
        {ACTION_PAUSE, REASON_PAUSE_GROWTH, 0, 0, false},
        {ACTION_PAUSE, REASON_BRIDGE_END, 0, 0, true},
        {ACTION_THAW, REASON_BRIDGE_END, 0, VM_MEASURE_FROZEN_CGROUP, true},
        {ACTION_BALLOON, REASON_BALLOON_IDLE, 12 * GIB, VM_MEASURE_BALLOON, false},
        {ACTION_BALLOON, REASON_BALLOON_RETURN, 9 * GIB, VM_MEASURE_BALLOON, true},
        {ACTION_BALLOON, REASON_BALLOON_RETURN, 5 * GIB, VM_MEASURE_BALLOON, false},
        {ACTION_BALLOON, REASON_BALLOON_RETURN, 9 * GIB, 0, false},
        {ACTION_RESIZE, REASON_RESIZE_RETURN, 3 * GIB, VM_MEASURE_RESIZE, true},
        {ACTION_RESIZE, REASON_RESIZE_RETURN, GIB, VM_MEASURE_RESIZE, false},
        {ACTION_CONTAIN, REASON_CONTAIN_LIFT, UNKNOWN, VM_MEASURE_CONTAIN, true},
        {ACTION_CONTAIN, REASON_CONTAIN_CLASS, GIB, 0, false},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const struct action action = {
            .kind = cases[i].kind, .reason = cases[i].reason, .target = cases[i].target};
        const struct vm_measures measures = {
            .in_force = cases[i].in_force, .balloon_target = 8 * GIB, .resize = {.set = 2 * GIB}};
        ck_assert_msg(action_gives_back(&action, &measures) == cases[i].gives, "case %zu", i);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("facts");
    tcase_add_test(tests, what_is_given_back_is_never_dry);
    tcase_add_loop_test(tests, kinds_follow_the_facts, 0, (int)ELEMENTSOF(kind_cases));
    tcase_add_test(tests, a_minimum_is_never_above_the_maximum);
    tcase_add_test(tests, every_name_is_there_and_unique);
    Suite *suite = suite_create("facts");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
