/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's log as the input: a record is a line with the lines behind it that begin with a
 * blank, each in memory of its own, so that a sanitizer sees a step beyond its end. What is told of
 * a kill keeps its bounds, and a record that is not the kernel's tells of none.
 */
#include "kernel_kill.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t record_length(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' && (i + 1 == size || data[i + 1] != ' '))
            return i + 1;
    }
    return size;
}

static void record_try(struct kernel_kill_parser *parser, const uint8_t *data, size_t length)
{
    struct kernel_record record;
    struct kernel_kill kill;
    char *bytes = malloc(length);

    if (!bytes)
        abort();
    memcpy(bytes, data, length);
    if (kernel_record_parse(bytes, length, &record) == 0 &&
        kernel_kill_parse(parser, &record, &kill) &&
        (record.facility != 0 || kill.pid <= 0 || kill.constraint >= KILL_CONSTRAINT_COUNT ||
            !memchr(kill.name, '\0', sizeof kill.name)))
        abort();
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kernel_kill_parser parser = {0};

    while (size > 0) {
        size_t length = record_length(data, size);

        record_try(&parser, data, length);
        data += length;
        size -= length;
    }
    return 0;
}
