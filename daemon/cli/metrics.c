/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns which metrics there are of the guard, the host, the budget and the nodes: their names, which
 * dashboards and alert rules rely on and which are added to, never changed. Tables of fields; the
 * families that the pools have alike are put together out of a pool's word and a field's.
 */
#include "metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>

#include "counts.h"
#include "field.h"

#define METRIC_PREFIX "plimsoll_"
/* What the longest family, and its words, need. */
#define METRIC_NAME_MAX 80
#define METRIC_HELP_MAX 200

static const struct label_set no_labels = {0};

/* ---- the guard ---- */

static void up_write(struct metric_writer *writer, bool up)
{
    static const struct metric reached = {.name = "plimsoll_up",
        .help = "Whether the guard has answered; without it there is no other figure of its."};
    static const struct metric command = {.name = "plimsoll_command",
        .help = "The command that wrote these metrics.",
        .type = METRIC_INFO};
    struct label_set labels = {0};

    metric_begin(writer, &reached);
    metric_u64(writer, NULL, up ? 1 : 0);
    metric_begin(writer, &command);
    label_add(&labels, "version", PLIMSOLL_VERSION);
    metric_u64(writer, labels.labels, 1);
}

static const char *const bands[] = {"calm", "tight", "scarce", "critical"};
static_assert(ELEMENTSOF(bands) == BAND_COUNT, "a band has no word");
static const char *const modes[] = {"dry-run", "enforce", "held"};
static_assert(ELEMENTSOF(modes) == MODE_COUNT + 1, "a mode, or a hold, has no word");

static void guard_write(struct metric_writer *writer, struct json_object *status)
{
    static const struct metric info = {
        .name = "plimsoll_guard", .help = "The guard that answered.", .type = METRIC_INFO};
    static const struct metric mode = {.name = "plimsoll_mode",
        .help = "The mode of the guard: in dry-run, or held for a time, it takes nothing."};
    static const struct metric band = {
        .name = "plimsoll_band", .help = "How near the edge the worst pool is."};
    static const struct figure figures[] = {
        {{"plimsoll_start_timestamp_seconds", "seconds", "When the guard began, since 1970.",
             METRIC_GAUGE},
            "counts", "since", FIGURE_SECONDS},
        {{"plimsoll_last_tick_timestamp_seconds", "seconds",
             "When the guard last looked at the host, since 1970.", METRIC_GAUGE},
            NULL, "realtime", FIGURE_SECONDS},
        {{"plimsoll_ticks", NULL, "The guard's looks at the host since it began.", METRIC_COUNTER},
            NULL, "sequence", FIGURE_BYTES},
        {{"plimsoll_sprint", NULL, "Whether there is less time left than a proper pause may need.",
             METRIC_GAUGE},
            NULL, "sprint", FIGURE_BOOLEAN},
    };
    struct json_object *host = field_get(status, "host");
    char version[FIELD_MAX];
    struct label_set labels = {0};

    if (strcmp(field_text(status, "version", version), FIELD_UNKNOWN) != 0)
        label_add(&labels, "version", version);
    label_add(&labels, "mode", figure_word(host, "mode"));
    metric_begin(writer, &info);
    metric_u64(writer, labels.labels, 1);
    metric_begin(writer, &mode);
    figure_states(writer, &no_labels, host, "mode", modes, ELEMENTSOF(modes));
    for (size_t i = 0; i < ELEMENTSOF(figures); i++)
        figure_write(writer, status, &figures[i]);
    metric_begin(writer, &band);
    figure_states(writer, &no_labels, status, "band", bands, ELEMENTSOF(bands));
}

/* ---- pools ---- */

