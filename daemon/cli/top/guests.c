/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the guests. Theory of operation:
 *
 * Each status makes a new list. What a guest has of the past, its trail of RSS, is looked up in the
 * list before by the guest's key, through an index sorted by it: a look at each of a thousand for
 * each of a thousand would be felt. All that is compared and shown is cleaned and cut by field.h.
 */
#include "guests.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

/* Guests that fill the same thousandth of their maximum are equal. */
#define SHARE_WHOLE 1000

static const char *const titles[] = {
    [GUEST_NAME] = "NAME",
    [GUEST_CLASS] = "CLASS",
    [GUEST_MODE] = "MODE",
    [GUEST_STATE] = "STATE",
    [GUEST_RSS] = "RSS",
    [GUEST_BAR] = "RSS/MAXIMUM",
    [GUEST_GROWTH] = "GROWTH",
    [GUEST_PINNED] = "PINNED",
    [GUEST_MEASURES] = "MEASURES",
};
static_assert(ELEMENTSOF(titles) == GUEST_COLUMN_COUNT, "a column has no title");

const char *guest_column_title(enum guest_column column)
{
    return titles[column];
}

static int key_compare(const struct guest_key *a, const struct guest_key *b)
{
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return strcmp(a->uuid, b->uuid);
}

bool guest_is(const struct guest *guest, const struct guest_key *key)
{
    return key_compare(&guest->key, key) == 0;
}

static void measures_format(struct json_object *vm, char *text)
{
    struct json_object *measures = field_get(vm, "measures");
    size_t count =
        json_object_is_type(measures, json_type_array) ? json_object_array_length(measures) : 0;
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count && used < FIELD_MAX; i++) {
        struct json_object *word = json_object_array_get_idx(measures, i);
        if (!json_object_is_type(word, json_type_string))
            continue;
        /* The order of the kernel's victims stands on nearly every guest, and says nothing here. */
        if (strcmp(json_object_get_string(word), "oom-score") == 0)
            continue;
        int length = snprintf(
            text + used, FIELD_MAX - used, "%s%s", used ? "," : "", json_object_get_string(word));
        used += length > 0 ? (size_t)length : 0;
    }
}

static void guest_read(struct guest *guest, struct json_object *vm)
{
    struct json_object *balloon = field_get(vm, "balloon");
    struct json_object *pid = field_get(vm, "pid");

    *guest = (struct guest){.vm = vm,
        .rss = field_u64(vm, "rss"),
        .pinned = field_u64(vm, "pinned"),
        .minimum = field_u64(vm, "minimum"),
        .maximum = field_u64(vm, "maximum"),
        .balloon = field_u64(balloon, "actual")};
    guest->key.pid = json_object_is_type(pid, json_type_int) ? json_object_get_int64(pid) : -1;
    (void)field_text(vm, "uuid", guest->key.uuid);
    (void)field_text(vm, "name", guest->name);
    (void)field_text(vm, "class", guest->class_name);
    (void)field_text(vm, "mode", guest->mode);
    (void)field_text(vm, "state", guest->state);
    measures_format(vm, guest->measures);
}

static void trail_add(struct guest *guest, const struct guest *before, uint64_t time)
{
    if (before && before->trail_count > 0) {
        memcpy(guest->trail, before->trail, sizeof(guest->trail));
        guest->trail_count = before->trail_count;
        /* The guard's clock was set back, or it has not looked since. */
        if (time <= guest->trail[guest->trail_count - 1].time)
            guest->trail_count =
                time == guest->trail[guest->trail_count - 1].time ? guest->trail_count - 1 : 0;
    }
    if (!known(guest->rss) || !known(time)) {
        guest->trail_count = 0;
        return;
    }
    if (guest->trail_count == GUEST_TRAIL) {
        memmove(guest->trail, guest->trail + 1, sizeof(guest->trail) - sizeof(guest->trail[0]));
        guest->trail_count--;
    }
    guest->trail[guest->trail_count].time = time;
    guest->trail[guest->trail_count++].rss = guest->rss;
    uint64_t passed = time - guest->trail[0].time;
    guest->has_growth = passed > 0;
    if (!guest->has_growth)
        return;
    bool shrinks = guest->rss < guest->trail[0].rss;
    uint64_t bytes = shrinks ? guest->trail[0].rss - guest->rss : guest->rss - guest->trail[0].rss;
    int64_t rate = (int64_t)min_u64(scale_u64(bytes, NSEC_PER_SEC, passed), INT64_MAX);
    guest->growth = shrinks ? -rate : rate;
}

static int by_key(const void *a, const void *b)
{
    const struct guest *const *one = a, *const *other = b;

    return key_compare(&(*one)->key, &(*other)->key);
}

