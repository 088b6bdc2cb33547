/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll undo --offline` and the ledger's file, which stays as large as the guard made it. */
#include "command.h"
#include "ledger.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <getopt.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16], boot_id[64];

static void setup(void)
{
    scratch_make("undo", folder);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, LEDGER_NAME);
    (void)snprintf(boot_id, sizeof(boot_id), "%s", scratch_read("/proc/sys/kernel/random/boot_id"));
}

static void teardown(void)
{
    scratch_remove(folder);
}

static int undo(void)
{
    static const struct command_context context = {.socket = ""};
    char name[] = "undo", offline[] = "--offline", option[] = "--runtime-dir";
    char *arguments[] = {name, offline, option, folder, NULL};

    optind = 0; /* getopt begins anew */
    return command_undo(&context, ELEMENTSOF(arguments) - 1, arguments);
}

/* A process that has ended, in the last slot of a ledger of CAPACITY. */
static void ledger_make(uint32_t capacity)
{
    struct ledger_entry entry = {.name = "web", .measures = {.in_force = VM_MEASURE_FROZEN_SIGNAL}};
    struct ledger *ledger = NULL;
    struct error error;

    entry.identity.pid = fork();
    ck_assert_int_ge(entry.identity.pid, 0);
    if (entry.identity.pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(entry.identity.pid, NULL, 0), entry.identity.pid);
    ck_assert_int_eq(ledger_open(path, boot_id, capacity, &ledger, &error), 0);
    ledger_put(ledger, capacity - 1, &entry);
    (void)ledger_free(ledger);
}

static off_t ledger_size(void)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_size;
}

START_TEST(test_no_ledger)
{
    ck_assert_int_eq(undo(), COMMAND_OK);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(test_ledger_keeps_its_size)
{
    static const uint32_t capacities[] = {4, 2048};

    for (unsigned i = 0; i < ELEMENTSOF(capacities); i++) {
        struct ledger *ledger = NULL;
        struct error error;

        ledger_make(capacities[i]);
        off_t size = ledger_size();
        ck_assert_int_eq(undo(), COMMAND_OK);
        ck_assert_int_eq(ledger_size(), size);
        ck_assert_int_eq(ledger_open(path, boot_id, 0, &ledger, &error), 0);
        ck_assert_uint_eq(ledger_capacity(ledger), capacities[i]);
        ck_assert_ptr_null(ledger_get(ledger, capacities[i] - 1));
        (void)ledger_free(ledger);
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("cli_undo");
    TCase *tests = tcase_create("undo");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_no_ledger);
    tcase_add_test(tests, test_ledger_keeps_its_size);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
