/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the status document. It reads a snapshot, the plan made for it and the rules, and computes
 * nothing of its own but words: every figure is the one the policy decided on.
 */
#include "status.h"

#include "json_writer.h"
#include "status_aside.h"

#include <assert.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>
#include <string.h>

/* By bit of enum vm_measure. */
static const char *const measure_names[] = {
    "balloon",
    "frozen-cgroup",
    "frozen-signal",
    "stop-sent",
    "stopped",
    "resuming",
    "killed",
    "oom-score",
    "memlock",
    "braked",
    "contain",
    "saving",
    "shutting-down",
    "resize",
};
static_assert(VM_MEASURE_RESIZE == 1 << (ELEMENTSOF(measure_names) - 1),
    "each measure has its word, and the last is a resize");

const char *status_measure_name(unsigned bit)
{
    return bit < ELEMENTSOF(measure_names) ? measure_names[bit] : NULL;
}

/* By bit of enum vm_source. */
static const char *const source_names[] = {"proc", "qmp", "libvirt"};
static_assert(VM_SOURCE_LIBVIRT == 1 << (ELEMENTSOF(source_names) - 1),
    "each source has its word, and the last is libvirt");

/* What was not done by us: QEMU's word, and the process's where that says more. */
static const char *state_seen(const struct vm_snapshot *vm)
{
    if (vm->process_state == VM_PROCESS_STOPPED)
        return "stopped";
    /* Every QEMU is in D for moments; it is news when its monitor does not answer either. */
    if (vm->process_state == VM_PROCESS_BLOCKED && vm->monitor != VM_MONITOR_READY)
        return "blocked";
    if (vm->run_state != VM_RUN_UNKNOWN)
        return vm_run_state_name(vm->run_state);
    return vm->process_state == VM_PROCESS_UNKNOWN ? "unknown" : "alive";
}

const char *status_vm_state(const struct vm_snapshot *vm)
{
    uint32_t measures = vm->measures.in_force;

    if (vm->process_state == VM_PROCESS_DEAD)
        return "dead";
    if (measures & VM_MEASURE_KILLED)
        return "killed";
    if (measures & VM_MEASURE_SAVING)
        return "saving";
    if (measures & VM_MEASURE_SHUTTING_DOWN)
        return "shutting-down";
    if (measures & VM_MEASURE_RESUMING)
        return "resuming";
    if (measures & VM_MEASURE_FROZEN)
        return "frozen";
    if ((measures & VM_MEASURE_STOP_SENT) && !(measures & VM_MEASURE_STOPPED))
        return "stopping";
    /* Stopped by us and seen running: somebody else has resumed it, so what is seen counts. */
    if ((measures & VM_MEASURE_STOPPED) && vm->run_state == VM_RUN_UNKNOWN)
        return vm_run_state_name(VM_RUN_PAUSED);
    return state_seen(vm);
}

/* ---- pools ---- */

static const struct pool_view *pool_find(
    const struct plan *plan, enum pool_kind kind, uint32_t node)
{
    const struct assessment *assessment = &plan->assessment;

    for (uint32_t i = 0; i < assessment->pool_count && i < POOLS_MAX; i++) {
        const struct pool_view *pool = &assessment->pools[i];

        if (pool->kind == kind && (kind != POOL_NODE || pool->node == node) && known(pool->total))
            return pool;
    }
    return NULL;
}

