/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the page of one guest: all of its fields in two columns where there is room, its bar over
 * the width, and what the guard has said of it. What does not fit is scrolled to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "draw.h"
#include "field.h"
#include "look.h"
#include "text.h"

/* Two columns of fields from here on. */
#define TWO_COLUMNS 76
#define LABEL_WIDTH 18
/* The decisions have as many where the fields leave them, and a third of the rows else. */
#define DECISION_ROWS 6
/* Name, uuid, bar and what its signs mean. */
#define HEAD_ROWS 4

enum detail_kind {
    DETAIL_TEXT,
    DETAIL_BYTES,
    DETAIL_NUMBER,
    DETAIL_TRUTH,
    DETAIL_WORDS,
};

struct detail {
    const char *label;
    const char *parent; /* the object it is in; NULL: the guest */
    const char *key;
    enum detail_kind kind;
};

static const struct detail details[] = {
    {"pid", NULL, "pid", DETAIL_NUMBER},
    {"class", NULL, "class", DETAIL_TEXT},
    {"priority", NULL, "priority", DETAIL_NUMBER},
    {"mode", NULL, "mode", DETAIL_TEXT},
    {"state", NULL, "state", DETAIL_TEXT},
    {"monitor", NULL, "monitor", DETAIL_TEXT},
    {"kind", NULL, "kind", DETAIL_TEXT},
    {"because", NULL, "kind_reason", DETAIL_TEXT},
    {"known from", NULL, "source", DETAIL_WORDS},
    {"migrating", NULL, "migrating", DETAIL_TRUTH},
    {"measures", NULL, "measures", DETAIL_WORDS},
    {"oom_score_adj", NULL, "oom_score_adj", DETAIL_NUMBER},
    {"RSS", NULL, "rss", DETAIL_BYTES},
    {"swap", NULL, "swap", DETAIL_BYTES},
    {"pinned", NULL, "pinned", DETAIL_BYTES},
    {"huge pages", NULL, "hugetlb", DETAIL_BYTES},
    {"minimum", NULL, "minimum", DETAIL_BYTES},
    {"maximum", NULL, "maximum", DETAIL_BYTES},
    {"balloon", "balloon", "actual", DETAIL_BYTES},
    {"asked for", "balloon", "target", DETAIL_BYTES},
    {"virtio-mem", "resizable", "size", DETAIL_BYTES},
    {"of it asked for", "resizable", "requested", DETAIL_BYTES},
    {"may lock", NULL, "memlock_limit", DETAIL_BYTES},
    {"cgroup holds", NULL, "cgroup_current", DETAIL_BYTES},
    {"memory.high", "limits", "memory_high", DETAIL_BYTES},
    {"memory.max", "limits", "memory_max", DETAIL_BYTES},
    {"pids.max", "limits", "pids_max", DETAIL_NUMBER},
};

static void words_join(struct json_object *array, char *value)
{
    size_t count =
        json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    size_t used = 0;

    (void)snprintf(value, FIELD_MAX, "%s", array ? "none" : FIELD_UNKNOWN);
    for (size_t i = 0; i < count && used < FIELD_MAX; i++) {
        struct json_object *word = json_object_array_get_idx(array, i);
        int length = snprintf(value + used, FIELD_MAX - used, "%s%s", used ? ", " : "",
            json_object_is_type(word, json_type_string) ? json_object_get_string(word) : "?");
        used += length > 0 ? (size_t)length : 0;
    }
}

static void detail_format(struct json_object *vm, const struct detail *detail, char *value)
{
    struct json_object *object = detail->parent ? field_get(vm, detail->parent) : vm;
    struct json_object *given = field_get(object, detail->key);

    (void)snprintf(value, FIELD_MAX, FIELD_UNKNOWN);
    switch (detail->kind) {
    case DETAIL_TEXT:
        (void)field_text(object, detail->key, value);
        break;
    case DETAIL_BYTES:
        (void)field_bytes(object, detail->key, value);
        break;
    case DETAIL_NUMBER:
        if (json_object_is_type(given, json_type_int))
            (void)snprintf(value, FIELD_MAX, "%" PRId64, json_object_get_int64(given));
        break;
    case DETAIL_TRUTH:
        if (json_object_is_type(given, json_type_boolean))
            (void)snprintf(value, FIELD_MAX, "%s", json_object_get_boolean(given) ? "yes" : "no");
        break;
    case DETAIL_WORDS:
        words_join(given, value);
        break;
    }
}

