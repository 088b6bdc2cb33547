/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 * The control characters of C1 (U+0080 to U+009F) can drive a terminal as those of C0 do.
 */
#include "scan_name.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character at TEXT if it is well formed and no control character, else 0. */
static size_t character_length(const unsigned char *text, size_t length)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = text[0];
    size_t size = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    if (size == 1)
        return first >= 0x20 && first != 0x7F;
    if (size == 0 || size > length || first > 0xF4)
        return 0;
    uint32_t code = first & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3FU);
    }
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    bool control = code >= 0x80 && code <= 0x9F;
    return code < smallest[size] || code > 0x10FFFF || surrogate || control ? 0 : size;
}

void name_clean(const char *name, size_t length, char *buffer, size_t size)
{
    const unsigned char *text = (const unsigned char *)name;
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        size_t character = character_length(text + i, length - i);
        size_t step = character > 0 ? character : 1;
        if (used + step >= size)
            break;
        if (character > 0)
            memcpy(buffer + used, name + i, character);
        else
            buffer[used] = '?';
        used += step;
        i += step;
    }
    buffer[used] = '\0';
}
