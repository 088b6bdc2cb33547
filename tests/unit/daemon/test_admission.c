/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of starts, and the words about them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "admission.h"
#include "announce.h"
#include "suite.h"

#define CAPACITY 4
#define SEC NSEC_PER_SEC

static struct admission admission;
static struct snapshot *snapshot;

static void begin(void)
{
    admission = (struct admission){0};
    snapshot = calloc(1, snapshot_size(CAPACITY));
    ck_assert_ptr_nonnull(snapshot);
    snapshot->vm_capacity = CAPACITY;
}

static void end(void)
{
    free(snapshot);
}

static struct admission_answer granted(uint8_t who, uint64_t bytes)
{
    return (struct admission_answer){
        .verdict = ADMISSION_ALLOW,
        .reservation = {.uuid = {who}, .bytes = bytes, .promised = bytes, .hugepages = GIB},
    };
}

static void keep(uint8_t who, uint64_t bytes, uint64_t now)
{
    struct admission_answer answer = granted(who, bytes);

    ck_assert(admission_keep(&admission, &answer, "web", now));
    admission_show(&admission, snapshot, now);
}

static struct vm_snapshot *appear(uint8_t who, uint64_t rss)
{
    struct vm_snapshot *vm = &snapshot->vms[snapshot->vm_count++];

    *vm = (struct vm_snapshot){.identity = {.pid = 77, .uuid = {who}},
        .first_seen = 2 * SEC,
        .rss = rss,
        .kind = VM_KIND_UNKNOWN};
    return vm;
}

START_TEST(what_is_kept_is_shown)
{
    begin();
    keep(1, 4 * GIB, SEC);
    keep(2, 2 * GIB, SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 2);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 4 * GIB);
    ck_assert_uint_eq(snapshot->reservations[1].bytes, 2 * GIB);
    /* Asked again, it is still one guest. */
    keep(1, 3 * GIB, 2 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 2);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 3 * GIB);
    end();
}
END_TEST

START_TEST(what_the_guest_has_taken_is_not_kept_twice)
{
    begin();
    keep(1, 4 * GIB, SEC);
    struct vm_snapshot *vm = appear(1, GIB);
    vm->hugetlb = 256 * MIB;
    admission_show(&admission, snapshot, 2 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 3 * GIB);
    ck_assert_uint_eq(snapshot->reservations[0].hugepages, 768 * MIB);
    ck_assert_uint_eq(snapshot->reservations[0].promised, 4 * GIB);
    vm->rss = 5 * GIB;
    vm->hugetlb = GIB;
    admission_show(&admission, snapshot, 3 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    ck_assert_uint_eq(admission.count, 0);
    end();
}
END_TEST

/* From then on it is known what it is promised. One that nobody can balloon goes on taking. */
START_TEST(a_balloon_that_answers_ends_it)
{
    static const enum vm_kind kinds[] = {VM_KIND_ELASTIC, VM_KIND_RIGID, VM_KIND_SELF_DEFLATING};

    begin();
    keep(1, 4 * GIB, SEC);
    appear(1, GIB)->kind = kinds[_i];
    admission_show(&admission, snapshot, 2 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, kinds[_i] == VM_KIND_RIGID);
    end();
}
END_TEST

START_TEST(nobody_keeps_room_for_ever)
{
    begin();
    keep(1, 4 * GIB, SEC);
    (void)appear(1, GIB);
    admission_show(&admission, snapshot, 20 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    admission_show(&admission, snapshot, 20 * SEC + ADMISSION_BOOT - 1);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    admission_show(&admission, snapshot, 20 * SEC + ADMISSION_BOOT);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    end();
}
END_TEST

START_TEST(a_start_that_comes_to_nothing_ends_it)
{
    begin();
    keep(1, 4 * GIB, SEC);
    admission_show(&admission, snapshot, SEC + ADMISSION_APPEAR - 1);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    admission_show(&admission, snapshot, SEC + ADMISSION_APPEAR);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    end();
}
END_TEST

START_TEST(a_guest_that_ends_while_it_starts_ends_it)
{
    begin();
    keep(1, 4 * GIB, SEC);
    keep(2, GIB, SEC);
    (void)appear(1, GIB);
    admission_show(&admission, snapshot, 2 * SEC);
    snapshot->vm_count = 0;
    admission_show(&admission, snapshot, 3 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].uuid[0], 2);
    end();
}
END_TEST

/* What is still there of it from before, and what it is migrated from on this very host. */
START_TEST(who_was_there_before_is_another)
{
    begin();
    appear(1, 3 * GIB)->first_seen = SEC - 1;
    keep(1, 4 * GIB, SEC);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 4 * GIB);
    appear(1, GIB)->migration = VM_MIGRATION_INCOMING;
    admission_show(&admission, snapshot, 3 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 3 * GIB);
    /* Nor is more kept for it than for any other, once it should have come. */
    admission_show(&admission, snapshot, 3 * SEC + ADMISSION_BOOT);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    end();
}
END_TEST

