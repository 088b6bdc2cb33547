/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Undo from a real ledger, on real processes: a child for signals, scores and identity, a folder of
 * fakes for cgroups.
 */
#include "suite.h"
#include "undo_scene.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char state_read(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    return strrchr(scratch_read(path), ')')[2];
}

START_TEST(test_nothing)
{
    ck_assert_uint_eq(undo_run(NULL), 0);
    ck_assert_str_eq(scene.said, "");
    ck_assert_uint_eq(undo_run("web"), 1);
    undo_assert_said("web guest no is not in the ledger");
}
END_TEST

START_TEST(test_gone)
{
    struct ledger_entry entry;

    undo_child_start(NULL);
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL});
    undo_put(1, "reused", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE});
    entry = *ledger_get(scene.ledger, 1);
    entry.identity.start_time++;
    ledger_put(scene.ledger, 1, &entry);
    /* The other one has the pid of a living process, which is not touched. */
    ck_assert_uint_eq(undo_run("reused"), 0);
    undo_assert_said("reused guest ok is gone");
    ck_assert_ptr_null(ledger_get(scene.ledger, 1));
    ck_assert_ptr_nonnull(ledger_get(scene.ledger, 0));

    /* A zombie is gone, too. */
    kill(scene.child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    ck_assert_uint_eq(undo_run(NULL), 0);
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

START_TEST(test_signal)
{
    siginfo_t information = {0};

    undo_child_start(NULL);
    undo_put(
        3, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_RESUMING});
    kill(scene.child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &information, WSTOPPED), 0);
    ck_assert_int_eq(state_read(scene.child), 'T');
    ck_assert_uint_eq(undo_run("other"), 1);
    ck_assert_int_eq(state_read(scene.child), 'T');
    ck_assert_uint_eq(undo_run("web"), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &information, WCONTINUED), 0);
    undo_assert_said("web freeze ok thawed");
    ck_assert_ptr_null(ledger_get(scene.ledger, 3));
}
END_TEST

START_TEST(test_score)
{
    char path[64];

    undo_child_start(NULL);
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)scene.child);
    scratch_write(path, "300");
    undo_put(
        0, "web", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE, .oom_score_set = 300});
    ck_assert_uint_eq(undo_run(NULL), 0);
    ck_assert_str_eq(scratch_read(path), "0\n");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));

    scratch_write(path, "500");
    undo_put(
        0, "web", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE, .oom_score_set = 300});
    ck_assert_uint_eq(undo_run(NULL), 0);
    ck_assert_str_eq(scratch_read(path), "500\n");
    undo_assert_said("somebody else has changed it");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

START_TEST(test_killed)
{
    siginfo_t information = {0};

    undo_child_start(NULL);
    kill(scene.child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &information, WSTOPPED), 0);
    undo_put(0, "web",
        (struct vm_measures){
            .in_force = VM_MEASURE_KILLED | VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web guest no was sent SIGKILL");
    /* The signal may never have been sent, and then the guest would stand frozen for ever. */
    undo_assert_said("web freeze ok thawed");
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &information, WCONTINUED), 0);
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_KILLED | VM_MEASURE_STOPPED);
}
END_TEST

/* libvirt cannot be asked to stop it, so there is nothing to be kept for the next undo. */
START_TEST(test_ending)
{
    undo_child_start(NULL);
    undo_put(
        0, "web", (struct vm_measures){.in_force = VM_MEASURE_SAVING | VM_MEASURE_SHUTTING_DOWN});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web save ok was asked of libvirt");
    undo_assert_said("web shutdown ok was asked of libvirt");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

/* A /proc with the child's real stat and three threads, of which two stand in frozen groups below
 * ABOVE; MOUNT shows the hierarchy from ROOT on. */
static void fake_proc_make(const char *mount, const char *root, const char *above)
{
    static const char *const groups[] = {"vcpu0", "vcpu 1", "emulator"};
    char path[512], text[1024];
    const char *stat_text;

    snprintf(scene.proc, sizeof(scene.proc), "%s/proc", scene.folder);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)scene.child);
    stat_text = scratch_read(path);
    snprintf(path, sizeof(path), "%s/%d/stat", scene.proc, (int)scene.child);
    scratch_write(path, stat_text);
    snprintf(path, sizeof(path), "%s/self/mountinfo", scene.proc);
    snprintf(text, sizeof(text),
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "29 23 0:26 /another %s/none rw - cgroup2 cgroup2 rw\n"
        "30 23 0:26 %s %s/a\\040mount rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
        scene.folder, root, scene.folder);
    scratch_write(path, text);
    for (unsigned i = 0; i < ELEMENTSOF(groups); i++) {
        snprintf(path, sizeof(path), "%s/%d/task/%u/cgroup", scene.proc, (int)scene.child, 100 + i);
        snprintf(text, sizeof(text), "4:memory:/elsewhere\n0::%s/vm/%s\n", above, groups[i]);
        scratch_write(path, text);
        snprintf(path, sizeof(path), "%s/vm/%s/cgroup.freeze", mount, groups[i]);
        scratch_write(path, i < 2 ? "1\n" : "0\n");
    }
}

