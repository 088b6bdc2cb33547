/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cap on locked memory the whole way: libvirt's side says what the domain is, the guard joins
 * it with the guest that it found, and lowers its limit. The limit is limits_scene's, libvirt's
 * side fake_virt's. The guard's clock begins in the past, so that the limit is old and libvirt's
 * word on the domain new.
 */
#include "../daemon/limits_scene.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#include <stdio.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define UNLIMITED RLIM_INFINITY
#define FORMULA (FAKE_VIRT_MEMORY + GIB)

static struct fake_host host;
static pid_t guest;

static struct vm *vm_here(void)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);
        if (vm && vm->figures.identity.pid == guest)
            return vm;
    }
    ck_abort_msg("the guest is not known");
}

/* A file of the guest's in the fake /proc. */
static const char *file_of(const char *name)
{
    static char path[64];

    (void)snprintf(path, sizeof(path), "proc/%d/%s", (int)guest, name);
    return path;
}

static void dress(void)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=web", "-uuid",
        FAKE_VIRT_UUID_TEXT, "-m", "2048", NULL};

    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_link(host.tree, file_of("fd/10"), "/dev/vfio/12");
    fake_tree_write(host.tree, file_of("status"),
        "Name:\tqemu\nState:\tS (sleeping)\nUid:\t64055\t64055\t64055\t64055\n"
        "VmLck:\t    1024 kB\nVmPin:\t       0 kB\nRssAnon:\t 2097152 kB\n"
        "RssFile:\t     256 kB\nRssShmem:\t   0 kB\n");
}

/* On libvirt=fake://BEHAVIOUR/PID/default, PID the guest's own or, if there is one, STRANGER's. */
static void start(const char *behaviour, pid_t stranger)
{
    struct guard_options options;
    struct error error = {0};

    limits_begin();
    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    fake_host_set_available(&host, 12 * GIB);
    guest = fake_host_guest(&host, "web", 2 * GIB);
    dress();
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\non-exit=restore\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "libvirt=fake://%s/%d/default\n[memlock]\nmode=enforce\n[class default]\nmode=enforce\n",
        behaviour, (int)(stranger ? stranger : guest));
    options = (struct guard_options){
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .roots = host.tree->roots,
    };
    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
    host.guard->snapshot->host.scores_raise_only = false;
    host.now = loop_now();
    fake_host_tick(&host, 0);
    ck_assert_uint_eq(vm_here()->figures.memlock_hard, MEMLOCK_UNLIMITED);
    limits.sets = 0; /* the rehearsal's */
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

static const char *words(rlim_t limit, char buffer[32])
{
    if (limit == UNLIMITED)
        return "unlimited";
    (void)snprintf(buffer, 32, "%llu", (unsigned long long)limit);
    return buffer;
}

/* A minute and a half from now on, in which the limit has stood for long enough, libvirt has
 * confirmed what it said, if it is there, and a look has said that nobody is migrated; /proc
 * follows the limit. A score is a regular file here, of which a shorter one leaves the rest. */
static void live(void)
{
    char soft[32], hard[32];

    host.now = max_u64(host.now, loop_now());
    vm_here()->figures.migration = VM_MIGRATION_NONE;
    for (int i = 0; i < 90; i++) {
        if (known(vm_here()->figures.definition.confirmed))
            vm_here()->figures.definition.confirmed = host.now;
        fake_tree_write(host.tree, file_of("limits"),
            "Limit\nMax locked memory         %s   %s   bytes\n",
            words(limits.limit.rlim_cur, soft), words(limits.limit.rlim_max, hard));
        fake_tree_write(
            host.tree, file_of("oom_score_adj"), "%d\n", (int)vm_here()->figures.oom_score_adj);
        fake_host_tick(&host, NSEC_PER_SEC);
    }
}

START_TEST(a_domain_is_capped_by_libvirts_word)
{
    start("good", 0);
    await(vm_here()->figures.sources & VM_SOURCE_LIBVIRT);
    ck_assert_uint_eq(memlock_formula(&vm_here()->figures), FORMULA);
    live();
    ck_assert(limits_are(FORMULA, FORMULA));
    ck_assert_uint_eq(limits.sets, 1);
    ck_assert(vm_has(vm_here(), VM_MEASURE_MEMLOCK));
    guard_leave(host.guard);
    ck_assert(limits_are(64 * MIB, UNLIMITED));
    ck_assert(!vm_has(vm_here(), VM_MEASURE_MEMLOCK));
    fake_host_end(&host);
}
END_TEST

START_TEST(a_cap_outlives_libvirt)
{
    start("good", 0);
    await(vm_here()->figures.sources & VM_SOURCE_LIBVIRT);
    live();
    ck_assert(limits_are(FORMULA, FORMULA));
    struct virt_link *link = host.guard->virt;
    host.guard->virt = NULL;
    guard_resolve_rules(host.guard, vm_here());
    (void)virt_link_free(link);
    ck_assert_uint_eq(memlock_formula(&vm_here()->figures), UNKNOWN);
    live();
    ck_assert(limits_are(FORMULA, FORMULA));
    ck_assert_uint_eq(limits.sets, 1);
    fake_host_end(&host);
}
END_TEST

/* libvirt is lost right after its words, or knows no such domain, or speaks of another process. */
START_TEST(without_its_word_nobody_is)
{
    static const char *const behaviours[] = {"loses", "empty", "good"};

    start(behaviours[_i], _i == 2 ? 1 : 0);
    await(host.guard->rules->host.kills_from == 0); /* all is said */
    if (_i == 0)
        await(vm_here()->figures.definition.memory == FAKE_VIRT_MEMORY &&
              vm_here()->figures.definition.confirmed == UNKNOWN);
    live();
    ck_assert_uint_eq(limits.sets, 0);
    ck_assert(limits_are(64 * MIB, UNLIMITED));
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
    Suite *suite = suite_create("virt_memlock");
    TCase *tests = tcase_create("memlock");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_domain_is_capped_by_libvirts_word);
    tcase_add_test(tests, a_cap_outlives_libvirt);
    tcase_add_loop_test(tests, without_its_word_nobody_is, 0, 3);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
