/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts decisions into lines. The keys are an interface that operators' scripts read: add, do not
 * rename. Names come from outside and are quoted; nothing here allocates.
 */
#include "announce.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/policy.h>

/* A quoted mount point and some figures; half of what a line may have. */
#define DETAIL_MAX 448
#define POOL_WORDS_SIZE 32
/* What libvirt says of it, which has no bound of ours: the rest of a line. */
#define END_TEXT_SIZE 320

const char *uuid_text(const uint8_t uuid[UUID_SIZE], char buffer[UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *at = buffer;

    for (unsigned i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[uuid[i] >> 4];
        *at++ = hex[uuid[i] & 15];
    }
    *at = '\0';
    return buffer;
}

static int kind_level(enum action_kind kind)
{
    switch (kind) {
    case ACTION_KILL:
        return LOG_CRIT;
    case ACTION_ALERT:
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
    case ACTION_BRAKE:
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        return LOG_WARNING;
    case ACTION_BALLOON:
    case ACTION_RESIZE:
    case ACTION_RECLAIM:
    case ACTION_RELEASE:
    case ACTION_THAW:
    case ACTION_RESUME:
    case ACTION_MEMLOCK:
    case ACTION_CONTAIN:
        return LOG_NOTICE;
    case ACTION_OOM_SCORE:
        return LOG_INFO | LOG_OFTEN; /* the order of victims changes with every megabyte */
    case ACTION_KIND_COUNT:
        break;
    }
    return LOG_INFO;
}

/* From warning on somebody should look, by day or by night: so what was only decided is none, and
 * where the guard can do no more it is worse. */
static int action_level(const struct action *action, int result)
{
    int level = kind_level(action->kind);

    if (result < 0)
        return LOG_ERR;
    if (action->reason == REASON_BREAKER || action->reason == REASON_NO_VICTIM)
        return LOG_ERR;
    if (action->kind != ACTION_ALERT && action->mode != MODE_ENFORCE && level < LOG_NOTICE)
        return LOG_NOTICE;
    return level;
}

/* What fills the host. GROWTH is the process's own where one is named. */
static void culprit_detail(
    const struct culprit *culprit, const struct host_snapshot *host, char *buffer, size_t size)
{
    const struct process_snapshot *process = &host->largest_process;
    char name[2 * TMPFS_PATH_MAX + 8], bytes[32] = "";

    if (known(culprit->bytes))
        (void)snprintf(bytes, sizeof bytes, " bytes=%" PRIu64, culprit->bytes);
    /* It is remembered for longer than what it was may live: nobody else is named in its place. */
    bool mounted = culprit->mounted && host->largest_tmpfs.path[0] != '\0';
    if (culprit->kind == CULPRIT_PROCESS && culprit->pid > 0 && process->pid == culprit->pid)
        (void)snprintf(buffer, size,
            " culprit=%s%s process=%s pid=%d rss=%" PRIu64 " growth=%" PRId64,
            culprit_kind_name(culprit->kind), bytes, log_quote(process->name, name, sizeof name),
            (int)process->pid, process->rss, process->growth);
    else
        (void)snprintf(buffer, size, " culprit=%s%s growth=%" PRId64 "%s%s",
            culprit_kind_name(culprit->kind), bytes, culprit->growth, mounted ? " mount=" : "",
            mounted ? log_quote(host->largest_tmpfs.path, name, sizeof name) : "");
}

#define LIMIT_WORDS_SIZE 24 /* 20 digits */

static const char *limit_words(uint64_t limit, char buffer[LIMIT_WORDS_SIZE])
{
    if (!known(limit))
        return "unknown";
    if (limit == VM_LIMIT_NONE)
        return "unlimited";
    (void)snprintf(buffer, LIMIT_WORDS_SIZE, "%" PRIu64, limit);
    return buffer;
}

/* A guest's limits, in force and by rule, and what it has used of them. */
static void memlock_detail(const struct vm_snapshot *vm, char *buffer, size_t size)
{
    char limit[LIMIT_WORDS_SIZE], soft[LIMIT_WORDS_SIZE], formula[LIMIT_WORDS_SIZE];
    char safe[LIMIT_WORDS_SIZE], used[LIMIT_WORDS_SIZE];

    (void)snprintf(buffer, size, " limit=%s soft=%s formula=%s safe_cap=%s used=%s",
        limit_words(vm->memlock_hard, limit), limit_words(vm->memlock_soft, soft),
        limit_words(memlock_formula(vm), formula), limit_words(memlock_safe_cap(vm), safe),
        limit_words(memlock_use(vm), used));
}

static void pinned_detail(
    const struct plan *plan, const struct action *action, char *buffer, size_t size)
{
    const struct assessment *assessment = &plan->assessment;

    for (uint32_t i = 0; i < assessment->pool_count && i < POOLS_MAX; i++) {
        const struct pool_view *pool = &assessment->pools[i];

        if (pool->kind == action->pool && pool->node == action->node)
            (void)snprintf(
                buffer, size, " pinned=%" PRIu64 " total=%" PRIu64, pool->pinned, pool->total);
    }
}

/* Which limit of its cgroup, what it is now, and what is held against it. */
static void contain_detail(
    const struct action *action, const struct vm_snapshot *vm, char *buffer, size_t size)
{
    char present[LIMIT_WORDS_SIZE], used[LIMIT_WORDS_SIZE];
    const struct vm_limits *limits = &vm->limits;
    uint64_t use = action->limit == VM_LIMIT_PIDS_MAX ? limits->tasks : vm->cgroup_current;

    (void)snprintf(buffer, size, " key=%s present=%s used=%s%s", vm_limit_name(action->limit),
        limit_words(limits->values[action->limit], present), limit_words(use, used),
        limits->legacy ? " cgroup=v1" : "");
}

/* A quoted name that is cut early: there is another one in the line. */
#define RIVAL_NAME_SIZE 80

/* Whose end was the next best, and why it is not his. */
static void rival_detail(
    const struct rival *rival, const struct snapshot *snapshot, char *buffer, size_t size)
{
    static const char *const keys[RIVAL_REASON_COUNT] = {
        [RIVAL_DEARER] = "loss",
        [RIVAL_EQUAL] = "bytes",
        [RIVAL_SHORT] = "lacks",
        [RIVAL_BREAKER] = "guests",
    };
    char name[RIVAL_NAME_SIZE], figure[48] = "";

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];

        if (vm->slot != rival->slot)
            continue;
        if (rival->reason < RIVAL_REASON_COUNT && keys[rival->reason])
            (void)snprintf(
                figure, sizeof figure, " rival_%s=%" PRIu64, keys[rival->reason], rival->figure);
        (void)snprintf(buffer, size, " rival=%s rival_reason=%s%s",
            log_quote(vm->name, name, sizeof name), rival_reason_name(rival->reason), figure);
        return;
    }
    (void)snprintf(buffer, size, " rival_reason=%s", rival_reason_name(rival->reason));
}

