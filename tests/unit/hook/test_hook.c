/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsoll-hook as a process: what it answers libvirt, whatever the guard, the configuration and
 * libvirt itself do.
 */
#include "hook_scene.h"
#include "suite.h"

#include "loop.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DENY "unreachable=deny\n"
#define ALLOW "unreachable=allow\n"

#define ADMITTED ANSWER("allow", "it fits", "true")
#define REFUSED ANSWER("refuse", "web needs 2G, 1G is left\\u001b", "true")
#define WAITS ANSWER("wait", "500M are being made", "true")

static char program[4096], told_program[4096];

static const char *const nobody[] = {GUARD_HANGS, NULL};

static void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "“%s” is not in “%s”", part, text);
}

/* One line that says what to do. */
static void expect_advice(const char *said)
{
    expect_in(said, "plimsoll: the start is refused");
    expect_in(said, "systemctl start plimsolld");
    expect_in(said, "unreachable=allow");
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
}

/* Nobody can judge: what the configuration says of that holds. */
static void expect_unreachable(
    const char *lines, const char *const answers[], const char *input, const char *why)
{
    char deny[256];

    (void)snprintf(deny, sizeof(deny), DENY "%s", lines);
    const char *said = hook_ask(deny, answers, input, 1);
    expect_advice(said);
    expect_in(said, why);
    ck_assert_str_eq(hook_ask(lines, answers, input, 0), "");
}

/* ---- what the guard says ---- */

START_TEST(it_is_admitted)
{
    static const char *const answers[] = {ADMITTED, NULL};

    ck_assert_str_eq(hook_ask(DENY PATIENT, answers, WEB(""), 0), "");
    ck_assert_uint_eq(hook_asked(), 1);
}
END_TEST

START_TEST(it_is_refused)
{
    static const char *const answers[] = {REFUSED, NULL};

    ck_assert_str_eq(
        hook_ask(ALLOW PATIENT, answers, WEB(""), 1), "plimsoll: web needs 2G, 1G is left?\n");
    ck_assert_uint_eq(hook_asked(), 1);
}
END_TEST

/* What would have been is for the guard to tell of, not for a start to wait for. */
START_TEST(what_does_not_act)
{
    static const char *const answers[][2] = {
        {ANSWER("refuse", "no", "false")},
        {ANSWER("wait", "soon", "false")},
        {ANSWER("allow", "yes", "false")},
    };

    for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
        ck_assert_str_eq(hook_ask(DENY PATIENT, answers[i], WEB(""), 0), "");
        ck_assert_uint_eq(hook_asked(), 1);
    }
}
END_TEST

static int64_t patience_of(unsigned question)
{
    struct json_object *parameters = guard_heard(question), *patience = NULL;

    ck_assert(json_object_object_get_ex(parameters, "patience", &patience));
    int64_t value = json_object_get_int64(patience);
    json_object_put(parameters);
    return value;
}

START_TEST(room_is_waited_for)
{
    static const char *const answers[] = {WAITS, WAITS, ADMITTED, NULL};

    ck_assert_str_eq(hook_ask(PATIENT, answers, WEB(""), 0), "");
    ck_assert_uint_eq(hook_asked(), 3);
    ck_assert_int_le(patience_of(0), 30 * (int64_t)NSEC_PER_SEC);
    for (unsigned i = 1; i < 3; i++)
        ck_assert_int_le(patience_of(i), patience_of(i - 1) - 100 * (int64_t)NSEC_PER_MSEC);
    ck_assert_int_gt(patience_of(2), 0);
}
END_TEST

START_TEST(room_may_not_come)
{
    static const char *const answers[] = {WAITS, ANSWER("wait", "takes 20M more", "true"), NULL};
    static const char *const late[] = {WAITS, REFUSED, NULL};

    ck_assert_str_eq(hook_ask("timeout=2s\n", answers, WEB(""), 1),
        "plimsoll: there was no room in time: it takes 20M more\n");
    ck_assert_uint_gt(hook_asked(), 1);
    ck_assert_str_eq(hook_ask(PATIENT, late, WEB(""), 1), "plimsoll: web needs 2G, 1G is left?\n");
}
END_TEST

/* ---- a guard that does not ---- */

START_TEST(it_hangs)
{
    expect_unreachable("timeout=1s\n", nobody, WEB(""), "");
}
END_TEST

