/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of the model somebody looks at: the page, the order, the guest that is chosen. Keys change
 * it, and nothing else.
 */
#ifndef PLIMSOLL_CLI_TOP_VIEWER_H
#define PLIMSOLL_CLI_TOP_VIEWER_H

#include <stdbool.h>
#include <stddef.h>

#include "guests.h"
#include "keys.h"
#include "model.h"

/* Bytes of a filter with its NUL: nobody types a longer one. */
#define VIEW_FILTER_MAX 64

enum viewer_page {
    VIEW_TABLE,
    VIEW_GUEST,
    VIEW_HELP,
};

struct viewer {
    enum viewer_page page;
    enum guest_column sort;
    bool reverse;
    char filter[VIEW_FILTER_MAX];
    bool filtering; /* it is being typed */
    bool paused;
    /* Until a guest is chosen the first one is, whoever that is. */
    bool chosen;
    struct guest_key selected;
    /* Of the model's guests, those that are shown; by viewer_update(). */
    const struct guest **order;
    size_t count, capacity;
    size_t position; /* of the selected one */
    /* By whoever draws. */
    size_t first;                     /* the one in the topmost row */
    size_t rows;                      /* room for so many */
    bool columns[GUEST_COLUMN_COUNT]; /* which are shown */
    size_t scroll, scroll_end;        /* rows of a page that is longer than the screen */
};

enum viewer_result {
    VIEW_STAYS,
    VIEW_CHANGED,
    VIEW_LOST, /* the screen is to be drawn anew */
    VIEW_ENDS,
};

/* Sorted as at the start. */
void viewer_begin(struct viewer *view);
void viewer_clear(struct viewer *view);
/* After each change of the model, and of the view. 0 or -ENOMEM. */
int viewer_update(struct viewer *view, const struct model *model);
enum viewer_result viewer_key(struct viewer *view, const struct key *key);
/* Puts the selected guest into the rows that are shown, ROWS of them. */
void viewer_fit(struct viewer *view, size_t rows);
/* The selected guest; NULL: it is gone, or there is none. */
const struct guest *viewer_selected(const struct viewer *view);

#endif
