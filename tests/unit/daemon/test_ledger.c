/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger: against SIGKILL in the middle of writing, damage, strangers and other boots. */
#include "ledger_layout.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BOOT "01234567-89ab-cdef-0123-456789abcdef\n"
#define OTHER_BOOT "11111111-89ab-cdef-0123-456789abcdef\n"
#define SLOTS 8

static char folder[64], path[128], aside[160];

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/plimsoll-ledger-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/ledger", folder);
    snprintf(aside, sizeof(aside), "%s.bad", path);
}

static void teardown(void)
{
    (void)unlink(path);
    (void)unlink(aside);
    (void)rmdir(folder);
}

static struct ledger *open_or_fail(const char *boot, uint32_t capacity)
{
    struct ledger *ledger = NULL;
    struct error error;
    int result = ledger_open(path, boot, capacity, &ledger, &error);

    ck_assert_msg(result == 0, "%d: %s", result, error.text);
    ck_assert_str_eq(error.text, "");
    ck_assert_int_eq(error.code, 0);
    return ledger;
}

/* An entry all of whose bytes follow from NUMBER. */
static struct ledger_entry entry_of(uint64_t number)
{
    struct ledger_entry entry;

    memset(&entry, 0, sizeof(entry));
    entry.identity.pid = (pid_t)(number & 0xffffff);
    entry.identity.start_time = number;
    memset(entry.identity.uuid, (int)(number & 0xff), sizeof(entry.identity.uuid));
    memset(entry.name, (int)('a' + number % 26), sizeof(entry.name) - 1);
    memset(entry.monitor, (int)('A' + number % 26), sizeof(entry.monitor) - 1);
    entry.measures.in_force = VM_MEASURE_BALLOON | VM_MEASURE_OOM_SCORE;
    entry.measures.balloon_target = number * 3;
    entry.measures.balloon_before = number * 5;
    entry.oom_score_before = (int32_t)(number % 1000);
    entry.reason = (enum reason)(number % REASON_COUNT);
    return entry;
}

static struct ledger_destruction destruction_of(uint64_t number)
{
    struct ledger_destruction destruction;

    memset(&destruction, 0, sizeof(destruction));
    destruction.time = number;
    destruction.identity = entry_of(number).identity;
    memset(destruction.name, (int)('a' + number % 26), sizeof(destruction.name) - 1);
    destruction.kind = ACTION_KILL;
    destruction.reason = REASON_KILL_FLOOR;
    return destruction;
}

static void expect_number(const struct ledger_entry *entry, uint64_t number)
{
    struct ledger_entry expected = entry_of(number);

    ck_assert_ptr_nonnull(entry);
    ck_assert_mem_eq(entry, &expected, sizeof(expected));
}