/* It had not said no. */
START_TEST(it_hangs_over_room)
{
    static const char *const answers[] = {WAITS, GUARD_HANGS, NULL};

    expect_unreachable("timeout=3s\n", answers, WEB(""), "");
    ck_assert_uint_eq(hook_asked(), 2);
}
END_TEST

START_TEST(it_is_not_there)
{
    uint64_t begin = loop_now();

    ck_assert_str_eq(hook_ask(ALLOW PATIENT, NULL, WEB(""), 0), "");
    ck_assert_uint_lt(loop_now() - begin, 30 * NSEC_PER_SEC); /* nobody was waited for */
    expect_advice(hook_ask(DENY "timeout=1s\n", NULL, WEB(""), 1));
}
END_TEST

START_TEST(it_comes_back)
{
    static const char *const answers[] = {GUARD_CLOSES, GUARD_CLOSES, ADMITTED, NULL};

    ck_assert_str_eq(hook_ask(ALLOW PATIENT, answers, WEB(""), 0), "");
    ck_assert_uint_eq(hook_asked(), 3);
    ck_assert_str_eq(hook_ask(DENY PATIENT, answers, WEB(""), 0), "");
    ck_assert_uint_eq(hook_asked(), 3);
}
END_TEST

START_TEST(its_socket_comes_back)
{
    static const char *const answers[] = {REFUSED, NULL};

    hook_configure(DENY PATIENT);
    (void)hook_start("prepare", "begin", WEB(""));
    guard_begin(answers);
    ck_assert_str_eq(hook_end(1), "plimsoll: web needs 2G, 1G is left?\n");
    ck_assert_uint_eq(guard_end(), 1);
}
END_TEST

START_TEST(its_answer_makes_no_sense)
{
    static const char *const answers[][2] = {
        {"{\"parameters\":{}}"},
        {ANSWER("perhaps", "", "true")},
        {ANSWER("REFUSE", "", "true")},
        {ANSWER("refuse", "no", "1")},
        {ANSWER("refuse", "no", "null")},
        {"{\"parameters\":{\"verdict\":\"refuse\",\"acts\":true}}"},
        {"{\"parameters\":{\"verdict\":2,\"text\":\"no\",\"acts\":true}}"},
        {"{\"parameters\":[]}"},
        {"refuse"},
        {""},
    };

    for (size_t i = 0; i < ELEMENTSOF(answers); i++)
        expect_unreachable(PATIENT, answers[i], WEB(""), "");
    expect_unreachable(PATIENT, answers[0], WEB(""), "makes no sense");
}
END_TEST

START_TEST(it_cannot_say)
{
    static const char *const failed[] = {
        "{\"error\":\"io.plimsoll.Failed\",\"parameters\":{\"message\":\"no luck\"}}", NULL};
    static const char *const older[] = {"{\"error\":\"org.varlink.service.MethodNotFound\"}", NULL};

    expect_unreachable(PATIENT, failed, WEB(""), "no luck");
    expect_unreachable(PATIENT, older, WEB(""), "another version");
}
END_TEST

/* ---- what libvirt says ---- */

START_TEST(what_is_no_domain)
{
    static const char *const cases[] = {
        "",
        "web",
        "<domain><name>web</name>",
        "<domain><name>web</name></domain>",
        "<domain><name>web</name><uuid>" WEB_UUID "</uuid></domain>",
        "<domain><name>web</name><uuid>" WEB_UUID "</uuid><memory unit='GB'>1</memory></domain>",
        "<!DOCTYPE domain [<!ENTITY a 'web'>]>" WEB(""),
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        expect_unreachable(PATIENT, nobody, cases[i], "");
        ck_assert_uint_eq(hook_asked(), 0);
    }
}
END_TEST

START_TEST(what_is_too_long)
{
    size_t length = (size_t)3 * 1024 * 1024;
    char *xml = malloc(length + 1);

    ck_assert_ptr_nonnull(xml);
    memset(xml, ' ', length);
    memcpy(xml, WEB(""), sizeof(WEB("")) - 1);
    xml[length] = '\0';
    expect_unreachable(PATIENT, nobody, xml, "longer than 1048576 bytes");
    ck_assert_uint_eq(hook_asked(), 0);
    free(xml);
}
END_TEST

START_TEST(what_does_not_end)
{
    expect_unreachable("timeout=500ms\n", nobody, INPUT_OPEN, "to its end in time");
    expect_unreachable("timeout=500ms\n", nobody, INPUT_FLOOD, "to its end in time");
    ck_assert_uint_eq(hook_asked(), 0);
}
END_TEST

