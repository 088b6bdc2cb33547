/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the fake host of one test and what was found on it. */
#include "doctor_scene.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GUEST_PID 500

struct fake_tree *scene_tree;
char scene_files[SCRATCH_FOLDER_MAX + 16];
struct findings scene_findings;

/* A process of NAME, root's. */
void scene_process(pid_t pid, const char *name, int score)
{
    struct fake_process process = {.pid = pid, .start_time = 100, .name = name, .rss_kib = 4096};
    char path[64];

    fake_tree_process(scene_tree, &process);
    (void)snprintf(path, sizeof(path), "proc/%d/status", (int)pid);
    fake_tree_write(scene_tree, path, "Name:\t%s\nUid:\t0\t0\t0\t0\n", name);
    (void)snprintf(path, sizeof(path), "proc/%d/oom_score_adj", (int)pid);
    fake_tree_write(scene_tree, path, "%d\n", score);
    (void)snprintf(path, sizeof(path), "proc/%d/cgroup", (int)pid);
    fake_tree_write(scene_tree, path, "0::/\n");
}

void scene_program(const char *path, mode_t mode)
{
    char full[PATH_MAX];

    fake_tree_write(scene_tree, path, "#!/bin/sh\n");
    (void)snprintf(full, sizeof(full), "%s/%s", scene_tree->folder, path);
    ck_assert_int_eq(chmod(full, mode), 0);
}

