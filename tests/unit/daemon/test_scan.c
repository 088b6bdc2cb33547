/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk over /proc, on fake trees: who is a guest, who is the culprit, and within what budget.
 */
#include "fake_tree.h"
#include "scan.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOUND_MAX 64

static struct fake_tree *tree;
static struct scan *scan;
static struct scan_found found[FOUND_MAX];
static unsigned found_count;
static char emulator[128]; /* a root-owned file of the right name */

static void setup(void)
{
    tree = fake_tree_new();
    fake_tree_write(tree, "bin/qemu-system-x86_64", "binary");
    fake_tree_write(tree, "bin/other", "binary");
    (void)snprintf(emulator, sizeof(emulator), "%s/bin/qemu-system-x86_64", tree->folder);
    ck_assert_int_eq(scan_new(&tree->roots, &scan), 0);
}

static void teardown(void)
{
    scan = scan_free(scan);
    tree = fake_tree_free(tree);
}

static void note(const struct scan_found *guest, void *userdata)
{
    ck_assert_ptr_eq(userdata, tree);
    ck_assert_uint_lt(found_count, FOUND_MAX);
    found[found_count++] = *guest;
}

static void round_at(uint64_t now)
{
    int result;

    found_count = 0;
    do
        result = scan_step(scan, 10000, now, note, tree);
    while (result == 0);
    ck_assert_int_eq(result, 1);
}

static bool skip_unless_root(void)
{
    if (getuid() == 0)
        return false;
    (void)fprintf(stderr, "skipped: only root can make the root-owned files this needs\n");
    return true;
}

static void add(pid_t pid, const char *executable, uint64_t rss_kib)
{
    fake_tree_process(
        tree, &(struct fake_process){
                  .pid = pid, .start_time = 5, .executable = executable, .rss_kib = rss_kib});
}

/* Clock ticks since boot, as in a process's stat. */
static uint64_t start_time_of(uint64_t seconds_ago)
{
    struct timespec time;

    ck_assert_int_eq(clock_gettime(CLOCK_BOOTTIME, &time), 0);
    return sub_or_zero((uint64_t)time.tv_sec, seconds_ago) * (uint64_t)sysconf(_SC_CLK_TCK);
}

static void add_descriptor(pid_t pid, unsigned number, const char *target)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "proc/%d/fd/%u", (int)pid, number);
    fake_tree_link(tree, path, target);
}

START_TEST(finds_a_guest_with_all_its_facts)
{
    static const char *const arguments[] = {emulator, "-name", "guest=web,debug-threads=on",
        "-uuid", "01234567-89ab-cdef-0123-456789abcdef", "-m", "size=2G", "-object",
        "memory-backend-memfd,id=m,share=on,host-nodes=1,policy=bind", NULL};
    static const uint8_t uuid[] = {0x01, 0x23, 0x45, 0x67};

    if (skip_unless_root())
        return;
    add(100, emulator, 4096);
    fake_tree_cmdline(tree, 100, arguments);
    static const char *const links[] = {"anon_inode:kvm-vm", "/dev/vfio/vfio", "/dev/vfio/12",
        "/dev/vfio/13", "anon_inode:[vfio-device]", "anon_inode:[vfio-device]",
        "anon_inode:[vfio-device]", "/dev/iommu", "/dev/vfio/devices/vfio3", "/dev/vhost-vdpa-0",
        "/dev/vhost-vdpa-x", "/dev/vfio/12x", "socket:[55]"};
    for (unsigned i = 0; i < ELEMENTSOF(links); i++)
        add_descriptor(100, i + 3, links[i]);
    round_at(NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 1);
    ck_assert_int_eq(found[0].identity.pid, 100);
    ck_assert_uint_eq(found[0].identity.start_time, 5);
    ck_assert_mem_eq(found[0].identity.uuid, uuid, sizeof(uuid));
    ck_assert_str_eq(found[0].name, "web");
    ck_assert_uint_eq(found[0].maximum, 2 * GIB);
    ck_assert_uint_eq(found[0].wiring.vfio_groups, 2);
    ck_assert_uint_eq(found[0].wiring.iommufd, 2);
    ck_assert_uint_eq(found[0].wiring.vdpa, 1);
    ck_assert_int_eq(found[0].wiring.kvm, TRISTATE_YES);
    ck_assert_int_eq(found[0].wiring.shared, TRISTATE_YES);
    ck_assert_uint_eq(found[0].wiring.backend_nodes, 2);
    ck_assert_int_eq(found[0].wiring.encrypted, TRISTATE_NO);
}
END_TEST

