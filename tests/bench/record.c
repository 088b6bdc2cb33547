/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a record costs: the copy, which the guard makes in each tick, and what the process that
 * writes then does; for a tick in which the figures of all guests have changed, as after each look
 * at them, and for one in which only the host's have. Bytes are those of the trace.
 */
#include "record_write.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICKS 301
#define TICK NSEC_PER_SEC
static const uint32_t herds[] = {10, 100, 300, 1000};

struct scene {
    struct snapshot *snapshot;
    struct rules *rules;
    struct plan *plan;
    struct policy_state *state;
    struct policy_scratch *scratch;
    void *buffer;
    struct record_writer *writer;
    FILE *out;
};

/* Medians, in us and bytes. */
struct cost {
    uint64_t decide, copy, write, bytes;
};

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

static void guest_make(struct vm_snapshot *vm, uint32_t slot)
{
    *vm = (struct vm_snapshot){.identity = {.pid = (pid_t)slot + 1000, .start_time = slot + 1},
        .slot = slot,
        .process_state = VM_PROCESS_ALIVE,
        .run_state = VM_RUN_RUNNING,
        .rss = GIB,
        .maximum = 2 * GIB};
    (void)snprintf(vm->name, sizeof(vm->name), "guest-%u", (unsigned)slot);
}

static void scene_make(struct scene *scene, uint32_t count)
{
    scene->snapshot = calloc(1, snapshot_size(count));
    scene->rules = calloc(1, rules_size(count));
    scene->plan = calloc(1, plan_size(count));
    scene->state = malloc(policy_state_size(count));
    scene->scratch = malloc(policy_scratch_size(count));
    scene->buffer = malloc(record_frame_size_max(count));
    scene->out = tmpfile();
    if (!scene->snapshot || !scene->rules || !scene->plan || !scene->state || !scene->scratch ||
        !scene->buffer || !scene->out || record_writer_new(count, &scene->writer) < 0)
        abort();
    (void)policy_state_init(scene->state, count);
    (void)policy_scratch_init(scene->scratch, count);
    host_rules_default(&scene->rules->host);
    scene->rules->vm_capacity = scene->snapshot->vm_capacity = count;
    scene->snapshot->vm_count = count;
    scene->snapshot->host.total = 4 * GIB * count;
    scene->plan->action_capacity = plan_action_capacity(count);
    for (uint32_t i = 0; i < count; i++) {
        vm_rules_default(&scene->rules->vms[i]);
        guest_make(&scene->snapshot->vms[i], i);
    }
}

static void scene_free(struct scene *scene)
{
    record_writer_free(scene->writer);
    (void)fclose(scene->out);
    free(scene->buffer);
    free(scene->scratch);
    free(scene->state);
    free(scene->plan);
    free(scene->rules);
    free(scene->snapshot);
}

static struct cost tick(struct scene *scene, uint64_t number, bool guests)
{
    struct snapshot *snapshot = scene->snapshot;

    snapshot->time += TICK;
    snapshot->realtime += TICK;
    snapshot->sequence++;
    snapshot->host.available = snapshot->host.total / 2 + number % 7 * MIB;
    for (uint32_t i = 0; guests && i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        vm->sampled = snapshot->time;
        vm->rss = vm->rss_anonymous = vm->cgroup_current = GIB + (number + i) % 13 * MIB;
    }
    long before = ftell(scene->out);
    uint64_t begin = now();
    struct record_frame *frame = record_frame_begin(
        scene->buffer, snapshot, scene->rules, number == 0 ? scene->state : NULL);
    uint64_t begun = now();
    policy_decide(snapshot, scene->rules, scene->state, scene->scratch, scene->plan);
    uint64_t decided = now();
    record_frame_end(frame, scene->plan);
    uint64_t copied = now();
    if (record_write_frame(scene->writer, frame, scene->out) < 0 || fflush(scene->out) != 0)
        abort();
    return (struct cost){.decide = decided - begun,
        .copy = begun - begin + copied - decided,
        .write = now() - copied,
        .bytes = (uint64_t)(ftell(scene->out) - before)};
}

static int compare(const void *a, const void *b)
{
    const uint64_t *first = a, *second = b;

    return (*first > *second) - (*first < *second);
}

static uint64_t median(uint64_t *values)
{
    qsort(values, TICKS, sizeof(*values), compare);
    return values[TICKS / 2];
}

static void series_print(struct scene *scene, const char *what, bool guests)
{
    static uint64_t decide[TICKS], copy[TICKS], write[TICKS], bytes[TICKS];

    for (unsigned i = 0; i < TICKS; i++) {
        struct cost cost = tick(scene, i + 1, guests);
        decide[i] = cost.decide;
        copy[i] = cost.copy;
        write[i] = cost.write;
        bytes[i] = cost.bytes;
    }
    printf("%7u  %-22s %8.1f %8.1f %8.1f %9llu\n", (unsigned)scene->snapshot->vm_count, what,
        (double)median(decide) / 1000, (double)median(copy) / 1000, (double)median(write) / 1000,
        (unsigned long long)median(bytes));
}

int main(void)
{
    printf("Medians of %d ticks: deciding, copying and writing in us, and bytes\n"
           "%7s  %-22s %8s %8s %8s %9s\n",
        TICKS, "guests", "changed", "decide", "copy", "write", "bytes");
    for (size_t i = 0; i < ELEMENTSOF(herds); i++) {
        struct scene scene = {0};
        scene_make(&scene, herds[i]);
        struct cost first = tick(&scene, 0, true);
        printf("%7u  %-22s %8.1f %8.1f %8.1f %9llu\n", (unsigned)herds[i], "all: a stretch begins",
            (double)first.decide / 1000, (double)first.copy / 1000, (double)first.write / 1000,
            (unsigned long long)first.bytes);
        series_print(&scene, "host and all guests", true);
        series_print(&scene, "host", false);
        scene_free(&scene);
    }
    return EXIT_SUCCESS;
}
