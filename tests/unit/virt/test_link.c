/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's side of plimsoll-virt, with one that does what it should and many that do not. */
#include "fake_virt.h"
#include "said.h"
#include "scratch.h"
#include "suite.h"
#include "virt_link.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define WEB_PID 4711

static const uint8_t web[UUID_SIZE] = FAKE_VIRT_UUID;

static struct scene {
    char folder[SCRATCH_FOLDER_MAX];
    struct loop *loop;
    struct virt_link *link;
    unsigned changes, undefined;
    uint64_t ahead; /* how much later it is for the link than it is */
} scene;

static void on_changed(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    ck_assert_ptr_eq(userdata, &scene);
    ck_assert_mem_eq(uuid, web, UUID_SIZE);
    scene.changes++;
}

static void on_undefined(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    ck_assert_ptr_eq(userdata, &scene);
    ck_assert_mem_eq(uuid, web, UUID_SIZE);
    scene.undefined++;
}

static void setup(void)
{
    struct virt_link_options options = {
        .program = FAKE_VIRT_PROGRAM,
        .run_folder = scene.folder,
        .capacity = 4,
        .changed = on_changed,
        .undefined = on_undefined,
        .userdata = &scene,
    };

    scratch_make("link", scene.folder);
    ck_assert_int_eq(loop_new(&scene.loop), 0);
    ck_assert_int_eq(virt_link_new(scene.loop, &options, &scene.link), 0);
    said_begin();
}

static void teardown(void)
{
    said_end();
    scene.link = virt_link_free(scene.link);
    scene.loop = loop_free(scene.loop);
    scratch_remove(scene.folder);
}

