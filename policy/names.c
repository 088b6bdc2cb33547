/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words that logs, JSON and configuration use for every enum of the contracts. A value out
 * of range (a trace from elsewhere) is "unknown", never a crash.
 */
#include <assert.h>

#include <plimsoll/admission.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>

#define LOOKUP(table, value) \
    ((size_t)(value) < ELEMENTSOF(table) && (table)[value] ? (table)[value] : "unknown")

static const char *const band_names[] = {
    [BAND_CALM] = "calm",
    [BAND_TIGHT] = "tight",
    [BAND_SCARCE] = "scarce",
    [BAND_CRITICAL] = "critical",
};
static_assert(ELEMENTSOF(band_names) == BAND_COUNT, "a band has no name");

const char *band_name(enum band band)
{
    return LOOKUP(band_names, band);
}

static const char *const mode_names[] = {
    [MODE_DRY_RUN] = "dry-run",
    [MODE_ENFORCE] = "enforce",
};
static_assert(ELEMENTSOF(mode_names) == MODE_COUNT, "a mode has no name");

const char *mode_name(enum mode mode)
{
    return LOOKUP(mode_names, mode);
}

static const char *const memlock_mode_names[] = {
    [MEMLOCK_OFF] = "off",
    [MEMLOCK_REPORT] = "report",
    [MEMLOCK_ENFORCE] = "enforce",
};
static_assert(ELEMENTSOF(memlock_mode_names) == MEMLOCK_MODE_COUNT, "a mode has no name");

const char *memlock_mode_name(enum memlock_mode mode)
{
    return LOOKUP(memlock_mode_names, mode);
}

static const char *const admission_mode_names[] = {
    [ADMISSION_OFF] = "off",
    [ADMISSION_WARN] = "warn",
    [ADMISSION_ENFORCE] = "enforce",
};
static_assert(ELEMENTSOF(admission_mode_names) == ADMISSION_MODE_COUNT, "a mode has no name");

const char *admission_mode_name(enum admission_mode mode)
{
    return LOOKUP(admission_mode_names, mode);
}

static const char *const commitment_names[] = {
    [COMMITMENT_AUTO] = "auto",
    [COMMITMENT_MINIMUM] = "minimum",
    [COMMITMENT_MAXIMUM] = "maximum",
};
static_assert(ELEMENTSOF(commitment_names) == COMMITMENT_COUNT, "a commitment has no name");

const char *commitment_name(enum commitment commitment)
{
    return LOOKUP(commitment_names, commitment);
}

static const char *const admission_verdict_names[] = {
    [ADMISSION_ALLOW] = "allow",
    [ADMISSION_WAIT] = "wait",
    [ADMISSION_REFUSE] = "refuse",
};
static_assert(
    ELEMENTSOF(admission_verdict_names) == ADMISSION_VERDICT_COUNT, "a verdict has no name");

const char *admission_verdict_name(enum admission_verdict verdict)
{
    return LOOKUP(admission_verdict_names, verdict);
}

static const char *const rung_names[] = {
    [RUNG_BALLOON] = "balloon",
    [RUNG_RESIZE] = "resize",
    [RUNG_RECLAIM] = "reclaim",
    [RUNG_BRAKE] = "brake",
    [RUNG_PAUSE] = "pause",
    [RUNG_SAVE] = "save",
    [RUNG_SHUTDOWN] = "shutdown",
    [RUNG_KILL] = "kill",
};
static_assert(ELEMENTSOF(rung_names) == RUNG_COUNT, "a rung has no name");

const char *rung_name(enum rung rung)
{
    return LOOKUP(rung_names, rung);
}

static const char *const sacrifice_names[] = {
    [SACRIFICE_NORMAL] = "normal",
    [SACRIFICE_LAST] = "last",
    [SACRIFICE_NEVER] = "never",
};
static_assert(ELEMENTSOF(sacrifice_names) == SACRIFICE_COUNT, "a sacrifice has no name");

const char *sacrifice_name(enum sacrifice sacrifice)
{
    return LOOKUP(sacrifice_names, sacrifice);
}

