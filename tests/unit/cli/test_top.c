/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of `plimsoll top` that need no terminal: keys, guests, the band's past, frames. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "band_trail.h"
#include "frame.h"
#include "guests.h"
#include "keys.h"
#include "suite.h"
#include "viewer.h"

#define NOW (1000 * NSEC_PER_SEC)

/* ---- keys ---- */

/* The kinds of all keys that BYTES make, as letters. */
static const char *kinds(const char *bytes, bool expire, char letters[64])
{
    static const char of[] = "tnebucUDPQHE"; /* by enum key_kind */
    struct keys keys = {0};
    struct key key;
    size_t used = 0;

    for (size_t i = 0; bytes[i]; i++)
        if (keys_take(&keys, bytes[i], &key))
            letters[used++] = of[key.kind];
    if (expire && keys_expire(&keys, &key))
        letters[used++] = of[key.kind];
    ck_assert(!expire || !keys_wait(&keys));
    letters[used] = '\0';
    return letters;
}

START_TEST(bytes_become_keys)
{
    static const struct {
        const char *bytes, *kinds;
    } cases[] = {
        {"j", "t"}, {"\x1b[A\x1b[B\x1bOA\x1bOB", "UDUD"},
        {"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH", "HEHEH"}, {"\x1b[5~\x1b[6~", "PQ"},
        {"\r\n\x7f\b\x15\x0c", "nnbbuc"}, {"\x1b", "e"}, {"\x1b\x1b", "ee"}, {"\x1b\x1b[A", "eU"},
        {"\x1b[1;5A", ""}, /* with Ctrl: none of ours, and no part of it is */
        {"\x1b[?1;2;3;4;5;6;7qj", "t"}, {"\x1b[200~x", "t"}, {"\x1bx", ""},
        {"\x1b[\x1b[A", "U"}, /* broken off */
        {"\x1b[", ""},        /* and never ended */
        {"\xc3\xa4", "t"}, {"\xe9\xad\x9a", "t"}, {"\xc3", ""}, {"\xc3q", "t"},
        {"\xff\xfe\xc2\x9b\xe2\x80\xae", ""}, /* what is no text is no key */
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char letters[64];
        ck_assert_msg(strcmp(kinds(cases[i].bytes, true, letters), cases[i].kinds) == 0,
            "case %zu: %s, not %s", i, letters, cases[i].kinds);
    }
}
END_TEST

START_TEST(whatever_is_sent_ends_in_keys)
{
    static const char of[] = "\x1b[O~;0A\xc3";
    struct keys keys = {0};
    struct key key;
    char letters[64];
    uint64_t state = 1; /* xorshift64: the same bytes in each run */

    for (unsigned i = 0; i < 200000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char byte = (char)(state % 3 ? of[state / 3 % (sizeof(of) - 1)] : (char)(state >> 32));
        if (keys_take(&keys, byte, &key))
            ck_assert(key.kind != KEY_TEXT || key.text[0]);
    }
    ck_assert_str_eq(kinds("\x1b[A", true, letters), "U");
}
END_TEST

/* ---- guests ---- */

static struct json_object *parse(const char *text)
{
    struct json_object *object = json_tokener_parse(text);

    ck_assert_ptr_nonnull(object);
    return object;
}

static void take(struct guests *guests, const char *text)
{
    struct json_object *status = parse(text);

    ck_assert_int_eq(guests_take(guests, status), 0);
    json_object_put(status);
}

#define STATUS(seconds, vms) "{\"realtime\":" #seconds "000000000,\"vms\":[" vms "]}"

