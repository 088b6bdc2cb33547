/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the two directions between text and numbers, and the cleaning of text.
 *
 * Numbers are parsed as a whole part and up to nine digits of fraction, kept as integers all the
 * way: a double would turn 0.1T into a number that is off by some bytes, and a test for equality
 * would then fail for a reason nobody can see. Whatever is not wholly understood is refused.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Most a parsed size or time may be: sums and differences of two still fit 64 bits. */
#define TEXT_VALUE_MAX (UINT64_C(1) << 63)

/* A fraction has up to nine digits: nanoseconds of a second. */
#define FRACTION_WHOLE UINT64_C(1000000000)

#define HOUR (60 * NSEC_PER_MINUTE)
#define DAY (24 * HOUR)

struct unit {
    const char *name;
    uint64_t value;
};

static const struct unit size_units[] = {{"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {"TiB", TIB},
    {"K", KIB}, {"M", MIB}, {"G", GIB}, {"T", TIB}};

/* A longer name stands before its own beginning. */
static const struct unit time_units[] = {{"ns", 1}, {"us", NSEC_PER_USEC}, {"ms", NSEC_PER_MSEC},
    {"min", NSEC_PER_MINUTE}, {"s", NSEC_PER_SEC}, {"h", HOUR}, {"d", DAY}};

/* C0 and C1 controls, DEL, zero-width and direction controls, line and paragraph separators, the
 * byte order mark: all that changes how the text around it is shown; and what is no character,
 * which XML does not take. */
static bool code_shown(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return false;
    if ((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e))
        return false;
    if ((code & 0xfffe) == 0xfffe || (code >= 0xfdd0 && code <= 0xfdef))
        return false;
    return !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff;
}

/* The length of the UTF-8 sequence at TEXT and its code point; 0: broken. */
static size_t character_decode(const char *text, size_t available, uint32_t *ret_code)
{
    /* Least code point of each length: anything below it is overlong. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = available > 0 ? (unsigned char)text[0] : 0;
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = first;

    if (available == 0 || length == 0 || first >= 0xf8 || length > available)
        return 0;
    if (length > 1)
        code = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3fu);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

size_t text_character(const char *text, size_t available)
{
    uint32_t code = 0;
    size_t length = character_decode(text, available, &code);

    return length > 0 && code_shown(code) ? length : 0;
}

void text_clean(char *text)
{
    size_t length = strlen(text), to = 0;

    for (size_t from = 0; from < length;) {
        uint32_t code = 0;
        size_t step = character_decode(text + from, length - from, &code);
        if (step > 0 && code_shown(code)) {
            memmove(text + to, text + from, step);
            to += step;
        } else {
            text[to++] = '?';
        }
        from += step > 0 ? step : 1;
    }
    text[to] = '\0';
}

void text_finish(char *buffer, size_t size, int wanted)
{
    if (size == 0)
        return;
    if (wanted < 0)
        buffer[0] = '\0';
    if (wanted >= 0 && (size_t)wanted >= size && size > sizeof(TEXT_ELLIPSIS)) {
        size_t end = size - sizeof(TEXT_ELLIPSIS);
        while (end > 0 && ((unsigned char)buffer[end] & 0xc0) == 0x80)
            end--;
        memcpy(buffer + end, TEXT_ELLIPSIS, sizeof(TEXT_ELLIPSIS));
    }
    text_clean(buffer);
}

void text_about(char *buffer, size_t size, const char *name, const char *what, const char *format,
    va_list arguments)
{
    int length = snprintf(buffer, size, "%s: %s", name, what);

    if (length >= 0 && (size_t)length < size) {
        int more = vsnprintf(buffer + length, size - (size_t)length, format, arguments);
        length = more < 0 ? more : length + more;
    }
    text_finish(buffer, size, length);
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* A number with an optional fraction: whole and billionths. Moves *TEXT behind it. */
static int decimal_parse(const char **text, uint64_t *ret_whole, uint64_t *ret_fraction)
{
    const char *cursor = *text;
    uint64_t whole = 0, fraction = 0, place = FRACTION_WHOLE;

    if (!is_digit(*cursor))
        return -EINVAL;
    for (; is_digit(*cursor); cursor++) {
        uint64_t digit = (uint64_t)(*cursor - '0');
        if (whole > (TEXT_VALUE_MAX - digit) / 10)
            return -ERANGE;
        whole = whole * 10 + digit;
    }
    if (*cursor == '.') {
        cursor++;
        if (!is_digit(*cursor))
            return -EINVAL;
        for (; is_digit(*cursor); cursor++) {
            place /= 10;
            if (place == 0)
                return -EINVAL;
            fraction += (uint64_t)(*cursor - '0') * place;
        }
    }
    *ret_whole = whole;
    *ret_fraction = fraction;
    *text = cursor;
    return 0;
}

/* The unit whose name begins *TEXT; moves behind it. NULL: none. */
static const struct unit *unit_parse(const char **text, const struct unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return &units[i];
        }
    }
    return NULL;
}

