/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain structs as JSON, by their tables (plimsoll/fields.h): an object of what differs from
 * another struct of the same kind. UNKNOWN is null; an array is an object of its elements by index;
 * bytes are hexadecimal digits; text is written byte by byte, whatever it is.
 */
#ifndef PLIMSOLL_RECORD_FIELD_WRITE_H
#define PLIMSOLL_RECORD_FIELD_WRITE_H

#include <plimsoll/fields.h>
#include <stdbool.h>
#include <stdint.h>

/* Where it goes; what does not fit is left out, and told. */
struct record_text {
    char *bytes; /* no NUL at the end */
    size_t size, length;
    bool overflow;
};

void record_text_add(struct record_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds the object, or nothing and returns false, where nothing differs. */
bool fields_write(
    struct record_text *text, const struct field_table *table, const void *now, const void *before);

/* Another number for another version, and where a field, an action or a reason was added, removed
 * or moved: what a number of an enum or a bit means is the version's. */
uint64_t fields_layout(void);

#endif
