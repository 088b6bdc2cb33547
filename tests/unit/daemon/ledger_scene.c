/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the folder of the running test. */
#include "ledger_scene.h"

#include <check.h>
#include <plimsoll/plan.h>
#include <stdio.h>
#include <string.h>

struct ledger_scene scene;

void ledger_scene_setup(void)
{
    scratch_make("ledger", scene.folder);
    snprintf(scene.path, sizeof(scene.path), "%s/ledger", scene.folder);
    snprintf(scene.aside, sizeof(scene.aside), "%s.bad", scene.path);
}

void ledger_scene_teardown(void)
{
    scratch_remove(scene.folder);
}

struct ledger *ledger_open_good(const char *boot, uint32_t capacity)
{
    struct ledger *ledger = NULL;
    struct error error;
    int result = ledger_open(scene.path, boot, capacity, &ledger, &error);

    ck_assert_msg(result == 0, "%d: %s", result, error.text);
    ck_assert_str_eq(error.text, "");
    ck_assert_int_eq(error.code, 0);
    return ledger;
}

struct ledger_entry ledger_entry_of(uint64_t number)
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

struct ledger_destruction ledger_destruction_of(uint64_t number)
{
    struct ledger_destruction destruction;

    memset(&destruction, 0, sizeof(destruction));
    destruction.time = number;
    destruction.identity = ledger_entry_of(number).identity;
    memset(destruction.name, (int)('a' + number % 26), sizeof(destruction.name) - 1);
    destruction.kind = ACTION_KILL;
    destruction.reason = REASON_KILL_FLOOR;
    return destruction;
}

void ledger_expect_entry(const struct ledger_entry *entry, uint64_t number)
{
    struct ledger_entry expected = ledger_entry_of(number);

    ck_assert_ptr_nonnull(entry);
    ck_assert_mem_eq(entry, &expected, sizeof(expected));
}
