/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's lines taken apart, as `plimsoll log` and `why` show them to a person. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "log.h"
#include "log_view.h"
#include "suite.h"
#include "why_view.h"

#define REALTIME (UINT64_C(1763877600) * NSEC_PER_SEC) /* 2025-11-23 06:00:00 UTC */

#define KILL                                                                                   \
    "event=action vm=\"bronze 1\" uuid=11111111-1111-1111-1111-111111111111 band=critical "    \
    "action=kill reason=kill-floor bytes=1073741824 loss=1200000 left=8500ms cover=2 "         \
    "cover_loss=2400500 rival=gold rival_reason=dearer rival_loss=54000000 pool=node node=1 "  \
    "deficit=536870912 mode=enforce text=\"nothing milder keeps the floor, and this guest is " \
    "the least loss\""
#define BALLOON                                                                             \
    "event=action vm=idle uuid=0 band=tight action=balloon reason=balloon-idle bytes=4096 " \
    "target=2147483648 pool=host deficit=0 mode=dry-run text=\"memory is tight\""
#define BAND                                                                        \
    "event=band band=scarce before=tight pool=host headroom=327155712 fill_rate=1 " \
    "time_to_exhaustion=59000ms"

static struct json_object *line_of(const char *text, int level)
{
    struct json_object *line = json_object_new_object();

    (void)json_object_object_add(line, "realtime", json_object_new_uint64(REALTIME));
    (void)json_object_object_add(line, "level", json_object_new_int(level));
    (void)json_object_object_add(line, "text", json_object_new_string(text));
    return line;
}

static const char *field(struct json_object *fields, const char *key)
{
    struct json_object *value = NULL;

    ck_assert_msg(json_object_object_get_ex(fields, key, &value), "no %s", key);
    return json_object_get_string(value);
}

START_TEST(a_line_is_taken_apart_as_it_was_put_together)
{
    struct json_object *line = line_of(KILL, LOG_CRIT), *fields = alert_fields(line);

    ck_assert_str_eq(field(fields, "vm"), "bronze 1");
    ck_assert_str_eq(field(fields, "action"), "kill");
    ck_assert_str_eq(
        field(fields, "text"), "nothing milder keeps the floor, and this guest is the least loss");
    ck_assert_uint_eq(alert_number(fields, "bytes"), GIB);
    ck_assert_uint_eq(alert_number(fields, "left"), UNKNOWN); /* it has a unit */
    ck_assert_uint_eq(alert_number(fields, "nothing"), UNKNOWN);
    ck_assert(alert_is_decision(fields));
    json_object_put(fields);
    json_object_put(line);
}
END_TEST

/* A guest may be called anything: no name makes a field of its own, or a word of the terminal's. */
START_TEST(names_stay_names)
{
    static const char *const names[] = {"a b", "x\" action=kill vm=\"gold", "back\\slash\\",
        "new\nline", "\x1b[2J", "\xff\xfe", "\xe2\x80\xae-evil", "plain-1.x"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char quoted[128], text[256];
        (void)snprintf(text, sizeof(text), "event=vm-appeared vm=%s pid=7",
            log_quote(names[i], quoted, sizeof(quoted)));
        struct json_object *line = line_of(text, LOG_INFO), *fields = alert_fields(line);
        const char *name = field(fields, "vm");
        ck_assert_int_eq(json_object_object_length(fields), 3);
        ck_assert_str_eq(field(fields, "pid"), "7");
        ck_assert_ptr_null(strpbrk(name, "\n\x1b"));
        if (!strpbrk(names[i], "\n\x1b\xff\xe2"))
            ck_assert_str_eq(name, names[i]);
        json_object_put(fields);
        json_object_put(line);
    }
}
END_TEST