START_TEST(checksum)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    ck_assert_uint_eq(crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(put_get_clear_and_return)
{
    struct ledger *ledger = open_or_fail(BOOT, SLOTS);
    struct ledger_entry entry = entry_of(7), idle = entry_of(8);

    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    for (uint32_t slot = 0; slot < SLOTS + 2; slot++)
        ck_assert_ptr_null(ledger_get(ledger, slot));
    ledger_put(ledger, 3, &entry);
    expect_number(ledger_get(ledger, 3), 7);
    ledger_put(ledger, 3, ledger_get(ledger, 3));
    expect_number(ledger_get(ledger, 3), 7);
    for (uint64_t number = 1; number < 50; number++) {
        entry = entry_of(number);
        ledger_put(ledger, 0, &entry);
        expect_number(ledger_get(ledger, 0), number);
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

    ledger = open_or_fail(BOOT, SLOTS);
    expect_number(ledger_get(ledger, 0), 49);
    ck_assert_ptr_null(ledger_get(ledger, 1));
    ck_assert_ptr_null(ledger_get(ledger, 2));
    expect_number(ledger_get(ledger, 3), 7);
    ledger_free(ledger);
    ck_assert_ptr_null(ledger_free(NULL));
}
END_TEST

START_TEST(other_boot_begins_anew)
{
    struct ledger *ledger = open_or_fail(BOOT, SLOTS);
    struct ledger_entry entry = entry_of(1);
    struct ledger_destruction destruction = destruction_of(1);

    ledger_put(ledger, 0, &entry);
    ledger_record(ledger, &destruction);
    ledger_free(ledger);
    ledger = open_or_fail(OTHER_BOOT, SLOTS);
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ck_assert_ptr_null(ledger_history(ledger, 0));
    ledger_free(ledger);
    ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

START_TEST(capacity_grows_and_shrinks)
{
    struct ledger *ledger = open_or_fail(BOOT, SLOTS);
    struct ledger_entry entry = entry_of(5);
    struct stat status;

    ledger_put(ledger, SLOTS - 1, &entry);
    ledger_free(ledger);
    ledger = open_or_fail(BOOT, 1000);
    ck_assert_uint_eq(ledger_capacity(ledger), 1000);
    expect_number(ledger_get(ledger, SLOTS - 1), 5);
    ledger_put(ledger, 500, &entry);
    ledger_free(ledger);
    /* Slot 500 is in use: nothing beyond it is kept. */
    ledger = open_or_fail(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), 501);
    expect_number(ledger_get(ledger, 500), 5);
    ledger_clear(ledger, 500);
    ledger_free(ledger);
    ledger = open_or_fail(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    expect_number(ledger_get(ledger, SLOTS - 1), 5);
    ledger_free(ledger);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(
        (long)status.st_size, (long)(LEDGER_SLOTS_OFFSET + SLOTS * sizeof(struct ledger_slot)));
    /* 0: as it is. */
    ledger = open_or_fail(BOOT, 0);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    ledger_free(ledger);
}
END_TEST

START_TEST(history_wraps)
{
    struct ledger *ledger = open_or_fail(BOOT, 1);

    for (uint64_t number = 1; number <= 3 * LEDGER_HISTORY + 5; number++) {
        struct ledger_destruction destruction = destruction_of(number);
        ledger_record(ledger, &destruction);
        if (number % 50 == 0) { /* a restart in between changes nothing */
            ledger_free(ledger);
            ledger = open_or_fail(BOOT, 1);
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

static void flip(off_t offset)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);

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
        struct ledger_entry first = entry_of(1), second = entry_of(2);
        struct ledger *ledger = open_or_fail(BOOT, 1);
        bool padding = byte >= offsetof(struct ledger_copy, checksum) + sizeof(uint32_t) &&
                       byte < offsetof(struct ledger_copy, entry);
        ledger_put(ledger, 0, &first);
        ledger_put(ledger, 0, &second);
        ledger_free(ledger);
        /* The first put goes to copy 0 and the second to copy 1. */
        flip(copy_offset(0, 1) + (off_t)byte);
        ledger = open_or_fail(BOOT, 1);
        expect_number(ledger_get(ledger, 0), padding ? 2 : 1);
        ledger_free(ledger);
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST

START_TEST(both_copies_damaged_are_said)
{
    struct ledger *ledger = open_or_fail(BOOT, 4);
    struct ledger_entry entry = entry_of(1);
    struct error error;

    for (uint32_t slot = 0; slot < 3; slot++)
        for (int i = 0; i < 2; i++)
            ledger_put(ledger, slot, &entry);
    ledger_free(ledger);
    flip(copy_offset(1, 0) + 40);
    flip(copy_offset(1, 1) + 50);
    ck_assert_int_eq(ledger_open(path, BOOT, 4, &ledger, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, "1 slots were damaged"));
    ck_assert_int_eq(error.code, 0);
    expect_number(ledger_get(ledger, 0), 1);
    ck_assert_ptr_null(ledger_get(ledger, 1));
    expect_number(ledger_get(ledger, 2), 1);
    ledger_free(ledger);
    ledger_free(open_or_fail(BOOT, 4)); /* said once */
}
END_TEST

/* Every byte of the header, and files that are something else altogether. */
START_TEST(damaged_header_is_put_aside)
{
    for (size_t byte = 0; byte < sizeof(struct ledger_header); byte++) {
        struct ledger *ledger = open_or_fail(BOOT, 1);
        struct ledger_entry entry = entry_of(1);
        struct error error;
        ledger_put(ledger, 0, &entry);
        ledger_free(ledger);
        flip((off_t)byte);
        ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), 0);
        ck_assert_ptr_null(ledger_get(ledger, 0));
        ck_assert_ptr_nonnull(strstr(error.text, ".bad"));
        ck_assert_int_eq(error.code, 0);
        ledger_free(ledger);
        ck_assert_int_eq(unlink(aside), 0);
        ck_assert_int_eq(unlink(path), 0);
    }
    static const char words[] = "not a ledger at all\n";
    struct ledger *ledger;
    struct error error;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq((int)write(fd, words, sizeof(words)), (int)sizeof(words));
    close(fd);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, ".bad"));
    ledger_free(ledger);
}
END_TEST

static void header_read(struct ledger_header *header)
{
    int fd = open(path, O_RDONLY);

    ck_assert_int_eq(pread(fd, header, sizeof(*header), 0), (ssize_t)sizeof(*header));
    close(fd);
}

/* With a checksum that is right: as another build would have written it. */
static void header_write(struct ledger_header *header)
{
    int fd = open(path, O_WRONLY);

    header->checksum = crc32c(0, header, offsetof(struct ledger_header, checksum));
    ck_assert_int_eq(pwrite(fd, header, sizeof(*header), 0), (ssize_t)sizeof(*header));
    close(fd);
}

/* An upgrade with guests paused must not lose them. */
START_TEST(another_version_of_this_boot_is_refused)
{
    struct ledger_header header, changed;

    for (unsigned field = 0; field < 4; field++) {
        struct ledger *ledger = open_or_fail(BOOT, SLOTS);
        struct ledger_entry entry = entry_of(1);
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
        ck_assert_int_eq(stat(path, &before), 0);
        for (uint32_t capacity = 0; capacity <= 2 * SLOTS; capacity += SLOTS) {
            ledger = NULL;
            ck_assert_int_eq(ledger_open(path, BOOT, capacity, &ledger, &error), -ENOTSUP);
            ck_assert_ptr_null(ledger);
            ck_assert_ptr_nonnull(strstr(error.text, path));
            ck_assert_ptr_nonnull(strstr(error.text, "plimsoll undo --offline"));
        }
        ck_assert_int_eq(access(aside, F_OK), -1);
        ck_assert_int_eq(stat(path, &after), 0);
        ck_assert_int_eq(before.st_size, after.st_size);
        ck_assert_uint_eq(before.st_ino, after.st_ino);
        ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        /* Nothing was lost: the version that wrote it finds it as it was. */
        header_write(&header);
        ledger = open_or_fail(BOOT, SLOTS);
        ck_assert_ptr_nonnull(ledger_get(ledger, 3));
        ledger_free(ledger);
    }
}
END_TEST

START_TEST(another_version_of_another_boot_is_begun_anew)
{
    struct ledger *ledger = open_or_fail(BOOT, SLOTS);
    struct ledger_entry entry = entry_of(1);
    struct ledger_header header;

    ledger_put(ledger, 0, &entry);
    ledger_free(ledger);
    header_read(&header);
    header.version++;
    header_write(&header);
    ledger = open_or_fail(OTHER_BOOT, SLOTS);
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ledger_free(ledger);
    ck_assert_int_eq(access(aside, F_OK), -1);
}
END_TEST

START_TEST(interrupted_making_is_made_again)
{
    struct ledger *ledger;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(ftruncate(fd, 3 * 4096 + 17), 0);
    close(fd);
    ledger = open_or_fail(BOOT, SLOTS);
    ck_assert_uint_eq(ledger_capacity(ledger), SLOTS);
    ledger_free(ledger);
    ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

START_TEST(strangers_are_refused)
{
    struct ledger *ledger = NULL;
    struct error error;
    char target[160];

    snprintf(target, sizeof(target), "%s/target", folder);
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -ELOOP);
    ck_assert_ptr_nonnull(strstr(error.text, "symbolic link"));
    ck_assert_int_ne(access(target, F_OK), 0);
    unlink(path);

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -ENOTSUP);
    unlink(path);

    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    close(fd);
    ck_assert_int_eq(chmod(path, 0620), 0);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -EPERM);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(link(path, target), 0);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -EPERM);
    unlink(target);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
        ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -EPERM);
        ck_assert_ptr_nonnull(strstr(error.text, "uid 65534"));
    }
    ck_assert_int_eq(ledger_open(path, "", 1, &ledger, &error), -EINVAL);
    ck_assert_int_eq(ledger_open(path, BOOT, MAX_VMS_LIMIT + 1, &ledger, NULL), -EINVAL);
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
        if (ledger_open(path, BOOT, 1, &ledger, NULL) < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    byte_await(ready[0]);
    ck_assert_int_eq(ledger_open(path, BOOT, 1, &ledger, &error), -EBUSY);
    ck_assert_int_eq(error.code, -EBUSY);
    snprintf(pid, sizeof(pid), "process %d:", (int)child);
    ck_assert_msg(strstr(error.text, pid) != NULL, "%s", error.text);
    ck_assert_ptr_null(ledger);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ledger_free(open_or_fail(BOOT, 1));
}
END_TEST