START_TEST(growth_is_that_of_the_same_process)
{
    struct guests guests = {0};

    take(&guests, STATUS(1, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":1,\"rss\":1000}"));
    ck_assert(!guests.list[0].has_growth);
    take(&guests, STATUS(3, "{\"name\":\"b\",\"uuid\":\"v\",\"pid\":2,\"rss\":7},"
                            "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":1,\"rss\":5000}"));
    ck_assert(!guests.list[0].has_growth);
    ck_assert(guests.list[1].has_growth);
    ck_assert_int_eq(guests.list[1].growth, 2000);
    /* The guard has not looked since: as it was. */
    take(&guests, STATUS(3, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":1,\"rss\":5000}"));
    ck_assert_int_eq(guests.list[0].growth, 2000);
    for (unsigned i = 0; i < 2 * GUEST_TRAIL; i++)
        take(&guests, STATUS(4, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":1,\"rss\":100}"));
    take(&guests, STATUS(5, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":1,\"rss\":100}"));
    ck_assert_int_eq(guests.list[0].growth, -225);
    /* Started anew, its clock set back, or its RSS unknown. */
    take(&guests, STATUS(6, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":9,\"rss\":5000}"));
    ck_assert(!guests.list[0].has_growth);
    take(&guests, STATUS(2, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":9,\"rss\":5000}"));
    ck_assert(!guests.list[0].has_growth);
    take(&guests, STATUS(7, "{\"name\":\"a\",\"uuid\":\"u\",\"pid\":9,\"rss\":null}"));
    ck_assert(!guests.list[0].has_growth);
    guests_clear(&guests);
}
END_TEST

START_TEST(a_status_may_be_anything)
{
    static const char *const texts[] = {"{}", "[]", "{\"vms\":{}}",
        "{\"vms\":[null,1,\"a\",[],{}]}", "{\"realtime\":\"now\",\"vms\":[{\"name\":1}]}",
        "{\"vms\":[{\"uuid\":[],\"pid\":\"x\",\"rss\":-1,\"measures\":[1,null]}]}",
        "{\"vms\":[{\"balloon\":7,\"maximum\":0,\"minimum\":{}}]}"};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        struct guests guests = {0};
        const struct guest *order[8];
        take(&guests, texts[i]);
        take(&guests, texts[i]);
        for (unsigned column = 0; column < GUEST_COLUMN_COUNT; column++)
            ck_assert_uint_eq(
                guests_order(&guests, (enum guest_column)column, false, "", order), guests.count);
        guests_clear(&guests);
    }
}
END_TEST

START_TEST(what_nobody_knows_is_last_either_way)
{
    struct guests guests = {0};
    const struct guest *order[4];

    take(&guests, STATUS(1, "{\"name\":\"Unknown\",\"pid\":1,\"rss\":null},"
                            "{\"name\":\"less\",\"pid\":2,\"rss\":5},"
                            "{\"name\":\"more\",\"pid\":3,\"rss\":9},"
                            "{\"name\":\"even\",\"pid\":4,\"rss\":9}"));
    ck_assert_uint_eq(guests_order(&guests, GUEST_RSS, false, "", order), 4);
    ck_assert_str_eq(order[0]->name, "even"); /* equal ones by name */
    ck_assert_str_eq(order[2]->name, "less");
    ck_assert_str_eq(order[3]->name, "Unknown");
    (void)guests_order(&guests, GUEST_RSS, true, "", order);
    ck_assert_str_eq(order[0]->name, "less");
    ck_assert_str_eq(order[3]->name, "Unknown");
    ck_assert_uint_eq(guests_order(&guests, GUEST_NAME, false, "E", order), 3);
    ck_assert_uint_eq(guests_order(&guests, GUEST_NAME, false, "nobody", order), 0);
    guests_clear(&guests);
}
END_TEST

/* ---- the band's past ---- */

#define POOL "\"total\":2000,\"floor\":1000,\"headroom\":500"

static struct json_object *line_of(uint64_t ago, const char *text)
{
    struct json_object *line = json_object_new_object();

    (void)json_object_object_add(
        line, "realtime", json_object_new_uint64(NOW - ago * NSEC_PER_SEC));
    (void)json_object_object_add(line, "text", json_object_new_string(text));
    return line;
}

static void moment_is(
    const struct band_trail *trail, uint64_t ago, int what, enum band band, unsigned share)
{
    struct band_moment moment = band_trail_at(trail, ago);

    ck_assert_msg((int)moment.what == what && (what == BAND_NOBODY_KNOWS || moment.band == band) &&
                      (what != BAND_MEASURED || moment.share == share),
        "%u ago: what %d, band %d, share %u", (unsigned)ago, (int)moment.what, (int)moment.band,
        (unsigned)moment.share);
}

