/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. One decoder of UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF) serves both directions.
 */
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the character at TEXT, its code point in *RET_CODE; 0: not UTF-8. */
static size_t utf8_decode(const char *text, size_t length, uint32_t *ret_code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t bytes = first < 0x80             ? 1
                   : (first & 0xe0) == 0xc0 ? 2
                   : (first & 0xf0) == 0xe0 ? 3
                   : (first & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (bytes == 0 || bytes > length)
        return 0;

    uint32_t code = bytes == 1 ? first : first & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3fu);
    }
    if (code < smallest[bytes] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return bytes;
}

/* C1 too: U+009B starts a terminal's control sequence just as ESC [ does. */
static bool code_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

void qmp_text_clean(char *to, size_t size, const char *text, size_t length)
{
    size_t filled = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t bytes = utf8_decode(text + i, length - i, &code);
        bool good = bytes > 0 && !code_is_control(code);
        size_t wanted = good ? bytes : 1;
        if (filled + wanted >= size)
            break;
        if (good)
            memcpy(to + filled, text + i, bytes);
        else
            to[filled] = '?';
        filled += wanted;
        i += bytes > 0 ? bytes : 1;
    }
    to[filled] = '\0';
}

static void writer_add(struct qmp_writer *writer, const char *text, size_t length)
{
    if (writer->bad || length > writer->size - writer->length) {
        writer->bad = true;
        return;
    }
    memcpy(writer->text + writer->length, text, length);
    writer->length += length;
}

void qmp_writer_put(struct qmp_writer *writer, const char *text)
{
    writer_add(writer, text, strlen(text));
}

void qmp_writer_printf(struct qmp_writer *writer, const char *format, ...)
{
    char text[64]; /* numbers only: two of 64 bits and their words */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(text)) {
        writer->bad = true;
        return;
    }
    writer_add(writer, text, (size_t)length);
}

void qmp_writer_string(struct qmp_writer *writer, const char *text)
{
    size_t length = strlen(text);
    qmp_writer_put(writer, "\"");
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t bytes = utf8_decode(text + i, length - i, &code);
        if (bytes == 0) {
            writer->bad = true;
            return;
        }
        if (code == '"' || code == '\\')
            qmp_writer_printf(writer, "\\%c", (char)code);
        else if (code_is_control(code))
            qmp_writer_printf(writer, "\\u%04x", (unsigned)code);
        else
            writer_add(writer, text + i, bytes);
        i += bytes;
    }
    qmp_writer_put(writer, "\"");
}
