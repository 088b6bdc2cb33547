/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines that tell of a decision, as scripts read them. */
#include "announce.h"
#include "said.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct snapshot snapshot;
static struct assessment assessment;

/* Has alerts come out there, too. */
static void setup(void)
{
    said_begin();
    ck_assert_int_gt(log_start(), 0);
    log_set_echo(true);
    snapshot = (struct snapshot){.host = {.node_count = 2, .nodes = {{.id = 0}, {.id = 8}}}};
    assessment = (struct assessment){.band = BAND_CRITICAL,
        .pool_count = 4,
        .pools = {{.kind = POOL_HOST}, {.kind = POOL_BUDGET}, {.kind = POOL_NODE},
            {.kind = POOL_NODE, .node = 1, .headroom = -5, .time_to_exhaustion = 0}}};
}

static void teardown(void)
{
    log_stop();
    said_end();
}

START_TEST(a_node_has_its_number)
{
    static struct plan plan;
    static struct vm vm;
    struct action action = {.kind = ACTION_PAUSE,
        .reason = REASON_PAUSE_GROWTH,
        .pool = POOL_NODE,
        .node = 1,
        .mode = MODE_ENFORCE,
        .relief = 3,
        .loss = 5,
        .deficit = 4,
        .choice = {.left = 6 * NSEC_PER_SEC, .rival = {.slot = ACTION_SLOT_HOST}}};

    plan.assessment = assessment;
    (void)snprintf(vm.figures.name, sizeof(vm.figures.name), "web");
    announce_action(&plan, &action, &vm, &snapshot, 0);
    said_expect("<4>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
                "action=pause reason=pause-growth bytes=3 loss=5 left=6000ms rival_reason=none "
                "pool=node node=8 deficit=4 mode=enforce "
                "text=\"memory is about to run out and this guest's growth is what takes it\"");
    action.pool = POOL_HOST;
    announce_action(&plan, &action, &vm, &snapshot, -EPERM);
    said_expect("<3>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
                "action=pause reason=pause-growth bytes=3 loss=5 left=6000ms rival_reason=none "
                "pool=host deficit=4 mode=enforce "
                "failed=EPERM "
                "text=\"memory is about to run out and this guest's growth is what takes it\"");
    action = (struct action){.kind = ACTION_ALERT,
        .reason = REASON_NO_VICTIM,
        .slot = ACTION_SLOT_HOST,
        .pool = POOL_NODE,
        .deficit = 7};
    announce_action(&plan, &action, NULL, &snapshot, 0);
    said_expect("<3>event=alert band=critical action=alert reason=no-victim pool=node node=0 "
                "deficit=7 text=\"rules and facts leave no guest that could give memory\"");
}
END_TEST

/* What was short, by when, what it gives and costs, who was next and why it was not he. */
START_TEST(an_end_says_who_was_next)
{
    struct snapshot *guests = calloc(1, snapshot_size(2));
    static struct plan plan;
    static struct vm vm;
    struct action action = {.kind = ACTION_KILL,
        .reason = REASON_KILL_FLOOR,
        .mode = MODE_ENFORCE,
        .relief = 3,
        .loss = 10,
        .deficit = 4,
        .choice = {.guests = 1,
            .loss = 10,
            .least = 9,
            .left = 5 * NSEC_PER_MSEC,
            .rival = {.slot = 7, .reason = RIVAL_DEARER, .figure = 6}}};

    ck_assert_ptr_nonnull(guests);
    plan.assessment = assessment;
    guests->vm_count = 2;
    guests->vms[1].slot = 7;
    (void)snprintf(guests->vms[1].name, sizeof(guests->vms[1].name), "mail \"2\"");
    (void)snprintf(vm.figures.name, sizeof(vm.figures.name), "web");
    announce_action(&plan, &action, &vm, guests, 0);
    said_expect("<2>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
                "action=kill reason=kill-floor bytes=3 loss=10 left=5ms cover=1 cover_loss=10 "
                "cover_least=9 rival=\"mail \\\"2\\\"\" rival_reason=dearer rival_loss=6 "
                "pool=host deficit=4 mode=enforce text=\"nothing milder keeps the floor, and this "
                "guest is the least loss\"");
    memset(guests->vms[1].name, '\n', sizeof(guests->vms[1].name) - 1);
    action.choice = (struct choice){.left = NEVER, .rival = {.slot = 7, .reason = RIVAL_NEXT}};
    action.kind = ACTION_SAVE;
    action.reason = REASON_SAVE_FLOOR;
    action.deadline = 2 * NSEC_PER_SEC;
    announce_action(&plan, &action, &vm, guests, 0);
    said_expect(
        "<4>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
        "action=save reason=save-floor bytes=3 loss=10 seconds=2 left=never cover=0 cover_loss=0 "
        "rival=\"\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a"
        "\\x0a\\x0a\\x0a\\x0a\\x0a…\" "
        "rival_reason=next pool=host deficit=4 mode=enforce "
        "text=\"nothing milder keeps the floor, and there is time to save the least valuable "
        "guest\"");
    action.choice.rival.slot = 8; /* it has gone */
    action.choice.rival.reason = RIVAL_NONE;
    action.kind = ACTION_SHUTDOWN;
    action.reason = REASON_SHUTDOWN_FLOOR;
    announce_action(&plan, &action, &vm, guests, 0);
    said_expect(
        "<4>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
        "action=shutdown reason=shutdown-floor bytes=3 loss=10 seconds=2 left=never "
        "cover=0 cover_loss=0 rival_reason=none pool=host deficit=4 mode=enforce "
        "text=\"nothing milder keeps the floor, and there is time for this guest to shut down\"");
    free(guests);
}
END_TEST

