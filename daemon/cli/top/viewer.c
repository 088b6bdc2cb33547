/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what keys do. Theory of operation:
 *
 * A guest is selected by its key and not by its row, so that Enter opens the one that was looked
 * at, whatever the order became in between. When it is gone, the one in its place is selected.
 * Until somebody moves, nobody is: the first row is, and its guest changes with the order.
 */
#include "viewer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void viewer_begin(struct viewer *view)
{
    *view = (struct viewer){.page = VIEW_TABLE, .sort = GUEST_RSS, .rows = 1};
    for (size_t i = 0; i < GUEST_COLUMN_COUNT; i++)
        view->columns[i] = true;
}

void viewer_clear(struct viewer *view)
{
    free(view->order);
    view->order = NULL;
}

static void position_select(struct viewer *view, size_t position)
{
    view->position = position < view->count ? position : view->count - 1;
    if (view->count == 0) {
        view->position = 0;
        view->chosen = false;
        return;
    }
    view->chosen = true;
    view->selected = view->order[view->position]->key;
}

int viewer_update(struct viewer *view, const struct model *model)
{
    const struct guests *guests = &model->guests;

    if (guests->count > view->capacity || !view->order) {
        const struct guest **order = calloc(guests->count + 1, sizeof(const struct guest *));
        if (!order)
            return -ENOMEM;
        free(view->order);
        view->order = order;
        view->capacity = guests->count;
    }
    view->count = guests_order(guests, view->sort, view->reverse, view->filter, view->order);
    if (!view->chosen) {
        view->position = 0;
        return 0;
    }
    for (size_t i = 0; i < view->count; i++)
        if (guest_is(view->order[i], &view->selected)) {
            view->position = i;
            return 0;
        }
    /* An open page stays on its guest, which may be back. */
    if (view->page != VIEW_GUEST)
        position_select(view, view->position);
    return 0;
}

void viewer_fit(struct viewer *view, size_t rows)
{
    view->rows = rows > 0 ? rows : 1;
    if (view->first > view->position)
        view->first = view->position;
    if (view->position >= view->first + view->rows)
        view->first = view->position - view->rows + 1;
    if (view->first + view->rows > view->count)
        view->first = view->count > view->rows ? view->count - view->rows : 0;
}

const struct guest *viewer_selected(const struct viewer *view)
{
    if (view->position >= view->count)
        return NULL;
    if (view->chosen && !guest_is(view->order[view->position], &view->selected))
        return NULL;
    return view->order[view->position];
}

/* Up or down by ROWS, which may be more than there are. */
static void selection_move(struct viewer *view, bool down, size_t rows)
{
    size_t position = view->position;

    if (down)
        position = view->count - position > rows ? position + rows : view->count;
    else
        position = position > rows ? position - rows : 0;
    position_select(view, position);
}

static void page_scroll(struct viewer *view, bool down, size_t rows)
{
    if (down)
        view->scroll =
            view->scroll_end - view->scroll > rows ? view->scroll + rows : view->scroll_end;
    else
        view->scroll = view->scroll > rows ? view->scroll - rows : 0;
}

static void page_open(struct viewer *view, enum viewer_page page)
{
    view->page = page;
    view->scroll = 0;
    view->scroll_end = 0; /* until it was drawn */
}

static void rows_move(struct viewer *view, bool down, size_t rows)
{
    if (view->page == VIEW_TABLE)
        selection_move(view, down, rows);
    else
        page_scroll(view, down, rows);
}

/* The next column that is shown, or the one before. */
static void sort_choose(struct viewer *view, bool next)
{
    unsigned column = view->sort;

    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++) {
        column = (column + (next ? 1 : GUEST_COLUMN_COUNT - 1)) % GUEST_COLUMN_COUNT;
        if (view->columns[column])
            break;
    }
    view->sort = (enum guest_column)column;
    view->reverse = false;
}