START_TEST(the_past_is_as_far_as_the_log_tells)
{
    static struct band_trail trail;
    struct json_object *lines = json_object_new_array();
    struct json_object *status = parse("{\"realtime\":1000000000000,\"band\":\"tight\",\"worst\":"
                                       "\"host\",\"host\":{" POOL "}}");

    json_object_array_add(lines, line_of(20, "event=start version=1"));
    json_object_array_add(lines,
        line_of(10, "event=band band=critical before=calm pool=host headroom=-7 fill_rate=1"));
    json_object_array_add(lines, line_of(10, "event=vm-appeared vm=x"));
    json_object_array_add(
        lines, line_of(4, "event=band band=tight before=critical pool=host headroom=250"));
    band_trail_tell(&trail, status, lines, NSEC_PER_SEC, BAND_TRAIL_MAX, false);
    band_trail_add(&trail, status);
    moment_is(&trail, 0, BAND_MEASURED, BAND_TIGHT, 500);
    moment_is(&trail, 1, BAND_TOLD, BAND_TIGHT, 0);
    moment_is(&trail, 4, BAND_MEASURED, BAND_TIGHT, 250);
    moment_is(&trail, 5, BAND_TOLD, BAND_CRITICAL, 0);
    moment_is(&trail, 10, BAND_MEASURED, BAND_CRITICAL, 0);
    moment_is(&trail, 11, BAND_TOLD, BAND_CALM, 0);
    moment_is(&trail, 20, BAND_TOLD, BAND_CALM, 0);
    moment_is(&trail, 21, BAND_NOBODY_KNOWS, BAND_CALM, 0);
    band_trail_skip(&trail, UINT64_C(3) * BAND_TRAIL_MAX);
    moment_is(&trail, 0, BAND_NOBODY_KNOWS, BAND_CALM, 0);
    moment_is(&trail, 30, BAND_NOBODY_KNOWS, BAND_CALM, 0);
    /* An answer that came late: what was said in between is known, and that it was all. */
    struct json_object *silence = json_object_new_array();
    band_trail_tell(&trail, status, silence, NSEC_PER_SEC, 3, true);
    band_trail_add(&trail, status);
    moment_is(&trail, 3, BAND_TOLD, BAND_TIGHT, 0);
    moment_is(&trail, 4, BAND_NOBODY_KNOWS, BAND_CALM, 0);
    json_object_put(silence);
    json_object_put(lines);
    json_object_put(status);
}
END_TEST

START_TEST(without_a_log_it_grows_live)
{
    static struct band_trail trail;
    struct json_object *status =
        parse("{\"realtime\":1000000000000,\"band\":\"calm\",\"worst\":\"node\",\"worst_node\":8,"
              "\"host\":{" POOL ",\"nodes\":[{\"id\":8,\"total\":1000,\"floor\":0,\"headroom\":"
              "100}]}}");

    band_trail_tell(&trail, status, NULL, NSEC_PER_SEC, BAND_TRAIL_MAX, false);
    band_trail_add(&trail, status);
    moment_is(&trail, 0, BAND_MEASURED, BAND_CALM, 100); /* the node's */
    moment_is(&trail, 2, BAND_NOBODY_KNOWS, BAND_CALM, 0);
    json_object_put(status);
}
END_TEST

/* ---- frames ---- */

