/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of domains to be asked about. */
#include "due.h"
#include "suite.h"

#include <stdlib.h>

START_TEST(a_domain_is_due_once)
{
    struct due *due = calloc(1, sizeof(*due));
    uint8_t uuid[UUID_SIZE] = {1};

    ck_assert_ptr_nonnull(due);
    due_remove_first(due);
    ck_assert_uint_eq(due->count, 0);
    ck_assert(due_add(due, uuid, false));
    ck_assert(due_add(due, uuid, true));
    ck_assert(due_add(due, uuid, false));
    ck_assert_uint_eq(due->count, 1);
    ck_assert(due->domains[0].edited);
    uuid[0] = 2;
    ck_assert(due_add(due, uuid, false));
    due_remove_first(due);
    ck_assert_uint_eq(due->count, 1);
    ck_assert_uint_eq(due->domains[0].uuid[0], 2);
    for (unsigned i = 1; i < DUE_MAX; i++) {
        uuid[1] = (uint8_t)i;
        ck_assert(due_add(due, uuid, false));
    }
    uuid[2] = 1;
    ck_assert(!due_add(due, uuid, false));
    ck_assert_uint_eq(due->count, DUE_MAX);
    free(due);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_due");
    TCase *tests = tcase_create("due");

    tcase_add_test(tests, a_domain_is_due_once);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