START_TEST(whatever_stands_there_is_no_reason_to_fall_over)
{
    static const char *const texts[] = {"", "=", "==", "a", "a=", "=b", "a=\"", "a=\"b", "a=\"\\",
        "a=b\"c d=e", "  a=1  b=2", "a=1 a=2",
        "key-that-is-longer-than-any-that-we-would-ever-think-of=1 b=2"};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        struct json_object *line = line_of(texts[i], 99), *fields = alert_fields(line);
        ck_assert_ptr_nonnull(fields);
        FILE *out = fopen("/dev/null", "w");
        struct log_view view = {0};
        log_view_print(&view, line, fields, out);
        why_view_print(line, fields, 0, &view.style, out);
        ck_assert_int_eq(fclose(out), 0);
        json_object_put(fields);
        json_object_put(line);
    }
    struct json_object *fields = alert_fields(NULL);
    ck_assert_int_eq(json_object_object_length(fields), 0);
    json_object_put(fields);
}
END_TEST

/* How it is shown on a terminal of WIDTH columns; 0: on none. */
static char *shown(const char *text, int level, unsigned width, bool why)
{
    struct json_object *line = line_of(text, level), *fields = alert_fields(line);
    struct log_view view = {.style = {.width = width}};
    char *output = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&output, &size);

    if (why)
        why_view_print(line, fields, REALTIME + 90 * NSEC_PER_SEC, &view.style, out);
    else
        log_view_print(&view, line, fields, out);
    ck_assert_int_eq(fclose(out), 0);
    json_object_put(fields);
    json_object_put(line);
    return output;
}

START_TEST(a_line_for_a_person)
{
    static const struct {
        const char *text;
        unsigned width;
        const char *shown;
    } cases[] = {
        {KILL, 0,
            "2025-11-23 06:00:00  bronze 1      kill: nothing milder keeps the floor, and this "
            "guest is the least loss\n"},
        {KILL, 60,
            "2025-11-23\n"
            "06:00:00  bronze 1      kill: nothing milder keeps the\n"
            "            floor, and this guest is the least loss\n"},
        {BALLOON, 0,
            "2025-11-23 06:00:00  idle          balloon to 2G (dry run): memory is tight\n"},
        {BAND, 0,
            "2025-11-23 06:00:00  host          band scarce, was tight: headroom 312M, exhausted "
            "in 59s\n"},
        {"event=start version=1 mode=dry-run", 0,
            "2025-11-23 06:00:00  host          start version=1 mode=dry-run\n"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char *output = shown(cases[i].text, LOG_NOTICE, cases[i].width, false);
        ck_assert_str_eq(output, cases[i].shown);
        free(output);
    }
}
END_TEST

START_TEST(a_kill_in_sentences)
{
    char *output = shown(KILL, LOG_CRIT, 80, true);
    ck_assert_str_eq(output,
        "bronze 1 was killed, 1min 30s ago (2025-11-23 06:00:00).\n"
        "\n"
        "  Because    nothing milder keeps the floor, and this guest is the least loss\n"
        "             (kill-floor)\n"
        "  Short      node 1 by 512M; the band was critical, the floor reached in 8.5s\n"
        "  It gives   1G\n"
        "  It costs   1200 (its priority times the minutes that it loses)\n"
        "  Of a set   2 guests have to go by the forecast, at 2400.500 together\n"
        "  Runner-up  gold: it would have lost more (by 54000)\n");
    free(output);

    output = shown(BALLOON, LOG_NOTICE, 80, true);
    ck_assert_ptr_nonnull(strstr(output, "idle would have been asked by its balloon, to 2G, "));
    ck_assert_ptr_nonnull(strstr(output, "nothing was done to it"));
    ck_assert_ptr_null(strstr(output, "Runner-up"));
    free(output);
}
END_TEST

int main(void)
{
    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)setenv("TZ", "UTC", 1);
    tzset();
    TCase *tests = tcase_create("log");
    tcase_add_test(tests, a_line_is_taken_apart_as_it_was_put_together);
    tcase_add_test(tests, names_stay_names);
    tcase_add_test(tests, whatever_stands_there_is_no_reason_to_fall_over);
    tcase_add_test(tests, a_line_for_a_person);
    tcase_add_test(tests, a_kill_in_sentences);
    Suite *suite = suite_create("log");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
