/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest's figures: from fake trees of each cgroup layout, hostile files, and real processes. */
#include "fake_tree.h"
#include "kernel_file.h"
#include "sample_process.h"
#include "sample_vm.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct roots real = {.proc = "/proc", .sys = "/sys"};
static const struct fake_process guest = {.pid = 4711, .start_time = 777, .rss_kib = 8192};
static const struct vm_identity identity = {.pid = 4711, .start_time = 777};

static struct fake_tree *tree;
static struct cgroup_mounts *mounts;
static struct vm_sampler sampler = VM_SAMPLER_CLOSED;
static struct vm_snapshot vm;
/* Node 1 first: figures go by the node's number, not by its place. */
static const struct host_snapshot host = {.node_count = 2, .nodes = {{.id = 1}, {.id = 0}}};

static void setup(void)
{
    tree = fake_tree_new();
    fake_tree_process(tree, &guest);
    memset(&vm, 0, sizeof(vm));
}

static void teardown(void)
{
    vm_sampler_close(&sampler);
    mounts = cgroup_mounts_free(mounts);
    tree = fake_tree_free(tree);
}

static void open_guest(enum fake_cgroups cgroups)
{
    fake_tree_mounts(tree, cgroups);
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &identity), 0);
}

static int read_full(void)
{
    return vm_sampler_read(&sampler, SAMPLE_FULL, &host, 42, &vm);
}

START_TEST(reads_every_field)
{
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.sampled, 42);
    ck_assert_int_eq(vm.process_state, VM_PROCESS_ALIVE);
    ck_assert_uint_eq(vm.rss, 8 * MIB);
    ck_assert_uint_eq(vm.rss_anonymous, 8 * MIB - 768 * KIB);
    ck_assert_uint_eq(vm.rss_file, 256 * KIB);
    ck_assert_uint_eq(vm.rss_shmem, 512 * KIB);
    ck_assert_uint_eq(vm.hugetlb, 4 * MIB);
    ck_assert_uint_eq(vm.swap, 96 * KIB);
    ck_assert_uint_eq(vm.page_tables, 48 * KIB);
    ck_assert_uint_eq(vm.locked, MIB);
    ck_assert_uint_eq(vm.pinned, 2 * MIB);
    ck_assert_uint_eq(vm.memlock_soft, 64 * MIB);
    ck_assert_uint_eq(vm.memlock_hard, NEVER - 1);
    ck_assert_int_eq(vm.oom_score_adj, -250);
    ck_assert_uint_eq(vm.nodes_allowed, 3);
    ck_assert(!known(vm.cgroup_current) && !known(vm.node_bytes[0]));
}
END_TEST

START_TEST(edge_reads_size_alone)
{
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    fake_tree_write(tree, "proc/4711/status", "%s", "");
    fake_tree_write(tree, "proc/4711/stat", "%s", "");
    fake_tree_write(tree, "proc/4711/statm", "9000 4000 10 1 0 10 0\n");
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_EDGE, &host, 43, &vm), 0);
    ck_assert_uint_eq(vm.sampled, 43);
    ck_assert_uint_eq(vm.rss, 4000 * (uint64_t)sysconf(_SC_PAGESIZE));
    ck_assert_uint_eq(vm.swap, 96 * KIB);
    ck_assert_int_eq(vm.process_state, VM_PROCESS_ALIVE);
}
END_TEST

START_TEST(memory_of_v2_is_the_domains)
{
    fake_tree_write(tree, "proc/4711/cgroup", "0::/machine.slice/vm.scope/libvirt/emulator\n");
    fake_tree_write(
        tree, "unified/machine.slice/vm.scope/libvirt/emulator/cgroup.type", "threaded\n");
    fake_tree_write(
        tree, "unified/machine.slice/vm.scope/libvirt/cgroup.type", "domain threaded\n");
    fake_tree_write(tree, "unified/machine.slice/vm.scope/libvirt/memory.current", "9000000\n");
    fake_tree_write(tree, "unified/machine.slice/vm.scope/libvirt/memory.numa_stat",
        "anon N0=1000 N1=2000\nfile N0=50000 N1=50000\nkernel_stack N0=5 N1=5\n"
        "shmem N0=100 N1=200\nanon_thp N0=7777 N1=7777\nunevictable N0=9 N1=9\n");
    fake_tree_write(tree, "unified/machine.slice/memory.current", "1\n");
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.cgroup_current, 9000000);
    ck_assert_uint_eq(vm.node_bytes[0], 2200);
    ck_assert_uint_eq(vm.node_bytes[1], 1100);
    ck_assert(!known(vm.node_bytes[2]));
}
END_TEST

