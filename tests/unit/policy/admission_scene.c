/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See admission_scene.h. */
#include "admission_scene.h"

#include <check.h>

struct story *host_new(void)
{
    return story_new(32 * GIB, 2 * GIB);
}

const struct admission_request plain = {
    .uuid = {0xaa}, .maximum = 4 * GIB, .balloon = true, .patience = 2 * SEC};

struct admission_answer ask_as(
    struct story *story, const struct admission_request *request, const struct vm_rules *own)
{
    struct admission_answer answer;

    admission_decide(
        story->snapshot, story->rules, story->state, story->scratch, request, own, &answer);
    return answer;
}

struct admission_answer ask(struct story *story, const struct admission_request *request)
{
    struct vm_rules own;

    vm_rules_default(&own);
    own.mode = MODE_ENFORCE;
    return ask_as(story, request, &own);
}

void reserve(struct story *story, const struct reservation *reservation)
{
    story->snapshot->reservations[story->snapshot->reservation_count++] = *reservation;
}

void guests(struct story *story, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        story_guest(story, 4 * GIB, GIB);
    story_run(story, SEC, 100 * MS);
}

void refused(const struct admission_answer *answer, enum admission_lack lack)
{
    ck_assert_int_eq(answer->verdict, ADMISSION_REFUSE);
    ck_assert_int_eq(answer->lack, lack);
    ck_assert_uint_gt(answer->needed, answer->left);
}