/* POOL may be NULL: nothing known. */
static void pool_write(
    struct json_writer *writer, const struct pool_view *pool, uint64_t total, uint64_t available)
{
    json_writer_u64(writer, "total", pool ? pool->total : total);
    json_writer_u64(writer, "available", pool ? pool->available : available);
    json_writer_u64(writer, "pinned", pool ? pool->pinned : UNKNOWN);
    json_writer_u64(writer, "reserved", pool ? pool->reserved : UNKNOWN);
    if (!pool) {
        json_writer_null(writer, "headroom");
        json_writer_null(writer, "floor");
        json_writer_null(writer, "fill_rate");
        json_writer_null(writer, "time_to_exhaustion");
        json_writer_null(writer, "band");
        return;
    }
    json_writer_i64(writer, "headroom", pool->headroom);
    json_writer_u64(writer, "floor", pool->floor);
    json_writer_i64(writer, "fill_rate", pool->fill_rate);
    json_writer_u64(writer, "time_to_exhaustion", pool->time_to_exhaustion);
    json_writer_text(writer, "band", band_name(pool->band));
}

static struct json_object *node_json(const struct node_snapshot *node, const struct pool_view *pool)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "id", node->id);
    pool_write(&writer, pool, node->total, node->available);
    json_writer_u64(&writer, "free", node->free);
    json_writer_u64(&writer, "hugepages_total", node->hugepages_total);
    json_writer_u64(&writer, "hugepages_free", node->hugepages_free);
    return json_writer_end(&writer);
}

static struct json_object *nodes_json(const struct host_snapshot *host, const struct plan *plan)
{
    struct json_object *nodes = json_object_new_array();

    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++) {
        if (!json_array_append(nodes, node_json(&host->nodes[i], pool_find(plan, POOL_NODE, i)))) {
            json_object_put(nodes);
            return NULL;
        }
    }
    return nodes;
}

static struct json_object *pressure_json(const struct psi_totals *pressure)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "some", pressure->some);
    json_writer_u64(&writer, "full", pressure->full);
    return json_writer_end(&writer);
}

static struct json_object *process_json(const struct process_snapshot *process)
{
    struct json_writer writer;
    char name[PROCESS_NAME_MAX + 1];

    /* Any process names itself, to the last byte of this array. */
    memcpy(name, process->name, PROCESS_NAME_MAX);
    name[PROCESS_NAME_MAX] = '\0';
    json_writer_begin(&writer);
    json_writer_text(&writer, "name", name);
    json_writer_i64(&writer, "pid", process->pid);
    json_writer_u64(&writer, "rss", process->rss);
    json_writer_i64(&writer, "growth", process->growth);
    return json_writer_end(&writer);
}

static struct json_object *culprit_json(
    const struct culprit *culprit, const struct host_snapshot *host)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_text(&writer, "kind", culprit_kind_name(culprit->kind));
    json_writer_u64(&writer, "bytes", culprit->bytes);
    json_writer_i64(&writer, "growth", culprit->growth);
    bool mounted = culprit->mounted && host->largest_tmpfs.path[0] != '\0';
    json_writer_text(&writer, "mount", mounted ? host->largest_tmpfs.path : NULL);
    return json_writer_end(&writer);
}

static struct json_object *host_json(
    const struct snapshot *snapshot, const struct plan *plan, const struct rules *rules)
{
    const struct host_snapshot *host = &snapshot->host;
    bool decided = plan->assessment.pool_count > 0;
    struct json_writer writer;

    json_writer_begin(&writer);
    pool_write(&writer, pool_find(plan, POOL_HOST, 0), host->total, host->available);
    json_writer_text(&writer, "mode", status_mode(rules, NULL));
    json_writer_u64(&writer, "free", host->free);
    json_writer_u64(&writer, "swap_total", host->swap_total);
    json_writer_u64(&writer, "swap_free", host->swap_free);
    json_writer_u64(&writer, "commit_limit", host->commit_limit);
    json_writer_u64(&writer, "committed", host->committed);
    json_writer_u64(&writer, "hugepages_total", host->hugepages_total);
    json_writer_u64(&writer, "hugepages_free", host->hugepages_free);
    json_writer_u64(&writer, "oom_kills", host->oom_kills);
    json_writer_u64(&writer, "fill_rate_most", host->fill_rate_most);
    if (decided) {
        json_writer_u64(&writer, "guests_held", plan->assessment.guests_held);
        json_writer_i64(&writer, "guests_growth", plan->assessment.guests_growth);
    } else {
        json_writer_null(&writer, "guests_held");
        json_writer_null(&writer, "guests_growth");
    }
    json_writer_child(&writer, "pressure", pressure_json(&host->memory_pressure));
    if (host->largest_process.pid > 0)
        json_writer_child(&writer, "largest_process", process_json(&host->largest_process));
    else
        json_writer_null(&writer, "largest_process");
    if (plan->assessment.culprit.kind != CULPRIT_NONE)
        json_writer_child(&writer, "culprit", culprit_json(&plan->assessment.culprit, host));
    else
        json_writer_null(&writer, "culprit");
    json_writer_child(&writer, "nodes", nodes_json(host, plan));
    return json_writer_end(&writer);
}

