/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the wrapping of smartcols. smartcols can cut columns but not leave them out, so the widths
 * of all cells are kept track of here, in columns of the terminal, not in bytes.
 */
#include "view_table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* Between two columns. */
#define COLUMN_GAP 1

struct view_table {
    const struct view_column *columns;
    unsigned column_count;
    struct libscols_table *table;
    struct libscols_line *line; /* the last */
    struct libscols_column *handles[VIEW_COLUMNS_MAX];
    unsigned widths[VIEW_COLUMNS_MAX]; /* of the widest cell */
    bool hidden[VIEW_COLUMNS_MAX];
};

/* Columns of a terminal; what the locale cannot show smartcols writes as \xNN. */
static unsigned text_width(const char *text)
{
    wchar_t wide[FIELD_MAX];
    size_t length = mbstowcs(wide, text, FIELD_MAX);
    int width = length < FIELD_MAX ? wcswidth(wide, length) : -1;

    return width >= 0 ? (unsigned)width : 4 * (unsigned)strlen(text);
}

int view_table_new(
    const struct view_column *columns, unsigned column_count, struct view_table **ret_table)
{
    CLEANUP(view_table_free_at) struct view_table *table = calloc(1, sizeof(*table));

    if (!table)
        return -ENOMEM;
    table->columns = columns;
    table->column_count = column_count;
    table->table = scols_new_table();
    if (!table->table)
        return -ENOMEM;
    for (unsigned i = 0; i < column_count; i++) {
        int flags = (columns[i].right ? SCOLS_FL_RIGHT : 0) | (columns[i].cut ? SCOLS_FL_TRUNC : 0);

        table->handles[i] = scols_table_new_column(table->table, columns[i].title, 0, flags);
        if (!table->handles[i])
            return -ENOMEM;
        table->widths[i] = text_width(columns[i].title);
    }
    *ret_table = STEAL(table);
    return 0;
}

struct view_table *view_table_free(struct view_table *table)
{
    if (!table)
        return NULL;
    scols_unref_table(table->table);
    free(table);
    return NULL;
}

int view_table_add(struct view_table *table, char cells[][FIELD_MAX])
{
    table->line = scols_table_new_line(table->table, NULL);
    if (!table->line)
        return -ENOMEM;
    for (unsigned i = 0; i < table->column_count; i++) {
        unsigned width = text_width(cells[i]);

        if (scols_line_set_data(table->line, i, cells[i]) < 0)
            return -ENOMEM;
        if (width > table->widths[i])
            table->widths[i] = width;
    }
    return 0;
}

int view_table_colour(struct view_table *table, unsigned column, const char *colour)
{
    struct libscols_cell *cell = scols_line_get_cell(table->line, column);

    return colour && scols_cell_set_color(cell, colour) < 0 ? -ENOMEM : 0;
}

static unsigned table_width(const struct view_table *table, unsigned cut_width)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < table->column_count; i++) {
        unsigned width = table->widths[i];

        if (table->hidden[i])
            continue;
        if (table->columns[i].cut && width > cut_width)
            width = cut_width;
        sum += width + (sum ? COLUMN_GAP : 0);
    }
    return sum;
}

void view_table_hide(struct view_table *table, unsigned column)
{
    table->hidden[column] = true;
    (void)scols_column_set_flags(
        table->handles[column], scols_column_get_flags(table->handles[column]) | SCOLS_FL_HIDDEN);
}

void view_table_fit(struct view_table *table, unsigned width, unsigned cut_width,
    const unsigned *expendable, unsigned expendable_count)
{
    for (unsigned i = 0; i < expendable_count && table_width(table, cut_width) > width; i++)
        view_table_hide(table, expendable[i]);
}

int view_table_print(struct view_table *table, const struct style *style, FILE *out)
{
    (void)scols_table_set_stream(table->table, out);
    (void)scols_table_enable_colors(table->table, style->colours);
    if (style->width > 0) {
        (void)scols_table_set_termforce(table->table, SCOLS_TERMFORCE_ALWAYS);
        (void)scols_table_set_termwidth(table->table, style->width);
    } else {
        (void)scols_table_set_termforce(table->table, SCOLS_TERMFORCE_NEVER);
    }
    return scols_print_table(table->table) < 0 ? -EIO : 0;
}
