/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits on locked memory: libvirt's formula, the safe cap, whom it is set on and who is left. */
#include <check.h>

#include <plimsoll/cleanup.h>

#include "story.h"
#include "suite.h"

#define SEC NSEC_PER_SEC
#define MEMORY STORY_DOMAIN_MEMORY
#define FORMULA (MEMORY + GIB)

/* ---- the formula ---- */

#define CHANGE(name, ...)                    \
    static void name(struct vm_snapshot *vm) \
    {                                        \
        __VA_ARGS__;                         \
    }
CHANGE(nothing, (void)vm)
CHANGE(no_device, vm->definition.vfio_devices = 0; vm->wiring.vfio_groups = 0)
CHANGE(three_vfio, vm->definition.vfio_devices = 3)
CHANGE(three_vfio_viommu, vm->definition.vfio_devices = 3; vm->definition.viommu = TRISTATE_YES)
CHANGE(three_vfio_unsaid, vm->definition.vfio_devices = 3; vm->definition.viommu = TRISTATE_UNKNOWN)
CHANGE(one_vfio_unsaid, vm->definition.viommu = TRISTATE_UNKNOWN)
CHANGE(vdpa_too, vm->definition.vdpa_devices = 2; vm->wiring.vdpa = 2)
CHANGE(nvme_too, vm->definition.nvme_disks = 1)
CHANGE(nvme_of_old, vm->definition.nvme_disks = 1; vm->definition.version = 9000000)
CHANGE(nvme_of_whom, vm->definition.nvme_disks = 1; vm->definition.version = 0)
CHANGE(hard_limit, vm->definition.hard_limit = 5 * GIB; vm->definition.locked = TRISTATE_YES)
CHANGE(hard_limit_unsaid, vm->definition.hard_limit = UNKNOWN)
CHANGE(locked, vm->definition.locked = TRISTATE_YES)
CHANGE(locked_unsaid, vm->definition.locked = TRISTATE_UNKNOWN)
CHANGE(memory_unsaid, vm->definition.memory = UNKNOWN)
CHANGE(devices_unsaid, vm->definition.vfio_devices = COUNT_UNKNOWN)
CHANGE(disks_unsaid, vm->definition.nvme_disks = COUNT_UNKNOWN)
CHANGE(interfaces_unsaid, vm->definition.vdpa_devices = COUNT_UNKNOWN)
CHANGE(more_groups_open, vm->wiring.vfio_groups = 2)
CHANGE(more_vdpa_open, vm->wiring.vdpa = 1)
CHANGE(iommufd, vm->wiring.iommufd = 1)
CHANGE(outside, vm->sources = VM_SOURCE_PROC)
CHANGE(vast, vm->definition.memory = UNKNOWN - 1; vm->definition.vdpa_devices = UINT32_MAX - 1)

static const struct {
    const char *name;
    void (*change)(struct vm_snapshot *vm);
    uint64_t formula;
} formulas[] = {
    {"one VFIO device", nothing, FORMULA},
    {"none", no_device, 0},
    {"three VFIO devices", three_vfio, FORMULA},
    {"three behind a vIOMMU", three_vfio_viommu, 3 * MEMORY + GIB},
    {"three, and nobody says of a vIOMMU", three_vfio_unsaid, UNKNOWN},
    {"one, and nobody says of a vIOMMU", one_vfio_unsaid, FORMULA},
    {"two vDPA devices, too", vdpa_too, 3 * MEMORY + GIB},
    {"an NVMe disk, too", nvme_too, 2 * MEMORY + GIB},
    {"an NVMe disk before 9.4", nvme_of_old, UNKNOWN},
    {"an NVMe disk of whatever version", nvme_of_whom, UNKNOWN},
    {"a hard limit is preferred", hard_limit, 5 * GIB},
    {"a hard limit that nobody has told", hard_limit_unsaid, UNKNOWN},
    {"locked", locked, MEMLOCK_UNLIMITED},
    {"locked, or not", locked_unsaid, UNKNOWN},
    {"memory unknown", memory_unsaid, UNKNOWN},
    {"hostdevs unknown", devices_unsaid, UNKNOWN},
    {"disks unknown", disks_unsaid, UNKNOWN},
    {"interfaces unknown", interfaces_unsaid, UNKNOWN},
    {"QEMU has a group open that the definition lacks", more_groups_open, UNKNOWN},
    {"a vDPA device likewise", more_vdpa_open, UNKNOWN},
    {"iommufd, of which these versions know nothing", iommufd, UNKNOWN},
    {"outside libvirt", outside, UNKNOWN},
    {"no overflow", vast, UNKNOWN - 1},
};

