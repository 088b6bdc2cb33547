/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the metrics of guests.
 *
 * A guest's series bear its name and uuid, so that they go on when it is started anew, and its pid
 * only where those do not tell it from another: without a uuid, or when two have the same (a guest
 * that migrates to the host that it is on, or a QEMU started twice by hand). Two that nothing tells
 * apart are one, the first: a series that comes twice would spoil the whole page.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/snapshot.h>

#include "field.h"
#include "metrics.h"
#include "status.h"
#include "text.h"

#define UUID_MAX 48
#define PID_MAX 24

struct guest {
    struct json_object *vm;
    size_t position; /* in the status */
    char name[VM_NAME_MAX], uuid[UUID_MAX], pid[PID_MAX];
    bool same; /* as another by name and uuid */
    struct label_set labels;
};

struct guests {
    struct guest *all;
    size_t count;
};

static const struct figure figures[] = {
    {{"plimsoll_vm_rss_bytes", "bytes", "What the guest's process holds, without huge pages.",
         METRIC_GAUGE},
        NULL, "rss", FIGURE_BYTES},
    {{"plimsoll_vm_hugetlb_bytes", "bytes", "What it holds in huge pages.", METRIC_GAUGE}, NULL,
        "hugetlb", FIGURE_BYTES},
    {{"plimsoll_vm_pinned_bytes", "bytes", "Locked or pinned, so that no balloon returns it.",
         METRIC_GAUGE},
        NULL, "pinned", FIGURE_BYTES},
    {{"plimsoll_vm_swap_bytes", "bytes", "What is swapped out.", METRIC_GAUGE}, NULL, "swap",
        FIGURE_BYTES},
    {{"plimsoll_vm_cgroup_bytes", "bytes", "What its cgroup is charged with.", METRIC_GAUGE}, NULL,
        "cgroup_current", FIGURE_BYTES},
    {{"plimsoll_vm_minimum_bytes", "bytes", "Below that it is not ballooned.", METRIC_GAUGE}, NULL,
        "minimum", FIGURE_BYTES},
    {{"plimsoll_vm_maximum_bytes", "bytes", "Guest memory without a balloon.", METRIC_GAUGE}, NULL,
        "maximum", FIGURE_BYTES},
    {{"plimsoll_vm_balloon_actual_bytes", "bytes", "Guest memory less the balloon, as QEMU says.",
         METRIC_GAUGE},
        "balloon", "actual", FIGURE_BYTES},
    {{"plimsoll_vm_balloon_target_bytes", "bytes",
         "What the guard asked the balloon for; absent where it did not.", METRIC_GAUGE},
        "balloon", "target", FIGURE_BYTES},
    {{"plimsoll_vm_resizable_size_bytes", "bytes", "What the guest has plugged in of virtio-mem.",
         METRIC_GAUGE},
        "resizable", "size", FIGURE_BYTES},
    {{"plimsoll_vm_resizable_requested_bytes", "bytes", "What it is asked to have of virtio-mem.",
         METRIC_GAUGE},
        "resizable", "requested", FIGURE_BYTES},
    {{"plimsoll_vm_memlock_limit_bytes", "bytes",
         "Its limit on locked memory; absent where it is unlimited.", METRIC_GAUGE},
        NULL, "memlock_limit", FIGURE_BYTES},
    {{"plimsoll_vm_memlock_unlimited", NULL, "Whether its locked memory is unlimited.",
         METRIC_GAUGE},
        NULL, "memlock_unlimited", FIGURE_BOOLEAN},
    {{"plimsoll_vm_oom_score_adj", NULL, "Its standing among the kernel's victims, -1000 to 1000.",
         METRIC_GAUGE},
        NULL, "oom_score_adj", FIGURE_SIGNED},
    {{"plimsoll_vm_priority", NULL,
         "The priority of its class, 1 to 1000; higher is more valuable.", METRIC_GAUGE},
        NULL, "priority", FIGURE_BYTES},
    {{"plimsoll_vm_migrating", NULL, "Whether it is being migrated.", METRIC_GAUGE}, NULL,
        "migrating", FIGURE_BOOLEAN},
};

