/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what `plimsoll status` looks like. Theory of operation:
 *
 * First what matters most in words: a guard in dry run, the band. Then a table of pools and a table
 * of guests. On a terminal the guests' table must fit its width: columns are given up one after
 * another, least needed first, until the name has room; the name alone is ever cut, and a column of
 * nothing but zeros, or of the mode that the heading tells, is left out. What is no terminal gets
 * every column in full, so that a pipe loses nothing.
 */
#include "status_view.h"

#include "field.h"
#include "look.h"
#include "text.h"
#include "view_table.h"

#include <assert.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdlib.h>
#include <string.h>

/* A name with less room than this cannot be told from its neighbours. */
#define NAME_WIDTH_MIN 24

/* Behind the class of a guest that nobody has said anything of. */
#define UNMATCHED_MARK "*"

enum vm_column {
    COLUMN_NAME,
    COLUMN_CLASS,
    COLUMN_MODE,
    COLUMN_STATE,
    COLUMN_RSS,
    COLUMN_PINNED,
    COLUMN_BALLOON,
    COLUMN_MINIMUM,
    COLUMN_KIND,
    COLUMN_REASON,
    COLUMN_COUNT,
};

static const struct view_column vm_columns[] = {
    {.title = "NAME", .cut = true},
    {.title = "CLASS"},
    {.title = "MODE"},
    {.title = "STATE"},
    {.title = "RSS", .right = true},
    {.title = "PINNED", .right = true},
    {.title = "BALLOON", .right = true},
    {.title = "MIN", .right = true},
    {.title = "KIND"},
    {.title = "WHY"},
};
static_assert(ELEMENTSOF(vm_columns) == COLUMN_COUNT, "each column is described");

/* Given up in this order; a name, a state and a size stay, without them it is no status. */
static const unsigned vm_expendable[] = {COLUMN_REASON, COLUMN_CLASS, COLUMN_PINNED, COLUMN_MINIMUM,
    COLUMN_KIND, COLUMN_BALLOON, COLUMN_MODE};

static const struct view_column pool_columns[] = {
    {.title = "POOL"},
    {.title = "BAND"},
    {.title = "TOTAL", .right = true},
    {.title = "AVAILABLE", .right = true},
    {.title = "FLOOR", .right = true},
    {.title = "HEADROOM", .right = true},
    {.title = "FILLING", .right = true},
    {.title = "EXHAUSTED IN", .right = true},
};

static int pool_add(struct view_table *table, const char *name, struct json_object *pool)
{
    char cells[ELEMENTSOF(pool_columns)][FIELD_MAX];
    int row;

    (void)snprintf(cells[0], FIELD_MAX, "%s", name);
    (void)field_text(pool, "band", cells[1]);
    (void)field_bytes(pool, "total", cells[2]);
    (void)field_bytes(pool, "available", cells[3]);
    (void)field_bytes(pool, "floor", cells[4]);
    (void)field_signed_bytes(pool, "headroom", "", cells[5]);
    (void)field_signed_bytes(pool, "fill_rate", "/s", cells[6]);
    (void)field_time(pool, "time_to_exhaustion", cells[7]);
    row = view_table_add(table, cells);
    return row < 0 ? row : view_table_colour(table, 1, look_band(pool));
}

static int nodes_add(struct view_table *table, struct json_object *nodes)
{
    size_t count =
        json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;
    char name[32];
    int result = 0;

    /* A single node is the host. */
    for (size_t i = 0; count > 1 && i < count && result == 0; i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);

        (void)snprintf(name, sizeof(name), "node %u", (unsigned)field_u64(node, "id"));
        result = pool_add(table, name, node);
    }
    return result;
}

