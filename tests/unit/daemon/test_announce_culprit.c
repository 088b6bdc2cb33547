/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line of the alert that names what fills the host: scripts read its keys. */
#include "announce.h"
#include "log.h"
#include "said.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct plan *plan;
static struct snapshot *snapshot;

static void setup(void)
{
    said_begin();
    log_set_echo(true);
    plan = calloc(1, plan_size(1));
    snapshot = calloc(1, snapshot_size(1));
    ck_assert(plan && snapshot);
    plan->assessment.band = BAND_SCARCE;
    snapshot->host.largest_process =
        (struct process_snapshot){.pid = 77, .name = "leak er", .rss = 5 * MIB, .growth = 6};
}

static void teardown(void)
{
    free(plan);
    free(snapshot);
    said_end();
}

static void expect(const struct culprit *culprit, const char *expected)
{
    const struct action action = {.kind = ACTION_ALERT,
        .reason = REASON_LEAK_OUTSIDE,
        .slot = ACTION_SLOT_HOST,
        .deficit = 9};
    char whole[LOG_LINE_MAX];

    plan->assessment.culprit = *culprit;
    announce_action(plan, &action, NULL, snapshot, 0);
    (void)snprintf(whole, sizeof whole,
        "<4>event=alert band=scarce action=alert reason=leak-outside pool=host deficit=9 %s "
        "text=\"%s\"",
        expected, reason_text(REASON_LEAK_OUTSIDE));
    said_expect(whole);
}

START_TEST(a_process_is_named)
{
    expect(&(struct culprit){CULPRIT_PROCESS, .pid = 77, .bytes = GIB, .growth = 7},
        "culprit=process bytes=1073741824 process=\"leak er\" pid=77 rss=5242880 growth=6");
    /* Who was seen is gone, and the next is innocent. */
    expect(&(struct culprit){CULPRIT_PROCESS, .pid = 76, .bytes = GIB, .growth = 7},
        "culprit=process bytes=1073741824 growth=7");
    snapshot->host.largest_process.pid = 0;
    expect(&(struct culprit){CULPRIT_PROCESS, .bytes = GIB, .growth = 7},
        "culprit=process bytes=1073741824 growth=7");
}
END_TEST

START_TEST(a_tmpfs_is_named_and_no_process)
{
    struct culprit culprit = {CULPRIT_TMPFS, .bytes = 3, .growth = -4};

    (void)strcpy(snapshot->host.largest_tmpfs.path, "/dev/shm");
    expect(&culprit, "culprit=tmpfs bytes=3 growth=-4");
    culprit.mounted = true;
    expect(&culprit, "culprit=tmpfs bytes=3 growth=-4 mount=/dev/shm");
    (void)strcpy(snapshot->host.largest_tmpfs.path, "/a\nevent=x \"");
    expect(&culprit, "culprit=tmpfs bytes=3 growth=-4 mount=\"/a\\x0aevent=x \\\"\"");
}
END_TEST

/* Whatever a mount point is made of, the line keeps its end. */
START_TEST(the_longest_mount_point_leaves_the_line_whole)
{
    struct tmpfs_snapshot *tmpfs = &snapshot->host.largest_tmpfs;
    char quoted[2 * TMPFS_PATH_MAX + 8], expected[512];

    memset(tmpfs->path, '\n', sizeof tmpfs->path - 1);
    (void)snprintf(expected, sizeof expected, "culprit=tmpfs bytes=%llu growth=%lld mount=%s",
        (unsigned long long)(UNKNOWN - 1), (long long)INT64_MIN,
        log_quote(tmpfs->path, quoted, sizeof quoted));
    expect(&(struct culprit){CULPRIT_TMPFS, true, 0, UNKNOWN - 1, INT64_MIN}, expected);
}
END_TEST

START_TEST(the_kernel_is_named_and_no_process)
{
    expect(
        &(struct culprit){CULPRIT_SLAB, .bytes = 3, .growth = 4}, "culprit=slab bytes=3 growth=4");
    expect(&(struct culprit){CULPRIT_PAGE_TABLES, .bytes = 3, .growth = 4},
        "culprit=page-tables bytes=3 growth=4");
    expect(&(struct culprit){CULPRIT_UNKNOWN, .bytes = UNKNOWN, .growth = 4},
        "culprit=unknown growth=4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("announce culprit");
    TCase *tests = tcase_create("leak-outside");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_process_is_named);
    tcase_add_test(tests, a_tmpfs_is_named_and_no_process);
    tcase_add_test(tests, the_longest_mount_point_leaves_the_line_whole);
    tcase_add_test(tests, the_kernel_is_named_and_no_process);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
