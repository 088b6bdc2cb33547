/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The input as a trace behind its head, which names the layout and so changes with every field: it
 * is played again, by the policy itself, or refused with the line that is wrong.
 */
#include "record_write.h"
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The caller frees it. */
static char *trace_make(const uint8_t *data, size_t size, size_t *ret_size)
{
    CLEANUP(record_writer_free_at) struct record_writer *writer = NULL;
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);

    if (!out || record_writer_new(CAPACITY, &writer) < 0 || record_write_head(writer, out) < 0 ||
        fwrite(data, 1, size, out) != size || fclose(out) != 0)
        abort();
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replay_score score;
    struct error error = {0};
    size_t length = 0;
    char *text = trace_make(data, size, &length);
    FILE *in = fmemopen(text, length, "r");

    if (!in)
        abort();
    int result = replay_run(in, NULL, NULL, &score, &error);
    if (result > 0 || (result < 0) != (error.text[0] != '\0') || (result == 0 && score.frames == 0))
        abort();
    (void)fclose(in);
    free(text);
    return 0;
}
