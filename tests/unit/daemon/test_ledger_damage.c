/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger against damage: flipped bits, SIGKILL in the middle of writing, other files, and
 * ledgers of other versions. */
#include "ledger_layout.h"
#include "ledger_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void flip(off_t offset)
{
    unsigned char byte;
    int fd = open(scene.path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    ck_assert_int_eq((int)pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static off_t copy_offset(uint32_t slot, unsigned copy)
{
    return (off_t)(LEDGER_SLOTS_OFFSET + slot * sizeof(struct ledger_slot) +
                   copy * sizeof(struct ledger_copy));
}

/* Every byte of the newer copy: the older one is what is found then. */
START_TEST(flipped_bit_leaves_the_older)
{
    for (size_t byte = 0; byte < sizeof(struct ledger_copy); byte++) {
        struct ledger_entry first = ledger_entry_of(1), second = ledger_entry_of(2);
        struct ledger *ledger = ledger_open_good(BOOT, 1);
        bool padding = byte >= offsetof(struct ledger_copy, checksum) + sizeof(uint32_t) &&
                       byte < offsetof(struct ledger_copy, entry);
        ledger_put(ledger, 0, &first);
        ledger_put(ledger, 0, &second);
        ledger_free(ledger);
        /* The first put goes to copy 0 and the second to copy 1. */
        flip(copy_offset(0, 1) + (off_t)byte);
        ledger = ledger_open_good(BOOT, 1);
        ledger_expect_entry(ledger_get(ledger, 0), padding ? 2 : 1);
        ledger_free(ledger);
        ck_assert_int_eq(unlink(scene.path), 0);
    }
}
END_TEST

START_TEST(both_copies_damaged_are_said)
{
    struct ledger *ledger = ledger_open_good(BOOT, 4);
    struct ledger_entry entry = ledger_entry_of(1);
    struct error error;

    for (uint32_t slot = 0; slot < 3; slot++)
        for (int i = 0; i < 2; i++)
            ledger_put(ledger, slot, &entry);
    ledger_free(ledger);
    flip(copy_offset(1, 0) + 40);
    flip(copy_offset(1, 1) + 50);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 4, &ledger, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, "1 slots were damaged"));
    ck_assert_int_eq(error.code, 0);
    ledger_expect_entry(ledger_get(ledger, 0), 1);
    ck_assert_ptr_null(ledger_get(ledger, 1));
    ledger_expect_entry(ledger_get(ledger, 2), 1);
    ledger_free(ledger);
    ledger_free(ledger_open_good(BOOT, 4)); /* said once */
}
END_TEST

/* Every byte of the header, and files that are something else altogether. */
START_TEST(damaged_header_is_put_aside)
{
    for (size_t byte = 0; byte < sizeof(struct ledger_header); byte++) {
        struct ledger *ledger = ledger_open_good(BOOT, 1);
        struct ledger_entry entry = ledger_entry_of(1);
        struct error error;
        ledger_put(ledger, 0, &entry);
        ledger_free(ledger);
        flip((off_t)byte);
        ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), 0);
        ck_assert_ptr_null(ledger_get(ledger, 0));
        ck_assert_ptr_nonnull(strstr(error.text, ".bad"));
        ck_assert_int_eq(error.code, 0);
        ledger_free(ledger);
        ck_assert_int_eq(unlink(scene.aside), 0);
        ck_assert_int_eq(unlink(scene.path), 0);
    }
    struct ledger *ledger;
    struct error error;
    scratch_write(scene.path, "not a ledger at all\n");
    ck_assert_int_eq(chmod(scene.path, 0600), 0);
    ck_assert_int_eq(ledger_open(scene.path, BOOT, 1, &ledger, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, ".bad"));
    ledger_free(ledger);
}
END_TEST

static void header_read(struct ledger_header *header)
{
    int fd = open(scene.path, O_RDONLY);

    ck_assert_int_eq(pread(fd, header, sizeof(*header), 0), (ssize_t)sizeof(*header));
    close(fd);
}

/* With a checksum that is right: as another build would have written it. */
static void header_write(struct ledger_header *header)
{
    int fd = open(scene.path, O_WRONLY);

    header->checksum = crc32c(0, header, offsetof(struct ledger_header, checksum));
    ck_assert_int_eq(pwrite(fd, header, sizeof(*header), 0), (ssize_t)sizeof(*header));
    close(fd);
}