START_TEST(knows_guests_from_others)
{
    static const char *const probe[] = {"q", "-machine", "none,accel=kvm", NULL};
    char deleted[160], copied[128], other[128], missing[128];
    struct scan_found one;

    if (skip_unless_root())
        return;
    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    (void)snprintf(copied, sizeof(copied), "%s/home/qemu-system-x86_64", tree->folder);
    (void)snprintf(missing, sizeof(missing), "%s/gone/qemu-kvm", tree->folder);
    (void)snprintf(deleted, sizeof(deleted), "%s (deleted)", emulator);
    fake_tree_write(tree, "home/qemu-system-x86_64", "binary");
    ck_assert_int_eq(chown(copied, 65534, 65534), 0);
    fake_tree_write(tree, "bin/qemu-system-x86_64 (deleted)", "binary");
    add(1, emulator, 64);
    add(2, other, 64); /* under any name, what counts is kvm-vm */
    add_descriptor(2, 9, "anon_inode:kvm-vm");
    add(3, copied, 64);
    add(4, other, 64);
    fake_tree_process(
        tree, &(struct fake_process){
                  .pid = 5, .start_time = start_time_of(1), .executable = emulator, .rss_kib = 64});
    fake_tree_cmdline(tree, 5, probe);
    add(6, NULL, 0); /* a kernel thread */
    add(7, deleted, 64);
    add(8, missing, 64);
    fake_tree_process(
        tree, &(struct fake_process){
                  .pid = 9, .name = "qemu-system-x86", .executable = other, .rss_kib = 64});
    round_at(NSEC_PER_SEC);
    bool seen[10] = {false};
    for (unsigned i = 0; i < found_count; i++)
        seen[found[i].identity.pid] = true;
    for (pid_t pid = 1; pid < 10; pid++)
        ck_assert_msg(seen[pid] == (pid == 1 || pid == 2 || pid == 7), "pid %d", (int)pid);
    ck_assert_int_eq(scan_process(scan, 1, &one), 0);
    ck_assert_str_eq(one.name, "qemu-1");
    ck_assert_int_eq(one.wiring.kvm, TRISTATE_NO);
    ck_assert_int_eq(scan_process(scan, 5, &one), -ENOENT);
    ck_assert_int_eq(scan_process(scan, 4, &one), -ENOENT);
    ck_assert_int_eq(scan_process(scan, 12345, &one), -ESRCH);
    /* A file that others may write is nobody's emulator. */
    ck_assert_int_eq(chmod(emulator, 0775), 0);
    ck_assert_int_eq(scan_process(scan, 1, &one), -ENOENT);
}
END_TEST

START_TEST(looks_again)
{
    char other[128];
    unsigned rounds = 0;

    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    add(50, other, 64);
    round_at(NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 0);
    add_descriptor(50, 9, "anon_inode:kvm-vm");
    for (found_count = 0; found_count == 0 && rounds < 50; rounds++)
        round_at((rounds + 2) * NSEC_PER_SEC);
    ck_assert_uint_ge(rounds, 1);
    ck_assert_uint_le(rounds, 10);
    /* A look that fails is not a look: the next round makes up for it. */
    fake_tree_remove(tree, "proc/50/fd");
    fake_tree_write(tree, "proc/50/fd", "no folder");
    round_at(70 * NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 0);
    fake_tree_remove(tree, "proc/50/fd");
    add_descriptor(50, 9, "anon_inode:kvm-vm");
    round_at(71 * NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 1);
    if (skip_unless_root())
        return;
    /* An exec in place is seen in the next round, whenever its descriptors are due. */
    add(51, other, 64);
    round_at(90 * NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 1);
    add(51, emulator, 64);
    round_at(91 * NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 2);
}
END_TEST

START_TEST(keeps_its_budget)
{
    unsigned steps = 0;
    int result = 0;

    if (skip_unless_root())
        return;
    for (pid_t pid = 1; pid <= 25; pid++)
        add(pid, emulator, 64);
    for (unsigned round = 0; round < 2; round++) {
        found_count = 0;
        for (steps = 1;; steps++) {
            unsigned before = found_count;
            result = scan_step(scan, 4, NSEC_PER_SEC, note, tree);
            ck_assert_uint_le(found_count - before, 4);
            if (result != 0)
                break;
            ck_assert_uint_le(steps, 26);
        }
        ck_assert_int_eq(result, 1);
        ck_assert_uint_ge(steps, 7); /* more where time ran out first */
        ck_assert_uint_eq(found_count, 25);
    }
}
END_TEST

