/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's answers to libvirt's hook, on a fake host of 16 GiB of which 12 are free: what is
 * asked, what is kept, what is only told.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "suite.h"

#define ENFORCE                                                                                    \
    "[guard]\nmode=enforce\nlibvirt=off\nqmp-directory=/nonexistent\nmax-vms=8\n[class default]\n" \
    "mode=enforce\n[admission]\nmode=enforce\n"
#define UUID_TEXT "00112233-4455-6677-8899-aabbccddeeff"

static struct fake_host host;

static void begin(const char *config)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2, config);
    fake_host_set_available(&host, 12 * GIB);
    fake_host_start_guard(&host);
    fake_host_tick(&host, NSEC_PER_SEC);
}

/* A question about a guest of MAXIMUM bytes, with KEY as VALUE says in JSON instead; VALUE NULL:
 * without it. */
static struct json_object *question(uint64_t maximum, const char *key, const char *value)
{
    struct json_object *object = json_tokener_parse(
        "{\"name\":\"web\",\"uuid\":\"" UUID_TEXT "\",\"pinned\":false,\"allocated\":false,"
        "\"hugepages\":false,\"balloon\":true,\"nodes\":[],\"patience\":2000000000}");

    ck_assert_ptr_nonnull(object);
    (void)json_object_object_add(object, "maximum", json_object_new_int64((int64_t)maximum));
    if (key)
        json_object_object_del(object, key);
    if (key && value)
        (void)json_object_object_add(object, key, json_tokener_parse(value));
    return object;
}

static int put(struct json_object *asked, struct json_object **ret_answer, struct error *ret_error)
{
    *ret_answer = NULL;
    *ret_error = (struct error){0};
    int result = guard_admit(asked, ret_answer, ret_error, host.guard);
    json_object_put(asked);
    return result;
}

static const char *text_at(struct json_object *answer, const char *key)
{
    struct json_object *value = NULL;

    ck_assert(json_object_object_get_ex(answer, key, &value));
    return json_object_get_string(value);
}

/* The question has this answer. */
static void expect(struct json_object *asked, const char *verdict, bool acts, const char *words)
{
    struct json_object *answer;
    struct error error;

    ck_assert_msg(put(asked, &answer, &error) == 0, "%s", error.text);
    ck_assert_str_eq(text_at(answer, "verdict"), verdict);
    ck_assert_str_eq(text_at(answer, "acts"), acts ? "true" : "false");
    ck_assert_msg(strstr(text_at(answer, "text"), words), "%s", text_at(answer, "text"));
    json_object_put(answer);
}

START_TEST(what_fits_is_admitted_and_kept)
{
    begin(ENFORCE);
    expect(question(4 * GIB, NULL, NULL), "allow", true, "promised to nobody");
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    ck_assert_uint_eq(host.guard->snapshot->reservations[0].promised, 4 * GIB + 192 * MIB);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    fake_host_tick(&host, 30 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    begin(ENFORCE);
    expect(question(64 * GIB, NULL, NULL), "refuse", true, "it would fit with");
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 0);
    fake_host_end(&host);
}
END_TEST

/* Of the lines that the guard has said since AFTER the last one; NULL: none. The caller's. */
static char *last_said(uint64_t *after)
{
    struct json_object *log = history_json(host.guard->history, *after);
    struct json_object *lines = json_object_object_get(log, "lines");
    size_t count = json_object_array_length(lines);
    struct json_object *line = count > 0 ? json_object_array_get_idx(lines, count - 1) : NULL;
    char *text = line ? strdup(text_at(line, "text")) : NULL;

    if (line)
        *after = json_object_get_uint64(json_object_object_get(line, "realtime"));
    json_object_put(log);
    return text;
}

/* Once a minute, and how often it was besides is said in any case. */
START_TEST(what_is_not_said_is_counted)
{
    const uint64_t minute = 61 * NSEC_PER_SEC;
    uint64_t after = 0;

    begin(ENFORCE);
    expect(question(64 * GIB, NULL, NULL), "refuse", true, "");
    char *text = last_said(&after);
    ck_assert_ptr_nonnull(strstr(text, "result=refuse text="));
    free(text);
    for (unsigned i = 0; i < 3; i++)
        expect(question(64 * GIB, NULL, NULL), "refuse", true, "");
    guard_admission_advance(host.guard, loop_now());
    ck_assert_ptr_null(last_said(&after));
    guard_admission_advance(host.guard, loop_now() + minute);
    text = last_said(&after);
    ck_assert_ptr_nonnull(
        strstr(text, "event=admission vm=web uuid=" UUID_TEXT " result=refuse suppressed=3 text="));
    free(text);
    guard_admission_advance(host.guard, loop_now() + 2 * minute);
    ck_assert_ptr_null(last_said(&after));
    fake_host_end(&host);
}
END_TEST