START_TEST(peer_13_formula_is_libvirts)
{
    struct vm_snapshot vm = {.maximum = MEMORY};
    story_make_domain(&vm);
    formulas[_i].change(&vm);
    uint64_t formula = memlock_formula(&vm);
    ck_assert_msg(formula == formulas[_i].formula, "%s: %llu", formulas[_i].name,
        (unsigned long long)formula);
}
END_TEST

START_TEST(safe_cap_is_the_larger_of_both)
{
    struct vm_snapshot vm = {.maximum = MEMORY};
    story_make_domain(&vm);
    ck_assert_uint_eq(memlock_safe_cap(&vm), FORMULA);
    vm.pinned = 3 * GIB;
    ck_assert_uint_eq(memlock_use(&vm), MEMORY + 3 * GIB);
    ck_assert_uint_eq(memlock_safe_cap(&vm), MEMORY + 4 * GIB);
    vm.definition.locked = TRISTATE_YES;
    ck_assert_uint_eq(memlock_safe_cap(&vm), MEMLOCK_UNLIMITED);
    vm.definition.locked = TRISTATE_UNKNOWN;
    ck_assert_uint_eq(memlock_safe_cap(&vm), UNKNOWN);
    story_make_domain(&vm);
    vm.pinned = UNKNOWN;
    ck_assert_uint_eq(memlock_safe_cap(&vm), UNKNOWN);
    story_make_domain(&vm);
    vm.locked = UNKNOWN;
    ck_assert_uint_eq(memlock_safe_cap(&vm), UNKNOWN);
}
END_TEST

/* ---- who is capped ---- */

START_TEST(an_unlimited_domain_is_capped_once)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    story_run_libvirt(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    story_run_libvirt(story, 600 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    ck_assert_uint_eq(story->guests[0].lifts, 0);
    ck_assert_uint_eq(vm->memlock_hard, FORMULA);
    ck_assert_uint_eq(vm->memlock_soft, FORMULA);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNLIMITED], 1);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 0);
    story_free(story);
}
END_TEST

/* A reboot unpins for a moment: what was used before goes on counting. */
START_TEST(use_counts_by_its_peak)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->locked = MEMORY + 512 * MIB;
    story_run_libvirt(story, 50 * SEC);
    vm->locked = 0;
    story_run_libvirt(story, 60 * SEC);
    ck_assert_uint_eq(vm->memlock_hard, MEMORY + 512 * MIB + GIB);
    story_free(story);
}
END_TEST

/* Somebody has capped it at its use, which aborts QEMU at the next reboot: never followed, told. */
START_TEST(a_naive_cap_is_told_and_not_lowered)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->memlock_soft = vm->memlock_hard = vm->locked;
    story_run_libvirt(story, 600 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    ck_assert_uint_eq(vm->memlock_hard, vm->locked);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 1);
    story_free(story);
}
END_TEST

CHANGE(locked_unknown, vm->locked = UNKNOWN)
CHANGE(pinned_unknown, vm->pinned = UNKNOWN)
CHANGE(soft_unknown, vm->memlock_soft = UNKNOWN)
CHANGE(hard_unknown, vm->memlock_hard = UNKNOWN)
CHANGE(uid_unknown, vm->uid = UNKNOWN)
CHANGE(migration_unknown, vm->migration = VM_MIGRATION_UNKNOWN)
CHANGE(outgoing, vm->migration = VM_MIGRATION_OUTGOING)
CHANGE(blocked, vm->process_state = VM_PROCESS_BLOCKED)
CHANGE(more_than_the_formula, vm->pinned = 2 * GIB)
CHANGE(locked_without_a_device, no_device(vm); vm->locked = MIB)
CHANGE(iommufd_hard_limit, vm->wiring.iommufd = 1; vm->definition.hard_limit = 9 * GIB)

CHANGE(outside_with_limit, outside(vm); vm->memlock_soft = vm->memlock_hard = 40 * GIB)
CHANGE(outside_with_64_mib, outside(vm); vm->locked = 0;
       vm->memlock_soft = vm->memlock_hard = 64 * MIB)
CHANGE(outgoing_outside, outside(vm); outgoing(vm))