/* An upgrade with guests paused must not lose them. */
START_TEST(another_version_of_this_boot_is_refused)
{
    struct ledger_header header, changed;

    for (unsigned field = 0; field < 4; field++) {
        struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
        struct ledger_entry entry = ledger_entry_of(1);
        struct error error;
        struct stat before, after;

        ledger_put(ledger, 3, &entry);
        ledger_free(ledger);
        header_read(&header);
        changed = header;
        changed.version += field == 0 ? 1 : 0;
        changed.version -= field == 1 ? 1 : 0;
        changed.slot_size += field == 2 ? 8 : 0;
        changed.record_size += field == 3 ? 8 : 0;
        header_write(&changed);
        ck_assert_int_eq(stat(scene.path, &before), 0);
        for (uint32_t capacity = 0; capacity <= 2 * SLOTS; capacity += SLOTS) {
            ledger = NULL;
            ck_assert_int_eq(ledger_open(scene.path, BOOT, capacity, &ledger, &error), -ENOTSUP);
            ck_assert_ptr_null(ledger);
            ck_assert_ptr_nonnull(strstr(error.text, scene.path));
            ck_assert_ptr_nonnull(strstr(error.text, "plimsoll undo --offline"));
        }
        ck_assert_int_eq(access(scene.aside, F_OK), -1);
        ck_assert_int_eq(stat(scene.path, &after), 0);
        ck_assert_int_eq(before.st_size, after.st_size);
        ck_assert_uint_eq(before.st_ino, after.st_ino);
        ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        /* Nothing was lost: the version that wrote it finds it as it was. */
        header_write(&header);
        ledger = ledger_open_good(BOOT, SLOTS);
        ck_assert_ptr_nonnull(ledger_get(ledger, 3));
        ledger_free(ledger);
    }
}
END_TEST

START_TEST(another_version_of_another_boot_is_begun_anew)
{
    struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
    struct ledger_entry entry = ledger_entry_of(1);
    struct ledger_header header;

    ledger_put(ledger, 0, &entry);
    ledger_free(ledger);
    header_read(&header);
    header.version++;
    header_write(&header);
    ledger = ledger_open_good(OTHER_BOOT, SLOTS);
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ledger_free(ledger);
    ck_assert_int_eq(access(scene.aside, F_OK), -1);
}
END_TEST

