/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text at the edges: what operators write (sizes, times) made numbers, numbers made what people
 * read, and bytes from anywhere made safe to show. No allocation; buffers are the caller's.
 */
#ifndef PLIMSOLL_DAEMON_TEXT_H
#define PLIMSOLL_DAEMON_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <plimsoll/snapshot.h>

/* Ends a text that was cut. */
#define TEXT_ELLIPSIS "\xe2\x80\xa6"

/* Room for any text_format_bytes() or text_format_time(). */
#define TEXT_NUMBER_MAX 32

/*
 * The length in bytes of the character at TEXT, of which AVAILABLE bytes may be read, if it is well
 * formed UTF-8 (RFC 3629: no surrogates, nothing overlong) and may be shown; 0 if it is broken, or
 * controls the terminal or the direction of the text around it.
 */
size_t text_character(const char *text, size_t available);

/* Replaces each byte or character that text_character() refuses by one '?'. */
void text_clean(char *text);

/* Cleans BUFFER, which a snprintf of SIZE bytes filled that wanted WANTED; if it did not fit, ends
 * it in TEXT_ELLIPSIS after a whole character. */
void text_finish(char *buffer, size_t size, int wanted);

/* "NAME: WHAT" and what FORMAT makes of ARGUMENTS, left as text_finish() leaves it. */
void __attribute__((format(printf, 5, 0))) text_about(char *buffer, size_t size, const char *name,
    const char *what, const char *format, va_list arguments);

/*
 * "0", "1073741824", "512M", "1.5G", "4GiB": K, M, G, T are powers of 1024, in upper case; a
 * fraction needs a unit. -EINVAL: not a size; -ERANGE: more than 2^63.
 */
int text_parse_size(const char *text, uint64_t *ret_bytes);

/* "10%", "12.5%", "0.25%", to the hundredth: in 1/10000. -EINVAL: no share; -ERANGE: above 100 %.
 */
int text_parse_share(const char *text, uint64_t *ret_share);

/*
 * "500ms", "5min", "1h 30min", "0.5s": a sum of numbers with the units ns, us, ms, s, min, h, d.
 * A unit is needed, so that no number is taken for seconds that was meant otherwise. -EINVAL: not a
 * time; -ERANGE: more than 2^63 ns.
 */
int text_parse_time(const char *text, uint64_t *ret_nanoseconds);

/* A whole number of decimal digits only, MINIMUM..MAXIMUM. -EINVAL, -ERANGE. */
int text_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_number);

/* 8-4-4-4-12 hexadecimal digits, as QEMU and libvirt write a uuid. -EINVAL. */
int text_parse_uuid(const char *text, uint8_t ret_uuid[UUID_SIZE]);

/* "1.5G", "512M", "0"; "-" for UNKNOWN. At most one digit after the point, rounded down. Returns
 * BUFFER. */
const char *text_format_bytes(uint64_t bytes, char *buffer, size_t size);

/* "1.5s", "350ms", "2min 5s", "1h 30min"; the two leading units, rounded down; "-" for UNKNOWN,
 * which is also NEVER. Returns BUFFER. */
const char *text_format_time(uint64_t nanoseconds, char *buffer, size_t size);

/* A moment in ns since 1970, in local time: "2026-11-23 05:49:06"; where that cannot be told, "1234
 * ns". Returns BUFFER. */
const char *text_format_moment(uint64_t realtime, char *buffer, size_t size);

#endif