static const struct {
    const char *name;
    void (*change)(struct vm_snapshot *vm);
    enum reason told; /* in the end; REASON_NONE: nothing */
} left_alone[] = {
    {"outside libvirt", outside, REASON_MEMLOCK_UNLIMITED},
    {"formula unknown", memory_unsaid, REASON_MEMLOCK_UNLIMITED},
    {"contradicted by its descriptors", more_groups_open, REASON_MEMLOCK_UNLIMITED},
    {"locked by definition", locked, REASON_MEMLOCK_UNLIMITED},
    {"VmLck unknown", locked_unknown, REASON_MEMLOCK_UNLIMITED},
    {"VmPin unknown", pinned_unknown, REASON_MEMLOCK_UNLIMITED},
    {"soft limit unknown", soft_unknown, REASON_NONE},
    {"hard limit unknown", hard_unknown, REASON_NONE},
    {"user unknown", uid_unknown, REASON_MEMLOCK_UNLIMITED},
    {"migration unknown", migration_unknown, REASON_MEMLOCK_UNLIMITED},
    {"migrating, for which libvirt may lift it", outgoing, REASON_NONE},
    {"in D", blocked, REASON_MEMLOCK_UNLIMITED},
    {"uses more than the formula", more_than_the_formula, REASON_MEMLOCK_UNLIMITED},
    {"has locked what no device explains", locked_without_a_device, REASON_MEMLOCK_UNLIMITED},
    {"charged to its user", iommufd_hard_limit, REASON_MEMLOCK_BY_USER},
};

START_TEST(whoever_could_be_harmed_is_left_alone)
{
    struct story *story = story_of_domain();
    left_alone[_i].change(story_vm(story, 0));
    story_run_libvirt(story, 300 * SEC);
    ck_assert_msg(story->guests[0].caps == 0, "%s", left_alone[_i].name);
    for (int reason = REASON_MEMLOCK_UNLIMITED + 1; reason <= REASON_MEMLOCK_REFUSED; reason++)
        ck_assert_msg(story->alerts[reason] == (reason == (int)left_alone[_i].told), "%s: %u x %s",
            left_alone[_i].name, story->alerts[reason], reason_name((enum reason)reason));
    ck_assert_uint_eq(
        story->alerts[REASON_MEMLOCK_UNLIMITED], left_alone[_i].told == REASON_NONE ? 0 : 1);
    story_free(story);
}
END_TEST

/* What libvirt said last is as old as that: it may be about to plug a DIMM. */
START_TEST(an_old_definition_is_not_acted_on)
{
    struct story *story = story_of_domain();
    story_vm(story, 0)->definition.confirmed = story->snapshot->time + 59 * SEC;
    story_run(story, 600 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNDEFINED], 1);
    story_vm(story, 0)->definition.confirmed = UNKNOWN;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    story_vm(story, 0)->definition.confirmed = story->snapshot->time + NSEC_PER_MINUTE * 60;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0); /* nobody has said so yet */
    story_free(story);
}
END_TEST

/* It was confirmed long after the limit was set; but a limit that is high enough for what is
 * plugged since is not raised by libvirt, and tells of nothing. */
START_TEST(a_word_that_was_good_grows_old)
{
    struct story *story = story_of_domain();
    story->rules->host.memlock = MEMLOCK_REPORT;
    story_run_libvirt(story, 120 * SEC);
    story_run(story, MEMLOCK_CONFIRMED_FOR + 10 * SEC - (_i == 0 ? 0 : 40 * SEC), SEC);
    story->rules->host.memlock = MEMLOCK_ENFORCE;
    story_run(story, 20 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].caps, _i == 0 ? 0 : 1);
    if (_i == 0) { /* libvirt is back */
        story_run_libvirt(story, 20 * SEC);
        ck_assert_uint_eq(story->guests[0].caps, 1);
    }
    story_free(story);
}
END_TEST

/* Under enforce, whose limit is not lowered for want of libvirt's word is told of: once, after time
 * enough for that word, and only where it could have been lowered. */
