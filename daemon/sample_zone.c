/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; one pass over zoneinfo's lines. The file grows with CPUs × zones, so it is walked
 * and never held whole.
 *
 * A zone begins with "Node N, zone NAME" and says, each on a line of its own, `min`, `low`, `high`,
 * `managed` and `protection: (a, b, …)`. Further down its per-CPU lists have a `high:` of their
 * own, which the colon tells from the watermark.
 */
#include "sample_zone.h"

#include "kernel_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One zone while it is read, in pages. */
struct zone {
    bool open;
    uint32_t node;
    uint64_t min, low, high, managed, protection;
};

/* "protection: (0, 3019, 4939)": the largest is what this zone keeps from those above it. */
static uint64_t zone_protection(const char *cursor)
{
    uint64_t largest = 0, pages;

    while (*cursor == ' ' || *cursor == '(' || *cursor == ',') {
        cursor++;
        if (kernel_number_parse(&cursor, &pages))
            largest = max_u64(largest, pages);
    }
    return largest;
}

static bool zone_header(const char *line, uint32_t *ret_node)
{
    const char *cursor = line + strlen("Node");
    uint64_t node;

    if (strncmp(line, "Node ", strlen("Node ")) != 0 || !kernel_number_parse(&cursor, &node) ||
        *cursor != ',' || node > UINT32_MAX)
        return false;
    *ret_node = (uint32_t)node;
    return true;
}

static void zone_line(struct zone *zone, const char *line)
{
    const struct {
        const char *key;
        uint64_t *value;
    } fields[] = {
        {"min ", &zone->min},
        {"low ", &zone->low},
        {"high ", &zone->high},
        {"managed ", &zone->managed},
    };
    uint64_t pages;

    while (*line == ' ')
        line++;
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        size_t length = strlen(fields[i].key);
        if (strncmp(line, fields[i].key, length) != 0)
            continue;
        line += length;
        if (kernel_number_parse(&line, &pages) && *line == '\0')
            *fields[i].value = pages;
        return;
    }
    if (strncmp(line, "protection:", strlen("protection:")) == 0)
        zone->protection = zone_protection(line + strlen("protection:"));
}

static struct zone_node *zone_node_get(struct zone_sample *sample, uint32_t id)
{
    for (uint32_t i = 0; i < sample->node_count; i++)
        if (sample->nodes[i].id == id)
            return &sample->nodes[i];
    if (sample->node_count == NODES_MAX)
        return NULL;
    struct zone_node *node = &sample->nodes[sample->node_count++];
    *node = (struct zone_node){.id = id};
    return node;
}

static uint64_t bytes_of(uint64_t pages, uint64_t page)
{
    uint64_t bytes;

    return __builtin_mul_overflow(pages, page, &bytes) ? UNKNOWN - 1 : bytes;
}

/* Adds a zone that was read to the sums. Its reserve is calculate_totalreserve_pages()'s
 * (mm/page_alloc.c): the largest protection plus the high watermark, no more than it manages. */
static void zone_finish(struct zone *zone, uint64_t page, struct zone_sample *sample)
{
    if (!zone->open)
        return;
    zone->open = false;
    sample->min = add_held(sample->min, bytes_of(zone->min, page));
    sample->low = add_held(sample->low, bytes_of(zone->low, page));
    sample->high = add_held(sample->high, bytes_of(zone->high, page));
    struct zone_node *node = zone_node_get(sample, zone->node);
    if (!node)
        return;
    uint64_t reserve = min_u64(add_held(zone->protection, zone->high), zone->managed);
    node->low = add_held(node->low, bytes_of(zone->low, page));
    node->reserve = add_held(node->reserve, bytes_of(reserve, page));
}

int zone_sample_read(int fd, struct zone_sample *ret_sample)
{
    struct zone_sample sample = {.node_count = 0};
    struct zone zone = {.open = false};
    struct kernel_lines lines;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    bool seen = false;
    uint32_t id;
    char *line;

    kernel_lines_begin(&lines, fd);
    while ((line = kernel_lines_next(&lines))) {
        if (zone_header(line, &id)) {
            zone_finish(&zone, page, &sample);
            zone = (struct zone){.open = true, .node = id};
            seen = true;
        } else if (zone.open) {
            zone_line(&zone, line);
        }
    }
    zone_finish(&zone, page, &sample);
    if (!seen)
        return -EBADMSG;
    *ret_sample = sample;
    return 0;
}

const struct zone_node *zone_sample_find(const struct zone_sample *sample, uint32_t id)
{
    for (uint32_t i = 0; i < sample->node_count; i++)
        if (sample->nodes[i].id == id)
            return &sample->nodes[i];
    return NULL;
}