START_TEST(test_cgroup)
{
    char mount[128], path[256];

    undo_child_start(NULL);
    snprintf(mount, sizeof(mount), "%s/a mount", scene.folder);
    fake_proc_make(mount, "/", "");
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web freeze ok thawed");
    snprintf(path, sizeof(path), "%s/vm/vcpu0/cgroup.freeze", mount);
    ck_assert_int_eq(scratch_read(path)[0], '0');
    snprintf(path, sizeof(path), "%s/vm/vcpu 1/cgroup.freeze", mount);
    ck_assert_int_eq(scratch_read(path)[0], '0');

    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web freeze ok it is not frozen");

    /* What cannot be thawed stays, and its monitor is not waited for. */
    snprintf(path, sizeof(path), "%s/self/mountinfo", scene.proc);
    scratch_write(path, "1 0 8:1 / / rw - ext4 /dev/sda rw\n");
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP | VM_MEASURE_STOP_SENT});
    ck_assert_uint_eq(undo_run(NULL), 2);
    undo_assert_said("still frozen");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_FROZEN_CGROUP | VM_MEASURE_STOP_SENT);
}
END_TEST

/* A part of the hierarchy, bind-mounted: what the mount's root says comes off the front. */
START_TEST(test_cgroup_bound)
{
    char mount[128], path[256];

    undo_child_start(NULL);
    snprintf(mount, sizeof(mount), "%s/a mount", scene.folder);
    fake_proc_make(mount, "/machine.slice", "/machine.slice");
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web freeze ok thawed");
    snprintf(path, sizeof(path), "%s/vm/vcpu0/cgroup.freeze", mount);
    ck_assert_int_eq(scratch_read(path)[0], '0');

    /* Where no mount shows any of its groups, nothing is known, least of all that it runs. */
    fake_proc_make(mount, "/machine.slice", "/elsewhere.slice");
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web freeze no cannot thaw its cgroups");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_FROZEN_CGROUP);
}
END_TEST

static void quota_put(const char *group, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/a mount/vm/%s/cpu.max", scene.folder, group);
    scratch_write(path, text);
}

/* In a fake file a shorter text leaves the end of a longer one. */
static void quota_expect(const char *group, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/a mount/vm/%s/cpu.max", scene.folder, group);
    ck_assert_msg(strncmp(scratch_read(path), text, strlen(text)) == 0, "%s has \"%s\"", group,
        scratch_read(path));
}

static void braked_put(uint32_t measures)
{
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_BRAKED | measures});
    struct ledger_entry entry = *ledger_get(scene.ledger, 0);
    entry.quota_before = (struct vcpu_quota){.quota = VCPU_QUOTA_NONE, .period = 100000};
    ledger_put(scene.ledger, 0, &entry);
}

/* Each vCPU by itself: what is not ours stays, and so does the emulator's, whatever it is. */
START_TEST(test_brake)
{
    char mount[128], path[512];

    undo_child_start(NULL);
    snprintf(mount, sizeof(mount), "%s/a mount", scene.folder);
    fake_proc_make(mount, "/", "");
    snprintf(
        path, sizeof(path), "%s/%d/task/%d/cgroup", scene.proc, (int)scene.child, (int)scene.child);
    scratch_write(path, "0::/vm/emulator\n");
    quota_put("vcpu0", "5000 100000\n");
    quota_put("vcpu 1", "30000 100000\n");
    quota_put("emulator", "5000 100000\n");
    /* A guard that died on its way to a kill leaves a guest that may have been spared. */
    braked_put(_i == 0 ? 0 : VM_MEASURE_KILLED);
    ck_assert_uint_eq(undo_run(NULL), _i == 0 ? 0 : 1);
    undo_assert_said("web brake ok released");
    ck_assert_uint_eq(undo_in_force(0), _i == 0 ? 0 : VM_MEASURE_KILLED);
    quota_expect("vcpu0", "max 100000\n");
    quota_expect("vcpu 1", "30000 100000\n");
    quota_expect("emulator", "5000 100000\n");

    quota_put("vcpu0", "max 100000\n");
    braked_put(0);
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web brake ok it is not braked");

    quota_put("vcpu0", "nonsense\n");
    braked_put(0);
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web brake no cannot restore its cgroups");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_BRAKED);
}
END_TEST

START_TEST(test_no_monitor)
{
    undo_child_start(NULL);
    undo_put(0, "web",
        (struct vm_measures){
            .in_force = VM_MEASURE_STOPPED | VM_MEASURE_BALLOON | VM_MEASURE_FROZEN_SIGNAL});
    ck_assert_uint_eq(undo_run(NULL), 2);
    undo_assert_said("web freeze ok thawed");
    undo_assert_said("web balloon no cannot talk to its monitor");
    undo_assert_said("web pause no cannot talk to its monitor");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_STOPPED | VM_MEASURE_BALLOON);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("undo");
    TCase *tcase = tcase_create("processes");

    tcase_add_checked_fixture(tcase, undo_scene_setup, undo_scene_teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_nothing);
    tcase_add_test(tcase, test_gone);
    tcase_add_test(tcase, test_signal);
    tcase_add_test(tcase, test_score);
    tcase_add_test(tcase, test_killed);
    tcase_add_test(tcase, test_ending);
    tcase_add_test(tcase, test_cgroup);
    tcase_add_test(tcase, test_cgroup_bound);
    tcase_add_loop_test(tcase, test_brake, 0, 2);
    tcase_add_test(tcase, test_no_monitor);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