/* As libvirt sets a guest up; EVERYBODY is who stands in the domain. */
static void give_reclaim(const char *type, const char *descendants, const char *everybody)
{
    vm.identity.pid = 4711;
    fake_tree_write(tree, "proc/4711/cgroup", "0::/vm.scope/libvirt/emulator\n");
    fake_tree_write(tree, "unified/vm.scope/libvirt/emulator/cgroup.type", "threaded\n");
    fake_tree_write(tree, "unified/vm.scope/libvirt/cgroup.type", "%s\n", type);
    fake_tree_write(
        tree, "unified/vm.scope/libvirt/cgroup.stat", "nr_descendants %s\n", descendants);
    fake_tree_write(tree, "unified/vm.scope/libvirt/cgroup.procs", "%s", everybody);
    fake_tree_write(tree, "unified/vm.scope/libvirt/memory.reclaim", "%s", "");
    fake_tree_process(tree, &(struct fake_process){.pid = 2, .name = "kvm-nx-lpage-re"});
    fake_tree_process(tree, &(struct fake_process){.pid = 815, .name = "swtpm", .rss_kib = 1024});
    fake_tree_process(
        tree, &(struct fake_process){.pid = 4712, .name = "virtiofsd", .rss_kib = 1024});
}

START_TEST(reclaim_of_a_group_of_its_own)
{
    static const struct {
        const char *type, *descendants, *everybody;
        enum tristate possible;
    } cases[] = {
        {"domain threaded", "3", "4711\n", TRISTATE_YES},
        {"domain", "0", "4711\n", TRISTATE_YES},
        {"domain", "3", "4711\n", TRISTATE_NO}, /* others may be charged to it */
        {"domain threaded", "3", "4711\n815\n", TRISTATE_NO},
        {"domain threaded", "3", "4711\n2\n", TRISTATE_YES}, /* a thread of the kernel */
        {"domain threaded", "3", "2\n", TRISTATE_NO},
        {"domain threaded", "3", "4711\n2", TRISTATE_NO}, /* cut off */
        {"domain threaded", "3", "815\n", TRISTATE_NO},
        {"domain threaded", "3", "", TRISTATE_NO},
    };

    give_reclaim(cases[_i].type, cases[_i].descendants, cases[_i].everybody);
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_int_eq(vm.reclaim.possible, cases[_i].possible);
    ck_assert_int_eq(
        vm_sampler_reclaim_check(&sampler, 4711), cases[_i].possible == TRISTATE_YES ? 0 : -ENODEV);
    /* Somebody moves in: from then on it is not the guest's alone. */
    fake_tree_write(tree, "unified/vm.scope/libvirt/cgroup.procs", "4711\n4712\n");
    ck_assert_int_eq(vm_sampler_reclaim_check(&sampler, 4711), -ENODEV);
}
END_TEST

/* An older kernel, v1, and a link where the kernel has none. */
START_TEST(without_memory_reclaim_there_is_none)
{
    give_reclaim("domain threaded", "3", "4711\n");
    if (_i < 2)
        fake_tree_remove(tree, "unified/vm.scope/libvirt/memory.reclaim");
    if (_i == 1)
        fake_tree_link(tree, "unified/vm.scope/libvirt/memory.reclaim", "/dev/null");
    open_guest(_i == 2 ? FAKE_CGROUPS_V1 : FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_int_eq(vm.reclaim.possible, TRISTATE_NO);
}
END_TEST

START_TEST(an_ancestors_memory_is_not_the_guests)
{
    fake_tree_write(tree, "proc/4711/cgroup", "0::/user.slice/session.scope\n");
    fake_tree_write(tree, "unified/user.slice/session.scope/cgroup.type", "domain\n");
    fake_tree_write(tree, "unified/user.slice/memory.current", "9000000\n");
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert(!known(vm.cgroup_current));
}
END_TEST

static void write_v1_group(void)
{
    fake_tree_write(tree, "proc/4711/cgroup",
        "12:cpu,cpuacct:/elsewhere\n5:hugetlb,memory:/machine/vm:1\n0::/machine/vm\n");
    fake_tree_write(tree, "memory/machine/vm:1/memory.usage_in_bytes", "5000000\n");
    fake_tree_write(tree, "memory/machine/vm:1/memory.numa_stat",
        "total=1500 N0=500 N1=1000\nfile=900 N0=300 N1=600\nanon=5 N0=2 N1=3\n"
        "unevictable=9 N0=4 N1=5\nhierarchical_anon=77 N0=7 N1=70\n");
}

START_TEST(memory_of_v1)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    write_v1_group();
    open_guest(FAKE_CGROUPS_V1);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.cgroup_current, 5000000);
    ck_assert_uint_eq(vm.node_bytes[0], 8 * page);
    ck_assert_uint_eq(vm.node_bytes[1], 6 * page);
}
END_TEST