static const char *const action_kind_names[] = {
    [ACTION_BALLOON] = "balloon",
    [ACTION_RESIZE] = "resize",
    [ACTION_RECLAIM] = "reclaim",
    [ACTION_BRAKE] = "brake",
    [ACTION_RELEASE] = "release",
    [ACTION_PAUSE] = "pause",
    [ACTION_FREEZE] = "freeze",
    [ACTION_THAW] = "thaw",
    [ACTION_RESUME] = "resume",
    [ACTION_SAVE] = "save",
    [ACTION_SHUTDOWN] = "shutdown",
    [ACTION_KILL] = "kill",
    [ACTION_OOM_SCORE] = "oom-score",
    [ACTION_MEMLOCK] = "memlock",
    [ACTION_CONTAIN] = "contain",
    [ACTION_ALERT] = "alert",
};
static_assert(ELEMENTSOF(action_kind_names) == ACTION_KIND_COUNT, "an action has no name");

const char *action_kind_name(enum action_kind kind)
{
    return LOOKUP(action_kind_names, kind);
}

static const char *const vm_limit_names[] = {
    [VM_LIMIT_MEMORY_HIGH] = "memory-high",
    [VM_LIMIT_MEMORY_MAX] = "memory-max",
    [VM_LIMIT_PIDS_MAX] = "pids-max",
    [VM_LIMIT_CPU_MAX] = "cpu-max",
    [VM_LIMIT_OOM_GROUP] = "oom-group",
};
static_assert(ELEMENTSOF(vm_limit_names) == VM_LIMIT_COUNT, "a limit has no name");

const char *vm_limit_name(enum vm_limit limit)
{
    return LOOKUP(vm_limit_names, limit);
}

static const char *const pool_kind_names[] = {
    [POOL_HOST] = "host",
    [POOL_BUDGET] = "budget",
    [POOL_NODE] = "node",
};
static_assert(ELEMENTSOF(pool_kind_names) == POOL_KIND_COUNT, "a pool has no name");

const char *pool_kind_name(enum pool_kind kind)
{
    return LOOKUP(pool_kind_names, kind);
}

static const char *const rival_reason_names[] = {
    [RIVAL_NONE] = "none",
    [RIVAL_UNSOUGHT] = "unsought",
    [RIVAL_TOGETHER] = "together",
    [RIVAL_NEXT] = "next",
    [RIVAL_DEARER] = "dearer",
    [RIVAL_EQUAL] = "equal",
    [RIVAL_SHORT] = "short",
    [RIVAL_BREAKER] = "breaker",
    [RIVAL_LAST] = "last",
    [RIVAL_SLOW] = "slow",
    [RIVAL_PROTECTED] = "protected",
};
static_assert(ELEMENTSOF(rival_reason_names) == RIVAL_REASON_COUNT, "a rival has no reason");

const char *rival_reason_name(enum rival_reason reason)
{
    return LOOKUP(rival_reason_names, reason);
}

static const char *const culprit_kind_names[] = {
    [CULPRIT_NONE] = "none",
    [CULPRIT_UNKNOWN] = "unknown",
    [CULPRIT_PROCESS] = "process",
    [CULPRIT_TMPFS] = "tmpfs",
    [CULPRIT_SLAB] = "slab",
    [CULPRIT_PAGE_TABLES] = "page-tables",
};
static_assert(ELEMENTSOF(culprit_kind_names) == CULPRIT_KIND_COUNT, "a culprit has no name");

const char *culprit_kind_name(enum culprit_kind kind)
{
    return LOOKUP(culprit_kind_names, kind);
}

