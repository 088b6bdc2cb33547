/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept of the alerts: the last ones, each under a time of its own, and what was lost told.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/units.h>

#include "history.h"
#include "log.h"
#include "suite.h"

static struct history *history;

static void setup(void)
{
    ck_assert_int_eq(history_new(&history), 0);
}

static void teardown(void)
{
    log_set_history(NULL);
    history = history_free(history);
    ck_assert_ptr_null(history_free(NULL));
}

/* How many are later than AFTER; *RET_TEXT, *RET_TIME of the first, *RET_GAP as it is told. */
static size_t look(uint64_t after, char ret_text[LOG_LINE_MAX], uint64_t *ret_time, bool *ret_gap)
{
    struct json_object *log = history_json(history, after);
    struct json_object *lines = json_object_object_get(log, "lines");
    size_t count = json_object_array_length(lines);

    *ret_gap = json_object_get_boolean(json_object_object_get(log, "gap"));
    if (count > 0) {
        struct json_object *first = json_object_array_get_idx(lines, 0);
        (void)snprintf(ret_text, LOG_LINE_MAX, "%s",
            json_object_get_string(json_object_object_get(first, "text")));
        *ret_time = json_object_get_uint64(json_object_object_get(first, "realtime"));
    }
    json_object_put(log);
    return count;
}

START_TEST(the_last_lines_are_kept)
{
    char text[LOG_LINE_MAX], number[32];
    uint64_t time = 0;
    bool gap = true;

    ck_assert_uint_eq(look(0, text, &time, &gap), 0);
    ck_assert(!gap);
    for (unsigned i = 0; i < HISTORY_LINES + 3; i++) {
        (void)snprintf(number, sizeof(number), "event=%u", i);
        history_add(history, 1000 + i, LOG_INFO, number);
    }
    ck_assert_uint_eq(look(0, text, &time, &gap), HISTORY_LINES);
    ck_assert(gap);
    ck_assert_str_eq(text, "event=3");
    ck_assert_uint_eq(time, 1003);
    ck_assert_uint_eq(look(1002, text, &time, &gap), HISTORY_LINES);
    ck_assert(!gap); /* all that is lost was heard */
    ck_assert_uint_eq(look(1000 + HISTORY_LINES, text, &time, &gap), 2);
    ck_assert(!gap);
    ck_assert_uint_eq(look(1002 + HISTORY_LINES, text, &time, &gap), 0);
}
END_TEST

/* A clock that is set back makes no line the same as another, or earlier. */
START_TEST(each_line_has_a_later_time)
{
    static const uint64_t clock[] = {5000, 5000, 100, 9000};
    static const uint64_t kept[] = {5000, 5001, 5002, 9000};
    char text[LOG_LINE_MAX];
    uint64_t time = 0;
    bool gap;

    for (unsigned i = 0; i < 4; i++)
        history_add(history, clock[i], LOG_INFO, "event=x");
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(look(kept[i] - 1, text, &time, &gap), 4 - i);
        ck_assert_uint_eq(time, kept[i]);
    }
}
END_TEST

/* A line has its number, which goes on where lines are lost, and a history is like no other. */
START_TEST(lines_are_numbered_and_histories_told_apart)
{
    CLEANUP(history_free_at) struct history *other = NULL;

    ck_assert_int_eq(history_new(&other), 0);
    for (unsigned i = 0; i < HISTORY_LINES + 3; i++)
        history_add(history, 1000 + i, LOG_INFO, "event=x");
    struct json_object *log = history_json(history, 0), *others = history_json(other, 0);
    struct json_object *lines = json_object_object_get(log, "lines");
    for (size_t i = 0; i < HISTORY_LINES; i++) {
        struct json_object *line = json_object_array_get_idx(lines, i);
        ck_assert_uint_eq(json_object_get_uint64(json_object_object_get(line, "number")), i + 4);
    }
    ck_assert_uint_ne(json_object_get_uint64(json_object_object_get(log, "instance")),
        json_object_get_uint64(json_object_object_get(others, "instance")));
    json_object_put(log);
    json_object_put(others);
}
END_TEST

START_TEST(what_is_said_is_kept_and_diagnostics_are_not)
{
    char longest[2 * LOG_LINE_MAX], text[LOG_LINE_MAX];
    uint64_t time = 0;
    bool gap;

    log_set_history(history);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    log_message(LOG_DEBUG, "a diagnostic");
    log_alert(LOG_INFO | LOG_OFTEN, "event=often number=%d", 1);
    log_alert(LOG_INFO, "event=test text=%s", longest);
    log_alert(LOG_INFO, "event=test number=%d", 2);
    ck_assert_uint_eq(look(0, text, &time, &gap), 2);
    ck_assert_uint_eq(strlen(text), LOG_LINE_MAX - 1);
    ck_assert_uint_eq(look(time, text, &time, &gap), 1);
    ck_assert_str_eq(text, "event=test number=2");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("history");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_last_lines_are_kept);
    tcase_add_test(tests, each_line_has_a_later_time);
    tcase_add_test(tests, lines_are_numbered_and_histories_told_apart);
    tcase_add_test(tests, what_is_said_is_kept_and_diagnostics_are_not);
    Suite *suite = suite_create("history");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
