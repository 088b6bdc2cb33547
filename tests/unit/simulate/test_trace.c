/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces: what is read of them, and what is refused. */
#include "scratch.h"
#include "suite.h"
#include "trace_file.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16];

static void scene_setup(void)
{
    scratch_make("trace", folder);
    snprintf(path, sizeof(path), "%s/t.csv", folder);
}

static void scene_teardown(void)
{
    scratch_remove(folder);
}

static void refuse(const char *text, const char *word)
{
    struct demand_point *points = NULL;
    struct error error = {0};
    uint32_t count = 0;
    scratch_write(path, text);
    ck_assert_int_eq(trace_file_read(path, &points, &count, &error), -EINVAL);
    ck_assert_msg(strstr(error.text, word), "%s: %s", word, error.text);
    ck_assert_ptr_null(points);
}

START_TEST(a_trace_is_read)
{
    struct demand_point *points = NULL;
    struct error error = {0};
    uint32_t count = 0;
    scratch_write(path, "time,rss,small\n"
                        "0.50,911147008,nan\n"
                        "1.75,nan,12\r\n"
                        "\n"
                        "2.123456789123,1024,1\n"
                        "3,0,1");
    ck_assert_int_eq(trace_file_read(path, &points, &count, &error), 0);
    ck_assert_uint_eq(count, 3);
    ck_assert(points[0].time == 0 && points[0].bytes == 911147008);
    ck_assert(points[1].time == 1623456789 && points[1].bytes == 1024);
    ck_assert(points[2].time == 2500000000 && points[2].bytes == 0);
    free(points);
}
END_TEST

START_TEST(columns_are_found_by_name)
{
    struct demand_point *points = NULL;
    struct error error = {0};
    uint32_t count = 0;
    scratch_write(path, "rss , other, time\n7, x, 1\n");
    ck_assert_int_eq(trace_file_read(path, &points, &count, &error), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert(points[0].bytes == 7);
    free(points);
}
END_TEST

START_TEST(what_is_no_trace_is_refused)
{
    char line[2 * TRACE_LINE_MAX];
    refuse("", "expected names of columns");
    refuse("rss,total\n1,2\n", "expected names of columns");
    refuse("time,rss\n", "no point");
    refuse("time,rss\nnan,nan\n", "no point");
    refuse("time,rss\n1\n", ":2: not as many");
    refuse("time,rss\n1,2\n0.5,2\n", ":3: time runs backwards");
    refuse("time,rss\n1,2\n3,2\n2,2\n", ":4: time runs backwards");
    refuse("time,rss\n-1,2\n", "time: expected");
    refuse("time,rss\n1e3,2\n", "time: expected");
    refuse("time,rss\n,2\n", "time: expected");
    refuse("time,rss\n99999999999999999999,2\n", "time: expected");
    refuse("time,rss\n40000000,2\n", "time: expected");
    refuse("time,rss\n1,-2\n", "rss: expected");
    refuse("time,rss\n1,2.5\n", "rss: expected");
    refuse("time,rss\n1,18446744073709551616\n", "rss: expected");
    refuse("time,rss\n1,inf\n", "rss: expected");
    memset(line, ',', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    refuse(line, "longer");
    line[200] = '\n';
    line[201] = '\0';
    refuse(line, "more than 64 columns");
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    struct demand_point *points = NULL;
    struct error error = {0};
    uint32_t count = 0;
    ck_assert_int_eq(trace_file_read(path, &points, &count, &error), -ENOENT);
    ck_assert_int_eq(trace_file_read(folder, &points, &count, &error), -EINVAL);
    ck_assert_int_eq(trace_file_read("/dev/zero", &points, &count, &error), -EINVAL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("trace");
    tcase_add_checked_fixture(tests, scene_setup, scene_teardown);
    tcase_add_test(tests, a_trace_is_read);
    tcase_add_test(tests, columns_are_found_by_name);
    tcase_add_test(tests, what_is_no_trace_is_refused);
    tcase_add_test(tests, what_is_no_file_is_refused);
    Suite *suite = suite_create("simulate-trace");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