/* One turn of the guard's loop. */
static void turn(enum band band)
{
    uint64_t now = loop_now();

    virt_link_advance(scene.link, band, now + scene.ahead);
    ck_assert_int_eq(loop_wait(scene.loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn(BAND_CALM);                                                 \
    }

static const struct virt_domain *known_web(void)
{
    return virt_link_domain(scene.link, web, WEB_PID);
}

/* Waits for the next line, and expects WORDS in it. */
static void await_said(const char *words)
{
    await(said_within(0));
    const char *line = said_line();
    ck_assert_msg(strstr(line, words) != NULL, "%s\nhas no: %s", line, words);
}

START_TEST(it_is_told_of_a_domain)
{
    virt_link_set(scene.link, "fake://good/4711/gold");
    await(known_web());
    ck_assert_str_eq(known_web()->name, "web");
    ck_assert_str_eq(known_web()->metadata.rules.class_name, "gold");
    ck_assert_uint_eq(scene.changes, 1);
    /* The uuid alone is no proof. */
    ck_assert_ptr_null(virt_link_domain(scene.link, web, WEB_PID + 1));
    ck_assert_ptr_null(virt_link_domain(scene.link, web, 0));
    await_said("<5>libvirt is connected");
}
END_TEST

START_TEST(it_is_told_that_one_is_undefined)
{
    virt_link_set(scene.link, "fake://undefines/4711/gold");
    await(scene.undefined > 0);
    ck_assert_ptr_null(known_web());
}
END_TEST

START_TEST(a_domain_without_a_process_is_nobody)
{
    virt_link_set(scene.link, "fake://good/0/gold");
    await_said("libvirt is connected");
    await_said("<4>web: libvirt does not say which process it is");
    ck_assert_ptr_null(virt_link_domain(scene.link, web, 0));
}
END_TEST

START_TEST(off_is_off)
{
    virt_link_set(scene.link, "off");
    for (int i = 0; i < 3; i++)
        turn(BAND_CALM);
    ck_assert_uint_eq(virt_link_deadline(scene.link), NEVER);
    virt_link_set(scene.link, "fake://good/4711/gold");
    await(known_web());
    virt_link_set(scene.link, "off");
    ck_assert_ptr_null(known_web());
    ck_assert_uint_eq(scene.changes, 2);
    ck_assert_uint_eq(virt_link_deadline(scene.link), NEVER);
    await_said("libvirt is connected");
    ck_assert(!said_within(0));
}
END_TEST

START_TEST(another_uri_is_another_libvirt)
{
    virt_link_set(scene.link, "fake://good/4711/gold");
    await(known_web());
    virt_link_set(scene.link, "fake://good/4711/silver");
    await(known_web());
    ck_assert_str_eq(known_web()->metadata.rules.class_name, "silver");
}
END_TEST

/* ---- libvirt=auto ---- */

START_TEST(without_libvirt_it_is_said_once)
{
    char path[SCRATCH_FOLDER_MAX + 16];

    virt_link_set(scene.link, "auto");
    for (int i = 0; i < 3; i++, scene.ahead += 2 * NSEC_PER_MINUTE)
        turn(BAND_CALM);
    await_said("<5>libvirt is not on this host");
    ck_assert(!said_within(0));
    (void)snprintf(path, sizeof(path), "%s/libvirt-sock", scene.folder);
    scratch_write(path, "");
    turn(BAND_CALM);
    scene.ahead = 0;
    await_said("libvirt is connected");
}
END_TEST

START_TEST(nothing_is_started_at_the_edge)
{
    virt_link_set(scene.link, "fake://good/4711/gold");
    for (int i = 0; i < 3; i++)
        turn(BAND_CRITICAL);
    ck_assert_uint_eq(virt_link_deadline(scene.link), NEVER);
    ck_assert(!said_within(0));
    await(known_web());
}
END_TEST

/* ---- one that fails ---- */

START_TEST(what_was_said_outlives_who_said_it)
{
    virt_link_set(scene.link, "fake://dies/4711/gold");
    await_said("libvirt is connected");
    await_said("has ended by status 3; ");
    ck_assert_ptr_nonnull(known_web());
    /* Not before its time … */
    ck_assert_uint_gt(virt_link_deadline(scene.link), loop_now());
    turn(BAND_CALM);
    ck_assert(!said_within(0));
    /* … and then again. */
    scene.ahead = 2 * NSEC_PER_SEC;
    await_said("libvirt is connected");
    ck_assert_ptr_nonnull(known_web());
}
END_TEST

START_TEST(a_resync_cut_short_loses_nothing)
{
    struct virt_table *table = NULL;
    struct virt_record domain = {
        .kind = VIRT_RECORD_DOMAIN, .domain = {.uuid = FAKE_VIRT_UUID, .name = "web", .id = 1}};
    static const struct virt_record begin = {.kind = VIRT_RECORD_RESYNC_BEGIN},
                                    end = {.kind = VIRT_RECORD_RESYNC_END};

    ck_assert_int_eq(virt_table_new(4, on_changed, &scene, &table), 0);
    ck_assert_int_eq(virt_table_take(table, &domain), 0);
    ck_assert_int_eq(virt_table_take(table, &begin), 0);
    virt_table_break_off(table);
    ck_assert_int_eq(virt_table_take(table, &end), 0);
    ck_assert_uint_eq(virt_table_count(table), 1);
    ck_assert_int_eq(virt_table_take(table, &begin), 0);
    ck_assert_int_eq(virt_table_take(table, &end), 0);
    ck_assert_uint_eq(virt_table_count(table), 0);
    table = virt_table_free(table);
}
END_TEST

START_TEST(one_that_hangs_is_replaced)
{
    virt_link_set(scene.link, "fake://hangs/4711/gold");
    await(known_web());
    await_said("libvirt is connected");
    scene.ahead = VIRT_LINK_SILENCE + NSEC_PER_SEC;
    await_said("has said nothing for too long; ended");
    ck_assert_ptr_nonnull(known_web());
    scene.ahead += 2 * NSEC_PER_SEC;
    turn(BAND_CALM);
    scene.ahead = 0; /* what it says, it says now */
    do {
        await(said_within(0));
    } while (!strstr(said_line(), "libvirt is connected"));
}
END_TEST

START_TEST(one_that_floods_takes_its_turn)
{
    uint64_t now = loop_now();
    unsigned before;

    virt_link_set(scene.link, "fake://floods/4711/gold");
    do {
        before = scene.changes;
        virt_link_advance(scene.link, BAND_CALM, now);
        ck_assert_int_eq(loop_wait(scene.loop, loop_now() + PATIENCE), 0);
        ck_assert_uint_le(scene.changes - before, VIRT_LINK_RECORDS_PER_WAKE);
    } while (virt_link_deadline(scene.link) != now + NSEC_PER_SEC);
    /* Until its next second nothing more is heard: the loop waits as if there were nothing. */
    before = scene.changes;
    ck_assert_uint_le(before, VIRT_LINK_RECORDS_PER_SECOND);
    ck_assert_int_eq(loop_wait(scene.loop, loop_now()), 0);
    ck_assert_uint_eq(scene.changes, before);
    now += NSEC_PER_SEC;
    virt_link_advance(scene.link, BAND_CALM, now);
    ck_assert_int_eq(loop_wait(scene.loop, loop_now() + PATIENCE), 0);
    ck_assert_uint_gt(scene.changes, before);
}
END_TEST

START_TEST(nonsense_is_not_listened_to)
{
    static const struct {
        const char *uri, *said;
    } cases[] = {
        {"fake://version/4711/gold", "is of another version than plimsolld; ended"},
        {"fake://rude/4711/gold", "does not begin with one greeting; ended"},
    };

    virt_link_set(scene.link, cases[_i].uri);
    await_said(cases[_i].said);
    ck_assert_ptr_null(known_web());
    ck_assert_uint_eq(scene.changes, 0);
}
END_TEST

START_TEST(nonsense_after_a_greeting)
{
    virt_link_set(scene.link, _i == 0 ? "fake://nonsense/4711/gold" : "fake://early/4711/gold");
    await_said("libvirt is connected");
    await_said(
        _i == 0 ? "talks nonsense; ended" : "says when it asked, and that is yet to be; ended");
    ck_assert_ptr_null(known_web());
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
    struct virt_link_options options = {
        .program = "/nonexistent/plimsoll-virt",
        .run_folder = scene.folder,
        .capacity = 4,
        .changed = on_changed,
        .userdata = &scene,
    };

    scene.link = virt_link_free(scene.link);
    ck_assert_int_eq(virt_link_new(scene.loop, &options, &scene.link), 0);
    virt_link_set(scene.link, "fake://good/4711/gold");
    await_said("<4>/nonexistent/plimsoll-virt cannot be started, so libvirt is not asked");
}
END_TEST

/* ---- the table ---- */

START_TEST(more_than_there_is_room_for)
{
    struct virt_table *table = NULL;
    struct virt_record record = {.kind = VIRT_RECORD_DOMAIN, .domain = {.name = "x", .id = 1}};

    ck_assert_int_eq(virt_table_new(0, on_changed, &scene, &table), 0);
    memcpy(record.domain.uuid, web, UUID_SIZE);
    ck_assert_int_eq(virt_table_take(table, &record), -ENOSPC);
    /* One that does not run needs none. */
    record.domain.id = -1;
    ck_assert_int_eq(virt_table_take(table, &record), 0);
    ck_assert_uint_eq(scene.changes, 0);
    table = virt_table_free(table);
}
END_TEST

START_TEST(each_kind_of_record)
{
    struct virt_table *table = NULL;
    struct virt_record domain = {.kind = VIRT_RECORD_DOMAIN,
        .domain = {.uuid = FAKE_VIRT_UUID, .name = "web", .id = 1, .current = GIB}};
    struct virt_record balloon = {
        .kind = VIRT_RECORD_BALLOON, .balloon = {FAKE_VIRT_UUID, 512 * MIB}};
    struct virt_record kept = {.kind = VIRT_RECORD_DOMAIN_KEPT, .uuid = FAKE_VIRT_UUID};
    struct virt_record gone = {.kind = VIRT_RECORD_DOMAIN_GONE, .uuid = FAKE_VIRT_UUID};
    static const struct virt_record begin = {.kind = VIRT_RECORD_RESYNC_BEGIN},
                                    end = {.kind = VIRT_RECORD_RESYNC_END};

    ck_assert_int_eq(virt_table_new(4, on_changed, &scene, &table), 0);
    ck_assert_int_eq(virt_table_take(table, &kept), 0);
    ck_assert_int_eq(virt_table_take(table, &gone), 0);
    ck_assert_int_eq(virt_table_take(table, &balloon), 0);
    ck_assert_uint_eq(virt_table_count(table), 0);
    ck_assert_int_eq(virt_table_take(table, &domain), 0);
    ck_assert_int_eq(virt_table_take(table, &balloon), 0);
    ck_assert_uint_eq(virt_table_find(table, web)->current, 512 * MIB);
    ck_assert_int_eq(virt_table_take(table, &begin), 0);
    ck_assert_int_eq(virt_table_take(table, &kept), 0);
    ck_assert_int_eq(virt_table_take(table, &end), 0);
    ck_assert_uint_eq(virt_table_count(table), 1);
    ck_assert_int_eq(virt_table_take(table, &gone), 0);
    ck_assert_uint_eq(virt_table_count(table), 0);
    ck_assert_uint_eq(scene.changes, 2);
    table = virt_table_free(table);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_link");
    TCase *tests = tcase_create("link");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_is_told_of_a_domain);
    tcase_add_test(tests, a_domain_without_a_process_is_nobody);
    tcase_add_test(tests, it_is_told_that_one_is_undefined);
    tcase_add_test(tests, off_is_off);
    tcase_add_test(tests, another_uri_is_another_libvirt);
    tcase_add_test(tests, without_libvirt_it_is_said_once);
    tcase_add_test(tests, nothing_is_started_at_the_edge);
    tcase_add_test(tests, what_was_said_outlives_who_said_it);
    tcase_add_test(tests, a_resync_cut_short_loses_nothing);
    tcase_add_test(tests, one_that_hangs_is_replaced);
    tcase_add_test(tests, one_that_floods_takes_its_turn);
    tcase_add_loop_test(tests, nonsense_is_not_listened_to, 0, 2);
    tcase_add_loop_test(tests, nonsense_after_a_greeting, 0, 2);
    tcase_add_test(tests, a_program_that_is_not_there);
    tcase_add_test(tests, more_than_there_is_room_for);
    tcase_add_test(tests, each_kind_of_record);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