/* NAME is what stands behind the pool's word; so is HELP, in a sentence. */
static const struct figure pool_figures[] = {
    {{"total_bytes", "bytes", "Memory in all", METRIC_GAUGE}, NULL, "total", FIGURE_BYTES},
    {{"available_bytes", "bytes", "What can be taken before the kernel is out", METRIC_GAUGE}, NULL,
        "available", FIGURE_BYTES},
    {{"floor_bytes", "bytes", "What is never given away", METRIC_GAUGE}, NULL, "floor",
        FIGURE_BYTES},
    {{"headroom_bytes", "bytes", "Available less floor", METRIC_GAUGE}, NULL, "headroom",
        FIGURE_SIGNED},
    {{"pinned_bytes", "bytes", "Locked or pinned by guests, so that no balloon returns it",
         METRIC_GAUGE},
        NULL, "pinned", FIGURE_BYTES},
    {{"reserved_bytes", "bytes", "Of what is available, kept for guests that start", METRIC_GAUGE},
        NULL, "reserved", FIGURE_BYTES},
    {{"fill_rate_bytes_per_second", "bytes_per_second",
         "By how much headroom shrinks; negative where it grows", METRIC_GAUGE},
        NULL, "fill_rate", FIGURE_SIGNED},
    {{"time_to_exhaustion_seconds", "seconds",
         "How long headroom lasts like that; absent while it does not shrink", METRIC_GAUGE},
        NULL, "time_to_exhaustion", FIGURE_SECONDS},
};
static const struct figure pages_figures[] = {
    {{"free_bytes", "bytes", "What the kernel has free", METRIC_GAUGE}, NULL, "free", FIGURE_BYTES},
    {{"hugepages_bytes", "bytes", "In huge pages of all sizes", METRIC_GAUGE}, NULL,
        "hugepages_total", FIGURE_BYTES},
    {{"hugepages_free_bytes", "bytes", "In huge pages that are free", METRIC_GAUGE}, NULL,
        "hugepages_free", FIGURE_BYTES},
};
static const struct figure host_figures[] = {
    {{"plimsoll_host_swap_size_bytes", "bytes", "Swap in all.", METRIC_GAUGE}, NULL, "swap_total",
        FIGURE_BYTES},
    {{"plimsoll_host_swap_free_bytes", "bytes", "Swap that is free.", METRIC_GAUGE}, NULL,
        "swap_free", FIGURE_BYTES},
    {{"plimsoll_host_commit_limit_bytes", "bytes",
         "What the kernel would let be promised, with vm.overcommit_memory=2.", METRIC_GAUGE},
        NULL, "commit_limit", FIGURE_BYTES},
    {{"plimsoll_host_committed_bytes", "bytes", "What the kernel has promised.", METRIC_GAUGE},
        NULL, "committed", FIGURE_BYTES},
    {{"plimsoll_host_guests_held_bytes", "bytes", "What all guests together hold.", METRIC_GAUGE},
        NULL, "guests_held", FIGURE_BYTES},
    {{"plimsoll_host_guests_growth_bytes_per_second", "bytes_per_second",
         "By how much all guests together grow.", METRIC_GAUGE},
        NULL, "guests_growth", FIGURE_SIGNED},
    {{"plimsoll_host_fill_rate_most_bytes_per_second", "bytes_per_second",
         "The fastest that the host's memory can be filled, as measured at start.", METRIC_GAUGE},
        NULL, "fill_rate_most", FIGURE_BYTES},
    {{"plimsoll_host_oom_kills", NULL,
         "Kills by the kernel for want of memory, since it was booted.", METRIC_COUNTER},
        NULL, "oom_kills", FIGURE_BYTES},
};

/* A pool, or several of a kind, each with its labels. */
struct pool_family {
    const char *word; /* host, budget, node */
    const char *of;   /* in a sentence */
    struct json_object *objects[NODES_MAX];
    struct label_set labels[NODES_MAX];
    char ids[NODES_MAX][24]; /* what the labels point to; 20 digits */
    size_t count;
};

static void pool_add(struct pool_family *family, struct json_object *object)
{
    if (family->count < NODES_MAX && json_object_is_type(object, json_type_object))
        family->objects[family->count++] = object;
}

/* FIGURE with the pool's word before its name. */
static void pool_figure_write(
    struct metric_writer *writer, const struct pool_family *family, const struct figure *figure)
{
    char name[METRIC_NAME_MAX], help[METRIC_HELP_MAX];
    struct figure whole = *figure;

    (void)snprintf(name, sizeof(name), METRIC_PREFIX "%s_%s", family->word, figure->metric.name);
    (void)snprintf(help, sizeof(help), "%s; of %s.", figure->metric.help, family->of);
    whole.metric.name = name;
    whole.metric.help = help;
    metric_begin(writer, &whole.metric);
    for (size_t i = 0; i < family->count; i++)
        figure_sample(writer, &family->labels[i], family->objects[i], &whole);
}

static void pool_write(struct metric_writer *writer, const struct pool_family *family)
{
    char name[METRIC_NAME_MAX], help[METRIC_HELP_MAX];
    const struct metric band = {.name = name, .help = help};

    for (size_t i = 0; i < ELEMENTSOF(pool_figures); i++)
        pool_figure_write(writer, family, &pool_figures[i]);
    (void)snprintf(name, sizeof(name), METRIC_PREFIX "%s_band", family->word);
    (void)snprintf(help, sizeof(help), "How near the edge: the band of %s.", family->of);
    metric_begin(writer, &band);
    for (size_t i = 0; i < family->count; i++)
        figure_states(
            writer, &family->labels[i], family->objects[i], "band", bands, ELEMENTSOF(bands));
}

static void pages_write(struct metric_writer *writer, const struct pool_family *family)
{
    for (size_t i = 0; i < ELEMENTSOF(pages_figures); i++)
        pool_figure_write(writer, family, &pages_figures[i]);
}