/* ---- what is no question ---- */

START_TEST(other_times)
{
    static const char *const times[][2] = {
        {"start", "begin"},
        {"started", "begin"},
        {"stopped", "end"},
        {"release", "end"},
        {"migrate", "begin"},
        {"restore", "begin"},
        {"reconnect", "begin"},
        {"attach", "begin"},
        {"prepare", "end"},
        {"begin", "prepare"},
        {"", ""},
    };

    hook_configure(DENY PATIENT);
    for (int there = 0; there < 2; there++) {
        if (there)
            guard_begin(nobody);
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
            (void)hook_start(times[i][0], times[i][1], WEB(""));
            ck_assert_str_eq(hook_end(0), "");
        }
    }
    ck_assert_uint_eq(guard_end(), 0);
}
END_TEST

START_TEST(other_times_without_end)
{
    static const char *const inputs[] = {INPUT_OPEN, INPUT_FLOOD};

    hook_configure("nonsense\n");
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
        (void)hook_start("reconnect", "begin", inputs[i]);
        ck_assert_str_eq(hook_end(0), "");
    }
}
END_TEST

START_TEST(too_few_words)
{
    static const char *const cases[][3] = {{NULL}, {"web"}, {"web", "prepare"}};

    hook_configure(DENY PATIENT);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        (void)hook_start_with(cases[i], "");
        expect_in(hook_end(0), "Usage: plimsoll-hook");
    }
}
END_TEST

START_TEST(a_name_like_an_option)
{
    static const char *const answers[] = {REFUSED, NULL};
    const char *const arguments[] = {"--help", "prepare", "begin", "-", NULL};

    hook_configure(PATIENT);
    guard_begin(answers);
    (void)hook_start_with(arguments, WEB(""));
    (void)hook_end(1);
    ck_assert_uint_eq(guard_end(), 1);
}
END_TEST

/* ---- configurations ---- */

/* Nobody knows whether it would have said deny. */
START_TEST(a_bad_configuration)
{
    static const char *const cases[] = {NULL, DENY "timeout=never\n", DENY "nonsense\n"};
    static const char *const answers[] = {REFUSED, NULL};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        ck_assert_str_eq(hook_ask(cases[i], NULL, WEB(""), 0), "");
        ck_assert_str_eq(
            hook_ask(cases[i], answers, WEB(""), 1), "plimsoll: web needs 2G, 1G is left?\n");
    }
}
END_TEST