START_TEST(a_frame_lets_nothing_out)
{
    struct frame frame = {.columns = 10, .plain = true, .utf8 = true};
    const struct look plain = {0};

    frame_begin(&frame);
    frame_row(&frame, 0);
    frame_put(&frame, plain, "\x1b[2J\n\xff");
    ck_assert_int_eq(memcmp(frame.text, "?[2J??", 6), 0);
    ck_assert_uint_eq(frame.rows[0].length, 6);
    frame_put(&frame, plain, "\xe9\xad\x9a\xe9\xad\x9a"); /* two columns each, of two */
    ck_assert_uint_eq(frame.rows[0].columns, 10);
    frame_row(&frame, 0);
    frame_cell(&frame, plain, "\xe9\xad\x9a\xe9\xad\x9a\xe9\xad\x9a", 4, false);
    frame_cell(&frame, plain, "7", 3, true);
    ck_assert_int_eq(
        memcmp(frame.text + frame.rows[1].begin, "\xe9\xad\x9a\xe2\x80\xa6   7", 10), 0);
    ck_assert_uint_eq(frame.rows[1].columns, 7);
    frame.utf8 = false;
    frame_row(&frame, 0);
    frame_cell(&frame, plain,
        "\xc3\xa4"
        "bcdef",
        4, false);
    ck_assert_int_eq(memcmp(frame.text + frame.rows[2].begin, "?bc~", 4), 0);
    frame_clear(&frame);
}
END_TEST

/* ---- what keys do ---- */

static void press(struct viewer *view, const struct model *model, const char *letters)
{
    for (; *letters; letters++) {
        struct key key = {.kind = KEY_TEXT, .text = {*letters}};
        if (*letters == '\r')
            key.kind = KEY_ENTER;
        else if (*letters == '\x1b')
            key.kind = KEY_ESCAPE;
        ck_assert_int_eq(viewer_update(view, model), 0);
        (void)viewer_key(view, &key);
    }
    ck_assert_int_eq(viewer_update(view, model), 0);
}

START_TEST(a_selected_guest_that_ends_hands_on_to_its_neighbour)
{
    static struct model model;
    struct viewer view;

    viewer_begin(&view);
    press(&view, &model, "jk\r\x1b"); /* of nobody */
    ck_assert_ptr_null(viewer_selected(&view));
    take(&model.guests, STATUS(1, "{\"name\":\"a\",\"pid\":1,\"rss\":9},{\"name\":\"b\",\"pid\":2,"
                                  "\"rss\":8},{\"name\":\"c\",\"pid\":3,\"rss\":7}"));
    press(&view, &model, "j");
    ck_assert_str_eq(viewer_selected(&view)->name, "b");
    take(&model.guests,
        STATUS(2, "{\"name\":\"b\",\"pid\":2,\"rss\":1},{\"name\":\"c\",\"pid\":3,\"rss\":7}"));
    press(&view, &model, "");
    ck_assert_str_eq(viewer_selected(&view)->name, "b");
    ck_assert_uint_eq(view.position, 1);
    take(&model.guests, STATUS(3, "{\"name\":\"c\",\"pid\":3,\"rss\":7}"));
    press(&view, &model, "");
    ck_assert_str_eq(viewer_selected(&view)->name, "c");
    take(&model.guests, STATUS(4, ""));
    press(&view, &model, "jjk");
    ck_assert_ptr_null(viewer_selected(&view));
    viewer_clear(&view);
    guests_clear(&model.guests);
}
END_TEST

START_TEST(a_filter_is_bounded)
{
    static struct model model;
    struct viewer view;

    viewer_begin(&view);
    press(&view, &model, "/");
    for (unsigned i = 0; i < 2 * VIEW_FILTER_MAX; i++)
        press(&view, &model, "q");
    ck_assert_uint_eq(strlen(view.filter), VIEW_FILTER_MAX - 1);
    press(&view, &model, "\r");
    ck_assert(!view.filtering);
    viewer_clear(&view);
}
END_TEST

int main(void)
{
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *tests = tcase_create("top");
    tcase_add_test(tests, bytes_become_keys);
    tcase_add_test(tests, whatever_is_sent_ends_in_keys);
    tcase_add_test(tests, growth_is_that_of_the_same_process);
    tcase_add_test(tests, a_status_may_be_anything);
    tcase_add_test(tests, what_nobody_knows_is_last_either_way);
    tcase_add_test(tests, the_past_is_as_far_as_the_log_tells);
    tcase_add_test(tests, without_a_log_it_grows_live);
    tcase_add_test(tests, a_frame_lets_nothing_out);
    tcase_add_test(tests, a_selected_guest_that_ends_hands_on_to_its_neighbour);
    tcase_add_test(tests, a_filter_is_bounded);
    Suite *suite = suite_create("top");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