static void detail_put(
    struct frame *frame, struct json_object *vm, const struct detail *detail, unsigned width)
{
    char value[FIELD_MAX];
    struct look look = {.attributes = LOOK_BOLD};

    detail_format(vm, detail, value);
    if (strcmp(detail->key, "state") == 0)
        look.colour = look_state(vm);
    frame_cell(frame, (struct look){.attributes = LOOK_DIM}, detail->label, LABEL_WIDTH, false);
    frame_cell(frame, look, value, width > LABEL_WIDTH ? width - LABEL_WIDTH : 1, false);
}

static void head_put(const struct canvas *canvas, const struct guest *guest)
{
    struct frame *frame = canvas->frame;
    char growth[FIELD_MAX];

    frame_row(frame, LOOK_REVERSE);
    frame_put(frame, (struct look){.attributes = LOOK_BOLD}, guest->name);
    frame_pad(frame, canvas->columns);
    frame_row(frame, 0);
    frame_print(frame, (struct look){.attributes = LOOK_DIM}, "uuid %.64s", guest->key.uuid);
    frame_row(frame, 0);
    draw_bar(frame, guest, canvas->columns);
    frame_row(frame, 0);
    frame_print(frame, (struct look){.attributes = LOOK_DIM},
        "filled: RSS  |: minimum  ]: balloon  end: maximum  growth ");
    frame_put(frame, (struct look){.attributes = LOOK_BOLD}, draw_growth(guest, growth));
}

static void details_put(
    const struct canvas *canvas, const struct guest *guest, struct viewer *view, unsigned rows)
{
    unsigned across = canvas->columns >= TWO_COLUMNS ? 2 : 1;
    size_t lines = (ELEMENTSOF(details) + across - 1) / across;

    view->rows = rows > 0 ? rows : 1;
    view->scroll_end = lines > rows ? lines - rows : 0;
    if (view->scroll > view->scroll_end)
        view->scroll = view->scroll_end;
    for (unsigned row = 0; row < rows; row++) {
        frame_row(canvas->frame, 0);
        for (unsigned column = 0; column < across; column++) {
            size_t index = (view->scroll + row) * across + column;
            if (index >= ELEMENTSOF(details))
                continue;
            detail_put(
                canvas->frame, guest->vm, &details[index], canvas->columns / across - (across > 1));
            frame_pad(canvas->frame, (column + 1) * (canvas->columns / across));
        }
    }
}

void draw_guest(
    const struct canvas *canvas, const struct model *model, struct viewer *view, unsigned rows)
{
    const struct guest *guest = viewer_selected(view);
    unsigned lines = (unsigned)(canvas->columns >= TWO_COLUMNS ? (ELEMENTSOF(details) + 1) / 2
                                                               : ELEMENTSOF(details));

    if (!guest) {
        frame_row(canvas->frame, LOOK_BOLD);
        frame_put(
            canvas->frame, (struct look){0}, "This guest has ended. Esc goes back to the others.");
        for (unsigned row = 1; row < rows; row++)
            frame_row(canvas->frame, 0);
        return;
    }
    /* The decisions have what the head, their heading and the fields leave. */
    unsigned room = rows > HEAD_ROWS + 1 ? rows - HEAD_ROWS - 1 : 0;
    unsigned fields = room > DECISION_ROWS + lines ? lines : room - room / 3;
    if (fields > lines)
        fields = lines;
    head_put(canvas, guest);
    details_put(canvas, guest, view, fields);
    frame_row(canvas->frame, LOOK_REVERSE);
    frame_put(canvas->frame, (struct look){.attributes = LOOK_BOLD}, "WHAT THE GUARD SAID OF IT");
    frame_pad(canvas->frame, canvas->columns);
    draw_decisions(canvas, model, guest, room - fields);
}