static int pools_print(struct json_object *status, const struct style *style, FILE *out)
{
    CLEANUP(view_table_free_at) struct view_table *table = NULL;
    struct json_object *host = field_get(status, "host"), *budget = field_get(status, "budget");
    int result = view_table_new(pool_columns, ELEMENTSOF(pool_columns), &table);

    if (result == 0)
        result = pool_add(table, "host", host);
    if (result == 0 && budget)
        result = pool_add(table, "budget", budget);
    if (result == 0)
        result = nodes_add(table, field_get(host, "nodes"));
    return result == 0 ? view_table_print(table, style, out) : result;
}

static void reason_format(struct json_object *vm, char *cell)
{
    (void)field_text(vm, "kind_reason", cell);
    if (strcmp(cell, "none") == 0)
        (void)snprintf(cell, FIELD_MAX, FIELD_UNKNOWN);
}

/* Marked where nobody has chosen it: what the legend says. */
static void class_format(struct json_object *vm, char *cell)
{
    char class_name[FIELD_MAX];

    (void)field_text(vm, "class", class_name);
    (void)snprintf(cell, FIELD_MAX, "%.64s%s", class_name,
        field_is_true(vm, "unmatched") ? UNMATCHED_MARK : "");
}

static void balloon_format(struct json_object *balloon, char *cell)
{
    char actual[FIELD_MAX], target[FIELD_MAX];

    (void)field_bytes(balloon, "actual", actual);
    (void)field_bytes(balloon, "target", target);
    /* Arrived, it is one figure. */
    if (!known(field_u64(balloon, "target")) || strcmp(actual, target) == 0)
        (void)snprintf(cell, FIELD_MAX, "%s", actual);
    else
        (void)snprintf(cell, FIELD_MAX, "%.32s/%.32s", actual, target);
}

static int vm_add(struct view_table *table, struct json_object *vm)
{
    char cells[COLUMN_COUNT][FIELD_MAX];
    int row;

    (void)field_text(vm, "name", cells[COLUMN_NAME]);
    class_format(vm, cells[COLUMN_CLASS]);
    (void)field_text(vm, "mode", cells[COLUMN_MODE]);
    (void)field_text(vm, "state", cells[COLUMN_STATE]);
    (void)field_bytes(vm, "rss", cells[COLUMN_RSS]);
    (void)field_bytes(vm, "pinned", cells[COLUMN_PINNED]);
    balloon_format(field_get(vm, "balloon"), cells[COLUMN_BALLOON]);
    (void)field_bytes(vm, "minimum", cells[COLUMN_MINIMUM]);
    (void)field_text(vm, "kind", cells[COLUMN_KIND]);
    reason_format(vm, cells[COLUMN_REASON]);
    row = view_table_add(table, cells);
    return row < 0 ? row : view_table_colour(table, COLUMN_STATE, look_state(vm));
}

static bool any_pinned(struct json_object *vms, size_t count)
{
    bool pinned = false;

    for (size_t i = 0; i < count && !pinned; i++) {
        uint64_t bytes = field_u64(json_object_array_get_idx(vms, i), "pinned");
        pinned = known(bytes) && bytes > 0;
    }
    return pinned;
}

/* Some guest is not in the guard's own mode. */
static bool any_other_mode(struct json_object *vms, size_t count, const char *mode)
{
    bool other = false;

    for (size_t i = 0; i < count && !other; i++)
        other = !field_is(json_object_array_get_idx(vms, i), "mode", mode);
    return other;
}

static int vms_print(struct json_object *status, const struct style *style, FILE *out)
{
    CLEANUP(view_table_free_at) struct view_table *table = NULL;
    struct json_object *vms = field_get(status, "vms");
    char mode[FIELD_MAX];
    size_t count = json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0;
    int result;

    if (count == 0) {
        fputs("No guests.\n", out);
        return 0;
    }
    result = view_table_new(vm_columns, COLUMN_COUNT, &table);
    for (size_t i = 0; i < count && result == 0; i++)
        result = vm_add(table, json_object_array_get_idx(vms, i));
    if (result < 0)
        return result;
    if (style->width > 0 && !any_pinned(vms, count))
        view_table_hide(table, COLUMN_PINNED);
    (void)field_text(field_get(status, "host"), "mode", mode);
    if (style->width > 0 && !any_other_mode(vms, count, mode))
        view_table_hide(table, COLUMN_MODE);
    if (style->width > 0)
        view_table_fit(
            table, style->width, NAME_WIDTH_MIN, vm_expendable, ELEMENTSOF(vm_expendable));
    return view_table_print(table, style, out);
}

