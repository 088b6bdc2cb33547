/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A page that was lost, moved or hit in any bit is told from one that is whole. */
#include "page.h"
#include "suite.h"

#include <check.h>
#include <string.h>

START_TEST(what_was_filled_is_whole)
{
    uint64_t page[PAGE_WORDS];
    for (uint64_t number = 0; number < 1000; number++) {
        page_fill(page, number, number + 1);
        ck_assert(page_is_whole(page, number));
        ck_assert(!page_is_whole(page, number + 1));
    }
}
END_TEST

START_TEST(zeros_are_not)
{
    uint64_t page[PAGE_WORDS] = {0};
    ck_assert(!page_is_whole(page, 0));
}
END_TEST

START_TEST(nor_is_any_bit_amiss)
{
    uint64_t page[PAGE_WORDS];
    page_fill(page, 7, 1);
    for (unsigned bit = 0; bit < PAGE_NUMBER_BITS; bit++) {
        page[0] ^= UINT64_C(1) << bit;
        ck_assert(!page_is_whole(page, 7));
        page[0] ^= UINT64_C(1) << bit;
    }
    for (unsigned bit = 64; bit < 8 * PAGE; bit++) {
        page[bit / 64] ^= UINT64_C(1) << bit % 64;
        ck_assert(!page_is_whole(page, 7));
        page[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    ck_assert(page_is_whole(page, 7));
}
END_TEST

START_TEST(no_two_are_equal)
{
    uint64_t page[PAGE_WORDS], other[PAGE_WORDS];
    page_fill(page, 7, 1);
    page_fill(other, 7, 2);
    ck_assert_mem_ne(page + 1, other + 1, sizeof(page) - sizeof(page[0]));
    page_fill(other, 8, 1);
    ck_assert_mem_ne(page + 1, other + 1, sizeof(page) - sizeof(page[0]));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("page");
    tcase_add_test(tests, what_was_filled_is_whole);
    tcase_add_test(tests, zeros_are_not);
    tcase_add_test(tests, nor_is_any_bit_amiss);
    tcase_add_test(tests, no_two_are_equal);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("guest page");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
