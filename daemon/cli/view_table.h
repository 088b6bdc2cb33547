/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of text on smartcols that can be made to fit a terminal by giving up columns.
 */
#ifndef PLIMSOLL_CLI_VIEW_TABLE_H
#define PLIMSOLL_CLI_VIEW_TABLE_H

#include "field.h"
#include "status_view.h"

#include <plimsoll/cleanup.h>
#include <stdbool.h>
#include <stdio.h>

#define VIEW_COLUMNS_MAX 10

struct view_column {
    const char *title;
    bool right; /* aligned, as numbers are */
    bool cut;   /* may be cut to fit */
};

struct view_table;

/* All return 0 or -ENOMEM. COLUMNS stay the caller's. */
int view_table_new(
    const struct view_column *columns, unsigned column_count, struct view_table **ret_table);
struct view_table *view_table_free(struct view_table *table);
DEFINE_CLEANUP(struct view_table *, view_table_free);

/* One row; CELLS as many as there are columns, copied. */
int view_table_add(struct view_table *table, char cells[][FIELD_MAX]);
/* Colours COLUMN of the row added last; NULL: not. */
int view_table_colour(struct view_table *table, unsigned column, const char *colour);
void view_table_hide(struct view_table *table, unsigned column);
/* Hides the EXPENDABLE columns in their order until all fits WIDTH, cut ones counted with at most
 * CUT_WIDTH. */
void view_table_fit(struct view_table *table, unsigned width, unsigned cut_width,
    const unsigned *expendable, unsigned expendable_count);
int view_table_print(struct view_table *table, const struct style *style, FILE *out);

#endif
