/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll doctor` on a host with nothing to find, and each fault of a host put into it alone. */
#include "doctor_scene.h"
#include "suite.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define OOMD_UNIT "files/usr/lib/systemd/system/machine.slice.d/10-oomd.conf"

/* ---- nothing to find ---- */

START_TEST(test_sound_host)
{
    scene_audit(scene_status(""));
    scene_assert_nothing_else("a sound host", "");
    for (size_t i = 0; i < doctor_check_count(); i++)
        ck_assert_ptr_nonnull(scene_finding(doctor_check_at(i)->name));
}
END_TEST

START_TEST(test_nothing_changes)
{
    char before[PATH_MAX], path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/proc/pressure/memory", scene_tree->folder);
    (void)snprintf(before, sizeof(before), "%s", scratch_read(path));
    scene_audit(scene_status(""));
    ck_assert_str_eq(scratch_read(path), before);
}
END_TEST

/* ---- one fault of the host each ---- */

struct host_fault {
    const char *name;
    const char *path, *text; /* text NULL: removed */
    struct expected expected;
    bool alone; /* nothing else is found */
};

#define VM "proc/sys/vm/"
#define THP "sys/kernel/mm/transparent_hugepage/"
#define POOL "sys/kernel/mm/hugepages/hugepages-2048kB/"
#define SLICE "unified/machine.slice/"

static const struct host_fault host_faults[] = {
    {"overcommit always", VM "overcommit_memory", "1\n",
        {"overcommit", SEVERITY_NOTE, "is 1", "sysctl -w vm.overcommit_memory=0 |"}, true},
    {"overcommit strict", VM "overcommit_memory", "2\n",
        {"overcommit", SEVERITY_WARNING, "7G of a CommitLimit of 12G", "sysctl -w"}, true},
    {"overcommit nonsense", VM "overcommit_memory", "7\n",
        {"overcommit", SEVERITY_UNKNOWN, "means nothing", NULL}, true},
    {"overcommit malformed", VM "overcommit_memory", "two\n",
        {"overcommit", SEVERITY_UNKNOWN, "no number", NULL}, true},
    {"overcommit missing", VM "overcommit_memory", NULL,
        {"overcommit", SEVERITY_UNKNOWN, "No such file", NULL}, true},
    {"panic", VM "panic_on_oom", "1\n",
        {"panic-on-oom", SEVERITY_ERROR, "is 1", "vm.panic_on_oom=0"}, true},
    {"panic always", VM "panic_on_oom", "2\n",
        {"panic-on-oom", SEVERITY_ERROR, "is 2", "vm.panic_on_oom=0"}, true},
    {"panic unknown", VM "panic_on_oom", "", {"panic-on-oom", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"allocating task", VM "oom_kill_allocating_task", "1\n",
        {"oom-kill-allocating-task", SEVERITY_WARNING, "is 1", "=0"}, true},
    {"allocating task missing", VM "oom_kill_allocating_task", NULL,
        {"oom-kill-allocating-task", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"no swap", "proc/meminfo", MEMINFO("16777216", "0", "0", "1", "0"),
        {"swap", SEVERITY_WARNING, "no swap", "count=2048"}, true},
    {"swap full", "proc/meminfo", MEMINFO("16777216", "1048576", "1024", "1", "0"),
        {"swap", SEVERITY_WARNING, "1M of 1G", "mkswap"}, true},
    {"swap unknown", "proc/meminfo", "MemTotal: 16777216 kB\n",
        {"swap", SEVERITY_UNKNOWN, "SwapTotal", NULL}, false},
    {"meminfo missing", "proc/meminfo", NULL, {"swap", SEVERITY_UNKNOWN, NULL, NULL}, false},
    {"all zram", "proc/swaps", "Filename\n/dev/zram0 partition 1 0 1\n",
        {"swap", SEVERITY_FINE, "all of it zram", NULL}, true},
    {"swappiness", VM "swappiness", "0\n",
        {"swappiness", SEVERITY_WARNING, "is 0", "vm.swappiness=60"}, true},
    {"no PSI", "proc/pressure/memory", NULL, {"pressure", SEVERITY_WARNING, "without PSI", "psi=1"},
        true},
    {"PSI malformed", "proc/pressure/memory", "nothing\n",
        {"pressure", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"min_free low", VM "min_free_kbytes", "512\n",
        {"min-free", SEVERITY_WARNING, "is 512", "vm.min_free_kbytes=16384"}, true},
    {"min_free high", VM "min_free_kbytes", "2097152\n",
        {"min-free", SEVERITY_WARNING, "12 % of memory", "vm.min_free_kbytes=16384"}, true},
    {"min_free huge", VM "min_free_kbytes", "18446744073709551614\n",
        {"min-free", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"scale missing", VM "watermark_scale_factor", NULL,
        {"watermarks", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"zoneinfo missing", "proc/zoneinfo", NULL, {"watermarks", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"narrow watermarks", "proc/zoneinfo",
        "Node 0, zone   Normal\n  pages free     1048576\n        min      10000\n"
        "        low      10256\n        high     10512\n        managed  4000000\n"
        "        protection: (0, 0)\n",
        {"watermarks", SEVERITY_NOTE, "filled in 976us at the 1G/s",
            "vm.watermark_scale_factor=7 |"},
        true},
    {"pool unused", POOL "free_hugepages", "128\n",
        {"hugepages", SEVERITY_NOTE, "128 of 512 huge pages of 2048 kB", "echo 384 >/sys"}, true},
    {"pool malformed", POOL "free_hugepages", "-1\n",
        {"hugepages", SEVERITY_UNKNOWN, "no number", NULL}, true},
    {"pool half missing", POOL "resv_hugepages", NULL, {"hugepages", SEVERITY_UNKNOWN, NULL, NULL},
        true},
    {"no pools", "sys/kernel/mm/hugepages", NULL, {"hugepages", SEVERITY_FINE, "no pools", NULL},
        true},
    {"KSM", "sys/kernel/mm/ksm/run", "1\n",
        {"ksm", SEVERITY_NOTE, "run is 1", "echo 0 >/sys/kernel/mm/ksm/run"}, true},
    {"KSM malformed", "sys/kernel/mm/ksm/run", "on\n", {"ksm", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"no KSM", "sys/kernel/mm/ksm", NULL, {"ksm", SEVERITY_FINE, "no KSM", NULL}, true},
    {"KSM saves all", "sys/kernel/mm/ksm/pages_sharing", "99999999\n",
        {"ksm", SEVERITY_WARNING, "run is 0", "echo 2"}, true},
    {"THP never", THP "enabled", "always madvise [never]\n",
        {"thp", SEVERITY_NOTE, "never", "echo madvise >/sys"}, true},
    {"THP malformed", THP "enabled", "always\n", {"thp", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"no THP", THP "enabled", NULL, {"thp", SEVERITY_FINE, NULL, NULL}, true},
    {"defrag always", THP "defrag", "[always] defer defer+madvise madvise never\n",
        {"thp-defrag", SEVERITY_NOTE, "always", "echo madvise >/sys"}, true},
    {"defrag malformed", THP "defrag", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]\n",
        {"thp-defrag", SEVERITY_UNKNOWN, NULL, NULL}, true},
    {"tmpfs unbounded", "proc/1/mountinfo", "22 1 0:5 / /srv/it\\040is rw - tmpfs t rw,size=0k\n",
        {"tmpfs", SEVERITY_WARNING, "/srv/it is has no bound",
            "mount -o remount,size=10% '/srv/it is'"},
        true},
    {"tmpfs quoted", "proc/1/mountinfo", "22 1 0:5 / /a'$(id) rw - tmpfs t rw,size=0k\n",
        {"tmpfs", SEVERITY_WARNING, NULL, "size=10% '/a'\\''$(id)'"}, true},
    {"tmpfs hostile", "proc/1/mountinfo", "22 1 0:5 / /a\\012rm\\033 rw - tmpfs t rw,size=0k\n",
        {"tmpfs", SEVERITY_WARNING, "/a?rm?", "remount it with"}, true},
    {"tmpfs too much", "proc/1/mountinfo",
        "22 1 0:5 / /a rw - tmpfs t rw\n23 1 0:6 / /b rw - tmpfs t rw\n"
        "24 1 0:7 / /c rw - tmpfs t rw,size=4k\n",
        {"tmpfs", SEVERITY_NOTE, "3 tmpfs may together hold 16G, of 16G", "findmnt"}, true},
    {"tmpfs read-only", "proc/1/mountinfo", "22 1 0:5 / /a rw - tmpfs t ro,size=0k\n",
        {"tmpfs", SEVERITY_FINE, "0 tmpfs", NULL}, true},
    {"tmpfs size malformed", "proc/1/mountinfo", "22 1 0:5 / /a rw - tmpfs t rw,size=big\n",
        {"tmpfs", SEVERITY_UNKNOWN, "no size", NULL}, true},
    {"mountinfo torn", "proc/1/mountinfo", "22 1\n - tmpfs\n22 1 0:5 / /a rw - tmpfs\n - \n",
        {"tmpfs", SEVERITY_FINE, "0 tmpfs", NULL}, true},
    {"init's mounts not to be seen", "proc/1/mountinfo", NULL, {"tmpfs", SEVERITY_FINE, NULL, NULL},
        true},
    {"no memory controller", "unified/cgroup.controllers", "cpuset cpu io pids memory_not\n",
        {"cgroup", SEVERITY_WARNING, "no cgroup hierarchy", "cgroup_disable=memory"}, true},
    {"mountinfo without cgroups", "proc/self/mountinfo", "23 1 0:20 / / rw - ext4 /dev/root rw\n",
        {"cgroup", SEVERITY_WARNING, NULL, NULL}, false},
    {"no mountinfo", "proc/self/mountinfo", NULL, {"cgroup", SEVERITY_UNKNOWN, NULL, NULL}, false},
    {"slice limited", SLICE "memory.max", "17179869184\n",
        {"machine-slice", SEVERITY_WARNING, "memory.max of machine.slice is 16G, and 4G",
            "systemctl set-property machine.slice MemoryMax=infinity"},
        true},
    {"slice nearly full", SLICE "memory.max", "4294967296\n",
        {"machine-slice", SEVERITY_ERROR, NULL, "MemoryMax=infinity"}, true},
    {"slice slowed", SLICE "memory.high", "4294967296\n",
        {"machine-slice", SEVERITY_WARNING, "memory.high", "MemoryHigh=infinity"}, true},
    {"slice of few tasks", SLICE "pids.max", "100\n",
        {"machine-slice", SEVERITY_WARNING, "is 100, and 90", "TasksMax=infinity"}, true},
    {"slice of many tasks", SLICE "pids.max", "100000\n",
        {"machine-slice", SEVERITY_FINE, NULL, NULL}, true},
    {"slice malformed", SLICE "memory.max", "lots\n",
        {"machine-slice", SEVERITY_UNKNOWN, "no number", NULL}, true},
    {"no slice", "unified/machine.slice", NULL,
        {"machine-slice", SEVERITY_FINE, "there is no", NULL}, false},
    {"sshd may be killed", "proc/20/oom_score_adj", "0\n",
        {"score-sshd", SEVERITY_WARNING, "is 0", "choom -n -1000 -p 2"}, true},
    {"score malformed", "proc/20/oom_score_adj", "-9999\n",
        {"score-sshd", SEVERITY_WARNING, "(/proc/21) is 0", NULL}, true},
    {"guard may be killed", "proc/40/oom_score_adj", "-999\n",
        {"score-guard", SEVERITY_WARNING, "(/proc/40) is -999", "choom -n -1000 -p 40"}, true},
    {"libvirtd may be killed", "proc/30/oom_score_adj", "0\n",
        {"score-libvirt", SEVERITY_NOTE, "libvirtd (/proc/30) is 0", "choom -n -999 -p 30"}, true},
    {"libvirtd is likely", "proc/30/oom_score_adj", "500\n",
        {"score-libvirt", SEVERITY_WARNING, "is 500", "choom -n -999 -p 30"}, true},
    {"score missing", "proc/30/oom_score_adj", NULL,
        {"score-libvirt", SEVERITY_UNKNOWN, "cannot be read", NULL}, true},
    {"no libvirtd", "proc/30", NULL, {"score-libvirt", SEVERITY_FINE, "does not run", NULL}, true},
    {"not root's sshd", "proc/20/status", "Name:\tsshd\nUid:\t1000\t1000\t1000\t1000\n",
        {"score-sshd", SEVERITY_WARNING, "(/proc/21)", NULL}, true},
    {"others not to be seen", "proc/1", NULL,
        {"oom-daemons", SEVERITY_UNKNOWN, "not all processes", NULL}, false},
    {"no hook", HOOK, NULL, {"hook", SEVERITY_WARNING, "is not there", "meson install"}, true},
    {"no hook's program", PROGRAM, NULL,
        {"hook", SEVERITY_WARNING, DOCTOR_HOOK_PROGRAM " is not there", "meson install"}, true},
    {"no libvirt", "files/etc/libvirt", NULL, {"hook", SEVERITY_FINE, "no libvirt", NULL}, true},
    {"hook newer than libvirtd", "proc/stat", "cpu 1\nbtime 1000\n",
        {"hook-seen", SEVERITY_UNKNOWN, "libvirtd (/proc/30)", "systemctl reload libvirtd"}, true},
    {"boot time missing", "proc/stat", "cpu 1\n",
        {"hook-seen", SEVERITY_UNKNOWN, NULL, "systemctl reload"}, true},
};

START_TEST(test_host_fault)
{
    const struct host_fault *fault = &host_faults[_i];

    if (fault->text)
        fake_tree_write(scene_tree, fault->path, "%s", fault->text);
    else
        fake_tree_remove(scene_tree, fault->path);
    scene_audit(scene_status(""));
    scene_assert_found(fault->name, &fault->expected);
    if (fault->alone)
        scene_assert_nothing_else(fault->name, fault->expected.check);
}
END_TEST

START_TEST(test_memory_on_v1)
{
    fake_tree_mounts(scene_tree, FAKE_CGROUPS_HYBRID);
    fake_tree_write(
        scene_tree, "memory/machine.slice/memory.limit_in_bytes", "9223372036854771712\n");
    fake_tree_write(scene_tree, "unified/cgroup.controllers", "\n");
    scene_audit(scene_status(""));
    scene_assert_found("v1",
        &(struct expected){"cgroup", SEVERITY_WARNING, "cgroup v1", "unified_cgroup_hierarchy=1"});
    scene_assert_found("v1", &(struct expected){"machine-slice", SEVERITY_FINE, NULL, NULL});
    scene_assert_found("v1", &(struct expected){"guest-pids", SEVERITY_UNKNOWN, "v1", NULL});
    fake_tree_write(scene_tree, "memory/machine.slice/memory.limit_in_bytes", "4096\n");
    scene_audit(scene_status(""));
    scene_assert_found("v1",
        &(struct expected){"machine-slice", SEVERITY_WARNING, "is 4K", "MemoryLimit=infinity"});
}
END_TEST

START_TEST(test_committed_nearly_all)
{
    fake_tree_write(scene_tree, "proc/sys/vm/overcommit_memory", "2\n");
    fake_tree_write(
        scene_tree, "proc/meminfo", MEMINFO("16777216", "1024", "1024", "1000000", "900000"));
    scene_audit(scene_status(""));
    scene_assert_found(
        "near the limit", &(struct expected){"overcommit", SEVERITY_ERROR, "of a", NULL});
}
END_TEST

START_TEST(test_hook_not_executable)
{
    scene_program(HOOK, 0644);
    scene_audit(scene_status(""));
    scene_assert_found("mode", &(struct expected){"hook", SEVERITY_WARNING, "not executable",
                                   "chmod 0755 " DOCTOR_HOOK_SCRIPT});
    fake_tree_remove(scene_tree, HOOK);
    fake_tree_write(scene_tree, HOOK "/inside", "x");
    scene_audit(scene_status(""));
    scene_assert_found("folder", &(struct expected){"hook", SEVERITY_WARNING, "is no file", NULL});
}
END_TEST

/* ---- other killers ---- */

START_TEST(test_other_daemons)
{
    scene_process(60, "earlyoom", -100);
    scene_process(61, "nohang", 0);
    scene_process(62, "earlyoom2", 0);
    scene_audit(scene_status(""));
    scene_assert_found("earlyoom", &(struct expected){"oom-daemons", SEVERITY_WARNING,
                                       "earlyoom runs", "systemctl disable --now earlyoom"});
    scene_assert_nothing_else("earlyoom", "oom-daemons");
}
END_TEST

struct oomd_case {
    const char *name, *path, *text;
    enum severity severity;
    const char *mend;
};

static const struct oomd_case oomd_cases[] = {
    {"no file", "files/etc/other", "", SEVERITY_FINE, NULL},
    {"kill", OOMD_UNIT, "[Slice]\n ManagedOOMSwap = kill\n", SEVERITY_WARNING,
        "systemctl set-property -- machine.slice ManagedOOMSwap=auto"},
    {"auto", OOMD_UNIT, "[Slice]\nManagedOOMSwap=kill\nManagedOOMSwap=auto\n", SEVERITY_FINE, NULL},
    {"comment", OOMD_UNIT, "[Slice]\n#ManagedOOMSwap=kill\n", SEVERITY_FINE, NULL},
    {"no drop-in", "files/etc/systemd/system/machine.slice.d/x.txt", "ManagedOOMSwap=kill\n",
        SEVERITY_FINE, NULL},
    {"the root slice", "files/etc/systemd/system/-.slice", "[Slice]\nManagedOOMMemoryPressure=kill",
        SEVERITY_FINE, NULL}, /* its last line is cut */
    {"the root slice whole", "files/etc/systemd/system/-.slice",
        "[Slice]\nManagedOOMMemoryPressure=kill\n", SEVERITY_WARNING,
        "-- -.slice ManagedOOMMemoryPressure=auto"},
};

START_TEST(test_systemd_oomd)
{
    const struct oomd_case *row = &oomd_cases[_i];

    scene_process(63, "systemd-oomd", 0);
    fake_tree_write(scene_tree, row->path, "%s", row->text);
    scene_audit(scene_status(""));
    scene_assert_found(
        row->name, &(struct expected){"systemd-oomd", row->severity, "systemd-oomd", row->mend});
    scene_assert_nothing_else(row->name, "systemd-oomd");
}
END_TEST

START_TEST(test_oomd_namesake_is_replaced)
{
    scene_process(63, "systemd-oomd", 0);
    fake_tree_write(scene_tree, OOMD_UNIT, "[Slice]\nManagedOOMSwap=kill\n");
    fake_tree_write(
        scene_tree, "files/etc/systemd/system/machine.slice.d/10-oomd.conf", "[Slice]\n");
    scene_audit(scene_status(""));
    scene_assert_found("replaced", &(struct expected){"systemd-oomd", SEVERITY_FINE, NULL, NULL});
    fake_tree_write(scene_tree, "files/etc/systemd/system.control/machine.slice.d/50-it.conf",
        "[Slice]\nManagedOOMSwap=kill\n");
    scene_audit(scene_status(""));
    scene_assert_found("later", &(struct expected){"systemd-oomd", SEVERITY_WARNING, NULL, NULL});
}
END_TEST

static void tests_add(TCase *tests)
{
    tcase_add_checked_fixture(tests, scene_begin, scene_end);
    tcase_add_test(tests, test_sound_host);
    tcase_add_test(tests, test_nothing_changes);
    tcase_add_loop_test(tests, test_host_fault, 0, ELEMENTSOF(host_faults));
    tcase_add_test(tests, test_memory_on_v1);
    tcase_add_test(tests, test_committed_nearly_all);
    tcase_add_test(tests, test_hook_not_executable);
    tcase_add_test(tests, test_other_daemons);
    tcase_add_loop_test(tests, test_systemd_oomd, 0, ELEMENTSOF(oomd_cases));
    tcase_add_test(tests, test_oomd_namesake_is_replaced);
}

int main(void)
{
    Suite *suite = suite_create("cli_doctor");
    TCase *tests = tcase_create("doctor");

    tests_add(tests);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