static int key_search(const void *key, const void *element)
{
    const struct guest *const *guest = element;

    return key_compare(key, &(*guest)->key);
}

/* The guests before, sorted by key; NULL: no memory, or none. */
static const struct guest **index_new(const struct guests *guests)
{
    const struct guest **index = calloc(guests->count + 1, sizeof(const struct guest *));

    if (!index)
        return NULL;
    for (size_t i = 0; i < guests->count; i++)
        index[i] = &guests->list[i];
    qsort(index, guests->count, sizeof(const struct guest *), by_key);
    return index;
}

int guests_take(struct guests *guests, struct json_object *status)
{
    struct json_object *vms = field_get(status, "vms");
    size_t given = json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0;
    size_t count = given < GUESTS_MAX ? given : GUESTS_MAX;
    struct guest *list = calloc(count + 1, sizeof(*list));
    const struct guest **index = index_new(guests);
    uint64_t time = field_u64(status, "realtime");

    if (!list || !index) {
        free(list);
        free(index);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        guest_read(&list[i], json_object_array_get_idx(vms, i));
        const struct guest **before =
            bsearch(&list[i].key, index, guests->count, sizeof(const struct guest *), key_search);
        trail_add(&list[i], before ? *before : NULL, time);
    }
    free(index);
    guests_clear(guests);
    guests->status = json_object_get(status);
    guests->list = list;
    guests->count = count;
    guests->left_out = given - count;
    return 0;
}

void guests_clear(struct guests *guests)
{
    free(guests->list);
    json_object_put(guests->status);
    *guests = (struct guests){0};
}

/* ---- order ---- */

struct order {
    enum guest_column column;
    bool reverse;
};

/* What a column of figures is sorted by; false: nobody knows it. */
static bool guest_figure(const struct guest *guest, enum guest_column column, int64_t *ret_figure)
{
    uint64_t figure = UNKNOWN;

    if (column == GUEST_GROWTH) {
        *ret_figure = guest->growth;
        return guest->has_growth;
    }
    if (column == GUEST_RSS)
        figure = guest->rss;
    else if (column == GUEST_PINNED)
        figure = guest->pinned;
    else if (known(guest->maximum) && guest->maximum > 0 && known(guest->rss))
        figure = scale_u64(guest->rss, SHARE_WHOLE, guest->maximum);
    if (!known(figure))
        return false;
    *ret_figure = (int64_t)min_u64(figure, INT64_MAX);
    return true;
}

static const char *guest_words(const struct guest *guest, enum guest_column column)
{
    switch (column) {
    case GUEST_CLASS:
        return guest->class_name;
    case GUEST_MODE:
        return guest->mode;
    case GUEST_STATE:
        return guest->state;
    case GUEST_MEASURES:
        return guest->measures;
    case GUEST_NAME:
    case GUEST_RSS:
    case GUEST_BAR:
    case GUEST_GROWTH:
    case GUEST_PINNED:
    case GUEST_COLUMN_COUNT:
        break;
    }
    return guest->name;
}

/* Words from a to z, figures from the largest; who has no measure comes behind who has. */
static int column_compare(const struct guest *a, const struct guest *b, const struct order *order)
{
    bool figures = order->column == GUEST_RSS || order->column == GUEST_BAR ||
                   order->column == GUEST_GROWTH || order->column == GUEST_PINNED;
    int result;

    if (figures) {
        int64_t one = 0, other = 0;
        bool knows = guest_figure(a, order->column, &one);
        bool other_knows = guest_figure(b, order->column, &other);
        if (!knows || !other_knows)
            return (int)other_knows - (int)knows;
        result = (one < other) - (one > other);
    } else {
        const char *one = guest_words(a, order->column), *other = guest_words(b, order->column);
        if (!*one || !*other)
            return (*other != '\0') - (*one != '\0');
        result = strcmp(one, other);
    }
    return order->reverse ? -result : result;
}

static int by_order(const void *a, const void *b, void *userdata)
{
    const struct guest *const *one = a, *const *other = b;
    int result = column_compare(*one, *other, userdata);

    if (result == 0)
        result = strcmp((*one)->name, (*other)->name);
    return result != 0 ? result : by_key(a, b);
}

size_t guests_order(const struct guests *guests, enum guest_column column, bool reverse,
    const char *filter, const struct guest **order)
{
    struct order how = {.column = column, .reverse = reverse};
    size_t count = 0;

    for (size_t i = 0; i < guests->count; i++)
        if (!filter[0] || strcasestr(guests->list[i].name, filter))
            order[count++] = &guests->list[i];
    qsort_r(order, count, sizeof(const struct guest *), by_order, &how);
    return count;
}
