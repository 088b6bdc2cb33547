/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests of the last status as what a table shows, with what only several statuses tell: how
 * fast each grows. A guest is the same in the next one by its uuid and its process.
 */
#ifndef PLIMSOLL_CLI_TOP_GUESTS_H
#define PLIMSOLL_CLI_TOP_GUESTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "field.h"

/* More than a guard has (max-vms=); of a reply with more these are shown. */
#define GUESTS_MAX 4096
/* Growth is taken over so many statuses: long enough not to jump, short enough to be news. */
#define GUEST_TRAIL 8

enum guest_column {
    GUEST_NAME,
    GUEST_CLASS,
    GUEST_MODE,
    GUEST_STATE,
    GUEST_RSS,
    GUEST_BAR, /* RSS as a share of the maximum */
    GUEST_GROWTH,
    GUEST_PINNED,
    GUEST_MEASURES,
    GUEST_COLUMN_COUNT,
};

struct guest_key {
    char uuid[FIELD_MAX];
    int64_t pid;
};

struct guest {
    struct guest_key key;
    struct json_object *vm; /* of the status that is kept */
    char name[FIELD_MAX], class_name[FIELD_MAX], mode[FIELD_MAX], state[FIELD_MAX];
    char measures[FIELD_MAX]; /* with commas between */
    uint64_t rss, pinned, minimum, maximum, balloon;
    int64_t growth; /* bytes per second */
    bool has_growth;
    struct {
        uint64_t time, rss;
    } trail[GUEST_TRAIL]; /* the oldest first */
    unsigned trail_count;
};

/* Begins zeroed. */
struct guests {
    struct json_object *status; /* which all point into */
    struct guest *list;
    size_t count;
    size_t left_out; /* beyond GUESTS_MAX */
};

/* Takes STATUS over in place of the last. 0 or -ENOMEM, with the last one left. */
int guests_take(struct guests *guests, struct json_object *status);
void guests_clear(struct guests *guests);
bool guest_is(const struct guest *guest, const struct guest_key *key);

/* Into ORDER, of as many as there are guests, those whose name holds FILTER (by letters of either
 * case), sorted; equal ones by name. Returns how many. What is unknown comes last either way. */
size_t guests_order(const struct guests *guests, enum guest_column column, bool reverse,
    const char *filter, const struct guest **order);

/* A column's heading. */
const char *guest_column_title(enum guest_column column);

#endif