/* Whoever waits asks again; a hook that was killed does not. */
START_TEST(who_waits_has_to_go_on_asking)
{
    begin();
    struct admission_answer answer = granted(1, GIB);
    answer.verdict = ADMISSION_WAIT;
    ck_assert(admission_keep(&admission, &answer, "web", SEC));
    admission_show(&admission, snapshot, SEC + ADMISSION_ASKS - 1);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert(admission_keep(&admission, &answer, "web", SEC + ADMISSION_ASKS - 1));
    admission_show(&admission, snapshot, SEC + ADMISSION_ASKS);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    admission_show(&admission, snapshot, SEC + 2 * ADMISSION_ASKS);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    end();
}
END_TEST

START_TEST(the_table_has_an_end)
{
    begin();
    for (unsigned i = 0; i < RESERVATIONS_MAX; i++)
        keep((uint8_t)(i + 1), GIB, SEC);
    struct admission_answer answer = granted(200, GIB);
    ck_assert(!admission_keep(&admission, &answer, "web", SEC));
    ck_assert_uint_eq(snapshot->reservation_count, RESERVATIONS_MAX);
    answer = granted(7, 2 * GIB);
    ck_assert(admission_keep(&admission, &answer, "web", SEC));
    const uint8_t seven[UUID_SIZE] = {7}, nobody[UUID_SIZE] = {250};
    admission_drop(&admission, seven);
    admission_drop(&admission, nobody);
    ck_assert_ptr_null(admission_find(&admission, seven));
    ck_assert_uint_eq(admission.count, RESERVATIONS_MAX - 1);
    end();
}
END_TEST

/* ---- saved ---- */

static void save(uint8_t who, uint64_t now)
{
    const struct reservation reservation = {.uuid = {who}, .promised = 2 * GIB, .returning = GIB};

    admission_keep_saved(&admission, &reservation, "web", now);
    admission_show(&admission, snapshot, now);
}

START_TEST(what_was_saved_is_promised_until_it_is_back)
{
    begin();
    appear(1, GIB)->first_seen = SEC; /* as it was before */
    save(1, 3 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].promised, 2 * GIB);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 0);
    snapshot->vm_count = 0;
    admission_show(&admission, snapshot, 4 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    /* While it starts that says what is kept. */
    keep(1, GIB, 5 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, GIB);
    struct vm_snapshot *vm = appear(1, 256 * MIB);
    vm->first_seen = 6 * SEC;
    admission_show(&admission, snapshot, 6 * SEC);
    ck_assert_uint_eq(snapshot->reservations[0].bytes, 768 * MIB);
    vm->kind = VM_KIND_ELASTIC;
    admission_show(&admission, snapshot, 7 * SEC);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    ck_assert_uint_eq(admission.saved_count, 0);
    end();
}
END_TEST

/* libvirt has what it saved until it was read to its end. */
START_TEST(a_restore_that_fails_leaves_the_promise)
{
    begin();
    save(1, SEC);
    keep(1, GIB, 2 * SEC);
    appear(1, 256 * MIB)->first_seen = 3 * SEC;
    admission_show(&admission, snapshot, 3 * SEC);
    snapshot->vm_count = 0;
    admission_show(&admission, snapshot, 4 * SEC);
    ck_assert_uint_eq(admission.count, 0);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].promised, 2 * GIB);
    end();
}
END_TEST

START_TEST(a_promise_to_the_saved_ends)
{
    begin();
    save(1, SEC);
    save(2, 2 * SEC);
    save(1, 3 * SEC); /* again: it is one guest */
    ck_assert_uint_eq(admission.saved_count, 2);
    const uint8_t two[UUID_SIZE] = {2};
    admission_drop_saved(&admission, two);
    admission_show(&admission, snapshot, 3 * SEC + ADMISSION_SAVED - 1);
    ck_assert_uint_eq(snapshot->reservation_count, 1);
    ck_assert_uint_eq(snapshot->reservations[0].uuid[0], 1);
    admission_show(&admission, snapshot, 3 * SEC + ADMISSION_SAVED);
    ck_assert_uint_eq(snapshot->reservation_count, 0);
    ck_assert_uint_eq(admission.saved_count, 0);
    end();
}
END_TEST