START_TEST(interrupted_making_is_made_again)
{
    struct ledger *ledger;
    int fd = open(scene.path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(ftruncate(fd, 3 * 4096 + 17), 0);
    close(fd);
    ledger = ledger_open_good(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    ledger_free(ledger);
    ck_assert_int_ne(access(scene.aside, F_OK), 0);
}
END_TEST

/* What the writer of the crash test said it had finished, in memory both share. */
struct progress {
    uint64_t begun, finished; /* numbers put into slot 0 and recorded */
};

static void __attribute__((noreturn)) put_for_ever(struct progress *progress)
{
    struct ledger *ledger = NULL;
    uint64_t number = progress->begun;

    if (ledger_open(scene.path, BOOT, SLOTS, &ledger, NULL) < 0)
        _exit(1);
    for (;;) {
        number++;
        struct ledger_entry entry = ledger_entry_of(number);
        struct ledger_destruction destruction = ledger_destruction_of(number);
        __atomic_store_n(&progress->begun, number, __ATOMIC_SEQ_CST);
        ledger_put(ledger, 0, &entry);
        ledger_record(ledger, &destruction);
        __atomic_store_n(&progress->finished, number, __ATOMIC_SEQ_CST);
    }
}

/* Kills a writer at a random moment after its first put. */
static void writer_kill(struct progress *progress)
{
    uint64_t before = progress->finished;
    struct timespec moment = {.tv_nsec = random() % 300000};
    pid_t child = fork();

    if (child == 0)
        put_for_ever(progress);
    while (__atomic_load_n(&progress->finished, __ATOMIC_SEQ_CST) == before)
        ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
    nanosleep(&moment, NULL);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* The number of the newest record, of which none is missing; 0: there is none. */
static uint64_t history_check(struct ledger *ledger)
{
    uint64_t last = 0;
    const struct ledger_destruction *record;

    for (uint32_t i = 0; (record = ledger_history(ledger, i)) != NULL; i++) {
        struct ledger_destruction expected = ledger_destruction_of(record->time);

        ck_assert_mem_eq(record, &expected, sizeof(expected));
        ck_assert(last == 0 || record->time == last + 1);
        last = record->time;
    }
    return last;
}

/*
 * 300 writers are killed at random points; each time the slot holds exactly what the last finished
 * put stored, or the one that was under way, and the history likewise with no hole. The kernel
 * interrupts at any instruction; the assertion on `within` makes sure that some were caught inside.
 */
START_TEST(killed_writer_never_tears)
{
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t kills = suite_cases(300), within = 0;

    ck_assert_ptr_ne(progress, MAP_FAILED);
    srandom(1);
    for (uint64_t left = kills; left > 0; left--) {
        writer_kill(progress);
        struct ledger *ledger = ledger_open_good(BOOT, SLOTS);
        const struct ledger_entry *entry = ledger_get(ledger, 0);
        ck_assert_ptr_nonnull(entry);
        uint64_t found = entry->identity.start_time, last = history_check(ledger);
        ck_assert(found == progress->finished || found == progress->begun);
        ledger_expect_entry(entry, found);
        ck_assert(last == progress->finished || last == progress->begun);
        within += progress->begun != progress->finished;
        /* The next writer goes on from what was found, as the guard would. */
        progress->begun = progress->finished = max_u64(found, last);
        if (last < found) {
            struct ledger_destruction destruction = ledger_destruction_of(found);
            ledger_record(ledger, &destruction);
        }
        ledger_free(ledger);
    }
    ck_assert_msg(within > kills / 10, "only %llu writers were killed within a put",
        (unsigned long long)within);
    munmap(progress, sizeof(*progress));
}
END_TEST

/* Random kills hit some of the stores; this stands the file at every one: a put's stores in order,
 * stopped after each 8 bytes of them, must leave the old entry or the new. */
START_TEST(every_prefix_of_a_put_is_whole)
{
    struct ledger_entry first = ledger_entry_of(1), second = ledger_entry_of(2),
                        third = ledger_entry_of(3);
    struct ledger *ledger = ledger_open_good(BOOT, 1);
    struct ledger_copy before, after;

    ledger_put(ledger, 0, &first);
    ledger_put(ledger, 0, &second);
    const struct ledger_entry *newest = ledger_get(ledger, 0);
    ledger_put(ledger, 0, &third);
    ck_assert_ptr_ne(newest, ledger_get(ledger, 0)); /* the other copy was written */
    ledger_free(ledger);
    int fd = open(scene.path, O_RDWR);
    ck_assert_int_eq((int)pread(fd, &after, sizeof(after), copy_offset(0, 0)), sizeof(after));
    before = after;
    before.entry = first;
    before.sequence = 0;
    before.checksum = ~after.checksum;
    for (size_t done = 0; done <= sizeof(after); done += 8) {
        struct ledger_copy torn = before;
        bool complete = done >= sizeof(after);
        memcpy(&torn, &after, done);
        torn.sequence = complete ? after.sequence : 0;
        ck_assert_int_eq((int)pwrite(fd, &torn, sizeof(torn), copy_offset(0, 0)), sizeof(torn));
        ledger = ledger_open_good(BOOT, 1);
        ledger_expect_entry(ledger_get(ledger, 0), complete ? 3 : 2);
        ledger_free(ledger);
    }
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger");
    TCase *tests = tcase_create("damage");

    tcase_add_checked_fixture(tests, ledger_scene_setup, ledger_scene_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, flipped_bit_leaves_the_older);
    tcase_add_test(tests, both_copies_damaged_are_said);
    tcase_add_test(tests, damaged_header_is_put_aside);
    tcase_add_test(tests, another_version_of_this_boot_is_refused);
    tcase_add_test(tests, another_version_of_another_boot_is_begun_anew);
    tcase_add_test(tests, interrupted_making_is_made_again);
    tcase_add_test(tests, killed_writer_never_tears);
    tcase_add_test(tests, every_prefix_of_a_put_is_whole);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
