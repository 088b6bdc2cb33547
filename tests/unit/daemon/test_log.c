/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log: a stalled reader never stalls the writer, nothing is lost unsaid, order stays. */
#include "log.h"
#include "said.h"
#include "suite.h"
#include "text.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far more than any queue holds. */
#define FILL_MAX 100000

static void expect_silence(void)
{
    ck_assert(!said_within(0));
}

START_TEST(direct)
{
    errno = ENOENT;
    log_message(LOG_WARNING, "one %d", 1);
    ck_assert_int_eq(errno, ENOENT);
    said_expect("<4>one 1");
    log_message(LOG_DEBUG, "not said");
    log_set_level(LOG_DEBUG);
    log_message(LOG_DEBUG, "vm %s", "a\nb\x1b[31m");
    said_expect("<7>vm a?b?[31m");
    log_set_level(LOG_ERR);
    log_message(LOG_WARNING, "not said");
    expect_silence();
}
END_TEST

START_TEST(long_lines_are_cut)
{
    char filler[2 * LOG_LINE_MAX], expected[LOG_LINE_MAX + 8];

    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    snprintf(expected, sizeof(expected), "<6>%.*s" TEXT_ELLIPSIS,
        LOG_LINE_MAX - (int)sizeof(TEXT_ELLIPSIS), filler);
    for (int started = 0; started < 2; started++) {
        if (started)
            ck_assert_int_gt(log_start(), 0);
        log_message(LOG_INFO, "%s", filler);
        said_expect(expected);
    }
    log_stop();
}
END_TEST

START_TEST(through_the_child)
{
    char text[32], expected[64];
    int child = log_start();

    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(log_child(), child);
    log_set_echo(true);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "line %d", i);
        if (i % 2)
            log_alert(LOG_NOTICE, "event=test %s", text);
        else
            log_message(LOG_INFO, "%s", text);
        snprintf(expected, sizeof(expected), i % 2 ? "<5>event=test %s" : "<6>%s", text);
        said_expect(expected);
    }
    log_set_echo(false);
    log_alert(LOG_NOTICE, "event=silent");
    log_message(LOG_INFO, "last words");
    log_stop();
    ck_assert_int_eq(log_child(), 0);
    said_expect("<6>last words");
    expect_silence();
    ck_assert_int_eq(waitpid(child, NULL, WNOHANG), -1); /* log_stop() reaped it */
    log_message(LOG_INFO, "directly again");
    said_expect("<6>directly again");
    log_stop(); /* twice is harmless */
}
END_TEST

/* Stops the child and waits until it is. */
static void child_stall(int child)
{
    int status = 0;

    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
}

/*
 * The child stands still: far more lines than fit are taken without one blocking call (the alarm is
 * for a call that does block). Then it runs again: the lines that fit come in order, the count of
 * the others comes before the first line that fits again, and together they are all.
 */
START_TEST(stalled_child_drops_and_counts)
{
    unsigned long long next = 0, dropped = 0, after = 0;
    int child = log_start();

    ck_assert_int_gt(child, 0);
    child_stall(child);
    alarm(30);
    for (int i = 0; i < FILL_MAX; i++)
        log_message(LOG_INFO, "line %d", i);
    alarm(0);
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    /* Read what had fitted until the child waits for more, so that there is room. */
    while (dropped == 0) {
        static const char lost[] = "<4>event=log-dropped lines=";
        char expected[32];
        if (!said_within(20)) {
            log_message(LOG_INFO, "after");
            after++;
        }
        const char *line = said_line();
        if (strncmp(line, lost, strlen(lost)) == 0) {
            dropped = strtoull(line + strlen(lost), NULL, 10);
            break;
        }
        snprintf(expected, sizeof(expected), "<6>line %llu", next++);
        ck_assert_str_eq(line, expected);
    }
    ck_assert_uint_gt(next, 50);
    /* A child that is slow has no room for the first of those either. */
    ck_assert_uint_ge(next + dropped, FILL_MAX);
    ck_assert_uint_lt(next + dropped, FILL_MAX + after);
    for (unsigned long long i = next + dropped; i < FILL_MAX + after; i++)
        said_expect("<6>after");
    log_stop();
    expect_silence();
}
END_TEST

/* The child dies: nothing blocks, nothing is written past it, and its successor says the gap. */
START_TEST(dead_child_is_replaced)
{
    int child = log_start();

    ck_assert_int_gt(child, 0);
    log_message(LOG_INFO, "before");
    said_expect("<6>before");
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 3; i++)
        log_message(LOG_INFO, "lost");
    expect_silence();
    ck_assert_int_eq(log_child(), child);
    int second = log_start();
    ck_assert_int_gt(second, 0);
    ck_assert_int_ne(second, child);
    ck_assert_int_eq(log_child(), second);
    log_message(LOG_INFO, "after");
    said_expect("<4>event=log-dropped lines=3");
    said_expect("<6>after");
    log_stop();
}
END_TEST

/* The guard is killed: what it had said is still written, whatever signals came to the child. */
START_TEST(last_words_of_a_killed_guard)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t guard = fork();
    if (guard == 0) {
        int child = log_start();
        for (int i = 0; i < 20; i++)
            log_message(LOG_INFO, "word %d", i);
        kill(child, SIGTERM);
        kill(child, SIGINT);
        kill(child, SIGHUP);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(kill(guard, SIGKILL), 0);
    ck_assert_int_eq(waitpid(guard, NULL, 0), guard);
    for (int i = 0; i < 20; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "<6>word %d", i);
        said_expect(expected);
    }
}
END_TEST

static void file_expect(int pid, const char *file, const char *expected)
{
    char path[64], text[64] = "";

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    FILE *stream = fopen(path, "re");
    ck_assert_ptr_nonnull(stream);
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), stream));
    fclose(stream);
    ck_assert_str_eq(text, expected);
}