/* (whole + fraction) of UNIT, bounded. */
static int value_scale(uint64_t whole, uint64_t fraction, uint64_t unit, uint64_t *ret_value)
{
    if (whole > TEXT_VALUE_MAX / unit)
        return -ERANGE;
    uint64_t value = whole * unit + scale_u64(unit, fraction, FRACTION_WHOLE);
    if (value > TEXT_VALUE_MAX)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t whole, fraction;
    bool pointed = strchr(text, '.') != NULL;
    int result = decimal_parse(&text, &whole, &fraction);

    if (result < 0)
        return result;
    if (*text == '\0') {
        if (pointed)
            return -EINVAL;
        *ret_bytes = whole;
        return 0;
    }
    const struct unit *unit = unit_parse(&text, size_units, ELEMENTSOF(size_units));
    if (!unit || *text != '\0')
        return -EINVAL;
    return value_scale(whole, fraction, unit->value, ret_bytes);
}

int text_parse_share(const char *text, uint64_t *ret_share)
{
    uint64_t whole, fraction, share;
    int result = decimal_parse(&text, &whole, &fraction);

    if (result < 0)
        return result;
    if (strcmp(text, "%") != 0 || fraction % (FRACTION_WHOLE / 100) != 0)
        return -EINVAL;
    result = value_scale(whole, fraction, 100, &share);
    if (result < 0 || share > 10000)
        return -ERANGE;
    *ret_share = share;
    return 0;
}

int text_parse_time(const char *text, uint64_t *ret_nanoseconds)
{
    uint64_t sum = 0;

    do {
        uint64_t whole, fraction, part;
        int result = decimal_parse(&text, &whole, &fraction);
        if (result < 0)
            return result;
        const struct unit *unit = unit_parse(&text, time_units, ELEMENTSOF(time_units));
        if (!unit || (*text != '\0' && *text != ' ' && *text != '\t'))
            return -EINVAL;
        result = value_scale(whole, fraction, unit->value, &part);
        if (result < 0 || part > TEXT_VALUE_MAX - sum)
            return -ERANGE;
        sum += part;
        text += strspn(text, " \t");
    } while (*text != '\0');
    *ret_nanoseconds = sum;
    return 0;
}

int text_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_number)
{
    uint64_t whole, fraction;
    bool pointed = strchr(text, '.') != NULL;
    int result = pointed ? -EINVAL : decimal_parse(&text, &whole, &fraction);

    if (result < 0)
        return result;
    if (*text != '\0')
        return -EINVAL;
    if (whole < minimum || whole > maximum)
        return -ERANGE;
    *ret_number = whole;
    return 0;
}

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