static const char *const reason_names[] = {
    [REASON_NONE] = "none",
    [REASON_BALLOON_IDLE] = "balloon-idle",
    [REASON_BALLOON_SHARE] = "balloon-share",
    [REASON_BALLOON_START] = "balloon-start",
    [REASON_BALLOON_RETURN] = "balloon-return",
    [REASON_BALLOON_OTHER] = "balloon-other",
    [REASON_BALLOON_DRIFT] = "balloon-drift",
    [REASON_RESIZE_IDLE] = "resize-idle",
    [REASON_RESIZE_SHARE] = "resize-share",
    [REASON_RESIZE_RETURN] = "resize-return",
    [REASON_RESIZE_OTHER] = "resize-other",
    [REASON_RECLAIM_PAUSED] = "reclaim-paused",
    [REASON_RECLAIM_IDLE] = "reclaim-idle",
    [REASON_BRAKE_GROWTH] = "brake-growth",
    [REASON_RELEASE_ROOM] = "release-room",
    [REASON_RELEASE_TIME] = "release-time",
    [REASON_RELEASE_VOID] = "release-void",
    [REASON_PAUSE_GROWTH] = "pause-growth",
    [REASON_PAUSE_FOR_VALUABLE] = "pause-for-valuable",
    [REASON_PAUSE_FOR_EQUAL] = "pause-for-equal",
    [REASON_FREEZE_SPRINT] = "freeze-sprint",
    [REASON_FREEZE_SILENT] = "freeze-silent",
    [REASON_FREEZE_NO_MONITOR] = "freeze-no-monitor",
    [REASON_BRIDGE_END] = "bridge-end",
    [REASON_RESUME_ROOM] = "resume-room",
    [REASON_SAVE_FLOOR] = "save-floor",
    [REASON_SAVE_PAUSED] = "save-paused",
    [REASON_SHUTDOWN_FLOOR] = "shutdown-floor",
    [REASON_KILL_FLOOR] = "kill-floor",
    [REASON_KILL_INCOMING] = "kill-incoming",
    [REASON_OOM_ORDER] = "oom-order",
    [REASON_LEAK_OUTSIDE] = "leak-outside",
    [REASON_STALLED] = "stalled",
    [REASON_BREAKER] = "breaker",
    [REASON_NO_VICTIM] = "no-victim",
    [REASON_RESTARTED_VICTIM] = "restarted-victim",
    [REASON_STUCK] = "stuck",
    [REASON_RESIZE_STUCK] = "resize-stuck",
    [REASON_FREEZE_STANDS] = "freeze-stands",
    [REASON_PAUSE_STANDS] = "pause-stands",
    [REASON_MEMLOCK_CAP] = "memlock-cap",
    [REASON_MEMLOCK_LIFT] = "memlock-lift",
    [REASON_MEMLOCK_CHANGED] = "memlock-changed",
    [REASON_MEMLOCK_UNLIMITED] = "memlock-unlimited",
    [REASON_MEMLOCK_DRIFT] = "memlock-drift",
    [REASON_MEMLOCK_BY_USER] = "memlock-by-user",
    [REASON_MEMLOCK_REFUSED] = "memlock-refused",
    [REASON_MEMLOCK_UNDEFINED] = "memlock-undefined",
    [REASON_PINNED_GROWTH] = "pinned-growth",
    [REASON_PINNED_LIMIT] = "pinned-limit",
    [REASON_CONTAIN_CLASS] = "contain-class",
    [REASON_CONTAIN_TAKEN_BACK] = "contain-taken-back",
    [REASON_CONTAIN_OUTGROWN] = "contain-outgrown",
    [REASON_CONTAIN_LIFT] = "contain-lift",
    [REASON_CONTAIN_CHANGED] = "contain-changed",
    [REASON_CONTAIN_REFUSED] = "contain-refused",
};
static_assert(ELEMENTSOF(reason_names) == REASON_COUNT, "a reason has no name");

const char *reason_name(enum reason reason)
{
    return LOOKUP(reason_names, reason);
}