/* Reading a command line waits for the process's mmap_lock: once must do. */
START_TEST(reads_a_command_line_once)
{
    static const char *const first[] = {"q", "-name", "first", "-m", "1G", NULL};
    static const char *const second[] = {"q", "-name", "second", "-m", "2G", NULL};
    char other[128];
    struct scan_found one;

    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    add(100, other, 64);
    add_descriptor(100, 3, "anon_inode:kvm-vm");
    fake_tree_cmdline(tree, 100, first);
    round_at(NSEC_PER_SEC);
    fake_tree_remove(tree, "proc/100/cmdline");
    add_descriptor(100, 4, "/dev/vfio/7");
    round_at(2 * NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 1);
    ck_assert_str_eq(found[0].name, "first");
    ck_assert_uint_eq(found[0].maximum, GIB);
    ck_assert_uint_eq(found[0].wiring.vfio_groups, 1);
    ck_assert_int_eq(scan_process(scan, 100, &one), 0);
    ck_assert_str_eq(one.name, "first");
    /* An exec, and another process of the same pid, have command lines of their own. */
    fake_tree_cmdline(tree, 100, second);
    fake_tree_remove(tree, "proc/100/exe");
    fake_tree_link(tree, "proc/100/exe", emulator);
    round_at(3 * NSEC_PER_SEC);
    ck_assert_str_eq(found[0].name, "second");
    ck_assert_uint_eq(found[0].maximum, 2 * GIB);
    fake_tree_cmdline(tree, 100, first);
    fake_tree_process(tree,
        &(struct fake_process){.pid = 100, .start_time = 6, .executable = emulator, .rss_kib = 64});
    fake_tree_cmdline(tree, 100, first);
    round_at(4 * NSEC_PER_SEC);
    ck_assert_str_eq(found[0].name, "first");
}
END_TEST

/* Between exec and the arguments' arrival a command line is empty. */
START_TEST(an_empty_command_line_of_a_young_process_is_read_again)
{
    static const char *const arguments[] = {"q", "-name", "late", NULL};
    char other[128];

    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    fake_tree_process(
        tree, &(struct fake_process){
                  .pid = 100, .start_time = start_time_of(1), .executable = other, .rss_kib = 64});
    add_descriptor(100, 3, "anon_inode:kvm-vm");
    round_at(NSEC_PER_SEC);
    ck_assert_str_eq(found[0].name, "qemu-100");
    fake_tree_cmdline(tree, 100, arguments);
    round_at(2 * NSEC_PER_SEC);
    ck_assert_str_eq(found[0].name, "late");
}
END_TEST

/* QEMU, or who took it over, can write "-machine none" over its arguments. */
START_TEST(believes_a_probe_for_a_minute_only)
{
    static const char *const probe[] = {"q", "-machine", "none", NULL};
    static const uint64_t ages[] = {0, 50, 70, 4000};
    char other[128];

    if (start_time_of(ages[3]) == 0) {
        (void)fprintf(stderr, "skipped: this machine runs for less than 160 s\n");
        return;
    }
    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    for (unsigned i = 0; i < ELEMENTSOF(ages); i++) {
        fake_tree_process(tree, &(struct fake_process){.pid = (pid_t)i + 1,
                                    .start_time = start_time_of(ages[i]),
                                    .executable = other,
                                    .rss_kib = 64});
        add_descriptor((pid_t)i + 1, 3, "anon_inode:kvm-vm");
        fake_tree_cmdline(tree, (pid_t)i + 1, probe);
    }
    round_at(NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 2);
    ck_assert_int_eq(found[0].identity.pid + found[1].identity.pid, 3 + 4);
}
END_TEST

/* The command line still says so when the guest has long come. */
START_TEST(believes_an_arrival_for_a_minute_only)
{
    static const char *const comes[] = {"q", "-incoming", "defer", NULL};
    static const uint64_t ages[] = {0, 40, 80, 160};

    if (start_time_of(ages[3]) == 0) {
        (void)fprintf(stderr, "skipped: this machine runs for less than 160 s\n");
        return;
    }
    for (unsigned i = 0; i < ELEMENTSOF(ages); i++) {
        fake_tree_process(tree, &(struct fake_process){.pid = (pid_t)i + 1,
                                    .start_time = start_time_of(ages[i]),
                                    .executable = emulator,
                                    .rss_kib = 64});
        add_descriptor((pid_t)i + 1, 3, "anon_inode:kvm-vm");
        fake_tree_cmdline(tree, (pid_t)i + 1, comes);
    }
    round_at(NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, ELEMENTSOF(ages));
    for (unsigned i = 0; i < found_count; i++)
        ck_assert(found[i].incoming == (found[i].identity.pid <= 2));
}
END_TEST

