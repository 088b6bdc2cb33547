/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the image of what was written last, element by element: of each part as many as there have
 * been, whose memory is touched only so far. Of states and actions there is none: they are always
 * written whole.
 */
#include "record_write.h"

#include "field_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct record_writer {
    uint32_t vm_capacity;
    char *images[RECORD_PART_COUNT];   /* NULL: the base always */
    char *bases[RECORD_PART_COUNT];    /* one element */
    uint32_t known[RECORD_PART_COUNT]; /* so many of the image count */
    char line[RECORD_LINE_MAX];
};

static bool part_is_kept(enum record_part part)
{
    return part != RECORD_STATE && part != RECORD_VM_STATE && part != RECORD_ACTION;
}

int record_writer_new(uint32_t vm_capacity, struct record_writer **ret_writer)
{
    CLEANUP(record_writer_free_at) struct record_writer *writer = calloc(1, sizeof(*writer));

    if (!writer)
        return -ENOMEM;
    writer->vm_capacity = vm_capacity;
    for (unsigned i = 0; i < RECORD_PART_COUNT; i++) {
        enum record_part part = (enum record_part)i;
        size_t size = record_part_table(part)->size;
        writer->bases[i] = malloc(size);
        if (part_is_kept(part))
            writer->images[i] = calloc(record_part_is_single(part) ? 1 : vm_capacity, size);
        if (!writer->bases[i] || (part_is_kept(part) && !writer->images[i]))
            return -ENOMEM;
        record_part_base(part, writer->bases[i]);
    }
    *ret_writer = STEAL(writer);
    return 0;
}

struct record_writer *record_writer_free(struct record_writer *writer)
{
    if (!writer)
        return NULL;
    for (unsigned i = 0; i < RECORD_PART_COUNT; i++) {
        free(writer->images[i]);
        free(writer->bases[i]);
    }
    free(writer);
    return NULL;
}

static int line_write(const struct record_text *line, FILE *out)
{
    errno = EIO;
    if (line->overflow)
        return -EOVERFLOW;
    return fwrite(line->bytes, 1, line->length, out) == line->length ? 0 : -errno;
}

int record_write_head(struct record_writer *writer, FILE *out)
{
    struct record_text line = {.bytes = writer->line, .size = sizeof(writer->line)};

    record_text_add(&line,
        "{\"trace\":%d,\"version\":\"%s\",\"layout\":\"%016" PRIx64 "\",\"max_vms\":%" PRIu32 "}\n",
        RECORD_TRACE_VERSION, PLIMSOLL_VERSION, fields_layout(), writer->vm_capacity);
    return line_write(&line, out);
}

/* What the element at INDEX is compared with. */
static const char *element_before(
    struct record_writer *writer, enum record_part part, uint32_t index)
{
    return writer->images[part] && index < writer->known[part]
               ? writer->images[part] + index * record_part_table(part)->size
               : writer->bases[part];
}

static int element_write(struct record_writer *writer, enum record_part part, uint32_t index,
    const char *element, FILE *out)
{
    struct record_text line = {.bytes = writer->line, .size = sizeof(writer->line)};
    const struct field_table *table = record_part_table(part);
    const char *before = element_before(writer, part, index);
    bool always = part == RECORD_STATE || part == RECORD_ACTION || part == RECORD_PLAN;

    if (!always && memcmp(element, before, table->size) == 0)
        return 0;
    record_text_add(&line, "{\"%s\":", record_part_name(part));
    if (!fields_write(&line, table, element, before)) {
        if (!always)
            return 0;
        record_text_add(&line, "{}");
    }
    if (!record_part_is_single(part))
        record_text_add(&line, ",\"at\":%" PRIu32, index);
    record_text_add(&line, "}\n");
    return line_write(&line, out);
}

/* What has been written is what the next frame differs from. */
static void image_keep(
    struct record_writer *writer, const struct record_frame *frame, enum record_part part)
{
    uint32_t count = frame->counts[part];

    if (!writer->images[part] || count == 0)
        return;
    memcpy(writer->images[part], record_frame_part(frame, part),
        count * record_part_table(part)->size);
    if (count > writer->known[part])
        writer->known[part] = count;
}

int record_write_frame(struct record_writer *writer, const struct record_frame *frame, FILE *out)
{
    if (frame->counts[RECORD_STATE] > 0)
        memset(writer->known, 0, sizeof(writer->known));
    for (unsigned i = 0; i < RECORD_PART_COUNT; i++) {
        enum record_part part = (enum record_part)i;
        const char *elements = record_frame_part(frame, part);
        for (uint32_t index = 0; index < frame->counts[i]; index++) {
            int result = element_write(
                writer, part, index, elements + index * record_part_table(part)->size, out);
            if (result < 0)
                return result;
        }
        image_keep(writer, frame, part);
    }
    return 0;
}
