/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast this host's memory can be filled, against what one process is seen to fill. */
#include <check.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <plimsoll/units.h>

#include "calibrate.h"
#include "loop.h"
#include "suite.h"

#define FILLED (64 * MIB)

/* The slowest way: page by page, in small pages. */
static uint64_t filled_rate(void)
{
    char *memory = mmap(NULL, FILLED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    (void)madvise(memory, FILLED, MADV_NOHUGEPAGE);
    uint64_t begin = loop_now();
    for (size_t i = 0; i < FILLED; i += 4096)
        ((volatile char *)memory)[i] = 1;
    uint64_t elapsed = loop_now() - begin;
    munmap(memory, FILLED);
    return scale_u64(FILLED, NSEC_PER_SEC, elapsed);
}

START_TEST(it_is_no_slower_than_what_one_process_is_seen_to_fill)
{
    uint64_t rate = calibrate_fill_rate(64 * GIB), seen = filled_rate();
    ck_assert(known(rate));
    /* Whatever else runs may have slowed down the one or the other. */
    ck_assert_uint_ge(rate, seen / 4);
    /* No processor clears a terabyte in a second for each of a thousand. */
    ck_assert_uint_lt(rate, 1024 * (1024 * GIB));
    ck_assert(!known(calibrate_fill_rate(64 * MIB)));
    ck_assert(!known(calibrate_fill_rate(UNKNOWN)));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left behind */
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("calibrate");
    tcase_add_test(tests, it_is_no_slower_than_what_one_process_is_seen_to_fill);
    Suite *suite = suite_create("calibrate");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