START_TEST(a_step_ends_when_its_time_is_over)
{
    unsigned steps = 1;
    int result;

    /* At some ten system calls each, no machine is through with them in a millisecond. */
    for (pid_t pid = 1; pid <= 1000; pid++)
        add(pid, NULL, 64);
    while ((result = scan_step(scan, 100000, NSEC_PER_SEC, note, tree)) == 0)
        steps++;
    ck_assert_int_eq(result, 1);
    ck_assert_uint_ge(steps, 2);
    ck_assert_uint_le(steps, 1001);
}
END_TEST

START_TEST(names_the_culprit)
{
    struct process_snapshot culprit;
    char other[128];

    if (skip_unless_root())
        return;
    (void)snprintf(other, sizeof(other), "%s/bin/other", tree->folder);
    scan_largest_process(scan, &culprit);
    ck_assert_int_eq(culprit.pid, 0);
    add(1, emulator, 900000); /* a guest is never it */
    add(2, other, 50000);
    add(3, other, 10000);
    round_at(NSEC_PER_SEC);
    scan_largest_process(scan, &culprit);
    ck_assert_int_eq(culprit.pid, 2);
    ck_assert_uint_eq(culprit.rss, 50000 * KIB);
    /* 8 MiB in 2 s beats a size that stands. */
    fake_tree_process(tree, &(struct fake_process){.pid = 3,
                                .start_time = 5,
                                .executable = other,
                                .rss_kib = 10000 + 8192,
                                .name = "le\x1b"
                                        "ak)"});
    round_at(3 * NSEC_PER_SEC);
    scan_largest_process(scan, &culprit);
    ck_assert_int_eq(culprit.pid, 3);
    ck_assert_int_eq(culprit.growth, (int64_t)(4 * MIB));
    ck_assert_str_eq(culprit.name, "le?ak)");
    /* The same pid, another process: no growth. */
    fake_tree_process(tree,
        &(struct fake_process){.pid = 3, .start_time = 6, .executable = other, .rss_kib = 40000});
    round_at(5 * NSEC_PER_SEC);
    scan_largest_process(scan, &culprit);
    ck_assert_int_eq(culprit.pid, 2);
}
END_TEST

START_TEST(long_and_hostile_names)
{
    char name[320], expected[VM_NAME_MAX];
    const char *const arguments[] = {"q", "-name", name, NULL};
    struct scan_found one;

    if (skip_unless_root())
        return;
    memset(name, 'x', 300);
    name[300] = '\0';
    memcpy(name + VM_NAME_MAX - 2, "\xc3\xa4", 2); /* would be cut in the middle */
    memset(expected, 'x', VM_NAME_MAX - 2);
    expected[VM_NAME_MAX - 2] = '\0';
    add(1, emulator, 64);
    fake_tree_cmdline(tree, 1, arguments);
    ck_assert_int_eq(scan_process(scan, 1, &one), 0);
    ck_assert_str_eq(one.name, expected);
}
END_TEST

START_TEST(broken_processes_do_not_stop_it)
{
    static const char *const stats[] = {"", "7", "7 (x", "7 (x) S 1",

        "7 (x) S 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 99999999999999999999 1 1\n"};
    char path[64];

    if (skip_unless_root())
        return;
    for (unsigned i = 0; i < ELEMENTSOF(stats); i++) {
        add((pid_t)i + 1, emulator, 64);
        (void)snprintf(path, sizeof(path), "proc/%u/stat", i + 1);
        fake_tree_write(tree, path, "%s", stats[i]);
    }
    add(100, emulator, 64);
    fake_tree_remove(tree, "proc/100/cmdline");
    add(101, emulator, 64);
    fake_tree_remove(tree, "proc/101/fd");
    add(102, emulator, 64);
    fake_tree_write(tree, "proc/99999999999/stat", "no pid");
    round_at(NSEC_PER_SEC);
    ck_assert_uint_eq(found_count, 1);
    ck_assert_int_eq(found[0].identity.pid, 102);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan");
    TCase *tests = tcase_create("scan");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, finds_a_guest_with_all_its_facts);
    tcase_add_test(tests, knows_guests_from_others);
    tcase_add_test(tests, looks_again);
    tcase_add_test(tests, keeps_its_budget);
    tcase_add_test(tests, reads_a_command_line_once);
    tcase_add_test(tests, an_empty_command_line_of_a_young_process_is_read_again);
    tcase_add_test(tests, believes_a_probe_for_a_minute_only);
    tcase_add_test(tests, believes_an_arrival_for_a_minute_only);
    tcase_add_test(tests, a_step_ends_when_its_time_is_over);
    tcase_add_test(tests, names_the_culprit);
    tcase_add_test(tests, long_and_hostile_names);
    tcase_add_test(tests, broken_processes_do_not_stop_it);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
