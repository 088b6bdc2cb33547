/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How bad each alert is, which journald and `plimsoll alert` go by: the table of plimsolld(8), line
 * by line. From warning on somebody should look.
 */
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>

#include "announce.h"
#include "log.h"
#include "said.h"
#include "suite.h"

static struct snapshot snapshot;
static struct plan plan;
static struct vm vm;

static void setup(void)
{
    said_begin();
    ck_assert_int_gt(log_start(), 0);
    log_set_echo(true);
    plan.assessment.pool_count = 1;
    (void)snprintf(vm.figures.name, sizeof(vm.figures.name), "web");
}

static void teardown(void)
{
    log_stop();
    said_end();
}

/* The next line is of that level, and has these words in it. */
static void expect(int level, const char *words)
{
    char prefix[] = {'<', (char)('0' + level), '>', '\0'};
    const char *line = said_line();

    ck_assert_msg(strncmp(line, prefix, 3) == 0, "is not %s: %s", prefix, line);
    ck_assert_msg(strstr(line, words) != NULL, "has no “%s”: %s", words, line);
}

static void act(enum action_kind kind, enum reason reason, enum mode mode, int result)
{
    const struct action action = {
        .kind = kind, .reason = reason, .mode = mode, .choice.rival.slot = ACTION_SLOT_HOST};

    announce_action(&plan, &action, &vm, &snapshot, result);
}

START_TEST(of_an_action)
{
    static const struct {
        int done, decided; /* in dry run, or during a hold */
    } levels[] = {
        [ACTION_BALLOON] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_RESIZE] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_RECLAIM] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_BRAKE] = {LOG_WARNING, LOG_NOTICE},
        [ACTION_RELEASE] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_PAUSE] = {LOG_WARNING, LOG_NOTICE},
        [ACTION_FREEZE] = {LOG_WARNING, LOG_NOTICE},
        [ACTION_THAW] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_RESUME] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_SAVE] = {LOG_WARNING, LOG_NOTICE},
        [ACTION_SHUTDOWN] = {LOG_WARNING, LOG_NOTICE},
        [ACTION_KILL] = {LOG_CRIT, LOG_NOTICE},
        [ACTION_OOM_SCORE] = {LOG_INFO, LOG_INFO},
        [ACTION_MEMLOCK] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_CONTAIN] = {LOG_NOTICE, LOG_NOTICE},
        [ACTION_ALERT] = {LOG_WARNING, LOG_WARNING},
    };
    static_assert(ELEMENTSOF(levels) == ACTION_KIND_COUNT, "an action has no level here");

    for (int i = 0; i < ACTION_KIND_COUNT; i++) {
        enum action_kind kind = (enum action_kind)i;
        char words[64];

        ck_assert_int_ne(levels[i].done, 0);
        (void)snprintf(words, sizeof(words), "action=%s ", action_kind_name(kind));
        act(kind, REASON_NONE, MODE_ENFORCE, 0);
        expect(levels[i].done, words);
        act(kind, REASON_NONE, MODE_DRY_RUN, 0);
        expect(levels[i].decided, words);
        act(kind, REASON_NONE, MODE_ENFORCE, -EIO);
        expect(LOG_ERR, "failed=EIO");
    }
}
END_TEST

/* The guard is at its end in two cases; in all others it looks on. */
START_TEST(of_an_alert_by_its_reason)
{
    for (int i = 0; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        bool end = reason == REASON_BREAKER || reason == REASON_NO_VICTIM;

        act(ACTION_ALERT, reason, MODE_DRY_RUN, 0);
        expect(end ? LOG_ERR : LOG_WARNING, reason_name(reason));
    }
}
END_TEST

START_TEST(of_a_band_by_where_it_goes)
{
    for (int before = 0; before < BAND_COUNT; before++) {
        for (int now = 0; now < BAND_COUNT; now++) {
            bool worse = now > before && now >= BAND_SCARCE;

            plan.assessment.band = (enum band)now;
            announce_band(&plan.assessment, &snapshot, (enum band)before);
            expect(worse ? LOG_WARNING : LOG_NOTICE, "event=band");
        }
    }
}
END_TEST

START_TEST(of_a_start)
{
    static const struct {
        enum admission_verdict verdict;
        bool acts;
        int level;
        const char *words;
    } cases[] = {
        {ADMISSION_ALLOW, true, LOG_INFO, "result=allow "},
        {ADMISSION_ALLOW, false, LOG_INFO, "result=allow "},
        {ADMISSION_WAIT, true, LOG_INFO, "result=wait "},
        {ADMISSION_WAIT, false, LOG_INFO, "result=would-wait "},
        {ADMISSION_REFUSE, true, LOG_WARNING, "result=refuse "},
        {ADMISSION_REFUSE, false, LOG_NOTICE, "result=would-refuse "},
    };
    static const uint8_t uuid[UUID_SIZE];
    const struct reservation reservation = {0};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const struct admission_answer answer = {.verdict = cases[i].verdict};
        announce_admission("web", uuid, &answer, cases[i].acts, 0, "x");
        expect(cases[i].level, cases[i].words);
    }
    announce_admission_suppressed("web", uuid, true, 7);
    expect(LOG_WARNING, "result=refuse suppressed=7 text=");
    announce_admission_kept("web", &reservation);
    expect(LOG_NOTICE, "result=kept");
    announce_admission_ended("web", uuid, "x");
    expect(LOG_NOTICE, "result=ended");
}
END_TEST

START_TEST(of_what_the_kernel_killed)
{
    const struct kernel_kill kill = {.pid = 7, .name = "x", .rss = UNKNOWN};

    announce_kernel_kill(&kill, "web", &vm.figures.identity);
    expect(LOG_CRIT, "event=kernel-kill vm=web");
    announce_kernel_kill(&kill, NULL, NULL);
    expect(LOG_WARNING, "event=kernel-kill process=x");
    announce_kernel_kills(2, true);
    expect(LOG_ERR, "event=kernel-kill pid=unknown count=2");
    announce_kernel_kills(2, false);
    expect(LOG_WARNING, "event=kernel-kill pid=unknown count=2");
    announce_kernel_log_lost(2);
    expect(LOG_WARNING, "event=kernel-log-lost");
}
END_TEST

START_TEST(of_all_else_about_a_guest)
{
    announce_vm(LOG_NOTICE, "resumed-by-other", &vm);
    expect(LOG_NOTICE, "event=resumed-by-other vm=web");
    announce_vm_ended("web", &vm.figures.identity, NULL);
    expect(LOG_INFO, "event=vm-ended vm=web");
    announce_end_failed(&vm, true, "disk \"full\"\n");
    expect(LOG_WARNING, "event=save-failed vm=web");
    announce_end_failed(&vm, false, "disk \"full\"\n");
    expect(LOG_WARNING, "pid=0 text=\"disk \\\"full\\\"\\x0a\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("announce_levels");
    TCase *tests = tcase_create("announce_levels");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, of_an_action);
    tcase_add_test(tests, of_an_alert_by_its_reason);
    tcase_add_test(tests, of_a_band_by_where_it_goes);
    tcase_add_test(tests, of_a_start);
    tcase_add_test(tests, of_what_the_kernel_killed);
    tcase_add_test(tests, of_all_else_about_a_guest);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
