/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole guard that hears of its guests from libvirt's side: what is known of them by both, and
 * what becomes of the guard when that side fails.
 */
#include "fake_host.h"
#include "fake_virt.h"
#include "status.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE (20 * NSEC_PER_SEC)

static struct fake_host host;
static pid_t guest;

/* The guard as main() makes it, on libvirt=fake://BEHAVIOUR/PID/CLASS. */
static void start(const char *behaviour, pid_t pid, const char *class_name)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=web", "-uuid",
        FAKE_VIRT_UUID_TEXT, "-m", "8192", NULL};
    struct guard_options options;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    guest = fake_host_guest(&host, "web", GIB);
    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nqmp-directory=/nonexistent\nmax-vms=8\nlibvirt=fake://%s/%d/%s\n"
        "[class gold]\npriority=900\nsacrifice=never\n",
        behaviour, (int)(pid < 0 ? guest : pid), class_name);
    options = (struct guard_options){
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .roots = host.tree->roots,
    };
    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
}

static void turn(void)
{
    uint64_t now = loop_now();

    guard_advance_virt(host.guard, now);
    ck_assert_int_eq(loop_wait(host.guard->loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn();                                                          \
    }

static struct vm *vm_of_guest(void)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);
        if (vm && vm->figures.identity.pid == guest)
            return vm;
    }
    ck_abort_msg("the guest is not known");
}

static const struct vm_rules *rules_of_guest(void)
{
    return &host.guard->rules->vms[vm_of_guest()->slot];
}

static bool is_of_libvirt(void)
{
    return vm_of_guest()->figures.sources & VM_SOURCE_LIBVIRT;
}

START_TEST(a_guest_has_the_rules_of_its_domain)
{
    start("good", -1, "gold");
    /* Whom to kill is not chosen before. */
    ck_assert_uint_gt(host.guard->rules->host.kills_from, loop_now());
    await(host.guard->rules->host.kills_from == 0);
    ck_assert(is_of_libvirt());
    ck_assert_str_eq(rules_of_guest()->class_name, "gold");
    ck_assert_uint_eq(rules_of_guest()->priority, 900);
    ck_assert_int_eq((int)rules_of_guest()->sacrifice, SACRIFICE_NEVER);
    fake_host_tick(&host, NSEC_PER_SEC);
    struct json_object *status =
        status_json(host.guard->snapshot, host.guard->plan, host.guard->rules, NULL);
    const char *text = json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN);
    ck_assert_msg(strstr(text, "\"source\":[\"proc\",\"libvirt\"]"), "%s", text);
    json_object_put(status);
    fake_host_end(&host);
}
END_TEST

START_TEST(its_rules_outlive_libvirt)
{
    start("dies", -1, "gold");
    await(is_of_libvirt());
    await(!virt_link_connected(host.guard->virt));
    ck_assert(is_of_libvirt());
    ck_assert_str_eq(rules_of_guest()->class_name, "gold");
    fake_host_end(&host);
}
END_TEST

static const struct vm_definition *definition_of_guest(void)
{
    return &vm_of_guest()->figures.definition;
}

static void expect_undefined(void)
{
    ck_assert_uint_eq(definition_of_guest()->confirmed, UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->memory, UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->hard_limit, UNKNOWN);
    ck_assert_int_eq((int)definition_of_guest()->locked, TRISTATE_UNKNOWN);
    ck_assert_int_eq((int)definition_of_guest()->viommu, TRISTATE_UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->vfio_devices, COUNT_UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->vdpa_devices, COUNT_UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->nvme_disks, COUNT_UNKNOWN);
}