START_TEST(limits_have_their_figures)
{
    static struct plan plan;
    static struct vm vm;
    struct action action = {.kind = ACTION_MEMLOCK,
        .reason = REASON_MEMLOCK_CAP,
        .target = 9 * GIB,
        .mode = MODE_DRY_RUN};

    plan.assessment = assessment;
    plan.assessment.pools[3].pinned = 7;
    plan.assessment.pools[3].total = 8;
    (void)snprintf(vm.figures.name, sizeof(vm.figures.name), "web");
    vm.figures.sources = VM_SOURCE_LIBVIRT;
    vm.figures.locked = 8 * GIB;
    vm.figures.memlock_soft = 64 * MIB;
    vm.figures.memlock_hard = MEMLOCK_UNLIMITED;
    vm.figures.definition = (struct vm_definition){.memory = 8 * GIB,
        .hard_limit = MEMLOCK_UNLIMITED,
        .locked = TRISTATE_NO,
        .vfio_devices = 1};
    announce_action(&plan, &action, &vm, &snapshot, 0);
    said_expect("<5>event=action vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
                "action=memlock reason=memlock-cap bytes=0 target=9663676416 limit=unlimited "
                "soft=67108864 formula=9663676416 safe_cap=9663676416 used=8589934592 pool=host "
                "deficit=0 mode=dry-run "
                "text=\"its limit on locked memory is above all that it can need\"");
    action = (struct action){.kind = ACTION_ALERT, .reason = REASON_MEMLOCK_UNLIMITED};
    vm.figures.sources = 0;
    vm.figures.pinned = UNKNOWN;
    announce_action(&plan, &action, &vm, &snapshot, 0);
    said_expect("<4>event=alert vm=web uuid=00000000-0000-0000-0000-000000000000 band=critical "
                "action=alert reason=memlock-unlimited bytes=0 limit=unlimited soft=67108864 "
                "formula=unknown safe_cap=unknown used=unknown pool=host deficit=0 mode=dry-run "
                "text=\"nothing limits what the guest may lock or pin\"");
    action = (struct action){.kind = ACTION_ALERT,
        .reason = REASON_PINNED_LIMIT,
        .slot = ACTION_SLOT_HOST,
        .pool = POOL_NODE,
        .node = 1,
        .deficit = 2};
    announce_action(&plan, &action, NULL, &snapshot, 0);
    said_expect("<4>event=alert band=critical action=alert reason=pinned-limit pool=node node=8 "
                "deficit=2 pinned=7 total=8 "
                "text=\"guests have locked or pinned more of this memory than pinned-limit\"");
}
END_TEST

START_TEST(a_band_names_its_pool)
{
    assessment.worst = 3;
    announce_band(&assessment, &snapshot, BAND_SCARCE);
    said_expect("<4>event=band band=critical before=scarce pool=node node=8 headroom=-5 "
                "fill_rate=0 time_to_exhaustion=0ms");
    assessment.worst = 1;
    assessment.band = BAND_CALM;
    assessment.pools[1].time_to_exhaustion = NEVER;
    announce_band(&assessment, &snapshot, BAND_SCARCE);
    said_expect("<5>event=band band=calm before=scarce pool=budget headroom=0 fill_rate=0 "
                "time_to_exhaustion=never");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("announce");
    TCase *tests = tcase_create("announce");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_node_has_its_number);
    tcase_add_test(tests, an_end_says_who_was_next);
    tcase_add_test(tests, limits_have_their_figures);
    tcase_add_test(tests, a_band_names_its_pool);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
