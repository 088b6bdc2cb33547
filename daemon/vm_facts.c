/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of where a guest's figures come from: what the samplers, the monitor and
 * libvirt's side do, in words. The path of a cgroup's file is that of the descriptor by which it is
 * read, so that it is true whatever has become of the guest's names since.
 *
 * Whoever adds a figure to struct vm_snapshot that people ask for says here where it is from.
 */
#include "vm_facts.h"

#include "json_writer.h"
#include "roots.h"

#include <assert.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <unistd.h>

enum unit {
    UNIT_BYTES,
    UNIT_COUNT,
    UNIT_NANOSECONDS,
    UNIT_WORD,
    UNIT_KIND_COUNT,
};

static const char *const unit_names[] = {
    [UNIT_BYTES] = "bytes",
    [UNIT_COUNT] = "count",
    [UNIT_NANOSECONDS] = "nanoseconds",
    [UNIT_WORD] = "word",
};
static_assert(ELEMENTSOF(unit_names) == UNIT_KIND_COUNT, "a unit has no name");

/* Room for a path, or for who has been asked for what. */
#define SOURCE_MAX PATH_MAX

struct fact {
    const char *name;
    enum unit unit;
    bool is_known;
    int64_t value;
    const char *word; /* in the place of a number; NULL: there is none */
};

struct telling {
    const struct vm *vm;
    const struct vm_snapshot *figures;
    uint64_t now;
    struct json_object *facts;
    bool failed;
    char source[SOURCE_MAX]; /* of the facts that follow; empty: nobody */
    uint64_t age;            /* likewise; UNKNOWN: it cannot be told */
};

static void fact_tell(struct telling *telling, const struct fact *fact)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_text(&writer, "name", fact->name);
    json_writer_text(&writer, "unit", unit_names[fact->unit]);
    if (fact->is_known && !fact->word)
        json_writer_i64(&writer, "value", fact->value);
    else
        json_writer_null(&writer, "value");
    json_writer_text(&writer, "word", fact->word);
    json_writer_path(&writer, "source", telling->source[0] != '\0' ? telling->source : NULL);
    json_writer_u64(&writer, "age", fact->is_known ? telling->age : UNKNOWN);
    telling->failed =
        !json_array_append(telling->facts, json_writer_end(&writer)) || telling->failed;
}

static void number_tell(struct telling *telling, const char *name, enum unit unit, uint64_t number)
{
    fact_tell(telling, &(struct fact){.name = name,
                           .unit = unit,
                           .is_known = known(number),
                           .value = (int64_t)number,
                           /* A limit that is none (VM_LIMIT_NONE is the same). */
                           .word = number == MEMLOCK_UNLIMITED ? "none" : NULL});
}

static void bytes_tell(struct telling *telling, const char *name, uint64_t bytes)
{
    number_tell(telling, name, UNIT_BYTES, bytes);
}

static void count_tell(struct telling *telling, const char *name, uint64_t count)
{
    number_tell(telling, name, UNIT_COUNT, count);
}

static void word_tell(struct telling *telling, const char *name, const char *word)
{
    fact_tell(telling,
        &(struct fact){.name = name, .unit = UNIT_WORD, .is_known = word != NULL, .word = word});
}

/* ---- sources ---- */

static void source_set(struct telling *telling, const char *source, uint64_t since)
{
    (void)snprintf(telling->source, sizeof(telling->source), "%s", source);
    telling->age = known(since) ? sub_or_zero(telling->now, since) : UNKNOWN;
}

static void source_set_process(struct telling *telling, const char *file, uint64_t since)
{
    source_set(telling, "", since);
    (void)snprintf(telling->source, sizeof(telling->source), "%s/%d/%s", telling->vm->roots->proc,
        (int)telling->figures->identity.pid, file);
}

/* NAME of the folder FD, or FD itself with NAME NULL; nobody with -1. */
static void source_set_file(struct telling *telling, int fd, const char *name, uint64_t since)
{
    char link[64], path[SOURCE_MAX];

    source_set(telling, "", since);
    if (fd < 0)
        return;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return;
    path[length] = '\0';
    (void)snprintf(telling->source, sizeof(telling->source), "%.*s%s%s",
        (int)(sizeof(telling->source) - 64), path, name ? "/" : "", name ? name : "");
}