/* A child of the guard that ends does not take its lock away. */
START_TEST(fork_keeps_the_lock)
{
    struct ledger *ledger = open_or_fail(BOOT, 1), *other = NULL;

    pid_t child = fork();
    if (child == 0) {
        ledger_free(ledger);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    child = fork();
    if (child == 0)
        _exit(ledger_open(path, BOOT, 1, &other, NULL) == -EBUSY ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ledger_free(ledger);
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

    if (ledger_open(path, BOOT, SLOTS, &ledger, NULL) < 0)
        _exit(1);
    for (;;) {
        number++;
        struct ledger_entry entry = entry_of(number);
        struct ledger_destruction destruction = destruction_of(number);
        __atomic_store_n(&progress->begun, number, __ATOMIC_SEQ_CST);
        ledger_put(ledger, 0, &entry);
        ledger_record(ledger, &destruction);
        __atomic_store_n(&progress->finished, number, __ATOMIC_SEQ_CST);
    }
}

/*
 * 300 writers are killed at random points; each time the slot holds exactly what the last finished
 * put stored, or the one that was under way, and the history likewise with no hole. The kernel
 * interrupts at any instruction; the assertion on `torn` makes sure that some were caught inside.
 */
START_TEST(killed_writer_never_tears)
{
    enum {
        KILLS = 300
    };
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned within = 0;

    ck_assert_ptr_ne(progress, MAP_FAILED);
    srandom(1);
    for (int round = 0; round < KILLS; round++) {
        uint64_t before = progress->finished;
        pid_t child = fork();
        if (child == 0)
            put_for_ever(progress);
        while (__atomic_load_n(&progress->finished, __ATOMIC_SEQ_CST) == before)
            ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
        struct timespec moment = {.tv_nsec = random() % 300000};
        nanosleep(&moment, NULL);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);

        struct ledger *ledger = open_or_fail(BOOT, SLOTS);
        const struct ledger_entry *entry = ledger_get(ledger, 0);
        ck_assert_ptr_nonnull(entry);
        uint64_t found = entry->identity.start_time, last = 0;
        ck_assert(found == progress->finished || found == progress->begun);
        expect_number(entry, found);
        uint32_t count = 0;
        for (const struct ledger_destruction *record; (record = ledger_history(ledger, count));
             count++) {
            struct ledger_destruction expected = destruction_of(record->time);
            ck_assert_mem_eq(record, &expected, sizeof(expected));
            ck_assert(last == 0 || record->time == last + 1);
            last = record->time;
        }
        ck_assert(last == progress->finished || last == progress->begun);
        within += progress->begun != progress->finished;
        ledger_free(ledger);
        /* The next writer goes on from what was found, as the guard would. */
        progress->begun = progress->finished = max_u64(found, last);
        ledger = open_or_fail(BOOT, SLOTS);
        if (last < found) {
            struct ledger_destruction destruction = destruction_of(found);
            ledger_record(ledger, &destruction);
        }
        ledger_free(ledger);
    }
    ck_assert_msg(within > KILLS / 10, "only %u writers were killed within a put", within);
    munmap(progress, sizeof(*progress));
}
END_TEST

/* Random kills hit some of the stores; this stands the file at every one: a put's stores in order,
 * stopped after each 8 bytes of them, must leave the old entry or the new. */
START_TEST(every_prefix_of_a_put_is_whole)
{
    struct ledger_entry first = entry_of(1), second = entry_of(2), third = entry_of(3);
    struct ledger *ledger = open_or_fail(BOOT, 1);
    struct ledger_copy before, after;

    ledger_put(ledger, 0, &first);
    ledger_put(ledger, 0, &second);
    const struct ledger_entry *newest = ledger_get(ledger, 0);
    ledger_put(ledger, 0, &third);
    ck_assert_ptr_ne(newest, ledger_get(ledger, 0)); /* the other copy was written */
    ledger_free(ledger);
    int fd = open(path, O_RDWR);
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
        ledger = open_or_fail(BOOT, 1);
        expect_number(ledger_get(ledger, 0), complete ? 3 : 2);
        ledger_free(ledger);
    }
    close(fd);
}
END_TEST