/* Whose place another one takes is told of before. */
START_TEST(who_gives_way_owes_nothing)
{
    uint64_t after = 0;
    char uuid[64];

    begin(ENFORCE);
    expect(question(64 * GIB, NULL, NULL), "refuse", true, "");
    expect(question(64 * GIB, NULL, NULL), "refuse", true, "");
    for (unsigned i = 0; i < REFUSED_MAX; i++) {
        struct json_object *other = question(64 * GIB, NULL, NULL);
        (void)snprintf(uuid, sizeof(uuid), "%08x-1111-6677-8899-aabbccddeeff", i);
        (void)json_object_object_add(other, "uuid", json_object_new_string(uuid));
        if (i == REFUSED_MAX - 1)
            free(last_said(&after));
        expect(other, "refuse", true, "");
    }
    struct json_object *log = history_json(host.guard->history, after);
    struct json_object *lines = json_object_object_get(log, "lines");
    ck_assert_uint_eq(json_object_array_length(lines), 2);
    ck_assert_ptr_nonnull(
        strstr(text_at(json_object_array_get_idx(lines, 0), "text"), "suppressed=1 "));
    json_object_put(log);
    fake_host_end(&host);
}
END_TEST

/* Two of 8 GiB, pinned, do not fit into 12, however little either has touched. */
START_TEST(the_second_start_sees_the_first)
{
    begin(ENFORCE);
    expect(question(8 * GIB, "pinned", "true"), "allow", true, "");
    struct json_object *second = question(8 * GIB, "pinned", "true");
    (void)json_object_object_add(
        second, "uuid", json_object_new_string("11112233-4455-6677-8899-aabbccddeeff"));
    expect(second, "refuse", true, "");
    /* The first asks again, as it does when libvirt tries again. */
    expect(question(8 * GIB, "pinned", "true"), "allow", true, "");
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 1);
    fake_host_end(&host);
}
END_TEST

START_TEST(who_only_looks_on_keeps_nothing)
{
    static const char *const configs[] = {
        "[guard]\nmode=enforce\nlibvirt=off\n[admission]\nmode=warn\n",
        "[guard]\nmode=dry-run\nlibvirt=off\n[admission]\nmode=enforce\n",
    };

    begin(configs[_i]);
    expect(question(4 * GIB, NULL, NULL), "allow", false, "promised to nobody");
    expect(question(64 * GIB, NULL, NULL), "refuse", false, "it would fit with");
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(switched_off_it_admits_all)
{
    begin("[guard]\nmode=enforce\nlibvirt=off\n[admission]\nmode=off\n");
    expect(question(64 * GIB, NULL, NULL), "allow", false, "off");
    fake_host_end(&host);
}
END_TEST

/* Of 16 GiB 15 would have to be promised to it; by its class, by its metadata, or not. */
START_TEST(rules_are_those_it_will_have)
{
    begin(ENFORCE "[class gold]\nmode=enforce\ncommit=maximum\n[vm db]\nmatch=db*\nclass=gold\n");
    expect(question(13 * GIB, NULL, NULL), "allow", true, "");
    expect(question(13 * GIB, "name", "\"db1\""), "refuse", true, "");
    expect(question(13 * GIB, "class", "\"gold\""), "refuse", true, "");
    expect(question(13 * GIB, "class", "\"no-such\""), "allow", true, "");
    expect(question(13 * GIB, "minimum", "13000000000"), "refuse", true, "");
    expect(question(13 * GIB, "minimum_share", "10000"), "refuse", true, "");
    expect(question(13 * GIB, "minimum_share", "1000"), "allow", true, "");
    fake_host_end(&host);
}
END_TEST

static const struct {
    const char *key, *value;
} wrong[] = {
    {"name", NULL},
    {"name", "\"\""},
    {"name", "\"a\\u0000b\""},
    {"name", "7"},
    {"uuid", NULL},
    {"uuid", "\"0011\""},
    {"uuid", "\"00000000-0000-0000-0000-000000000000\""},
    {"maximum", NULL},
    {"maximum", "-1"},
    {"maximum", "1.5"},
    {"maximum", "\"4G\""},
    {"pinned", NULL},
    {"pinned", "1"},
    {"allocated", "\"yes\""},
    {"hugepages", NULL},
    {"balloon", "[]"},
    {"patience", "-5"},
    {"nodes", NULL},
    {"nodes", "\"0\""},
    {"nodes", "[-1]"},
    {"nodes", "[\"0\"]"},
    {"nodes", "[4096]"},
    {"nodes", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"},
    {"class", "\"no class\""},
    {"class", "5"},
    {"minimum", "-1"},
    {"minimum_share", "10001"},
};

START_TEST(a_question_that_is_none_is_told_so)
{
    struct json_object *answer;
    struct error error;

    begin(ENFORCE);
    ck_assert_int_eq(
        put(question(4 * GIB, wrong[_i].key, wrong[_i].value), &answer, &error), -EBADR);
    ck_assert_str_eq(error.text, wrong[_i].key);
    ck_assert_uint_eq(host.guard->snapshot->reservation_count, 0);
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("guard_admission");
    TCase *tests = tcase_create("admission");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_fits_is_admitted_and_kept);
    tcase_add_test(tests, what_does_not_fit_is_refused);
    tcase_add_test(tests, what_is_not_said_is_counted);
    tcase_add_test(tests, who_gives_way_owes_nothing);
    tcase_add_test(tests, the_second_start_sees_the_first);
    tcase_add_loop_test(tests, who_only_looks_on_keeps_nothing, 0, 2);
    tcase_add_test(tests, switched_off_it_admits_all);
    tcase_add_test(tests, rules_are_those_it_will_have);
    tcase_add_loop_test(
        tests, a_question_that_is_none_is_told_so, 0, (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