/* What the table cannot show: whom an operator has overlooked, and who goes first. */
static void legend_print(struct json_object *status, const struct style *style, FILE *out)
{
    struct json_object *vms = field_get(status, "vms");
    size_t count = json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0;
    size_t unmatched = 0;
    char name[FIELD_MAX] = "", text[2 * FIELD_MAX];

    for (size_t i = 0; i < count; i++) {
        struct json_object *vm = json_object_array_get_idx(vms, i);
        unmatched += field_is_true(vm, "unmatched");
        if (field_u64(vm, "victim_order") == 1)
            (void)field_text(vm, "name", name);
    }
    if (unmatched == 0 && name[0] == '\0')
        return;
    fputc('\n', out);
    (void)snprintf(text, sizeof(text),
        UNMATCHED_MARK " no [vm …] section fits, and its metadata says nothing: %zu guest%s",
        unmatched, unmatched == 1 ? "" : "s");
    if (unmatched > 0)
        terminal_wrap(style, text, 0, 2, out);
    (void)snprintf(text, sizeof(text),
        "If one had to be killed, %s would go first; plimsoll vm NAME shows how to protect it.",
        name);
    if (name[0] != '\0')
        terminal_wrap(style, text, 0, 0, out);
}

static void hold_print(struct json_object *hold, const struct style *style, FILE *out)
{
    char moment[TEXT_NUMBER_MAX], left[FIELD_MAX];

    if (!hold)
        return;
    (void)text_format_moment(field_u64(hold, "until"), moment, sizeof(moment));
    fprintf(out,
        "%sHELD until %s (%.32s): the guard watches and takes nothing new; plimsoll release ends "
        "it.%s\n",
        style->colours ? "\x1b[1;33m" : "", moment, field_time(hold, "remaining", left),
        style->colours ? "\x1b[0m" : "");
}

static void heading_print(struct json_object *status, const struct style *style, FILE *out)
{
    struct json_object *host = field_get(status, "host");
    char band[FIELD_MAX], mode[FIELD_MAX], worst[FIELD_MAX], node[FIELD_MAX] = "";
    bool dry = field_is(host, "mode", "dry-run");

    (void)field_text(status, "band", band);
    (void)field_text(status, "worst", worst);
    if (known(field_u64(status, "worst_node")))
        (void)snprintf(node, sizeof(node), " %u", (unsigned)field_u64(status, "worst_node"));
    (void)field_text(host, "mode", mode);
    if (dry)
        fprintf(out, "%sDRY RUN: the guard decides and reports, but touches nothing.%s\n",
            style->colours ? "\x1b[1;33m" : "", style->colours ? "\x1b[0m" : "");
    hold_print(field_get(status, "hold"), style, out);
    if (field_is(status, "band", "calm"))
        fprintf(out, "Band calm; mode %.32s.\n\n", mode);
    else
        fprintf(out, "Band %.32s, by the %.32s%.16s; mode %.32s.\n\n", band, worst, node, mode);
}

int status_view_print(struct json_object *status, const struct style *style, FILE *out)
{
    int result;

    heading_print(status, style, out);
    result = pools_print(status, style, out);
    if (result < 0)
        return result;
    fputc('\n', out);
    result = vms_print(status, style, out);
    if (result == 0)
        legend_print(status, style, out);
    if (result == 0 && (fflush(out) != 0 || ferror(out)))
        result = -EIO;
    return result;
}