START_TEST(memory_of_hybrid)
{
    write_v1_group();
    fake_tree_write(tree, "unified/machine/vm/cgroup.type", "domain\n");
    open_guest(FAKE_CGROUPS_HYBRID);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.cgroup_current, 5000000);
}
END_TEST

START_TEST(a_shared_group_says_nothing_of_nodes)
{
    fake_tree_write(tree, "proc/4711/cgroup", "0::/all\n");
    fake_tree_write(tree, "unified/all/memory.current", "4000000000\n");
    fake_tree_write(tree, "unified/all/memory.numa_stat", "anon N0=2000000000 N1=2000000000\n");
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert(!known(vm.node_bytes[0]) && !known(vm.node_bytes[1]));
}
END_TEST

START_TEST(mounts_of_a_part_of_the_hierarchy)
{
    fake_tree_write(tree, "proc/self/mountinfo",
        "41 31 0:38 /other %s/other rw - cgroup2 cgroup2 rw\n"
        "42 31 0:38 /pod\\040a %s/pod rw master:1 - cgroup2 cgroup2 rw\n",
        tree->unified, tree->unified);
    fake_tree_write(tree, "proc/4711/cgroup", "0::/pod a/vm\n");
    fake_tree_write(tree, "unified/pod/vm/memory.current", "123\n");
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &identity), 0);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.cgroup_current, 123);
    vm_sampler_close(&sampler);
    /* Outside of what the mounts show, and out of the namespace; the second would lead there. */
    fake_tree_write(tree, "vm/memory.current", "123\n");
    static const char *const paths[] = {"0::/podium/vm\n", "0::/pod a/../../vm\n", "0::/../vm\n"};
    for (unsigned i = 0; i < ELEMENTSOF(paths); i++) {
        fake_tree_write(tree, "proc/4711/cgroup", "%s", paths[i]);
        ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &identity), 0);
        ck_assert_int_eq(sampler.cgroup_current_fd, -1);
        vm_sampler_close(&sampler);
    }
}
END_TEST

START_TEST(another_process_is_refused)
{
    struct vm_identity other = {.pid = 4711, .start_time = 778};

    fake_tree_mounts(tree, FAKE_CGROUPS_V2);
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &other), -ESRCH);
    other.pid = 4712;
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &other), -ESRCH);
    ck_assert_int_eq(sampler.stat_fd, -1);
}
END_TEST

START_TEST(names_do_not_lead_astray)
{
    struct fake_process odd = guest;

    odd.name = "a) R 1 (b) Z\n1";
    odd.state = 'T';
    fake_tree_process(tree, &odd);
    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_int_eq(vm.process_state, VM_PROCESS_STOPPED);
}
END_TEST

START_TEST(states)
{
    static const struct {
        char letter;
        enum vm_process_state state;
    } cases[] = {{'R', VM_PROCESS_ALIVE}, {'I', VM_PROCESS_ALIVE}, {'D', VM_PROCESS_BLOCKED},
        {'t', VM_PROCESS_STOPPED}, {'X', VM_PROCESS_DEAD}, {'?', VM_PROCESS_UNKNOWN}};

    open_guest(FAKE_CGROUPS_V2);
    for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
        struct fake_process process = guest;
        process.state = cases[i].letter;
        fake_tree_process(tree, &process);
        ck_assert_int_eq(read_full(), 0);
        ck_assert_int_eq(vm.process_state, cases[i].state);
    }
}
END_TEST

/* What stands in a file, and what must come of it. */
static const struct {
    const char *file, *text;
    int result;
} broken[] = {
    {"stat", "", -ESRCH},
    {"stat", "4711 (qemu", -EBADMSG},
    {"stat", "4711 (qemu) S", -EBADMSG},
    {"statm", "", -ESRCH},
    {"statm", "12\n", -EBADMSG},
    {"statm", "12 99999999999999999999999 1\n", -EBADMSG},
    {"statm", "12 -5 1\n", -EBADMSG},
    {"status", "", -ESRCH},
    {"status", "Name:\tqemu\nState:\tZ\n", -EBADMSG},
    {"status", "RssAnon:\t12 kB", -EBADMSG},
    {"status", "RssAnon:\t99999999999999999999 kB\n", -EBADMSG},
    {"limits", "Limit\nMax locked memory         ", -EBADMSG},
    {"limits", "nothing\n", -EBADMSG},
    {"oom_score_adj", "x\n", -EBADMSG},
    {"oom_score_adj", "99999\n", -EBADMSG},
};