int text_parse_uuid(const char *text, uint8_t ret_uuid[UUID_SIZE])
{
    uint8_t uuid[UUID_SIZE];

    for (unsigned i = 0; i < UUID_SIZE; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -EINVAL;
        int high = hexadecimal(text[0]);
        int low = high < 0 ? -1 : hexadecimal(text[1]);
        if (low < 0)
            return -EINVAL;
        uuid[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0')
        return -EINVAL;
    memcpy(ret_uuid, uuid, sizeof(uuid));
    return 0;
}

const char *text_format_bytes(uint64_t bytes, char *buffer, size_t size)
{
    static const char letters[] = "KMGTPE";

    if (!known(bytes)) {
        (void)snprintf(buffer, size, "-");
        return buffer;
    }
    if (bytes < KIB) {
        (void)snprintf(buffer, size, "%" PRIu64, bytes);
        return buffer;
    }
    unsigned power = 0;
    uint64_t unit = KIB;
    while (power + 1 < sizeof(letters) - 1 && bytes / unit >= KIB) {
        unit *= KIB;
        power++;
    }
    uint64_t tenth = bytes % unit * 10 / unit;
    /* The remainder of exabytes times ten does not fit; their tenth is taken from petabytes. */
    if (unit > UINT64_MAX / 16)
        tenth = bytes % unit / (unit / 1024) * 10 / 1024;
    if (tenth > 0)
        (void)snprintf(
            buffer, size, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit, tenth, letters[power]);
    else
        (void)snprintf(buffer, size, "%" PRIu64 "%c", bytes / unit, letters[power]);
    return buffer;
}

const char *text_format_time(uint64_t nanoseconds, char *buffer, size_t size)
{
    uint64_t seconds = nanoseconds / NSEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60;
    uint64_t tenth = nanoseconds % NSEC_PER_SEC / (NSEC_PER_SEC / 10);

    if (!known(nanoseconds))
        (void)snprintf(buffer, size, "-");
    else if (nanoseconds == 0)
        (void)snprintf(buffer, size, "0s");
    else if (nanoseconds < NSEC_PER_USEC)
        (void)snprintf(buffer, size, "%" PRIu64 "ns", nanoseconds);
    else if (nanoseconds < NSEC_PER_MSEC)
        (void)snprintf(buffer, size, "%" PRIu64 "us", nanoseconds / NSEC_PER_USEC);
    else if (nanoseconds < NSEC_PER_SEC)
        (void)snprintf(buffer, size, "%" PRIu64 "ms", nanoseconds / NSEC_PER_MSEC);
    else if (seconds < 60 && tenth > 0)
        (void)snprintf(buffer, size, "%" PRIu64 ".%" PRIu64 "s", seconds, tenth);
    else if (seconds < 60)
        (void)snprintf(buffer, size, "%" PRIu64 "s", seconds);
    else if (minutes < 60 && seconds % 60 > 0)
        (void)snprintf(buffer, size, "%" PRIu64 "min %" PRIu64 "s", minutes, seconds % 60);
    else if (minutes < 60)
        (void)snprintf(buffer, size, "%" PRIu64 "min", minutes);
    else if (hours < 24 && minutes % 60 > 0)
        (void)snprintf(buffer, size, "%" PRIu64 "h %" PRIu64 "min", hours, minutes % 60);
    else if (hours < 24)
        (void)snprintf(buffer, size, "%" PRIu64 "h", hours);
    else if (hours % 24 > 0)
        (void)snprintf(buffer, size, "%" PRIu64 "d %" PRIu64 "h", hours / 24, hours % 24);
    else
        (void)snprintf(buffer, size, "%" PRIu64 "d", hours / 24);
    return buffer;
}

const char *text_format_moment(uint64_t realtime, char *buffer, size_t size)
{
    time_t seconds = (time_t)(realtime / NSEC_PER_SEC);
    struct tm parts;

    if (!localtime_r(&seconds, &parts) || strftime(buffer, size, "%F %T", &parts) == 0)
        (void)snprintf(buffer, size, "%" PRIu64 " ns", realtime);
    return buffer;
}