/* The last character goes. */
static void filter_shorten(struct viewer *view)
{
    size_t length = strlen(view->filter);

    while (length > 0 && ((unsigned char)view->filter[length - 1] & 0xc0) == 0x80)
        length--;
    view->filter[length > 0 ? length - 1 : 0] = '\0';
}

static enum viewer_result filter_key(struct viewer *view, const struct key *key)
{
    size_t length = strlen(view->filter), more = strlen(key->text);

    switch (key->kind) {
    case KEY_TEXT:
        if (length + more < sizeof(view->filter))
            memcpy(view->filter + length, key->text, more + 1);
        break;
    case KEY_BACKSPACE:
        filter_shorten(view);
        break;
    case KEY_ESCAPE:
        view->filtering = false;
        view->filter[0] = '\0';
        break;
    case KEY_ERASE:
        view->filter[0] = '\0';
        break;
    case KEY_ENTER:
        view->filtering = false;
        break;
    case KEY_REDRAW:
        return VIEW_LOST;
    case KEY_UP:
    case KEY_DOWN:
    case KEY_PAGE_UP:
    case KEY_PAGE_DOWN:
    case KEY_HOME:
    case KEY_END:
        view->filtering = false;
        return viewer_key(view, key);
    }
    return VIEW_CHANGED;
}

/* Back, or out of what narrows the table. */
static enum viewer_result escape_key(struct viewer *view)
{
    if (view->page != VIEW_TABLE) {
        page_open(view, VIEW_TABLE);
    } else {
        view->filter[0] = '\0';
        view->chosen = false;
        view->first = 0;
    }
    return VIEW_CHANGED;
}

static enum viewer_result letter_key(struct viewer *view, char letter)
{
    switch (letter) {
    case 'q':
        return view->page == VIEW_TABLE ? VIEW_ENDS : escape_key(view);
    case 'h':
    case '?':
        page_open(view, view->page == VIEW_HELP ? VIEW_TABLE : VIEW_HELP);
        return VIEW_CHANGED;
    case ' ':
        view->paused = !view->paused;
        return VIEW_CHANGED;
    case 'j':
    case 'k':
        rows_move(view, letter == 'j', 1);
        return VIEW_CHANGED;
    case 's':
    case '>':
    case '<':
        if (view->page == VIEW_TABLE)
            sort_choose(view, letter != '<');
        return VIEW_CHANGED;
    case 'r':
        if (view->page == VIEW_TABLE)
            view->reverse = !view->reverse;
        return VIEW_CHANGED;
    case '/':
        if (view->page == VIEW_TABLE)
            view->filtering = true;
        return VIEW_CHANGED;
    default:
        return VIEW_STAYS;
    }
}

enum viewer_result viewer_key(struct viewer *view, const struct key *key)
{
    if (view->filtering)
        return filter_key(view, key);
    switch (key->kind) {
    case KEY_TEXT:
        /* None of the letters is longer than a byte. */
        return key->text[1] == '\0' ? letter_key(view, key->text[0]) : VIEW_STAYS;
    case KEY_ENTER:
        if (view->page == VIEW_TABLE && viewer_selected(view)) {
            position_select(view, view->position);
            page_open(view, VIEW_GUEST);
        }
        return VIEW_CHANGED;
    case KEY_ESCAPE:
        return escape_key(view);
    case KEY_REDRAW:
        return VIEW_LOST;
    case KEY_UP:
    case KEY_DOWN:
        rows_move(view, key->kind == KEY_DOWN, 1);
        return VIEW_CHANGED;
    case KEY_PAGE_UP:
    case KEY_PAGE_DOWN:
        rows_move(view, key->kind == KEY_PAGE_DOWN, view->rows);
        return VIEW_CHANGED;
    case KEY_HOME:
    case KEY_END:
        rows_move(view, key->kind == KEY_END, SIZE_MAX / 2);
        return VIEW_CHANGED;
    case KEY_BACKSPACE:
    case KEY_ERASE:
        break;
    }
    return VIEW_STAYS;
}