static struct json_object *budget_json(const struct pool_view *pool)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    pool_write(&writer, pool, UNKNOWN, UNKNOWN);
    return json_writer_end(&writer);
}

/* ---- one VM ---- */

static void uuid_write(struct json_writer *writer, const uint8_t uuid[UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * UUID_SIZE + 4 + 1];
    size_t used = 0;
    bool given = false;

    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[used++] = '-';
        text[used++] = digits[uuid[i] >> 4];
        text[used++] = digits[uuid[i] & 0xf];
        given = given || uuid[i];
    }
    text[used] = '\0';
    json_writer_text(writer, "uuid", given ? text : NULL);
}

static struct json_object *words_json(uint32_t bits, const char *const *names, size_t count)
{
    struct json_object *words = json_object_new_array_ext((int)count);

    for (size_t i = 0; i < count; i++) {
        if (!(bits & (UINT32_C(1) << i)))
            continue;
        if (!json_array_append(words, json_object_new_string(names[i]))) {
            json_object_put(words);
            return NULL;
        }
    }
    return words;
}

static struct json_object *balloon_json(const struct vm_snapshot *vm)
{
    bool ours = vm->measures.in_force & VM_MEASURE_BALLOON;
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "actual", vm->balloon.actual);
    json_writer_u64(&writer, "target", ours ? vm->measures.balloon_target : UNKNOWN);
    json_writer_u64(&writer, "before", ours ? vm->measures.balloon_before : UNKNOWN);
    return json_writer_end(&writer);
}

static void resizable_write(struct json_writer *parent, const struct vm_snapshot *vm)
{
    bool ours = vm->measures.in_force & VM_MEASURE_RESIZE;
    struct json_writer writer;

    if (!known(vm->resizable.maximum) || vm->resizable.maximum == 0) {
        json_writer_null(parent, "resizable");
        return;
    }
    json_writer_begin(&writer);
    json_writer_u64(&writer, "size", vm->resizable.size);
    json_writer_u64(&writer, "requested", vm->resizable.requested);
    json_writer_u64(&writer, "maximum", vm->resizable.maximum);
    json_writer_u64(&writer, "before", ours ? vm->measures.resize.before : UNKNOWN);
    json_writer_child(parent, "resizable", json_writer_end(&writer));
}

static struct json_object *node_bytes_json(const struct vm_snapshot *vm, uint32_t node_count)
{
    struct json_object *array = json_object_new_array();

