/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text at the edges: numbers both ways, cleaning, and the cutting of errors. */
#include "suite.h"
#include "text.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/error.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse_case {
    const char *text;
    int result;
    uint64_t value;
};

static void parse_all(
    int (*parse)(const char *, uint64_t *), const struct parse_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 4711;
        int result = parse(cases[i].text, &value);
        ck_assert_msg(result == cases[i].result, "\"%s\": %d", cases[i].text, result);
        ck_assert_msg(value == (result < 0 ? 4711 : cases[i].value), "\"%s\": %llu", cases[i].text,
            (unsigned long long)value);
    }
}

START_TEST(sizes)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"1073741824", 0, GIB},
        {"4G", 0, 4 * GIB},
        {"4GiB", 0, 4 * GIB},
        {"1.5G", 0, 3 * GIB / 2},
        {"512M", 0, 512 * MIB},
        {"0.1T", 0, 109951162777},
        {"8388608T", 0, UINT64_C(1) << 63},
        {"9223372036854775808", 0, UINT64_C(1) << 63},
        {"9223372036854775809", -ERANGE, 0},
        {"8388609T", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"G", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"1.", -EINVAL, 0},
        {".5G", -EINVAL, 0},
        {"1.0000000001G", -EINVAL, 0},
        {"4g", -EINVAL, 0},
        {"4GB", -EINVAL, 0},
        {"4 G", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"10%", -EINVAL, 0},
    };
    parse_all(text_parse_size, cases, ELEMENTSOF(cases));
}
END_TEST

START_TEST(shares)
{
    static const struct parse_case cases[] = {
        {"0%", 0, 0},
        {"10%", 0, 1000},
        {"12.5%", 0, 1250},
        {"0.25%", 0, 25},
        {"100%", 0, 10000},
        {"100.01%", -ERANGE, 0},
        {"101%", -ERANGE, 0},
        {"9223372036854775808%", -ERANGE, 0},
        {"0.001%", -EINVAL, 0},
        {"10", -EINVAL, 0},
        {"10%%", -EINVAL, 0},
        {"%", -EINVAL, 0},
    };
    parse_all(text_parse_share, cases, ELEMENTSOF(cases));
}
END_TEST