/* By when memory is short. */
static void left_detail(uint64_t left, char *buffer, size_t size)
{
    if (left == NEVER)
        (void)snprintf(buffer, size, " left=never");
    else
        (void)snprintf(buffer, size, " left=%" PRIu64 "ms", left / NSEC_PER_MSEC);
}

/* What the whole set of guests loses, and who is spared. */
static void choice_detail(
    const struct choice *choice, const struct snapshot *snapshot, char *buffer, size_t size)
{
    char left[40], least[40] = "";

    if (choice->least < choice->loss)
        (void)snprintf(least, sizeof least, " cover_least=%" PRIu64, choice->least);
    left_detail(choice->left, left, sizeof left);
    int length = snprintf(buffer, size, "%s cover=%" PRIu32 " cover_loss=%" PRIu64 "%s", left,
        choice->guests, choice->loss, least);
    if (length > 0 && (size_t)length < size)
        rival_detail(&choice->rival, snapshot, buffer + length, size - (size_t)length);
}

static void alert_detail(const struct plan *plan, const struct action *action, const struct vm *vm,
    const struct snapshot *snapshot, char *buffer, size_t size)
{
    if (action->reason == REASON_LEAK_OUTSIDE)
        culprit_detail(&plan->assessment.culprit, &snapshot->host, buffer, size);
    else if (action->reason == REASON_PINNED_LIMIT)
        pinned_detail(plan, action, buffer, size);
    else if (vm && action->reason == REASON_CONTAIN_REFUSED)
        contain_detail(action, &vm->figures, buffer, size);
    else if (vm && action->reason >= REASON_MEMLOCK_CAP && action->reason <= REASON_PINNED_GROWTH)
        memlock_detail(&vm->figures, buffer, size);
}

