/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU that does not answer, or not in time, is told of once, and so is that it does again. */
#include "fake_monitor.h"
#include "said.h"
#include "silence.h"
#include "suite.h"

#include <check.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#define SEC NSEC_PER_SEC
#define WAITED (3 * SEC)

/* What the silence of one QEMU comes to, step by step: at TIME it is late, or answers. */
static const struct {
    const char *name;
    struct {
        uint64_t time;
        bool late;
        bool told;       /* of the beginning */
        uint64_t length; /* of what is told at the end */
    } steps[6];
} silences[] = {
    {"short", {{100, true, true, 0}, {110, false, false, 0}, {139, false, false, 0},
                  {140, false, false, 13}, {200, false, false, 0}}},
    {"late again and again",
        {{100, true, true, 0}, {104, false, false, 0}, {110, true, false, 0},
            {130, false, false, 0}, {150, true, false, 0}, {155, false, false, 0}}},
    {"over after the last",
        {{100, true, true, 0}, {104, false, false, 0}, {120, true, false, 0},
            {125, false, false, 0}, {154, false, false, 0}, {155, false, false, 28}}},
    {"told again", {{100, true, true, 0}, {101, false, false, 0}, {131, false, false, 4},
                       {132, true, true, 0}, {170, false, false, 0}, {200, false, false, 41}}},
};

START_TEST(is_one_as_long_as_it_is_late_at_times)
{
    struct silence silence = {0};

    for (unsigned i = 0; i < ELEMENTSOF(silences[_i].steps); i++) {
        uint64_t time = silences[_i].steps[i].time * SEC;

        if (time == 0)
            break;
        if (silences[_i].steps[i].late)
            ck_assert_msg(silence_begin(&silence, time, WAITED) == silences[_i].steps[i].told,
                "%s, step %u", silences[_i].name, i);
        else
            ck_assert_msg(silence_end(&silence, time) == silences[_i].steps[i].length * SEC,
                "%s, step %u", silences[_i].name, i);
    }
}
END_TEST

static struct fake_monitor bench;

/* A question whose answer comes too late. */
static void answer_late(void)
{
    monitor_refresh(bench.monitor);
    uint64_t id = fake_monitor_hold(&bench, "\"query-status\"");
    fake_monitor_pass(&bench, MONITOR_TIMEOUT + SEC);
    ck_assert_int_eq((int)bench.vm->figures.monitor, VM_MONITOR_SILENT);
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, id,
                         "{\"status\": \"running\", \"singlestep\": false, \"running\": true}"),
        0);
    fake_monitor_settle(&bench);
    ck_assert_int_eq((int)bench.vm->figures.monitor, VM_MONITOR_READY);
}

START_TEST(a_slow_monitor_has_two_lines)
{
    fake_monitor_begin(&bench, true);
    said_begin();
    answer_late();
    const char *line = said_line();
    ck_assert_msg(strstr(line, "does not answer on") != NULL, "said: %s", line);
    answer_late();
    answer_late();
    ck_assert(!said_within(0));
    fake_monitor_pass(&bench, SILENCE_ENDS + SEC);
    fake_monitor_settle(&bench);
    monitor_advance(bench.monitor, BAND_CALM, loop_now() + SILENCE_ENDS + SEC);
    monitor_answered(bench.monitor, 0);
    line = said_line();
    ck_assert_msg(strstr(line, "answers again; for ") != NULL, "said: %s", line);
    ck_assert(!said_within(0));
    said_end();
    fake_monitor_end(&bench);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("silence");
    TCase *tests = tcase_create("silence");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, is_one_as_long_as_it_is_late_at_times, 0, ELEMENTSOF(silences));
    tcase_add_test(tests, a_slow_monitor_has_two_lines);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
