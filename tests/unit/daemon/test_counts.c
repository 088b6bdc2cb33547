/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guard did is counted: actions by kind and outcome, alerts by event, all from the start.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control_interface.h"
#include "counts.h"
#include "log.h"
#include "suite.h"

static struct counts counts;

static void setup(void)
{
    memset(&counts, 0xff, sizeof(counts));
    counts_begin(&counts, 77);
}

/* The number under KEY of the element of LIST whose WORD is NAME. */
static uint64_t number(const char *list, const char *word, const char *name, const char *key)
{
    struct json_object *json = counts_json(&counts), *elements = json_object_object_get(json, list);
    uint64_t result = UINT64_MAX;

    for (size_t i = 0; i < json_object_array_length(elements); i++) {
        struct json_object *element = json_object_array_get_idx(elements, i);
        if (strcmp(json_object_get_string(json_object_object_get(element, word)), name) == 0)
            result = json_object_get_uint64(json_object_object_get(element, key));
    }
    json_object_put(json);
    return result;
}

static uint64_t said(const char *event)
{
    return number("alerts", "event", event, "said");
}

START_TEST(all_begin_at_zero)
{
    struct json_object *json = counts_json(&counts);

    ck_assert_uint_eq(json_object_get_uint64(json_object_object_get(json, "since")), 77);
    json_object_put(json);
    for (int kind = 0; kind < ACTION_KIND_COUNT; kind++) {
        const char *name = action_kind_name((enum action_kind)kind);
        uint64_t expected = kind == ACTION_ALERT ? UINT64_MAX : 0; /* which is no action */
        ck_assert_uint_eq(number("actions", "action", name, "done"), expected);
        ck_assert_uint_eq(number("actions", "action", name, "dry_run"), expected);
        ck_assert_uint_eq(number("actions", "action", name, "failed"), expected);
    }
    ck_assert_uint_eq(said("start"), 0);
}
END_TEST

START_TEST(actions)
{
    counts_action(&counts, ACTION_PAUSE, MODE_ENFORCE, 0);
    counts_action(&counts, ACTION_PAUSE, MODE_ENFORCE, 1);
    counts_action(&counts, ACTION_PAUSE, MODE_DRY_RUN, 0);
    counts_action(&counts, ACTION_PAUSE, MODE_ENFORCE, -EPERM);
    counts_action(&counts, ACTION_PAUSE, MODE_DRY_RUN, -EPERM);
    counts_action(&counts, ACTION_PAUSE, MODE_ENFORCE, -EAGAIN); /* not now */
    counts_action(&counts, ACTION_ALERT, MODE_ENFORCE, 0);
    ck_assert_uint_eq(number("actions", "action", "pause", "done"), 2);
    ck_assert_uint_eq(number("actions", "action", "pause", "dry_run"), 2);
    ck_assert_uint_eq(number("actions", "action", "pause", "failed"), 1);
    ck_assert_uint_eq(number("actions", "action", "kill", "done"), 0);
}
END_TEST

START_TEST(alerts)
{
    log_set_counts(&counts);
    log_alert(LOG_INFO, "event=band band=tight");
    log_alert(LOG_INFO | LOG_OFTEN, "event=band band=calm");
    log_alert(LOG_NOTICE, "event=stop");
    log_alert(LOG_NOTICE, "event=stopped-by-nobody");
    log_alert(LOG_NOTICE, "event=vm");
    log_alert(LOG_NOTICE, "a line of no event=alert");
    log_alert(LOG_NOTICE, "%s", "");
    log_message(LOG_INFO, "event=start");
    log_set_counts(NULL);
    log_alert(LOG_NOTICE, "event=stop");
    ck_assert_uint_eq(said("band"), 2);
    ck_assert_uint_eq(said("stop"), 1);
    ck_assert_uint_eq(said("alert"), 0);
    ck_assert_uint_eq(said("start"), 0);
}
END_TEST

/* Every key stands in the interface's description as a field. */
static void assert_described(struct json_object *value)
{
    if (json_object_is_type(value, json_type_array)) {
        assert_described(json_object_array_get_idx(value, 0));
        return;
    }
    if (!json_object_is_type(value, json_type_object))
        return;
    json_object_object_foreach(value, key, child)
    {
        char field[64], first[64];

        (void)snprintf(field, sizeof(field), " %s: ", key);
        (void)snprintf(first, sizeof(first), "(%s: ", key);
        ck_assert_msg(strstr(control_interface_description(), field) ||
                          strstr(control_interface_description(), first),
            "%s is not described", key);
        assert_described(child);
    }
}

START_TEST(described)
{
    struct json_object *json = counts_json(&counts);

    assert_described(json);
    json_object_put(json);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("counts");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, all_begin_at_zero);
    tcase_add_test(tests, actions);
    tcase_add_test(tests, alerts);
    tcase_add_test(tests, described);
    Suite *suite = suite_create("counts");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