/* What the figures of this action are about. */
static void action_detail(const struct plan *plan, const struct action *action, const struct vm *vm,
    const struct snapshot *snapshot, char *buffer, size_t size)
{
    buffer[0] = '\0';
    switch (action->kind) {
    case ACTION_BALLOON:
    case ACTION_RESIZE:
        if (known(action->target))
            (void)snprintf(buffer, size, " target=%" PRIu64, action->target);
        if (action->deficit > 0)
            left_detail(action->choice.left, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_OOM_SCORE:
        (void)snprintf(buffer, size, " score=%" PRId32, action->oom_score_adj);
        break;
    case ACTION_KILL:
        (void)snprintf(buffer, size, " loss=%" PRIu64 "%s", action->loss,
            vm && vm->destroying ? " by=libvirt" : "");
        choice_detail(&action->choice, snapshot, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
        (void)snprintf(buffer, size, " loss=%" PRIu64 " seconds=%" PRIu64, action->loss,
            action->deadline / NSEC_PER_SEC);
        choice_detail(&action->choice, snapshot, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_ALERT:
        alert_detail(plan, action, vm, snapshot, buffer, size);
        break;
    case ACTION_MEMLOCK:
        if (known(action->target))
            (void)snprintf(buffer, size, " target=%" PRIu64, action->target);
        if (vm)
            memlock_detail(&vm->figures, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_CONTAIN:
        if (known(action->target))
            (void)snprintf(buffer, size, " target=%" PRIu64, action->target);
        if (vm)
            contain_detail(action, &vm->figures, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_RECLAIM:
        left_detail(action->choice.left, buffer, size);
        break;
    case ACTION_BRAKE:
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        (void)snprintf(buffer, size, " loss=%" PRIu64, action->loss);
        left_detail(action->choice.left, buffer + strlen(buffer), size - strlen(buffer));
        if (action->kind != ACTION_BRAKE)
            rival_detail(
                &action->choice.rival, snapshot, buffer + strlen(buffer), size - strlen(buffer));
        break;
    case ACTION_RELEASE:
    case ACTION_THAW:
    case ACTION_RESUME:
    case ACTION_KIND_COUNT:
        break;
    }
}

/* "node node=8": the kernel's number, as in /sys/devices/system/node. */
static const char *pool_words(enum pool_kind kind, uint32_t node, const struct snapshot *snapshot,
    char buffer[POOL_WORDS_SIZE])
{
    if (kind == POOL_NODE && node < snapshot->host.node_count && node < NODES_MAX)
        (void)snprintf(buffer, POOL_WORDS_SIZE, "%s node=%" PRIu32, pool_kind_name(kind),
            snapshot->host.nodes[node].id);
    else
        (void)snprintf(buffer, POOL_WORDS_SIZE, "%s", pool_kind_name(kind));
    return buffer;
}

void announce_action(const struct plan *plan, const struct action *action, const struct vm *vm,
    const struct snapshot *snapshot, int result)
{
    char detail[DETAIL_MAX], name[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE], failed[64] = "";
    char pool[POOL_WORDS_SIZE];
    const char *event = action->kind == ACTION_ALERT ? "alert" : "action";

    action_detail(plan, action, vm, snapshot, detail, sizeof detail);
    (void)pool_words(action->pool, action->node, snapshot, pool);
    if (result < 0)
        (void)snprintf(failed, sizeof failed, " failed=%s", strerrorname_np(-result));
    if (!vm) {
        log_alert(action_level(action, result),
            "event=%s band=%s action=%s reason=%s pool=%s deficit=%" PRIu64 "%s text=\"%s\"", event,
            band_name(plan->assessment.band), action_kind_name(action->kind),
            reason_name(action->reason), pool, action->deficit, detail,
            reason_text(action->reason));
        return;
    }
    log_alert(action_level(action, result),
        "event=%s vm=%s uuid=%s band=%s action=%s reason=%s bytes=%" PRIu64 "%s pool=%s "
        "deficit=%" PRIu64 " mode=%s%s text=\"%s\"",
        event, log_quote(vm->figures.name, name, sizeof name),
        uuid_text(vm->figures.identity.uuid, uuid), band_name(plan->assessment.band),
        action_kind_name(action->kind), reason_name(action->reason), action->relief, detail, pool,
        action->deficit,
        action->mode == MODE_DRY_RUN && vm->held ? "held" : mode_name(action->mode), failed,
        reason_text(action->reason));
}

void announce_band(
    const struct assessment *assessment, const struct snapshot *snapshot, enum band before)
{
    const struct pool_view *pool = &assessment->pools[assessment->worst];
    char exhaustion[32] = "never", words[POOL_WORDS_SIZE];

    if (pool->time_to_exhaustion != NEVER)
        (void)snprintf(exhaustion, sizeof exhaustion, "%" PRIu64 "ms",
            pool->time_to_exhaustion / NSEC_PER_MSEC);
    bool worse = assessment->band > before;
    /* In tight nobody suffers, and a busy host is there every day. */
    log_alert(worse && assessment->band >= BAND_SCARCE ? LOG_WARNING : LOG_NOTICE,
        "event=band band=%s before=%s pool=%s headroom=%" PRId64 " fill_rate=%" PRId64
        " time_to_exhaustion=%s",
        band_name(assessment->band), band_name(before),
        pool_words(pool->kind, pool->node, snapshot, words), pool->headroom, pool->fill_rate,
        exhaustion);
}

void announce_vm(int level, const char *event, const struct vm *vm)
{
    char name[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE];

    log_alert(level, "event=%s vm=%s uuid=%s pid=%d", event,
        log_quote(vm->figures.name, name, sizeof name), uuid_text(vm->figures.identity.uuid, uuid),
        (int)vm->figures.identity.pid);
}

void announce_end_failed(const struct vm *vm, bool saved, const char *why)
{
    char name[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE], text[END_TEXT_SIZE];
    const char *event = saved ? "save-failed" : "shutdown-failed";

    log_alert(LOG_WARNING, "event=%s vm=%s uuid=%s pid=%d text=%s", event,
        log_quote(vm->figures.name, name, sizeof name), uuid_text(vm->figures.identity.uuid, uuid),
        (int)vm->figures.identity.pid, log_quote(why, text, sizeof text));
}

void announce_vm_ended(const char *name, const struct vm_identity *identity, const char *cause)
{
    char quoted[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE];

    log_alert(LOG_INFO, "event=vm-ended vm=%s uuid=%s pid=%d%s%s",
        log_quote(name, quoted, sizeof quoted), uuid_text(identity->uuid, uuid), (int)identity->pid,
        cause ? " cause=" : "", cause ? cause : "");
}