static const struct {
    const char *name;
    void (*change)(struct vm_snapshot *vm);
    enum memlock_mode mode;
    unsigned told;
} undefined[] = {
    {"outside libvirt", outside, MEMLOCK_ENFORCE, 1},
    {"formula unknown", memory_unsaid, MEMLOCK_ENFORCE, 1},
    {"contradicted by its descriptors", more_groups_open, MEMLOCK_ENFORCE, 1},
    {"a finite limit, of which nothing else is told", outside_with_limit, MEMLOCK_ENFORCE, 1},
    {"outside libvirt, reported", outside, MEMLOCK_REPORT, 0},
    {"outside libvirt, not looked at", outside, MEMLOCK_OFF, 0},
    {"the limit of a plain guest", outside_with_64_mib, MEMLOCK_ENFORCE, 0},
    {"locked by definition", locked, MEMLOCK_ENFORCE, 0},
    {"capped", nothing, MEMLOCK_ENFORCE, 0},
    {"for which libvirt may lift it", outgoing_outside, MEMLOCK_ENFORCE, 0},
};

START_TEST(who_is_not_defined_is_told_of)
{
    struct story *story = story_of_domain();
    story->rules->host.memlock = undefined[_i].mode;
    undefined[_i].change(story_vm(story, 0));
    story_run_libvirt(story, 300 * SEC);
    ck_assert_msg(
        story->alerts[REASON_MEMLOCK_UNDEFINED] == 0, "%s: too early", undefined[_i].name);
    story_run_libvirt(story, 3600 * SEC);
    ck_assert_msg(story->alerts[REASON_MEMLOCK_UNDEFINED] == undefined[_i].told, "%s: %u",
        undefined[_i].name, story->alerts[REASON_MEMLOCK_UNDEFINED]);
    story_free(story);
}
END_TEST

/* libvirt raises the limit for a DIMM, plugs it 40 s later, and tells then. */
START_TEST(a_hotplug_under_way_is_not_cut_off)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->memlock_soft = vm->memlock_hard = FORMULA;
    story_run_libvirt(story, 300 * SEC);
    vm->memlock_soft = vm->memlock_hard = FORMULA + 4 * GIB;
    story_run_libvirt(story, 40 * SEC);
    vm->locked += 4 * GIB;
    vm->definition.memory += 4 * GIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    ck_assert_uint_eq(vm->memlock_hard, FORMULA + 4 * GIB);
    story_free(story);
}
END_TEST

/* Another domain of the same user: pins by user count against both, pins by process do not. */
START_TEST(a_shared_user_matters_where_pins_are_charged_to_it)
{
    struct story *story = story_of_domain();
    story_guest(story, MEMORY, MEMORY);
    struct vm_snapshot *other = story_vm(story, 1);
    story_make_domain(other);
    const bool charged = _i > 0;
    if (_i == 1 || _i == 5)
        other->pinned = 4096;
    else if (_i == 2)
        other->wiring.iommufd = 1;
    else if (_i == 3)
        other->pinned = UNKNOWN;
    else if (_i == 4)
        story_vm(story, 0)->pinned = 4096;
    if (_i == 5)
        other->uid = UNKNOWN;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, charged ? 0 : 1);
    ck_assert_uint_eq(story->guests[1].caps, charged ? 0 : 1);
    ck_assert_int_eq(story->alerts[REASON_MEMLOCK_BY_USER] > 0, charged);
    story_free(story);
}
END_TEST

START_TEST(another_users_pins_do_not_matter)
{
    struct story *story = story_of_domain();
    story_guest(story, MEMORY, MEMORY);
    story_make_domain(story_vm(story, 1));
    story_vm(story, 1)->uid = 64056;
    story_vm(story, 1)->pinned = 4096;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_BY_USER], 0);
    story_free(story);
}
END_TEST

/* ---- modes ---- */

START_TEST(off_says_nothing_and_report_does_nothing)
{
    struct story *story = story_of_domain();
    story->rules->host.memlock = _i == 0 ? MEMLOCK_OFF : MEMLOCK_REPORT;
    story->rules->host.pinned_limit = (struct amount){AMOUNT_SHARE, 1};
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNLIMITED], _i == 0 ? 0 : 1);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_LIMIT], _i == 0 ? 0 : 1);
    story_free(story);
}
END_TEST

START_TEST(dry_run_decides_once_and_then_in_earnest)
{
    struct story *story = story_of_domain();
    if (_i == 0)
        story->rules->host.mode = MODE_DRY_RUN;
    else
        story_rules(story, 0)->mode = MODE_DRY_RUN;
    story_run_libvirt(story, 600 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    ck_assert_uint_eq(story_vm(story, 0)->memlock_hard, MEMLOCK_UNLIMITED);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_REFUSED], 0);
    story->rules->host.mode = story_rules(story, 0)->mode = MODE_ENFORCE;
    story_run_libvirt(story, 10 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 2);
    ck_assert_uint_eq(story_vm(story, 0)->memlock_hard, FORMULA);
    story_free(story);
}
END_TEST