START_TEST(broken_files)
{
    char path[64];

    open_guest(FAKE_CGROUPS_V2);
    ck_assert_int_eq(read_full(), 0);
    (void)snprintf(path, sizeof(path), "proc/4711/%s", broken[_i].file);
    fake_tree_write(tree, path, "%s", broken[_i].text);
    ck_assert_int_eq(read_full(), broken[_i].result);
    ck_assert(!known(vm.sampled));
    if (strcmp(broken[_i].file, "statm") == 0)
        ck_assert(!known(vm.rss));
    if (strcmp(broken[_i].file, "status") == 0)
        ck_assert(!known(vm.rss_anonymous) && !known(vm.locked));
    if (strcmp(broken[_i].file, "limits") == 0)
        ck_assert(!known(vm.memlock_hard));
}
END_TEST

START_TEST(absent_status_lines_are_unknown)
{
    open_guest(FAKE_CGROUPS_V2);
    fake_tree_write(tree, "proc/4711/status", "RssAnon:\t12 kB\nVmSwap: 1 kB x\n");
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.rss_anonymous, 12 * KIB);
    ck_assert(!known(vm.pinned) && !known(vm.hugetlb) && !known(vm.swap));
}
END_TEST

static struct vm_identity identity_of(pid_t pid)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open("/proc", pid);
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process, "stat");
    struct process_stat stat;

    ck_assert_int_eq(process_stat_read(fd, &stat), 0);
    return (struct vm_identity){.pid = pid, .start_time = stat.start_time};
}

START_TEST(this_process)
{
    const size_t size = 32 * MIB;
    const struct vm_identity self = identity_of(getpid());

    ck_assert_int_eq(cgroup_mounts_new(&real, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &real, mounts, &self), 0);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_int_eq(vm.process_state, VM_PROCESS_ALIVE);
    ck_assert(known(vm.memlock_soft) && known(vm.swap) && known(vm.page_tables));
    ck_assert_uint_ne(vm.nodes_allowed, 0); /* of those in `host`, node 0 is everywhere */
    if (sampler.cgroup_current_fd < 0)
        (void)fprintf(stderr, "no memory controller reaches this process: not checked\n");
    else
        ck_assert(known(vm.cgroup_current));
    uint64_t before = vm.rss;
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_ge(vm.rss, before + size - 2 * MIB);
    ck_assert_uint_le(vm.rss, before + size + 8 * MIB);
    ck_assert_int_eq(munmap(memory, size), 0);
}
END_TEST

START_TEST(a_process_that_ends)
{
    int status;

    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    const struct vm_identity it = identity_of(child);
    ck_assert_int_eq(cgroup_mounts_new(&real, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &real, mounts, &it), 0);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(vm.process_state, VM_PROCESS_ALIVE);
    for (enum sample_depth depth = SAMPLE_EDGE; depth <= SAMPLE_FULL; depth++) {
        ck_assert_int_eq(vm_sampler_read(&sampler, depth, &host, 42, &vm), 0);
        ck_assert_int_eq(vm.process_state, VM_PROCESS_DEAD);
        ck_assert(!known(vm.rss) && !known(vm.swap));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(read_full(), -ESRCH);
    ck_assert(!known(vm.sampled));
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_EDGE, &host, 1, &vm), -ESRCH);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_vm");
    TCase *tests = tcase_create("sample_vm");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, reads_every_field);
    tcase_add_test(tests, edge_reads_size_alone);
    tcase_add_test(tests, memory_of_v2_is_the_domains);
    tcase_add_test(tests, an_ancestors_memory_is_not_the_guests);
    tcase_add_loop_test(tests, reclaim_of_a_group_of_its_own, 0, 9);
    tcase_add_loop_test(tests, without_memory_reclaim_there_is_none, 0, 3);
    tcase_add_test(tests, memory_of_v1);
    tcase_add_test(tests, memory_of_hybrid);
    tcase_add_test(tests, a_shared_group_says_nothing_of_nodes);
    tcase_add_test(tests, mounts_of_a_part_of_the_hierarchy);
    tcase_add_test(tests, another_process_is_refused);
    tcase_add_test(tests, names_do_not_lead_astray);
    tcase_add_test(tests, states);
    tcase_add_loop_test(tests, broken_files, 0, (int)ELEMENTSOF(broken));
    tcase_add_test(tests, absent_status_lines_are_unknown);
    tcase_add_test(tests, this_process);
    tcase_add_test(tests, a_process_that_ends);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