static void kernel_make(void)
{
    static const char *const numbers[][2] = {
        {"proc/sys/vm/overcommit_memory", "0\n"},
        {"proc/sys/vm/panic_on_oom", "0\n"},
        {"proc/sys/vm/oom_kill_allocating_task", "0\n"},
        {"proc/sys/vm/swappiness", "60\n"},
        {"proc/sys/vm/min_free_kbytes", "16384\n"},
        {"proc/sys/vm/watermark_scale_factor", "5\n"},
        {"sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n"},
        {"sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "0\n"},
        {"sys/kernel/mm/ksm/run", "0\n"},
        {"sys/kernel/mm/ksm/pages_sharing", "0\n"},
        {"sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
        {"sys/kernel/mm/transparent_hugepage/defrag",
            "always defer defer+madvise [madvise] never\n"},
        {"unified/cgroup.controllers", "cpuset cpu io memory pids\n"},
        {"unified/machine.slice/memory.max", "max\n"},
        {"unified/machine.slice/memory.high", "max\n"},
        {"unified/machine.slice/memory.current", "4294967296\n"},
        {"unified/machine.slice/pids.max", "max\n"},
        {"unified/machine.slice/pids.current", "90\n"},
        {SCOPE "/pids.max", "16384\n"},
        {SCOPE "/pids.current", "90\n"},
        {SCOPE "/libvirt/memory.max", "max\n"},
        {"proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n"},
        {"proc/1/mountinfo", "22 1 0:5 / /dev rw - devtmpfs dev rw,size=4096k\n"
                             "23 1 0:6 / /run rw - tmpfs tmpfs rw,size=1677720k,mode=755\n"
                             "24 1 0:6 / /mnt/run rw - tmpfs tmpfs rw,size=1677720k,mode=755\n"},
    };

    fake_tree_host(scene_tree);
    fake_tree_mounts(scene_tree, FAKE_CGROUPS_V2);
    for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
        fake_tree_write(scene_tree, numbers[i][0], "%s", numbers[i][1]);
    /* Whoever was started, was in a distant future, after the hook came. */
    fake_tree_write(scene_tree, "proc/stat", "cpu 1 2 3\nbtime 99999999999\n");
}

void scene_begin(void)
{
    scene_tree = fake_tree_new();
    (void)snprintf(scene_files, sizeof(scene_files), "%s/files", scene_tree->folder);
    kernel_make();
    scene_process(1, "systemd", 0);
    scene_process(20, "sshd", -1000);
    scene_process(21, "sshd", 0); /* a session */
    scene_process(30, "libvirtd", -999);
    scene_process(40, "plimsolld", -1000);
    scene_process(41, "plimsolld", 0); /* a helper */
    scene_process(GUEST_PID, "qemu-system-x86", 0);
    fake_tree_write(
        scene_tree, "proc/500/cgroup", "0::/machine.slice/machine-qemu.scope/libvirt\n");
    scene_program(HOOK, 0755);
    scene_program(PROGRAM, 0755);
}

void scene_end(void)
{
    findings_clear(&scene_findings);
    scene_tree = fake_tree_free(scene_tree);
}

/* ---- asking ---- */

#define GUEST_BEFORE                                                                         \
    "{\"name\":\"web\",\"uuid\":\"" UUID "\",\"pid\":500,\"source\":[\"proc\",\"libvirt\"]," \
    "\"state\":\"running\",\"rss\":1073741824,\"hugetlb\":0,\"maximum\":2147483648,\"pinned\":0"

/* The fields in which guests differ; one of CHANGED, "KEY":VALUE, stands for its namesake. */
struct json_object *scene_status(const char *changed)
{
    static const char *const usual =
        "\"class\":\"gold\",\"mode\":\"enforce\",\"kind\":\"elastic\",\"kind_reason\":\"none\","
        "\"statistics\":true,\"oom_score_adj\":0,\"nodes_allowed\":[0,1],\"memlock_limit\":"
        "67108864,"
        "\"memlock_unlimited\":false,\"memlock_formula\":0,\"memlock_safe_cap\":null,"
        "\"limits\":{\"memory_max\":null,\"pids_max\":null}";
    char text[8192];

    (void)snprintf(text, sizeof(text),
        "{\"version\":\"0.1\",\"host\":{\"mode\":\"enforce\",\"total\":17179869184,"
        "\"fill_rate_most\":1073741824,\"nodes\":[{\"id\":0,\"total\":8589934592},"
        "{\"id\":1,\"total\":1073741824}]},\"vms\":[" GUEST_BEFORE ",%s%s%s}]}",
        usual, changed[0] ? "," : "", changed);
    struct json_object *status = json_tokener_parse(text);
    ck_assert_msg(status != NULL, "the test's own document is broken: %s", text);
    return status;
}

/* STATUS is taken over. */
void scene_audit(struct json_object *status)
{
    struct doctor_input input = {.kernel = scene_tree->roots,
        .files = scene_files,
        .status = status,
        .result = status ? 0 : -ENOENT,
        .text = status ? "" : "cannot reach the guard"};

    findings_clear(&scene_findings);
    doctor_run(&input, &scene_findings);
    json_object_put(status);
    ck_assert(!scene_findings.failed);
}

/* The worst of CHECK. */
const struct finding *scene_finding(const char *check)
{
    const struct finding *worst = NULL;

    for (size_t i = 0; i < scene_findings.count; i++)
        if (strcmp(scene_findings.list[i].check, check) == 0 &&
            (!worst || scene_findings.list[i].severity > worst->severity))
            worst = &scene_findings.list[i];
    ck_assert_msg(worst != NULL, "%s found nothing at all", check);
    return worst;
}

void scene_assert_found(const char *name, const struct expected *expected)
{
    const struct finding *finding = scene_finding(expected->check);

    ck_assert_msg(finding->severity == expected->severity, "%s: %s is %s: %s", name,
        expected->check, severity_name(finding->severity), finding->found);
    if (expected->found)
        ck_assert_msg(strstr(finding->found, expected->found) != NULL, "%s: no “%s” in “%s”", name,
            expected->found, finding->found);
    if (expected->mend)
        ck_assert_msg(strstr(finding->mend, expected->mend) != NULL, "%s: no “%s” in “%s”", name,
            expected->mend, finding->mend);
    ck_assert(finding->found[0] != '\0');
    if (finding->severity > SEVERITY_UNKNOWN || finding->severity == SEVERITY_NOTE) {
        ck_assert_ptr_nonnull(finding->why);
        ck_assert_msg(finding->mend[0] != '\0', "%s: nothing mends it", name);
    }
}

/* Whatever else is said, nothing is but of CHECK. */
void scene_assert_nothing_else(const char *name, const char *check)
{
    for (size_t i = 0; i < scene_findings.count; i++) {
        const struct finding *finding = &scene_findings.list[i];

        if (finding->severity == SEVERITY_FINE || strcmp(finding->check, check) == 0)
            continue;
        ck_abort_msg("%s: %s: %s: %s", name, severity_name(finding->severity), finding->check,
            finding->found);
    }
}