START_TEST(a_refused_cap_is_told_and_not_tried_again)
{
    struct story *story = story_of_domain();
    bool right = _i == 1;
    story->guests[0].refuses_cap = right;
    story->snapshot->host.scores_raise_only = !right;
    story_run_libvirt(story, 900 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, right ? 1 : 0);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_REFUSED], 1);
    story_free(story);
}
END_TEST

START_TEST(nothing_is_capped_at_the_edge)
{
    struct story *story = story_of_domain();
    story_rules(story, 0)->rungs = 0;
    story->other = 55 * GIB + 512 * MIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    ck_assert_uint_eq(story->guests[0].caps, 0);
    story_free(story);
}
END_TEST

/* ---- giving back ---- */

START_TEST(somebody_elses_limit_stays)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    story_run_libvirt(story, 120 * SEC);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    if (_i == 0)
        vm->memlock_hard = vm->memlock_soft = MEMLOCK_UNLIMITED;
    else
        vm->memlock_soft = GIB;
    uint64_t theirs = vm->memlock_hard;
    story_run_libvirt(story, 600 * SEC);
    ck_assert_uint_eq(story->guests[0].lifts, 1);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    ck_assert(!(vm->measures.in_force & VM_MEASURE_MEMLOCK));
    if (_i == 0)
        ck_assert_uint_eq(vm->memlock_hard, theirs);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_REFUSED], 0);
    story_free(story);
}
END_TEST

START_TEST(a_cap_that_must_go_is_lifted)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    story_run_libvirt(story, 120 * SEC);
    ck_assert_uint_eq(vm->memlock_hard, FORMULA);
    if (_i == 0)
        story->rules->host.memlock = MEMLOCK_REPORT;
    else if (_i == 1)
        story->rules->host.memlock = MEMLOCK_OFF;
    else
        vm->wiring.iommufd = 1;
    story_run_libvirt(story, 10 * SEC);
    ck_assert_uint_eq(story->guests[0].lifts, 1);
    ck_assert_uint_eq(vm->memlock_hard, MEMLOCK_UNLIMITED);
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[0].lifts, 1);
    ck_assert_uint_eq(story->guests[0].caps, 1);
    story_free(story);
}
END_TEST

static void add_acting(TCase *tests)
{
    tcase_add_test(tests, an_unlimited_domain_is_capped_once);
    tcase_add_test(tests, use_counts_by_its_peak);
    tcase_add_test(tests, a_naive_cap_is_told_and_not_lowered);
    tcase_add_loop_test(
        tests, whoever_could_be_harmed_is_left_alone, 0, (int)ELEMENTSOF(left_alone));
    tcase_add_test(tests, an_old_definition_is_not_acted_on);
    tcase_add_loop_test(tests, a_word_that_was_good_grows_old, 0, 2);
    tcase_add_loop_test(tests, who_is_not_defined_is_told_of, 0, (int)ELEMENTSOF(undefined));
    tcase_add_test(tests, a_hotplug_under_way_is_not_cut_off);
    tcase_add_loop_test(tests, a_shared_user_matters_where_pins_are_charged_to_it, 0, 6);
    tcase_add_test(tests, another_users_pins_do_not_matter);
    tcase_add_loop_test(tests, off_says_nothing_and_report_does_nothing, 0, 2);
    tcase_add_loop_test(tests, dry_run_decides_once_and_then_in_earnest, 0, 2);
    tcase_add_loop_test(tests, a_refused_cap_is_told_and_not_tried_again, 0, 2);
    tcase_add_test(tests, nothing_is_capped_at_the_edge);
    tcase_add_loop_test(tests, somebody_elses_limit_stays, 0, 2);
    tcase_add_loop_test(tests, a_cap_that_must_go_is_lifted, 0, 3);
}

int main(void)
{
    TCase *tests = tcase_create("memlock");
    tcase_add_loop_test(tests, peer_13_formula_is_libvirts, 0, (int)ELEMENTSOF(formulas));
    tcase_add_test(tests, safe_cap_is_the_larger_of_both);
    add_acting(tests);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("memlock");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