/* As control_interface.c explains them; a test holds the two together. */
static const char *const states[] = {"running", "paused", "prelaunch", "migrating", "suspended",
    "shutdown", "failed", "frozen", "stopping", "resuming", "saving", "shutting-down", "killed",
    "stopped", "blocked", "dead", "alive", "unknown"};

const char *const *metrics_vm_states(size_t *ret_count)
{
    *ret_count = ELEMENTSOF(states);
    return states;
}

/* ---- who is who ---- */

static int guest_compare_names(const struct guest *one, const struct guest *other)
{
    int order = strcmp(one->name, other->name);

    return order != 0 ? order : strcmp(one->uuid, other->uuid);
}

static int guest_compare(const void *one, const void *other)
{
    const struct guest *first = one, *second = other;
    int order = guest_compare_names(first, second);

    if (order == 0)
        order = strcmp(first->pid, second->pid);
    if (order == 0)
        order = first->position < second->position ? -1 : 1;
    return order;
}

static void text_take(struct json_object *object, const char *key, char *buffer, size_t size)
{
    struct json_object *value = field_get(object, key);

    buffer[0] = '\0';
    if (json_object_is_type(value, json_type_string))
        text_finish(buffer, size, snprintf(buffer, size, "%s", json_object_get_string(value)));
}

/* False: there is nothing to know it by. */
static bool guest_read(struct guest *guest, struct json_object *vm)
{
    struct json_object *pid = field_get(vm, "pid");

    guest->vm = vm;
    text_take(vm, "name", guest->name, sizeof(guest->name));
    text_take(vm, "uuid", guest->uuid, sizeof(guest->uuid));
    if (json_object_is_type(pid, json_type_int) && json_object_get_int64(pid) > 0)
        (void)snprintf(guest->pid, sizeof(guest->pid), "%" PRId64, json_object_get_int64(pid));
    return guest->name[0] || guest->uuid[0] || guest->pid[0];
}

/* Sorted by name; only such as are told apart by their labels. */
static int guests_read(struct json_object *vms, struct guests *ret_guests)
{
    size_t length = json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0;
    struct guest *all = calloc(length + 1, sizeof(*all));
    size_t count = 0, kept = 0;

    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < length; i++) {
        all[count].position = i;
        count += guest_read(&all[count], json_object_array_get_idx(vms, i));
    }
    qsort(all, count, sizeof(*all), guest_compare);
    for (size_t i = 0; i < count; i++) {
        bool same = kept > 0 && guest_compare_names(&all[kept - 1], &all[i]) == 0;

        if (same && strcmp(all[kept - 1].pid, all[i].pid) == 0)
            continue;
        if (same)
            all[kept - 1].same = true;
        all[kept] = all[i];
        all[kept++].same = same;
    }
    for (size_t i = 0; i < kept; i++) {
        label_add(&all[i].labels, "vm", all[i].name);
        label_add(&all[i].labels, "uuid", all[i].uuid);
        if (!all[i].uuid[0] || all[i].same)
            label_add(&all[i].labels, "pid", all[i].pid);
    }
    *ret_guests = (struct guests){.all = all, .count = kept};
    return 0;
}

/* ---- families that are not a figure each ---- */

static void count_write(struct metric_writer *writer, struct json_object *vms)
{
    static const struct metric count = {
        .name = "plimsoll_vms", .help = "Guests that the guard sees."};

    metric_begin(writer, &count);
    if (json_object_is_type(vms, json_type_array))
        metric_u64(writer, NULL, json_object_array_length(vms));
}

/* All that is a word; the pid, too, for whoever looks for the process. */
static void info_write(struct metric_writer *writer, const struct guests *guests)
{
    static const struct metric info = {.name = "plimsoll_vm",
        .help = "A guest, and the rules that it is under.",
        .type = METRIC_INFO};
    static const char *const words[] = {"kind", "kind_reason", "mode", "monitor"};

    metric_begin(writer, &info);
    for (size_t i = 0; i < guests->count; i++) {
        const struct guest *guest = &guests->all[i];
        struct label_set labels = guest->labels;
        char class[VM_NAME_MAX];

        if (guest->uuid[0] && !guest->same)
            label_add(&labels, "pid", guest->pid);
        text_take(guest->vm, "class", class, sizeof(class));
        label_add(&labels, "class", class);
        for (size_t word = 0; word < ELEMENTSOF(words); word++)
            label_add(&labels, words[word], figure_word(guest->vm, words[word]));
        metric_u64(writer, labels.labels, 1);
    }
}