static bool has_monitor(const struct telling *telling)
{
    return telling->vm->monitor != NULL;
}

/* QMP where it has a monitor of its own, else libvirt where that knows it. */
static void source_set_asked(
    struct telling *telling, const char *command, const char *call, uint64_t since)
{
    if (has_monitor(telling))
        source_set(telling, command, since);
    else
        source_set(telling, virt_guest_serves(telling->vm) ? call : "", since);
}

/* ---- the facts ---- */

static void process_tell(struct telling *telling)
{
    static const char *const states[] = {
        [VM_PROCESS_UNKNOWN] = NULL,
        [VM_PROCESS_ALIVE] = "alive",
        [VM_PROCESS_BLOCKED] = "blocked",
        [VM_PROCESS_STOPPED] = "stopped",
        [VM_PROCESS_DEAD] = "dead",
    };
    static_assert(ELEMENTSOF(states) == VM_PROCESS_STATE_COUNT, "a state has no word");
    const struct vm_snapshot *figures = telling->figures;
    uint64_t read = telling->vm->state_read > 0 ? telling->vm->state_read : UNKNOWN;

    source_set_process(telling, "statm", figures->sampled);
    bytes_tell(telling, "rss", figures->rss);
    source_set_process(telling, "stat", read);
    word_tell(telling, "process_state", states[figures->process_state]);
    source_set_process(telling, "status", read);
    bytes_tell(telling, "swap", figures->swap);
    bytes_tell(telling, "hugetlb", figures->hugetlb);
    bytes_tell(telling, "page_tables", figures->page_tables);
    bytes_tell(telling, "locked", figures->locked);
    bytes_tell(telling, "pinned", figures->pinned);
    source_set_process(telling, "limits", read);
    bytes_tell(telling, "memlock_limit", figures->memlock_hard);
    source_set_process(telling, "oom_score_adj", read);
    fact_tell(telling, &(struct fact){.name = "oom_score_adj",
                           .unit = UNIT_COUNT,
                           .is_known = known(figures->sampled),
                           .value = figures->oom_score_adj});
    /* What is not there has no line. */
    source_set_process(telling, "fd", UNKNOWN);
    if (figures->wiring.vfio_groups > 0)
        count_tell(telling, "vfio_groups", figures->wiring.vfio_groups);
    if (figures->wiring.iommufd > 0)
        count_tell(telling, "iommufd", figures->wiring.iommufd);
    if (figures->wiring.vdpa > 0)
        count_tell(telling, "vdpa", figures->wiring.vdpa);
}

static uint64_t node_bytes_sum(const struct vm_snapshot *figures)
{
    uint64_t sum = UNKNOWN;

    for (uint32_t i = 0; i < NODES_MAX; i++)
        if (known(figures->node_bytes[i]))
            sum = add_held(known_or(sum, 0), figures->node_bytes[i]);
    return sum;
}

static void cgroup_tell(struct telling *telling)
{
    static const struct {
        const char *name, *file;
        enum unit unit;
    } limits[] = {
        [VM_LIMIT_MEMORY_HIGH] = {"memory_high", "memory.high", UNIT_BYTES},
        [VM_LIMIT_MEMORY_MAX] = {"memory_max", "memory.max", UNIT_BYTES},
        [VM_LIMIT_PIDS_MAX] = {"pids_max", "pids.max", UNIT_COUNT},
        [VM_LIMIT_CPU_MAX] = {"cpu_max", "cpu.max", UNIT_NANOSECONDS},
        [VM_LIMIT_OOM_GROUP] = {"oom_group", "memory.oom.group", UNIT_COUNT},
    };
    static_assert(ELEMENTSOF(limits) == VM_LIMIT_COUNT, "a limit has no file");
    const struct vm_sampler *sampler = &telling->vm->sampler;
    uint64_t read = telling->vm->state_read > 0 ? telling->vm->state_read : UNKNOWN;
    uint64_t next = sampler->limits_next;

    source_set_file(telling, sampler->cgroup_current_fd, NULL, read);
    bytes_tell(telling, "cgroup_current", telling->figures->cgroup_current);
    source_set_file(telling, sampler->cgroup_numa_fd, NULL, read);
    bytes_tell(telling, "node_bytes", node_bytes_sum(telling->figures));
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++) {
        uint64_t value = telling->figures->limits.values[limit];
        int folder = limit == VM_LIMIT_PIDS_MAX && sampler->limits.scope >= 0
                         ? sampler->limits.scope
                         : sampler->limits.folder;

        /* Without a limit that is its own alone there is no file, either. */
        source_set_file(telling, known(value) ? folder : -1, limits[limit].file,
            next > 0 ? sub_or_zero(next, VM_LIMITS_INTERVAL) : UNKNOWN);
        number_tell(telling, limits[limit].name, limits[limit].unit, value);
    }
}

