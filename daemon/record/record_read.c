/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the image of the frame that is being read. Snapshot and plan stand in it as the policy wants
 * them; what is by position in a trace, rules and states, is put at its slot when the frame ends,
 * for only then are the slots known.
 */
#include "record_read.h"

#include "field_read.h"
#include "field_write.h"
#include "record_frame.h"
#include "record_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A line's object, its part's, a field's, an element's, and one in that. */
#define DEPTH_MAX 8

struct record_reader {
    FILE *in;
    uint64_t line; /* number of the last that was read */
    struct json_tokener *tokener;
    uint32_t vm_capacity;
    struct snapshot *snapshot;
    struct rules *rules;
    struct plan *plan;
    struct policy_state *state;
    char *vm_rules, *vm_states; /* by position */
    uint32_t actions;           /* of this frame, so far */
    bool any, stretch;          /* this frame has begun, and a stretch with it */
    bool opened;                /* a stretch has begun before or in this frame */
    char text[RECORD_LINE_MAX + 1];
};

/* ---- lines ---- */

static int __attribute__((format(printf, 3, 4)))
refuse(const struct record_reader *reader, struct error *ret_error, const char *format, ...)
{
    char what[ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return error_set(ret_error, -EINVAL, "line %" PRIu64 ": %s", reader->line, what);
}

/* 1: a line; 0: there is none, or its end is missing, as of one that is still being written. */
static int line_read(struct record_reader *reader, struct error *ret_error)
{
    size_t length = 0;

    reader->line++;
    for (;;) {
        int byte = getc(reader->in);
        if (byte == EOF && ferror(reader->in))
            return error_set(ret_error, -EIO, "line %" PRIu64 ": cannot be read", reader->line);
        if (byte == EOF) {
            reader->any |= length > 0;
            return 0;
        }
        if (byte == '\n')
            break;
        if (length == RECORD_LINE_MAX)
            return refuse(reader, ret_error, "longer than any line of a trace");
        reader->text[length++] = (char)byte;
    }
    reader->text[length] = '\0';
    return 1;
}

/* The object in the line; NULL: RET_ERROR says why there is none. */
static struct json_object *line_parse(struct record_reader *reader, struct error *ret_error)
{
    size_t length = strlen(reader->text);

    json_tokener_reset(reader->tokener);
    struct json_object *object =
        json_tokener_parse_ex(reader->tokener, reader->text, (int)length + 1);
    if (object && json_object_is_type(object, json_type_object) &&
        json_tokener_get_parse_end(reader->tokener) == length)
        return object;
    json_object_put(object);
    (void)refuse(reader, ret_error, "no object of JSON");
    return NULL;
}

/* ---- the head ---- */

static const char *head_text(struct json_object *head, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(head, key, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : "";
}

static int64_t head_number(struct json_object *head, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(head, key, &value) && json_object_is_type(value, json_type_int)
               ? json_object_get_int64(value)
               : -1;
}

static int head_take(
    struct record_reader *reader, struct json_object *head, struct error *ret_error)
{
    int64_t capacity = head_number(head, "max_vms");
    char layout[32];

    if (head_number(head, "trace") < 0)
        return refuse(reader, ret_error, "this is no trace of plimsolld");
    (void)snprintf(layout, sizeof(layout), "%016" PRIx64, fields_layout());
    if (head_number(head, "trace") != RECORD_TRACE_VERSION ||
        strcmp(head_text(head, "layout"), layout) != 0)
        return refuse(reader, ret_error,
            "recorded by plimsolld %.32s, whose policy saw and remembered other things than that "
            "of " PLIMSOLL_VERSION " does; replay it with plimsoll of that version",
            head_text(head, "version"));
    if (capacity < 1 || capacity > MAX_VMS_LIMIT)
        return refuse(reader, ret_error, "max_vms is not from 1 to %d", MAX_VMS_LIMIT);
    reader->vm_capacity = (uint32_t)capacity;
    return 0;
}

static int head_read(struct record_reader *reader, struct error *ret_error)
{
    int result = line_read(reader, ret_error);

    if (result <= 0)
        return result < 0 ? result : refuse(reader, ret_error, "this is no trace of plimsolld");
    struct json_object *head = line_parse(reader, ret_error);
    if (!head)
        return -EINVAL;
    result = head_take(reader, head, ret_error);
    json_object_put(head);
    return result;
}

/* ---- the image ---- */

static int image_allocate(struct record_reader *reader)
{
    uint32_t capacity = reader->vm_capacity;

    assert(capacity > 0); /* head_take() */
    reader->snapshot = calloc(1, snapshot_size(capacity));
    reader->rules = calloc(1, rules_size(capacity));
    reader->plan = calloc(1, plan_size(capacity));
    reader->state = malloc(policy_state_size(capacity));
    reader->vm_rules = calloc(capacity, fields_vm_rules.size);
    reader->vm_states = calloc(capacity, fields_vm_state.size);
    return reader->snapshot && reader->rules && reader->plan && reader->state && reader->vm_rules &&
                   reader->vm_states
               ? 0
               : -ENOMEM;
}

static void elements_reset(enum record_part part, char *elements, uint32_t count)
{
    size_t size = record_part_table(part)->size;

    for (uint32_t i = 0; i < count; i++)
        record_part_base(part, elements + i * size);
}

/* Nothing is known: a stretch begins. */
static void image_reset(struct record_reader *reader)
{
    uint32_t capacity = reader->vm_capacity;

    memset(reader->snapshot, 0, snapshot_size(capacity));
    memset(reader->plan, 0, plan_size(capacity));
    (void)policy_state_init(reader->state, capacity);
    record_part_base(RECORD_RULES, &reader->rules->host);
    reader->rules->vm_capacity = capacity;
    elements_reset(RECORD_VM_RULES, reader->vm_rules, capacity);
    elements_reset(RECORD_VM_STATE, reader->vm_states, capacity);
}

/* Where the element of PART at INDEX goes; NULL: there is none. */
static void *image_element(struct record_reader *reader, enum record_part part, uint32_t index)
{
    bool is_vm = index < reader->vm_capacity;

    switch (part) {
    case RECORD_STATE:
        return reader->state;
    case RECORD_RULES:
        return &reader->rules->host;
    case RECORD_SNAPSHOT:
        return reader->snapshot;
    case RECORD_PLAN:
        return reader->plan;
    case RECORD_VM_STATE:
        return is_vm ? reader->vm_states + index * fields_vm_state.size : NULL;
    case RECORD_VM_RULES:
        return is_vm ? reader->vm_rules + index * fields_vm_rules.size : NULL;
    case RECORD_VM:
        return is_vm ? &reader->snapshot->vms[index] : NULL;
    case RECORD_ACTION: /* in order, so that none is left out */
        return index == reader->actions && index < plan_action_capacity(reader->vm_capacity)
                   ? &reader->plan->actions[index]
                   : NULL;
    case RECORD_PART_COUNT:
        break;
    }
    return NULL;
}

/* ---- a frame ---- */

/* A line's part, its fields and its place. */
static int part_find(const struct record_reader *reader, struct json_object *object,
    enum record_part *ret_part, struct json_object **ret_fields, uint32_t *ret_index,
    struct error *ret_error)
{
    struct json_object *at = NULL;
    int part = 0;

    while (part < RECORD_PART_COUNT &&
           !json_object_object_get_ex(object, record_part_name((enum record_part)part), ret_fields))
        part++;
    if (part == RECORD_PART_COUNT)
        return refuse(reader, ret_error, "no part of a frame");
    bool has_index = json_object_object_get_ex(object, "at", &at);
    int64_t index = has_index ? head_number(object, "at") : 0;
    if (json_object_object_length(object) != (has_index ? 2 : 1) ||
        has_index == record_part_is_single((enum record_part)part) || index < 0 ||
        index > UINT32_MAX)
        return refuse(reader, ret_error, "not one part of a frame and its place");
    *ret_part = (enum record_part)part;
    *ret_index = (uint32_t)index;
    return 0;
}

/* A stretch begins with the policy's state, and a frame with it; nothing comes before the first. */
static int stretch_begin(
    struct record_reader *reader, enum record_part part, struct error *ret_error)
{
    if (part != RECORD_STATE)
        return reader->opened ? 0 : refuse(reader, ret_error, "no stretch has begun");
    if (reader->any)
        return refuse(reader, ret_error, "a stretch begins within a frame");
    image_reset(reader);
    reader->stretch = reader->opened = true;
    return 0;
}

static int part_take(struct record_reader *reader, struct json_object *object,
    enum record_part *ret_part, struct error *ret_error)
{
    struct json_object *fields = NULL;
    struct error error = {0};
    uint32_t index = 0;

    int result = part_find(reader, object, ret_part, &fields, &index, ret_error);
    if (result == 0)
        result = stretch_begin(reader, *ret_part, ret_error);
    if (result < 0)
        return result;
    reader->any = true;
    void *element = image_element(reader, *ret_part, index);
    if (!element)
        return refuse(reader, ret_error, "there is no place %" PRIu32, index);
    if (*ret_part == RECORD_ACTION) {
        memset(element, 0, sizeof(struct action));
        reader->actions++;
    }
    if (fields_read(record_part_table(*ret_part), fields, element, &error) < 0)
        return refuse(reader, ret_error, "%s: %s", record_part_name(*ret_part), error.text);
    return 0;
}

/* Puts what is by position at its slot, once it is known that there is such a slot. */
static int frame_finish(struct record_reader *reader, struct error *ret_error)
{
    const struct snapshot *snapshot = reader->snapshot;
    char *states = (char *)reader->state + fields_policy_state.size;

    if (snapshot->vm_capacity != reader->vm_capacity || snapshot->vm_count > reader->vm_capacity ||
        reader->plan->action_capacity != plan_action_capacity(reader->vm_capacity) ||
        reader->plan->action_count != reader->actions)
        return refuse(reader, ret_error, "the frame is not of as many as it says");
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        uint32_t slot = snapshot->vms[i].slot;
        if (slot >= reader->vm_capacity || (i > 0 && slot <= snapshot->vms[i - 1].slot))
            return refuse(reader, ret_error, "the guests are not in order of their slots");
        memcpy(&reader->rules->vms[slot], reader->vm_rules + i * fields_vm_rules.size,
            fields_vm_rules.size);
        if (reader->stretch)
            memcpy(states + slot * fields_vm_state.size,
                reader->vm_states + i * fields_vm_state.size, fields_vm_state.size);
    }
    return 0;
}

int record_read_frame(struct record_reader *reader, struct record_seen *ret_seen, bool *ret_cut,
    struct error *ret_error)
{
    enum record_part part = RECORD_PART_COUNT;

    reader->any = reader->stretch = false;
    reader->actions = 0;
    while (part != RECORD_PLAN) {
        int result = line_read(reader, ret_error);
        if (result == 0)
            *ret_cut = reader->any;
        if (result <= 0)
            return result;
        struct json_object *object = line_parse(reader, ret_error);
        if (!object)
            return -EINVAL;
        result = part_take(reader, object, &part, ret_error);
        json_object_put(object);
        if (result < 0)
            return result;
    }
    int result = frame_finish(reader, ret_error);
    if (result < 0)
        return result;
    *ret_seen = (struct record_seen){.state = reader->stretch ? reader->state : NULL,
        .snapshot = reader->snapshot,
        .rules = reader->rules,
        .plan = reader->plan};
    return 1;
}

/* ---- the reader ---- */

int record_reader_new(FILE *in, struct record_reader **ret_reader, struct error *ret_error)
{
    CLEANUP(record_reader_free_at) struct record_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return error_set(ret_error, -ENOMEM, "out of memory");
    reader->in = in;
    reader->tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!reader->tokener)
        return error_set(ret_error, -ENOMEM, "out of memory");
    int result = head_read(reader, ret_error);
    if (result < 0)
        return result;
    if (image_allocate(reader) < 0)
        return error_set(
            ret_error, -ENOMEM, "no memory for %" PRIu32 " guests", reader->vm_capacity);
    *ret_reader = STEAL(reader);
    return 0;
}

struct record_reader *record_reader_free(struct record_reader *reader)
{
    if (!reader)
        return NULL;
    if (reader->tokener)
        json_tokener_free(reader->tokener);
    free(reader->vm_states);
    free(reader->vm_rules);
    free(reader->state);
    free(reader->plan);
    free(reader->rules);
    free(reader->snapshot);
    free(reader);
    return NULL;
}

uint32_t record_reader_capacity(const struct record_reader *reader)
{
    return reader->vm_capacity;
}