START_TEST(times)
{
    static const struct parse_case cases[] = {
        {"0s", 0, 0},
        {"500ms", 0, 500 * NSEC_PER_MSEC},
        {"5min", 0, 5 * NSEC_PER_MINUTE},
        {"1h 30min", 0, 90 * NSEC_PER_MINUTE},
        {"1h\t30min  1s", 0, 90 * NSEC_PER_MINUTE + NSEC_PER_SEC},
        {"0.5s", 0, 500 * NSEC_PER_MSEC},
        {"7ns", 0, 7},
        {"3us", 0, 3000},
        {"2d", 0, 2880 * NSEC_PER_MINUTE},
        {"106751d", 0, UINT64_C(106751) * 24 * 60 * NSEC_PER_MINUTE},
        {"106752d", -ERANGE, 0},
        {"106751d 24h", -ERANGE, 0},
        {"5", -EINVAL, 0},
        {"5m", -EINVAL, 0},
        {"5 min", -EINVAL, 0},
        {"5minutes", -EINVAL, 0},
        {"1h30min", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
    };
    parse_all(text_parse_time, cases, ELEMENTSOF(cases));
}
END_TEST

START_TEST(numbers)
{
    uint64_t number = 7;

    ck_assert_int_eq(text_parse_number("1000", 1, 1000, &number), 0);
    ck_assert_uint_eq(number, 1000);
    ck_assert_int_eq(text_parse_number("1001", 1, 1000, &number), -ERANGE);
    ck_assert_int_eq(text_parse_number("0", 1, 1000, &number), -ERANGE);
    ck_assert_int_eq(text_parse_number("1.0", 1, 1000, &number), -EINVAL);
    ck_assert_int_eq(text_parse_number(" 1", 1, 1000, &number), -EINVAL);
    ck_assert_int_eq(text_parse_number("1x", 1, 1000, &number), -EINVAL);
    ck_assert_uint_eq(number, 1000);
}
END_TEST

START_TEST(formats)
{
    static const struct {
        uint64_t value;
        const char *bytes, *time;
    } cases[] = {
        {0, "0", "0s"},
        {1023, "1023", "1us"},
        {999, "999", "999ns"},
        {3 * GIB / 2, "1.5G", "1.6s"},
        {512 * MIB, "512M", "536ms"},
        {GIB - 1, "1023.9M", "1s"},
        {125 * NSEC_PER_SEC, "116.4G", "2min 5s"},
        {90 * NSEC_PER_MINUTE, "4.9T", "1h 30min"},
        {2880 * NSEC_PER_MINUTE, "157.1T", "2d"},
        {UINT64_MAX - 1, "15.9E", "213503d 23h"},
        {UNKNOWN, "-", "-"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char buffer[TEXT_NUMBER_MAX];
        ck_assert_str_eq(text_format_bytes(cases[i].value, buffer, sizeof(buffer)), cases[i].bytes);
        ck_assert_str_eq(text_format_time(cases[i].value, buffer, sizeof(buffer)), cases[i].time);
    }
}
END_TEST

START_TEST(cleaning)
{
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"plain", "plain"},
        {"tab\tnewline\nescape\x1b[2J", "tab?newline?escape?[2J"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xf0\x9f\x9a\xa2", "\xf0\x9f\x9a\xa2"},
        {"cut \xf0\x9f\x9a", "cut ???"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
        {"beyond \xf4\x90\x80\x80 \xff", "beyond ???? ?"},
        {"c1 \xc2\x9b", "c1 ?"},
        {"turned \xe2\x80\xae text", "turned ? text"},
        {"mark \xef\xbb\xbf", "mark ?"},
        {"", ""},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char buffer[64];
        (void)snprintf(buffer, sizeof(buffer), "%s", cases[i].text);
        text_clean(buffer);
        ck_assert_str_eq(buffer, cases[i].clean);
    }
}
END_TEST

START_TEST(random_bytes_become_text)
{
    srandom(1);
    for (uint64_t left = suite_cases(20000); left > 0; left--) {
        char buffer[32];
        size_t length = (size_t)random() % sizeof(buffer);
        for (size_t i = 0; i < length; i++)
            buffer[i] = (char)(random() % 255 + 1);
        buffer[length] = '\0';
        text_clean(buffer);
        for (size_t at = 0; buffer[at] != '\0';) {
            size_t step = text_character(buffer + at, strlen(buffer + at));
            ck_assert_uint_gt(step, 0);
            at += step;
        }
    }
}
END_TEST

START_TEST(errors)
{
    struct error error;
    char filler[ERROR_TEXT_MAX * 2];

    ck_assert_int_eq(error_set(NULL, -EIO, "nobody %s", "listens"), -EIO);
    ck_assert_int_eq(error_set(&error, -EIO, "%s: line\nbreak", "vm"), -EIO);
    ck_assert_int_eq(error.code, -EIO);
    ck_assert_str_eq(error.text, "vm: line?break");
    /* Every phase of the cut through a three-byte character. */
    for (size_t shift = 0; shift < 3; shift++) {
        size_t length = shift;
        memset(filler, 'x', shift);
        for (; length + 4 < sizeof(filler); length += 3)
            memcpy(filler + length, "\xe2\x82\xac", 3);
        filler[length] = '\0';
        (void)error_set(&error, -EIO, "%s", filler);
        size_t end = strlen(error.text);
        ck_assert_uint_gt(end, ERROR_TEXT_MAX - 5);
        ck_assert_str_eq(error.text + end - 3, TEXT_ELLIPSIS);
        ck_assert_ptr_null(strchr(error.text, '?'));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tests = tcase_create("text");
    tcase_set_timeout(tests, 60);

    tcase_add_test(tests, sizes);
    tcase_add_test(tests, shares);
    tcase_add_test(tests, times);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, formats);
    tcase_add_test(tests, cleaning);
    tcase_add_test(tests, random_bytes_become_text);
    tcase_add_test(tests, errors);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