static const char *const reason_texts[] = {
    [REASON_NONE] = "no reason was given",
    [REASON_BALLOON_IDLE] = "memory is tight and the guest does not use this part of its own",
    [REASON_BALLOON_SHARE] = "memory is scarce and the guest has most above its minimum by shares",
    [REASON_BALLOON_START] = "a guest is about to start, and this one can give it room",
    [REASON_BALLOON_RETURN] = "there is room again, so the guest gets its memory back",
    [REASON_BALLOON_OTHER] = "another program has set this balloon lower, and it is left as it is",
    [REASON_BALLOON_DRIFT] = "the guest left its balloon target by itself and is asked again",
    [REASON_RESIZE_IDLE] = "memory is tight and the guest does not use this part of its virtio-mem",
    [REASON_RESIZE_SHARE] = ("memory is scarce, and of those with virtio-mem above their minimum "
                             "this guest is the least valuable"),
    [REASON_RESIZE_RETURN] = "there is room again, so the guest gets its virtio-mem back",
    [REASON_RESIZE_OTHER] =
        "somebody else has requested another size of its virtio-mem, and it is left as it is",
    [REASON_RECLAIM_PAUSED] = "memory is short and the guest does not run, so its own goes to swap",
    [REASON_RECLAIM_IDLE] = "memory is short, and what this guest may not need goes to swap",
    [REASON_BRAKE_GROWTH] = "the guest takes memory faster than the balloons of others bring it",
    [REASON_RELEASE_ROOM] = "memory is no longer scarce, so the guest runs at its full speed again",
    [REASON_RELEASE_TIME] = "a brake holds for seconds, in critical for two minutes at most",
    [REASON_RELEASE_VOID] = "the guest does not run any more, or may not be braked any more",
    [REASON_PAUSE_FOR_VALUABLE] = "what is left is for a more valuable guest that grows",
    [REASON_PAUSE_FOR_EQUAL] = "what is left will not do for all that grow, and others go first",
    [REASON_PAUSE_GROWTH] = "memory is about to run out and this guest's growth is what takes it",
    [REASON_FREEZE_SPRINT] = "memory runs out before a stop by the monitor could take hold",
    [REASON_FREEZE_SILENT] = "the guest has to stop growing and its monitor does not answer",
    [REASON_FREEZE_NO_MONITOR] = "the guest has to stop growing and it has no monitor to ask",
    [REASON_BRIDGE_END] = "the sprint is over, so a proper pause takes the place of the freeze",
    [REASON_RESUME_ROOM] = "there is room again for what this guest may take",
    [REASON_SAVE_FLOOR] =
        "nothing milder keeps the floor, and there is time to save the least valuable guest",
    [REASON_SAVE_PAUSED] =
        "nothing milder keeps the floor, and this guest stands paused and can be saved",
    [REASON_SHUTDOWN_FLOOR] =
        "nothing milder keeps the floor, and there is time for this guest to shut down",
    [REASON_KILL_FLOOR] = "nothing milder keeps the floor, and this guest is the least loss",
    [REASON_KILL_INCOMING] =
        ("nothing milder keeps the floor, and this guest is coming by a migration: its source "
         "goes on"),
    [REASON_OOM_ORDER] = "the kernel shall choose the same victim as the guard would",
    [REASON_LEAK_OUTSIDE] = "what fills the host is not the guests, so none dies for it",
    [REASON_STALLED] =
        ("everything waits for memory, though some looks available: page cache that is read again "
         "and again, or slab that does not come"),
    [REASON_BREAKER] = "the limit of destructive actions in its window is reached",
    [REASON_NO_VICTIM] = "rules and facts leave no guest that could give memory",
    [REASON_RESTARTED_VICTIM] = "something restarts this guest, so it is not killed again",
    [REASON_RESIZE_STUCK] = "the guest does not give up the virtio-mem that is asked of it",
    [REASON_STUCK] = "the guest was asked by balloon and the host sees nothing come back",
    [REASON_FREEZE_STANDS] =
        "the guest is frozen for long, and there is no room or answer to stop it properly",
    [REASON_PAUSE_STANDS] =
        "the guest is paused for long, and nothing the guard may do makes room for it",
    [REASON_MEMLOCK_CAP] = "its limit on locked memory is above all that it can need",
    [REASON_MEMLOCK_LIFT] = "the cap on its locked memory is not wanted, or not safe, any more",
    [REASON_MEMLOCK_CHANGED] =
        "somebody else has changed the limit that the guard had set, so it is left as it is",
    [REASON_MEMLOCK_UNLIMITED] = "nothing limits what the guest may lock or pin",
    [REASON_MEMLOCK_DRIFT] = "its limit on locked memory is not the one that libvirt would set",
    [REASON_MEMLOCK_BY_USER] = ("its limit is too high but is not capped: pages are charged to its "
                                "user here, and what others pin would abort it"),
    [REASON_MEMLOCK_REFUSED] = "its limit on locked memory should be capped and could not be",
    [REASON_MEMLOCK_UNDEFINED] =
        ("its limit may be too high but is not capped: libvirt does not say, "
         "or not now, what the guest may come to lock"),
    [REASON_PINNED_GROWTH] = "the guest has locked or pinned more memory, which no balloon returns",
    [REASON_PINNED_LIMIT] = "guests have locked or pinned more of this memory than pinned-limit",
    [REASON_CONTAIN_CLASS] = "its class limits what the guest's cgroup may take",
    [REASON_CONTAIN_TAKEN_BACK] =
        "memory is scarce and the guest takes back what it had given by balloon",
    [REASON_CONTAIN_OUTGROWN] =
        "memory is scarce and QEMU has outgrown its guest's maximum and what it needs beside it",
    [REASON_CONTAIN_LIFT] = "the limit on its cgroup is not wanted, or not safe, any more",
    [REASON_CONTAIN_CHANGED] =
        "somebody else has changed the limit that the guard had set, so it is left as it is",
    [REASON_CONTAIN_REFUSED] = ("a limit of its cgroup is called for and is not set: the guest "
                                "would be harmed by it, or no "
                                "cgroup that is its own alone has one"),
};
static_assert(ELEMENTSOF(reason_texts) == REASON_COUNT, "a reason has no text");

