/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger in good times: what is kept, for whom, and against strangers and a second guard. */
#include "ledger_layout.h"
#include "ledger_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(checksum)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    ck_assert_uint_eq(crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(put_get_clear_and_return)
{
    struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
    struct ledger_entry entry = ledger_entry_of(7), idle = ledger_entry_of(8);

    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    for (uint32_t slot = 0; slot < SLOTS + 2; slot++)
        ck_assert_ptr_null(ledger_get(ledger, slot));
    ledger_put(ledger, 3, &entry);
    ledger_expect_entry(ledger_get(ledger, 3), 7);
    ledger_put(ledger, 3, ledger_get(ledger, 3));
    ledger_expect_entry(ledger_get(ledger, 3), 7);
    for (uint64_t number = 1; number < 50; number++) {
        entry = ledger_entry_of(number);
        ledger_put(ledger, 0, &entry);
        ledger_expect_entry(ledger_get(ledger, 0), number);
    }
    ledger_put(ledger, 1, &entry);
    ledger_clear(ledger, 1);
    ck_assert_ptr_null(ledger_get(ledger, 1));
    ledger_put(ledger, 2, &entry);
    idle.measures.in_force = 0;
    ledger_put(ledger, 2, &idle);
    ck_assert_ptr_null(ledger_get(ledger, 2));
    ledger_put(ledger, SLOTS, &entry); /* beyond: nothing */
    ledger_clear(ledger, SLOTS);
    ck_assert_ptr_null(ledger_free(ledger));

    ledger = ledger_open_good(BOOT, SLOTS);
    ledger_expect_entry(ledger_get(ledger, 0), 49);
    ck_assert_ptr_null(ledger_get(ledger, 1));
    ck_assert_ptr_null(ledger_get(ledger, 2));
    ledger_expect_entry(ledger_get(ledger, 3), 7);
    ledger_free(ledger);
    ck_assert_ptr_null(ledger_free(NULL));
}
END_TEST

START_TEST(other_boot_begins_anew)
{
    struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
    struct ledger_entry entry = ledger_entry_of(1);
    struct ledger_destruction destruction = ledger_destruction_of(1);

    ledger_put(ledger, 0, &entry);
    ledger_record(ledger, &destruction);
    ledger_free(ledger);
    ledger = ledger_open_good(OTHER_BOOT, SLOTS);
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ck_assert_ptr_null(ledger_history(ledger, 0));
    ledger_free(ledger);
    ck_assert_int_ne(access(scene.aside, F_OK), 0);
}
END_TEST

START_TEST(capacity_grows_and_shrinks)
{
    struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
    struct ledger_entry entry = ledger_entry_of(5);
    struct stat status;

    ledger_put(ledger, SLOTS - 1, &entry);
    ledger_free(ledger);
    ledger = ledger_open_good(BOOT, 1000);
    ck_assert_uint_eq(ledger_capacity(ledger), 1000);
    ledger_expect_entry(ledger_get(ledger, SLOTS - 1), 5);
    ledger_put(ledger, 500, &entry);
    ledger_free(ledger);
    /* Slot 500 is in use: nothing beyond it is kept. */
    ledger = ledger_open_good(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), 501);
    ledger_expect_entry(ledger_get(ledger, 500), 5);
    ledger_clear(ledger, 500);
    ledger_free(ledger);
    ledger = ledger_open_good(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    ledger_expect_entry(ledger_get(ledger, SLOTS - 1), 5);
    ledger_free(ledger);
    ck_assert_int_eq(stat(scene.path, &status), 0);
    ck_assert_int_eq(
        (long)status.st_size, (long)(LEDGER_SLOTS_OFFSET + SLOTS * sizeof(struct ledger_slot)));
    /* 0: as it is. */
    ledger = ledger_open_good(BOOT, 0);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    ledger_free(ledger);
}
END_TEST

START_TEST(history_wraps)
{
    struct ledger *ledger = ledger_open_good(BOOT, 1);

    for (uint64_t number = 1; number <= 3 * LEDGER_HISTORY + 5; number++) {
        struct ledger_destruction destruction = ledger_destruction_of(number);
        ledger_record(ledger, &destruction);
        if (number % 50 == 0) { /* a restart in between changes nothing */
            ledger_free(ledger);
            ledger = ledger_open_good(BOOT, 1);
        }
        uint64_t count = min_u64(number, LEDGER_HISTORY);
        for (uint32_t index = 0; index < count; index++) {
            const struct ledger_destruction *found = ledger_history(ledger, index);
            ck_assert_ptr_nonnull(found);
            ck_assert_uint_eq(found->time, number - count + 1 + index);
        }
        ck_assert_ptr_null(ledger_history(ledger, (uint32_t)count));
    }
    ledger_free(ledger);
}
END_TEST