/* Where the guard would refuse nothing, nor does its absence; switched off, nobody is asked. */
START_TEST(a_configuration_that_refuses_nothing)
{
    static const char *const cases[] = {
        "[guard]\nmode=enforce\n[admission]\nmode=off\n" DENY,
        "[guard]\nmode=enforce\n[admission]\nmode=warn\n" DENY,
        "[guard]\nmode=dry-run\n[admission]\nmode=enforce\n" DENY,
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(hook_ask(cases[i], NULL, WEB(""), 0), "");
    ck_assert_str_eq(hook_ask(cases[0], nobody, WEB(""), 0), "");
    ck_assert_uint_eq(hook_asked(), 0);
}
END_TEST

/* ---- the last resort ---- */

/* It rings a second after the rest should have ended; here at once. */
START_TEST(an_alarm_ends_it)
{
    static const char *const lines[] = {ALLOW PATIENT, DENY PATIENT};

    guard_begin(nobody);
    for (int deny = 0; deny < 2; deny++) {
        hook_configure(lines[deny]);
        pid_t hook = hook_start("prepare", "begin", WEB(""));
        guard_await();
        ck_assert_int_eq(kill(hook, SIGALRM), 0);
        const char *said = hook_end(deny);
        if (deny)
            expect_in(said, "unreachable=allow");
        else
            ck_assert_str_eq(said, "");
    }
    ck_assert_uint_eq(guard_end(), 2);
}
END_TEST

/* ---- what it tells syslog ---- */

#define TOLD "28 event=admission vm="

START_TEST(what_nobody_judged_is_told_of)
{
    static const char *const failed[] = {
        "{\"error\":\"io.plimsoll.Failed\",\"parameters\":{\"message\":\"no \\\"luck\\\"\"}}",
        NULL};
    const char *const hostile[] = {"w\n\033eb", "prepare", "begin", "-", NULL};

    hook_program(told_program);
    ck_assert_str_eq(hook_ask(PATIENT, failed, WEB(""), 0),
        TOLD "web uuid=" WEB_UUID " result=unreachable verdict=allow text=\"no \\\"luck\\\"\"\n");
    const char *said = hook_ask(DENY PATIENT, failed, WEB(""), 1);
    expect_in(said,
        TOLD "web uuid=" WEB_UUID " result=unreachable verdict=deny text=\"no \\\"luck\\\"\"\n");
    expect_in(said, "\nplimsoll: the start is refused");

    hook_configure(DENY PATIENT);
    (void)hook_start_with(hostile, "");
    expect_in(hook_end(1),
        TOLD "\"w\\x0a\\x1beb\" uuid=00000000-0000-0000-0000-000000000000 result=unreachable "
             "verdict=deny text=\"");
    expect_in(hook_ask("timeout=never\n", NULL, WEB(""), 0), "verdict=allow text=\"");
}
END_TEST

/* That is the guard's to tell. */
START_TEST(what_the_guard_judged_is_not)
{
    static const char *const admitted[] = {ADMITTED, NULL}, *const refused[] = {REFUSED, NULL};

    hook_program(told_program);
    ck_assert_str_eq(hook_ask(PATIENT, admitted, WEB(""), 0), "");
    ck_assert_str_eq(
        hook_ask(PATIENT, refused, WEB(""), 1), "plimsoll: web needs 2G, 1G is left?\n");
}
END_TEST

/* However long a name and a reason are, it is one line with its end. */
START_TEST(the_longest_line)
{
    char name[256], message[1024], answer[2048];
    const char *const answers[] = {answer, NULL};
    const char *const arguments[] = {name, "prepare", "begin", "-", NULL};

    memset(name, '\x01', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(message, '"', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    for (size_t i = 0; i + 1 < sizeof(message); i += 2)
        message[i] = '\\';
    message[sizeof(message) - 2] = '\0';
    (void)snprintf(answer, sizeof(answer),
        "{\"error\":\"io.plimsoll.Failed\",\"parameters\":{\"message\":\"%s\"}}", message);
    hook_program(told_program);
    hook_configure(PATIENT);
    guard_begin(answers);
    (void)hook_start_with(arguments, WEB(""));
    const char *said = hook_end(0);
    ck_assert_uint_lt(strlen(said), 1024);
    ck_assert_str_eq(said + strlen(said) - 2, "\"\n");
    ck_assert_uint_eq(guard_end(), 1);
}
END_TEST

static void setup(void)
{
    hook_scene_setup();
    hook_program(program);
}

int main(int argc, char *argv[])
{
    if (argc != 3) {
        (void)fprintf(stderr, "Usage: %s PLIMSOLL-HOOK HOOK-TOLD\n", argv[0]);
        return EXIT_FAILURE;
    }
    (void)snprintf(program, sizeof(program), "%s", argv[1]);
    (void)snprintf(told_program, sizeof(told_program), "%s", argv[2]);
    Suite *suite = suite_create("hook");
    TCase *tests = tcase_create("hook");

    tcase_add_checked_fixture(tests, setup, hook_scene_teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, it_is_admitted);
    tcase_add_test(tests, it_is_refused);
    tcase_add_test(tests, what_does_not_act);
    tcase_add_test(tests, room_is_waited_for);
    tcase_add_test(tests, room_may_not_come);
    tcase_add_test(tests, it_hangs);
    tcase_add_test(tests, it_hangs_over_room);
    tcase_add_test(tests, it_is_not_there);
    tcase_add_test(tests, it_comes_back);
    tcase_add_test(tests, its_socket_comes_back);
    tcase_add_test(tests, its_answer_makes_no_sense);
    tcase_add_test(tests, it_cannot_say);
    tcase_add_test(tests, what_is_no_domain);
    tcase_add_test(tests, what_is_too_long);
    tcase_add_test(tests, what_does_not_end);
    tcase_add_test(tests, other_times);
    tcase_add_test(tests, other_times_without_end);
    tcase_add_test(tests, too_few_words);
    tcase_add_test(tests, a_name_like_an_option);
    tcase_add_test(tests, a_bad_configuration);
    tcase_add_test(tests, a_configuration_that_refuses_nothing);
    tcase_add_test(tests, an_alarm_ends_it);
    tcase_add_test(tests, what_nobody_judged_is_told_of);
    tcase_add_test(tests, what_the_guard_judged_is_not);
    tcase_add_test(tests, the_longest_line);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