/* No system call between begin and end of a put: in strict seccomp a process may only read, write,
 * exit and return from signals, anything else is SIGKILL. */
START_TEST(put_makes_no_system_call)
{
    pid_t child = fork();

    if (child == 0) {
        struct ledger *ledger = NULL;
        struct ledger_entry entry = entry_of(9);
        struct ledger_destruction destruction = destruction_of(9);
        if (ledger_open(path, BOOT, SLOTS, &ledger, NULL) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
            _exit(1);
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            ledger_put(ledger, slot, &entry);
        ledger_clear(ledger, 1);
        ledger_record(ledger, &destruction);
        /* _exit() is exit_group, which strict mode does not allow. */
        syscall(SYS_exit,
            ledger_get(ledger, 0) && !ledger_get(ledger, 1) && ledger_history(ledger, 0) ? 0 : 2);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    struct ledger *ledger = open_or_fail(BOOT, SLOTS);
    expect_number(ledger_get(ledger, 0), 9);
    ledger_free(ledger);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger");
    TCase *tests = tcase_create("ledger");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, checksum);
    tcase_add_test(tests, put_get_clear_and_return);
    tcase_add_test(tests, other_boot_begins_anew);
    tcase_add_test(tests, capacity_grows_and_shrinks);
    tcase_add_test(tests, history_wraps);
    tcase_add_test(tests, flipped_bit_leaves_the_older);
    tcase_add_test(tests, both_copies_damaged_are_said);
    tcase_add_test(tests, damaged_header_is_put_aside);
    tcase_add_test(tests, another_version_of_this_boot_is_refused);
    tcase_add_test(tests, another_version_of_another_boot_is_begun_anew);
    tcase_add_test(tests, interrupted_making_is_made_again);
    tcase_add_test(tests, strangers_are_refused);
    tcase_add_test(tests, second_opener_is_told_the_pid);
    tcase_add_test(tests, fork_keeps_the_lock);
    tcase_add_test(tests, killed_writer_never_tears);
    tcase_add_test(tests, every_prefix_of_a_put_is_whole);
    tcase_add_test(tests, put_makes_no_system_call);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