static void guest_tell(struct telling *telling)
{
    const struct vm *vm = telling->vm;
    const struct vm_snapshot *figures = telling->figures;
    uint64_t looked = vm->virt.looked > 0 && !has_monitor(telling) ? vm->virt.looked : UNKNOWN;
    bool ran = figures->run_state != VM_RUN_UNKNOWN;

    source_set_asked(telling, "qmp:query-status", "libvirt:state", looked);
    word_tell(telling, "run_state", ran ? vm_run_state_name(figures->run_state) : NULL);
    if (has_monitor(telling) && monitor_told_memory(vm->monitor))
        source_set(telling, "qmp:query-memory-size-summary", UNKNOWN);
    else if (virt_guest_serves(vm))
        source_set(telling, "libvirt:domain-xml", figures->definition.confirmed);
    else
        source_set_process(telling, "cmdline", figures->first_seen);
    bytes_tell(telling, "maximum", figures->maximum);
    source_set_asked(telling, "qmp:query-balloon", "libvirt:memory-stats", looked);
    bytes_tell(telling, "balloon", figures->balloon.actual);
    if (!known(figures->resizable.maximum) || figures->resizable.maximum == 0)
        return;
    source_set_asked(
        telling, "qmp:query-memory-devices", "libvirt:domain-xml", figures->resizable.updated);
    bytes_tell(telling, "virtio_mem", figures->resizable.size);
    bytes_tell(telling, "virtio_mem_requested", figures->resizable.requested);
    bytes_tell(telling, "virtio_mem_maximum", figures->resizable.maximum);
}

/* The guest's own word: how old it is matters most of all. */
static void statistics_tell(struct telling *telling)
{
    const struct vm_statistics *statistics = &telling->figures->statistics;
    bool never = !known(statistics->updated);

    source_set_asked(telling, "qmp:guest-stats", "libvirt:memory-stats", statistics->updated);
    bytes_tell(telling, "guest_total", never ? UNKNOWN : statistics->total);
    bytes_tell(telling, "guest_available", never ? UNKNOWN : statistics->available);
    bytes_tell(telling, "guest_free", never ? UNKNOWN : statistics->free);
    bytes_tell(telling, "guest_disk_caches", never ? UNKNOWN : statistics->disk_caches);
    bytes_tell(telling, "guest_swapped_in", never ? UNKNOWN : statistics->swapped_in);
    bytes_tell(telling, "guest_swapped_out", never ? UNKNOWN : statistics->swapped_out);
    count_tell(telling, "guest_major_faults", never ? UNKNOWN : statistics->major_faults);
}

static void definition_tell(struct telling *telling)
{
    const struct vm_definition *definition = &telling->figures->definition;

    if (!(telling->figures->sources & VM_SOURCE_LIBVIRT))
        return;
    source_set(telling, "libvirt:domain-xml", definition->confirmed);
    bytes_tell(telling, "defined_memory", definition->memory);
    bytes_tell(telling, "defined_hard_limit", definition->hard_limit);
}

struct json_object *vm_facts_json(
    const struct vm *vm, const struct vm_snapshot *figures, uint64_t now)
{
    struct telling telling = {
        .vm = vm, .figures = figures, .now = now, .facts = json_object_new_array()};

    process_tell(&telling);
    cgroup_tell(&telling);
    guest_tell(&telling);
    statistics_tell(&telling);
    definition_tell(&telling);
    if (!telling.failed)
        return telling.facts;
    json_object_put(telling.facts);
    return NULL;
}