START_TEST(a_guest_has_the_definition_of_its_domain)
{
    uint64_t begin = loop_now();

    start("good", -1, "gold");
    expect_undefined();
    await(is_of_libvirt());
    ck_assert_uint_ge(definition_of_guest()->confirmed, begin);
    ck_assert_uint_le(definition_of_guest()->confirmed, loop_now());
    ck_assert_uint_eq(definition_of_guest()->memory, FAKE_VIRT_MEMORY);
    ck_assert_uint_eq(definition_of_guest()->hard_limit, MEMLOCK_UNLIMITED);
    ck_assert_int_eq((int)definition_of_guest()->locked, TRISTATE_NO);
    ck_assert_int_eq((int)definition_of_guest()->viommu, TRISTATE_NO);
    ck_assert_uint_eq(definition_of_guest()->vfio_devices, 1);
    ck_assert_uint_eq(definition_of_guest()->vdpa_devices, 0);
    ck_assert_uint_eq(definition_of_guest()->nvme_disks, 0);
    ck_assert_uint_eq(definition_of_guest()->version, 9000000);
    fake_host_end(&host);
}
END_TEST

/* It stays to be shown, and nobody confirms it: libvirt's, or plimsoll-virt's end. */
START_TEST(nobody_confirms_what_libvirt_may_change_unheard)
{
    start(_i == 0 ? "loses" : "dies", -1, "gold");
    await(is_of_libvirt());
    await(definition_of_guest()->confirmed == UNKNOWN);
    ck_assert_uint_eq(definition_of_guest()->memory, FAKE_VIRT_MEMORY);
    ck_assert_uint_eq(definition_of_guest()->vfio_devices, 1);
    ck_assert(is_of_libvirt());
    guard_resolve_rules(host.guard, vm_of_guest()); /* as a reload does */
    ck_assert_uint_eq(definition_of_guest()->confirmed, UNKNOWN);
    /* Nor when libvirt is back, until it has said so again. */
    const struct virt_domain *domain =
        virt_link_domain(host.guard->virt, vm_of_guest()->figures.identity.uuid, guest);
    ck_assert_uint_eq(domain->asked, UNKNOWN);
    fake_host_end(&host);
}
END_TEST

/* One that says nothing holds up kills alone, and those for a moment. */
START_TEST(a_guard_without_words_from_libvirt)
{
    struct error error = {0};

    start("mute", -1, "gold");
    uint64_t kills_from = host.guard->rules->host.kills_from;
    ck_assert_uint_gt(kills_from, 0);
    ck_assert_uint_lt(kills_from, loop_now() + 10 * NSEC_PER_SEC);
    ck_assert_msg(guard_reload(host.guard, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(host.guard->rules->host.kills_from, kills_from);
    ck_assert(!is_of_libvirt());
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->vm_count, 1);
    fake_host_end(&host);
}
END_TEST

/* A process that shows a domain's uuid and is not it. */
START_TEST(a_uuid_alone_gives_nothing)
{
    start("good", 1, "gold");
    await(virt_link_domain(
        host.guard->virt, vm_of_guest()->figures.identity.uuid, 1)); /* it was said */
    ck_assert(!is_of_libvirt());
    expect_undefined();
    ck_assert_str_eq(rules_of_guest()->class_name, "default");
    fake_host_end(&host);
}
END_TEST

START_TEST(a_class_that_is_not_configured)
{
    start("good", -1, "platinum");
    await(is_of_libvirt());
    ck_assert_str_eq(rules_of_guest()->class_name, "default");
    fake_host_end(&host);
}
END_TEST

START_TEST(a_reload_switches_it_off)
{
    struct error error = {0};

    start("good", -1, "gold");
    await(is_of_libvirt());
    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nmax-vms=8\nlibvirt=off\n");
    ck_assert_msg(guard_reload(host.guard, &error) == 0, "%s", error.text);
    ck_assert(!is_of_libvirt());
    expect_undefined();
    ck_assert_str_eq(rules_of_guest()->class_name, "default");
    fake_host_end(&host);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_guard");
    TCase *tests = tcase_create("guard");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_guest_has_the_rules_of_its_domain);
    tcase_add_test(tests, its_rules_outlive_libvirt);
    tcase_add_test(tests, a_guest_has_the_definition_of_its_domain);
    tcase_add_loop_test(tests, nobody_confirms_what_libvirt_may_change_unheard, 0, 2);
    tcase_add_test(tests, a_guard_without_words_from_libvirt);
    tcase_add_test(tests, a_uuid_alone_gives_nothing);
    tcase_add_test(tests, a_class_that_is_not_configured);
    tcase_add_test(tests, a_reload_switches_it_off);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