    for (uint32_t i = 0; i < node_count && i < NODES_MAX; i++) {
        uint64_t bytes = vm->node_bytes[i];
        bool added = known(bytes) ? json_array_append(array, json_object_new_uint64(bytes))
                                  : array && json_object_array_add(array, NULL) == 0;

        if (!added) {
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

/* VmLck and VmPin count by different users of the same pages as often as of different ones, so the
 * larger is what is certainly wired; a sum could exceed the guest. */
static uint64_t pinned_bytes(const struct vm_snapshot *vm)
{
    if (!known(vm->locked))
        return vm->pinned;
    return max_u64(vm->locked, known_or(vm->pinned, 0));
}

static void limit_write(
    struct json_writer *writer, const char *key, const char *unlimited_key, uint64_t limit)
{
    bool unlimited = limit == MEMLOCK_UNLIMITED;

    json_writer_u64(writer, key, unlimited ? UNKNOWN : limit);
    json_writer_tristate(writer, unlimited_key,
        !known(limit) ? TRISTATE_UNKNOWN : (unlimited ? TRISTATE_YES : TRISTATE_NO));
}

static void memlock_write(struct json_writer *writer, const struct vm_snapshot *vm, uint64_t now)
{
    uint64_t safe = memlock_safe_cap(vm), confirmed = vm->definition.confirmed;

    limit_write(writer, "memlock_limit", "memlock_unlimited", vm->memlock_hard);
    limit_write(writer, "memlock_formula", "memlock_formula_unlimited", memlock_formula(vm));
    json_writer_u64(writer, "memlock_safe_cap", safe == MEMLOCK_UNLIMITED ? UNKNOWN : safe);
    json_writer_u64(
        writer, "definition_age", known(confirmed) ? sub_or_zero(now, confirmed) : UNKNOWN);
}

/* The limits of its cgroup as they stand, ours or not. */
static struct json_object *limits_json(const struct vm_limits *limits)
{
    static const char *const keys[] = {
        [VM_LIMIT_MEMORY_HIGH] = "memory_high",
        [VM_LIMIT_MEMORY_MAX] = "memory_max",
        [VM_LIMIT_PIDS_MAX] = "pids_max",
        [VM_LIMIT_CPU_MAX] = "cpu_max",
        [VM_LIMIT_OOM_GROUP] = "oom_group",
    };
    static_assert(ELEMENTSOF(keys) == VM_LIMIT_COUNT, "a limit has no key");
    struct json_writer writer;

    json_writer_begin(&writer);
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++) {
        uint64_t value = limits->values[limit];

        json_writer_u64(&writer, keys[limit], value == VM_LIMIT_NONE ? UNKNOWN : value);
    }
    return json_writer_end(&writer);
}

static void migration_write(struct json_writer *writer, enum vm_migration migration)
{
    if (migration == VM_MIGRATION_UNKNOWN)
        json_writer_null(writer, "migrating");
    else
        json_writer_bool(writer, "migrating", migration != VM_MIGRATION_NONE);
}

/* The kernel's numbers of the nodes it may allocate on; NULL is a failure. */
static struct json_object *nodes_allowed_json(
    const struct vm_snapshot *vm, const struct host_snapshot *host)
{
    struct json_object *array = json_object_new_array();

    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++) {
        if (!(vm->nodes_allowed >> i & 1))
            continue;
        if (!json_array_append(array, json_object_new_uint64(host->nodes[i].id))) {
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

static void vm_memory_write(struct json_writer *writer, const struct vm_snapshot *vm,
    const struct vm_rules *rules, const struct snapshot *snapshot)
{
    const struct host_snapshot *host = &snapshot->host;

    json_writer_u64(writer, "rss", vm->rss);
    json_writer_u64(writer, "pinned", pinned_bytes(vm));
    json_writer_u64(writer, "swap", vm->swap);
    json_writer_u64(writer, "minimum", vm_minimum(vm, rules));
    json_writer_u64(writer, "maximum", vm->maximum);
    json_writer_child(writer, "balloon", balloon_json(vm));
    resizable_write(writer, vm);
    memlock_write(writer, vm, snapshot->time);
    json_writer_u64(writer, "hugetlb", vm->hugetlb);
    json_writer_u64(writer, "cgroup_current", vm->cgroup_current);
    json_writer_child(writer, "limits", limits_json(&vm->limits));
    json_writer_child(writer, "node_bytes", node_bytes_json(vm, host->node_count));
    if (vm->nodes_allowed)
        json_writer_child(writer, "nodes_allowed", nodes_allowed_json(vm, host));
    else
        json_writer_null(writer, "nodes_allowed");
}

struct json_object *status_vm_json(const struct snapshot *snapshot, uint32_t position,
    const struct rules *rules, const struct status_aside *aside)
{
    const struct vm_snapshot *vm = &snapshot->vms[position];
    const struct vm_rules *own = &rules->vms[vm->slot];
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_text(&writer, "name", vm->name);
    uuid_write(&writer, vm->identity.uuid);
    json_writer_i64(&writer, "pid", vm->identity.pid);
    json_writer_child(
        &writer, "source", words_json(vm->sources, source_names, ELEMENTSOF(source_names)));
    json_writer_text(&writer, "class", own->class_name);
    json_writer_text(&writer, "state", status_vm_state(vm));
    json_writer_text(&writer, "kind", vm_kind_name(vm->kind));
    json_writer_text(&writer, "kind_reason", vm_kind_reason_name(vm->kind_reason));
    vm_memory_write(&writer, vm, own, snapshot);
    json_writer_child(&writer, "measures",
        words_json(vm->measures.in_force, measure_names, ELEMENTSOF(measure_names)));
    json_writer_u64(&writer, "priority", own->priority);
    json_writer_text(&writer, "monitor", vm_monitor_name(vm->monitor));
    migration_write(&writer, vm->migration);
    if (known(vm->sampled))
        json_writer_i64(&writer, "oom_score_adj", vm->oom_score_adj);
    else
        json_writer_null(&writer, "oom_score_adj");
    status_aside_write(&writer, snapshot, position, rules, aside);
    return json_writer_end(&writer);
}

static struct json_object *vms_json(
    const struct snapshot *snapshot, const struct rules *rules, const struct status_aside *aside)
{
    struct json_object *vms = json_object_new_array();

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        assert(snapshot->vms[i].slot < rules->vm_capacity);
        if (!json_array_append(vms, status_vm_json(snapshot, i, rules, aside))) {
            json_object_put(vms);
            return NULL;
        }
    }
    return vms;
}

struct json_object *status_json(const struct snapshot *snapshot, const struct plan *plan,
    const struct rules *rules, const struct status_aside *aside)
{
    const struct assessment *assessment = &plan->assessment;
    const struct pool_view *budget = pool_find(plan, POOL_BUDGET, 0);
    const struct pool_view *worst = NULL;
    struct json_writer writer;
    uint64_t worst_node = UNKNOWN;

    if (assessment->worst < assessment->pool_count && assessment->worst < POOLS_MAX)
        worst = &assessment->pools[assessment->worst];
    if (worst && worst->kind == POOL_NODE && worst->node < NODES_MAX)
        worst_node = snapshot->host.nodes[worst->node].id;

    json_writer_begin(&writer);
    json_writer_text(&writer, "version", PLIMSOLL_VERSION);
    json_writer_u64(&writer, "sequence", snapshot->sequence);
    json_writer_u64(&writer, "realtime", snapshot->sequence > 0 ? snapshot->realtime : UNKNOWN);
    json_writer_text(&writer, "band", band_name(assessment->band));
    json_writer_text(&writer, "worst", worst ? pool_kind_name(worst->kind) : NULL);
    json_writer_u64(&writer, "worst_node", worst_node);
    json_writer_bool(&writer, "sprint", assessment->sprint);
    if (rules->host.held_until > 0)
        json_writer_child(
            &writer, "hold", status_hold_json(snapshot, status_hold_left(snapshot, rules)));
    else
        json_writer_null(&writer, "hold");
    json_writer_child(&writer, "host", host_json(snapshot, plan, rules));
    if (budget)
        json_writer_child(&writer, "budget", budget_json(budget));
    else
        json_writer_null(&writer, "budget");
    json_writer_child(&writer, "vms", vms_json(snapshot, rules, aside));
    return json_writer_end(&writer);
}