START_TEST(strangers_are_refused)
{
    struct ledger *ledger = NULL;
    struct error error;
    char target[160];

    snprintf(target, sizeof(target), "%s/target", scene.folder);
    ck_assert_int_eq(symlink(target, scene.path), 0);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -ELOOP);
    ck_assert_ptr_nonnull(strstr(error.text, "symbolic link"));
    ck_assert_int_ne(access(target, F_OK), 0);
    unlink(scene.path);

    ck_assert_int_eq(mkfifo(scene.path, 0600), 0);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -ENOTSUP);
    unlink(scene.path);

    int fd = open(scene.path, O_WRONLY | O_CREAT, 0600);
    close(fd);
    ck_assert_int_eq(chmod(scene.path, 0620), 0);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -EPERM);
    ck_assert_int_eq(chmod(scene.path, 0600), 0);
    ck_assert_int_eq(link(scene.path, target), 0);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -EPERM);
    unlink(target);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(scene.path, 65534, 65534), 0);
        ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -EPERM);
        ck_assert_ptr_nonnull(strstr(error.text, "uid 65534"));
    }
    ck_assert_int_eq(ledger_open(scene.path, "", 1, &ledger, &error), -EINVAL);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, MAX_VMS_LIMIT + 1, &ledger, NULL), -EINVAL);
    ck_assert_ptr_null(ledger);
}
END_TEST

static void byte_await(int fd)
{
    char byte;

    ck_assert_int_eq((int)read(fd, &byte, 1), 1);
}

/* The lock names its holder, and ends with it. */
START_TEST(second_opener_is_told_the_pid)
{
    struct ledger *ledger = NULL;
    struct error error;
    char pid[32];
    int ready[2];

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (ledger_open(scene.path, BOOT, 1, &ledger, NULL) < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    byte_await(ready[0]);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), -EBUSY);
    ck_assert_int_eq(error.code, -EBUSY);
    snprintf(pid, sizeof(pid), "process %d:", (int)child);
    ck_assert_msg(strstr(error.text, pid) != NULL, "%s", error.text);
    ck_assert_ptr_null(ledger);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ledger_free(ledger_open_good(BOOT, 1));
}
END_TEST

/* A child of the guard that ends does not take its lock away. */
START_TEST(fork_keeps_the_lock)
{
    struct ledger *ledger = ledger_open_good(BOOT, 1), *other = NULL;

    pid_t child = fork();
    if (child == 0) {
        ledger_free(ledger);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    child = fork();
    if (child == 0)
        _exit(ledger_open(scene.path, BOOT, 1, &other, NULL) == -EBUSY ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ledger_free(ledger);
}
END_TEST

/* Whether a process in strict seccomp lives when it makes no other call. Under valgrind it does
 * not: valgrind's own calls are made in the same process, between ours. */
static bool seccomp_works(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
            _exit(1);
        syscall(SYS_exit, 0); /* _exit() is exit_group, which strict mode does not allow */
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* No system call between begin and end of a put: in strict seccomp a process may only read, write,
 * exit and return from signals, anything else is SIGKILL. */
START_TEST(put_makes_no_system_call)
{
    pid_t child = fork();

    if (child == 0) {
        struct ledger *ledger = NULL;
        struct ledger_entry entry = ledger_entry_of(9);
        struct ledger_destruction destruction = ledger_destruction_of(9);
        if (ledger_open(scene.path, BOOT, SLOTS, &ledger, NULL) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
            _exit(1);
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            ledger_put(ledger, slot, &entry);
        ledger_clear(ledger, 1);
        ledger_record(ledger, &destruction);
        syscall(SYS_exit,
            ledger_get(ledger, 0) && !ledger_get(ledger, 1) && ledger_history(ledger, 0) ? 0 : 2);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
    ledger_expect_entry(ledger_get(ledger, 0), 9);
    ledger_free(ledger);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger");
    TCase *tests = tcase_create("use");

    tcase_add_checked_fixture(tests, ledger_scene_setup, ledger_scene_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, checksum);
    tcase_add_test(tests, put_get_clear_and_return);
    tcase_add_test(tests, other_boot_begins_anew);
    tcase_add_test(tests, capacity_grows_and_shrinks);
    tcase_add_test(tests, history_wraps);
    tcase_add_test(tests, strangers_are_refused);
    tcase_add_test(tests, second_opener_is_told_the_pid);
    tcase_add_test(tests, fork_keeps_the_lock);
    if (seccomp_works())
        tcase_add_test(tests, put_makes_no_system_call);
    else
        fprintf(stderr, "SKIP: put_makes_no_system_call: a process in strict seccomp does not live "
                        "here even if it does nothing\n");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