START_TEST(child_is_ordinary)
{
    char path[64];
    int leak = open("/dev/null", O_RDONLY);
    FILE *score = fopen("/proc/self/oom_score_adj", "we");

    ck_assert_int_ge(leak, 0);
    ck_assert_ptr_nonnull(score);
    fputs("500", score);
    ck_assert_int_eq(fclose(score), 0);
    int child = log_start();
    log_message(LOG_INFO, "settled");
    said_expect("<6>settled");
    file_expect(child, "oom_score_adj", "0\n");
    file_expect(child, "comm", "plimsoll-log\n");
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", child, leak);
    ck_assert_int_ne(access(path, F_OK), 0);
    log_stop();
    close(leak);
}
END_TEST

/* Once a minute, and then with how often it was not said. */
START_TEST(what_is_held_back_is_counted)
{
    char longest[2 * LOG_LINE_MAX], expected[LOG_LINE_MAX];
    struct log_limit limit = {0};
    uint64_t now = NSEC_PER_SEC;

    log_limited(&limit, now, LOG_WARNING, "%s is full", "it");
    said_expect("<4>it is full");
    ck_assert(!log_owes(&limit, now + NSEC_PER_MINUTE));
    for (int i = 0; i < 5; i++)
        log_limited(&limit, now + NSEC_PER_SEC, LOG_WARNING, "it is full");
    expect_silence();
    ck_assert(!log_owes(&limit, now + NSEC_PER_SEC));
    ck_assert(log_owes(&limit, now + NSEC_PER_MINUTE));
    now += NSEC_PER_MINUTE;
    log_limited(&limit, now, LOG_WARNING, "it is full");
    said_expect("<4>it is full (suppressed=5)");
    log_limited(&limit, now + NSEC_PER_MINUTE, LOG_WARNING, "it is full");
    said_expect("<4>it is full");

    /* A line that is cut keeps its count. */
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    limit = (struct log_limit){.last = 1, .held = UINT32_MAX};
    log_limited(&limit, 60 * NSEC_PER_MINUTE, LOG_WARNING, "%s", longest);
    (void)snprintf(expected, sizeof(expected), "%s", said_line());
    ck_assert_ptr_nonnull(strstr(expected, "\xe2\x80\xa6 (suppressed=4294967295)"));
}
END_TEST

START_TEST(stop_is_bounded)
{
    int child = log_start();

    child_stall(child);
    log_message(LOG_INFO, "too late");
    alarm(30);
    log_stop();
    alarm(0);
    ck_assert_int_eq(log_child(), 0);
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    said_expect("<6>too late");
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

START_TEST(permits)
{
    struct log_limit limit = {0};

    ck_assert(log_permit(&limit, 0));
    ck_assert_uint_eq(limit.suppressed, 0);
    for (int i = 0; i < 5; i++)
        ck_assert(!log_permit(&limit, NSEC_PER_SEC));
    ck_assert(!log_permit(&limit, NSEC_PER_MINUTE));
    ck_assert(log_permit(&limit, NSEC_PER_MINUTE + 1));
    ck_assert_uint_eq(limit.suppressed, 6);
    ck_assert(!log_permit(&limit, NSEC_PER_MINUTE + 2));
    ck_assert(log_permit(&limit, 3 * NSEC_PER_MINUTE));
    ck_assert_uint_eq(limit.suppressed, 1);
}
END_TEST

START_TEST(quotes)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"plain-1.2_3:4/5+6", "plain-1.2_3:4/5+6"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"a\nevent=kill", "\"a\\x0aevent=kill\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"\xff", "\"\\xff\""},
        {"a=b", "\"a=b\""},
    };
    char buffer[64];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_str_eq(log_quote(cases[i].text, buffer, sizeof(buffer)), cases[i].quoted);
    ck_assert_str_eq(log_quote("0123456", buffer, 8), "0123456");
    ck_assert_str_eq(log_quote("01234567", buffer, 8), "\"01\xe2\x80\xa6\"");
    ck_assert_str_eq(log_quote("\n\n\n", buffer, 8), "\"\xe2\x80\xa6\"");
    /* Whatever is quoted ends in a quote, within the room, whole. */
    srandom(1);
    for (uint64_t left = suite_cases(20000); left > 0; left--) {
        char text[40];
        size_t length = (size_t)random() % sizeof(text), size = 8 + (size_t)random() % 40;
        for (size_t i = 0; i < length; i++)
            text[i] = (char)(random() % 255 + 1);
        text[length] = '\0';
        log_quote(text, buffer, size);
        size_t quoted = strlen(buffer);
        ck_assert_uint_lt(quoted, size);
        ck_assert(buffer[0] != '"' || (quoted >= 2 && buffer[quoted - 1] == '"'));
        for (size_t at = 0; at < quoted;) {
            size_t step = text_character(buffer + at, quoted - at);
            ck_assert_uint_gt(step, 0);
            at += step;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");

    tcase_add_checked_fixture(tests, said_begin, said_end);
    tcase_set_timeout(tests, 40);
    tcase_add_test(tests, direct);
    tcase_add_test(tests, long_lines_are_cut);
    tcase_add_test(tests, through_the_child);
    tcase_add_test(tests, stalled_child_drops_and_counts);
    tcase_add_test(tests, dead_child_is_replaced);
    tcase_add_test(tests, last_words_of_a_killed_guard);
    tcase_add_test(tests, child_is_ordinary);
    tcase_add_test(tests, what_is_held_back_is_counted);
    tcase_add_test(tests, stop_is_bounded);
    tcase_add_test(tests, permits);
    tcase_add_test(tests, quotes);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