static void states_write(struct metric_writer *writer, const struct guests *guests)
{
    static const struct metric state = {.name = "plimsoll_vm_state",
        .help = "How the guest stands: 1 for the state that it is in."};

    metric_begin(writer, &state);
    for (size_t i = 0; i < guests->count; i++)
        figure_states(
            writer, &guests->all[i].labels, guests->all[i].vm, "state", states, ELEMENTSOF(states));
}

static bool has_word(struct json_object *list, const char *word)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *element = json_object_array_get_idx(list, i);
        if (json_object_is_type(element, json_type_string) &&
            strcmp(json_object_get_string(element), word) == 0)
            return true;
    }
    return false;
}

static void measures_write(struct metric_writer *writer, const struct guests *guests)
{
    static const struct metric measure = {
        .name = "plimsoll_vm_measure", .help = "Whether the guard has this measure in force."};

    metric_begin(writer, &measure);
    for (size_t i = 0; i < guests->count; i++) {
        struct json_object *list = field_get(guests->all[i].vm, "measures");
        const char *word;

        if (!json_object_is_type(list, json_type_array))
            continue;
        for (unsigned bit = 0; (word = status_measure_name(bit)); bit++) {
            struct label_set labels = guests->all[i].labels;
            label_add(&labels, "measure", word);
            metric_u64(writer, labels.labels, has_word(list, word) ? 1 : 0);
        }
    }
}

/* The kernel's number of the node that is the INDEX-th of the host's, if no other before it has
 * that number. */
static uint64_t node_id(struct json_object *nodes, size_t index)
{
    uint64_t id = figure_number(json_object_array_get_idx(nodes, index), "id");

    for (size_t i = 0; i < index; i++) {
        if (figure_number(json_object_array_get_idx(nodes, i), "id") == id)
            return UNKNOWN;
    }
    return id;
}

static void nodes_write(
    struct metric_writer *writer, const struct guests *guests, struct json_object *nodes)
{
    static const struct metric bytes = {.name = "plimsoll_vm_node_bytes",
        .unit = "bytes",
        .help = "What the guest holds on that NUMA node."};
    size_t count =
        json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;

    metric_begin(writer, &bytes);
    for (size_t i = 0; i < guests->count; i++) {
        struct json_object *list = field_get(guests->all[i].vm, "node_bytes");

        if (!json_object_is_type(list, json_type_array))
            continue;
        for (size_t node = 0; node < count && node < NODES_MAX; node++) {
            struct json_object *value = json_object_array_get_idx(list, node);
            struct label_set labels = guests->all[i].labels;
            char id[PID_MAX];

            if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
                !known(node_id(nodes, node)))
                continue;
            (void)snprintf(id, sizeof(id), "%" PRIu64, node_id(nodes, node));
            label_add(&labels, "node", id);
            metric_u64(writer, labels.labels, json_object_get_uint64(value));
        }
    }
}

void metrics_vm_write(struct metric_writer *writer, struct json_object *status)
{
    struct json_object *vms = field_get(status, "vms");
    struct guests guests = {0};

    if (guests_read(vms, &guests) < 0) {
        writer->failed = true;
        return;
    }
    count_write(writer, vms);
    info_write(writer, &guests);
    states_write(writer, &guests);
    for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
        metric_begin(writer, &figures[i].metric);
        for (size_t guest = 0; guest < guests.count; guest++)
            figure_sample(writer, &guests.all[guest].labels, guests.all[guest].vm, &figures[i]);
    }
    measures_write(writer, &guests);
    nodes_write(writer, &guests, field_get(field_get(status, "host"), "nodes"));
    free(guests.all);
}