const char *reason_text(enum reason reason)
{
    return LOOKUP(reason_texts, reason);
}

static const char *const vm_kind_names[] = {
    [VM_KIND_UNKNOWN] = "unknown",
    [VM_KIND_ELASTIC] = "elastic",
    [VM_KIND_RIGID] = "rigid",
    [VM_KIND_RESIZABLE] = "resizable",
    [VM_KIND_SELF_DEFLATING] = "self-deflating",
};
static_assert(ELEMENTSOF(vm_kind_names) == VM_KIND_COUNT, "a kind has no name");

const char *vm_kind_name(enum vm_kind kind)
{
    return LOOKUP(vm_kind_names, kind);
}

static const char *const vm_kind_reason_names[] = {
    [VM_KIND_REASON_NONE] = "none",
    [VM_KIND_REASON_VFIO] = "vfio",
    [VM_KIND_REASON_IOMMUFD] = "iommufd",
    [VM_KIND_REASON_VDPA] = "vdpa",
    [VM_KIND_REASON_LOCKED] = "locked",
    [VM_KIND_REASON_HUGETLB] = "hugetlb",
    [VM_KIND_REASON_ENCRYPTED] = "encrypted",
    [VM_KIND_REASON_NO_DEVICE] = "no-device",
    [VM_KIND_REASON_NO_DRIVER] = "no-driver",
    [VM_KIND_REASON_NO_MONITOR] = "no-monitor",
    [VM_KIND_REASON_MIGRATING] = "migrating",
    [VM_KIND_REASON_VIRTIO_MEM] = "virtio-mem",
    [VM_KIND_REASON_DEFLATES_ON_OOM] = "deflates-on-oom",
    [VM_KIND_REASON_FREE_PAGE_REPORTING] = "free-page-reporting",
    [VM_KIND_REASON_UNSEEN] = "unseen",
};
static_assert(ELEMENTSOF(vm_kind_reason_names) == VM_KIND_REASON_COUNT, "a reason has no name");

const char *vm_kind_reason_name(enum vm_kind_reason reason)
{
    return LOOKUP(vm_kind_reason_names, reason);
}

static const char *const vm_run_state_names[] = {
    [VM_RUN_UNKNOWN] = "unknown",
    [VM_RUN_RUNNING] = "running",
    [VM_RUN_PAUSED] = "paused",
    [VM_RUN_PRELAUNCH] = "prelaunch",
    [VM_RUN_MIGRATING] = "migrating",
    [VM_RUN_SUSPENDED] = "suspended",
    [VM_RUN_SHUTDOWN] = "shutdown",
    [VM_RUN_FAILED] = "failed",
};
static_assert(ELEMENTSOF(vm_run_state_names) == VM_RUN_STATE_COUNT, "a run state has no name");

const char *vm_run_state_name(enum vm_run_state state)
{
    return LOOKUP(vm_run_state_names, state);
}

static const char *const vm_monitor_names[] = {
    [VM_MONITOR_NONE] = "none",
    [VM_MONITOR_CONNECTING] = "connecting",
    [VM_MONITOR_READY] = "ready",
    [VM_MONITOR_SILENT] = "silent",
};
static_assert(ELEMENTSOF(vm_monitor_names) == VM_MONITOR_COUNT, "a monitor state has no name");

const char *vm_monitor_name(enum vm_monitor monitor)
{
    return LOOKUP(vm_monitor_names, monitor);
}