START_TEST(the_oldest_of_the_saved_is_forgotten)
{
    begin();
    for (unsigned i = 0; i <= ADMISSION_SAVED_MAX; i++)
        save((uint8_t)(i + 1), SEC);
    ck_assert_uint_eq(snapshot->reservation_count, ADMISSION_SAVED_MAX);
    ck_assert_uint_eq(snapshot->reservations[0].uuid[0], 2);
    /* Those that start come first where not all find a place. */
    for (unsigned i = 0; i < RESERVATIONS_MAX; i++)
        keep((uint8_t)(i + 100), GIB, SEC);
    ck_assert_uint_eq(snapshot->reservation_count, RESERVATIONS_MAX);
    ck_assert_uint_eq(snapshot->reservations[RESERVATIONS_MAX - 1].bytes, GIB);
    end();
}
END_TEST

/* ---- words ---- */

static const struct {
    struct admission_answer answer;
    const char *words;
} told[] = {
    {{.verdict = ADMISSION_ALLOW, .needed = 2 * GIB, .left = 3 * GIB},
        "has to be promised 2G of the host, of which 3G is promised to nobody"},
    {{.verdict = ADMISSION_WAIT,
         .lack = ADMISSION_LACK_ROOM,
         .pool = POOL_NODE,
         .needed = 2 * GIB,
         .left = 512 * MIB},
        "takes 2G of the NUMA nodes it is bound to at once, of which 512M is free; balloons make "
        "room"},
    {{.verdict = ADMISSION_REFUSE,
         .lack = ADMISSION_LACK_PROMISE,
         .needed = 4 * GIB,
         .left = 4 * GIB - 1},
        "has to be promised 4G of the host, of which 3.9G is promised to nobody; it would fit "
        "with 1M less, or after guests that are promised so much have ended"},
    {{.verdict = ADMISSION_REFUSE,
         .lack = ADMISSION_LACK_ROOM,
         .pool = POOL_BUDGET,
         .needed = GIB,
         .left = 0},
        "takes 1G of what guests may hold together (vm-budget) at once, of which 0 is free, and "
        "balloons do not bring 1G in time; it would fit as soon as that is free"},
    {{.verdict = ADMISSION_REFUSE,
         .lack = ADMISSION_LACK_HUGEPAGES,
         .needed = 4 * GIB,
         .left = GIB},
        "needs 4G of huge pages of the host, of which 1G is promised to nobody; it would fit "
        "with 3G more in their pool"},
    {{.verdict = ADMISSION_REFUSE, .lack = ADMISSION_LACK_PINNED, .needed = 4 * GIB, .left = GIB},
        "pins 4G of the host, and pinned-limit leaves 1G for that; it would fit with 3G less, "
        "or without a device of the host's"},
    {{.verdict = ADMISSION_REFUSE,
         .lack = ADMISSION_LACK_ROOM,
         .needed = 2 * GIB + 128 * MIB,
         .left = 2 * GIB},
        "takes 2.2G of the host at once, of which 2G is free, and balloons do not bring 128M in "
        "time; it would fit as soon as that is free"},
    {{.verdict = ADMISSION_REFUSE, .lack = ADMISSION_LACK_FIGURES, .needed = GIB},
        "needs 1G of the host, which cannot be measured"},
    {{.verdict = ADMISSION_REFUSE},
        "comes while more guests start than the guard can keep room for; try again in a minute"},
};

START_TEST(a_refusal_says_what_would_make_it_fit)
{
    char words[ADMISSION_WORDS_MAX];

    admission_words(&told[_i].answer, words);
    ck_assert_str_eq(words, told[_i].words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admission");
    TCase *table = tcase_create("table"), *words = tcase_create("words");

    tcase_add_test(table, what_is_kept_is_shown);
    tcase_add_test(table, what_the_guest_has_taken_is_not_kept_twice);
    tcase_add_loop_test(table, a_balloon_that_answers_ends_it, 0, 3);
    tcase_add_test(table, nobody_keeps_room_for_ever);
    tcase_add_test(table, a_start_that_comes_to_nothing_ends_it);
    tcase_add_test(table, a_guest_that_ends_while_it_starts_ends_it);
    tcase_add_test(table, who_was_there_before_is_another);
    tcase_add_test(table, who_waits_has_to_go_on_asking);
    tcase_add_test(table, the_table_has_an_end);
    tcase_add_loop_test(
        words, a_refusal_says_what_would_make_it_fit, 0, (int)(sizeof told / sizeof *told));
    TCase *saved = tcase_create("saved");
    tcase_add_test(saved, what_was_saved_is_promised_until_it_is_back);
    tcase_add_test(saved, a_restore_that_fails_leaves_the_promise);
    tcase_add_test(saved, a_promise_to_the_saved_ends);
    tcase_add_test(saved, the_oldest_of_the_saved_is_forgotten);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, saved);
    suite_add_tcase(suite, words);
    return suite_run(suite);
}