static void pressure_write(struct metric_writer *writer, struct json_object *host)
{
    static const struct figure kinds[] = {
        {{"plimsoll_host_memory_pressure_seconds", "seconds",
             "For how long some, or all, of the host's tasks stood still for want of memory.",
             METRIC_COUNTER},
            "pressure", "some", FIGURE_SECONDS},
        {{0}, "pressure", "full", FIGURE_SECONDS},
    };

    metric_begin(writer, &kinds[0].metric);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        struct label_set labels = {0};
        label_add(&labels, "stalled", kinds[i].key);
        figure_sample(writer, &labels, host, &kinds[i]);
    }
}

/* By the kernel's number; one that comes twice is the first. */
static void nodes_write(struct metric_writer *writer, struct json_object *host)
{
    struct json_object *nodes = field_get(host, "nodes");
    struct pool_family family = {.word = "node", .of = "a NUMA node"};
    size_t count =
        json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;

    for (size_t i = 0; i < count && family.count < NODES_MAX; i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        size_t at = family.count, same = 0;

        if (!known(figure_number(node, "id")))
            continue;
        (void)snprintf(
            family.ids[at], sizeof(family.ids[at]), "%" PRIu64, figure_number(node, "id"));
        while (strcmp(family.ids[same], family.ids[at]) != 0)
            same++;
        if (same < at)
            continue;
        label_add(&family.labels[at], "node", family.ids[at]);
        pool_add(&family, node);
    }
    pool_write(writer, &family);
    pages_write(writer, &family);
}

static void pools_write(struct metric_writer *writer, struct json_object *status)
{
    struct json_object *host = field_get(status, "host");
    struct pool_family of_host = {.word = "host", .of = "the host"};
    struct pool_family of_budget = {.word = "budget", .of = "the budget of all guests"};

    pool_add(&of_host, host);
    pool_write(writer, &of_host);
    pages_write(writer, &of_host);
    for (size_t i = 0; i < ELEMENTSOF(host_figures); i++)
        figure_write(writer, host, &host_figures[i]);
    pressure_write(writer, host);
    pool_add(&of_budget, field_get(status, "budget"));
    pool_write(writer, &of_budget);
    nodes_write(writer, host);
}

/* ---- what the guard did ---- */

/* More than a guard has of either; what is behind that is left out. */
#define COUNTED_MAX ((size_t)2 * COUNTS_EVENTS_MAX)

/* The I-th of LIST, if it is the first that has this word under KEY. */
static struct json_object *counted_at(struct json_object *list, const char *key, size_t i)
{
    struct json_object *object = json_object_array_get_idx(list, i);
    const char *word = figure_word(object, key);

    for (size_t before = 0; word && before < i; before++) {
        if (field_is(json_object_array_get_idx(list, before), key, word))
            return NULL;
    }
    return word ? object : NULL;
}

/* The samples of FIGURE for each of the list NAME; WORD is its label and the field for that, and
 * MODE, if there is one, another label. */
static void counted_write(struct metric_writer *writer, struct json_object *counts,
    const char *name, const char *word, const char *mode, const struct figure *figure)
{
    struct json_object *list = field_get(counts, name);
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

    for (size_t i = 0; i < count && i < COUNTED_MAX; i++) {
        struct json_object *object = counted_at(list, word, i);
        struct label_set labels = {0};

        if (!object)
            continue;
        label_add(&labels, word, figure_word(object, word));
        label_add(&labels, "mode", mode);
        figure_sample(writer, &labels, object, figure);
    }
}

static void counts_write(struct metric_writer *writer, struct json_object *status)
{
    static const struct figure done = {
        {"plimsoll_actions", NULL,
            "What the guard did, and in the mode dry-run only decided, since it began.",
            METRIC_COUNTER},
        NULL, "done", FIGURE_BYTES};
    static const struct figure dry_run = {{0}, NULL, "dry_run", FIGURE_BYTES};
    static const struct figure failed = {
        {"plimsoll_action_failures", NULL, "What the guard tried in vain, since it began.",
            METRIC_COUNTER},
        NULL, "failed", FIGURE_BYTES};
    static const struct figure said = {
        {"plimsoll_alerts", NULL, "Lines of the guard in the system's log, since it began.",
            METRIC_COUNTER},
        NULL, "said", FIGURE_BYTES};
    struct json_object *counts = field_get(status, "counts");

    metric_begin(writer, &done.metric);
    counted_write(writer, counts, "actions", "action", "enforce", &done);
    counted_write(writer, counts, "actions", "action", "dry-run", &dry_run);
    metric_begin(writer, &failed.metric);
    counted_write(writer, counts, "actions", "action", NULL, &failed);
    metric_begin(writer, &said.metric);
    counted_write(writer, counts, "alerts", "event", NULL, &said);
}

int metrics_write(struct json_object *status, enum metric_format format, FILE *out)
{
    struct metric_writer writer;

    metric_writer_begin(&writer, format, out);
    up_write(&writer, status != NULL);
    if (status) {
        guard_write(&writer, status);
        pools_write(&writer, status);
        metrics_vm_write(&writer, status);
        counts_write(&writer, status);
    }
    return metric_writer_end(&writer);
}
