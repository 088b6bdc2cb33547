/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who says what holds for a guest, and each value as a configuration would have it. */
#include "config_rules.h"
#include "config_scene.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>
#include <stdio.h>
#include <string.h>

static struct config *config;
static struct vm_rules rules;
static struct config_origins origins;

static void teardown(void)
{
    config = config_free(config);
    config_scene_teardown();
}

/* "p.conf:3 [vm web]", without the test's folder. */
static const char *told(const struct config_origin *origin)
{
    static char text[512];

    switch (origin->kind) {
    case CONFIG_ORIGIN_BUILT_IN:
        return "built-in";
    case CONFIG_ORIGIN_METADATA:
        return "metadata";
    case CONFIG_ORIGIN_FILE:
        (void)snprintf(text, sizeof(text), "%s:%u [%s%s%s]",
            origin->file + strlen(scene.folder) + 1, (unsigned)origin->line, origin->section,
            origin->name ? " " : "", origin->name ? origin->name : "");
        return text;
    case CONFIG_ORIGIN_KIND_COUNT:
        break;
    }
    ck_abort_msg("no origin at all");
}

static unsigned key_of(const char *name)
{
    int key = config_key_find(CONFIG_SECTION_VM, name);

    ck_assert_int_ge(key, 0);
    return (unsigned)key;
}

static void expect(const char *key, const char *origin)
{
    ck_assert_msg(strcmp(told(&origins.keys[key_of(key)]), origin) == 0, "%s is of %s, not of %s",
        key, told(&origins.keys[key_of(key)]), origin);
}

static void ask(const char *name, const struct virt_metadata *metadata)
{
    struct vm_rules plain;

    config_domain_origins(config, name, metadata, &rules, &origins);
    /* Whoever asks for the reason gets what holds. */
    ck_assert(config_domain_rules(config, name, metadata, &plain) == origins.said);
    ck_assert_str_eq(plain.class_name, rules.class_name);
    for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
        char first[CONFIG_VALUE_MAX], second[CONFIG_VALUE_MAX];
        const struct host_rules *host = config_host_rules(config);
        if (config_value_format(key, &plain, host, first) &&
            config_value_format(key, &rules, host, second))
            ck_assert_str_eq(first, second);
    }
}

START_TEST(main_file_and_drop_ins)
{
    scratch_write(scene.path, "[guard]\n"
                              "mode=enforce\n"
                              "[class gold]\n"
                              "priority=900\n"
                              "shares=7\n"
                              "[vm web*]\n"
                              "class=gold\n"
                              "[class default]\n"
                              "minimum=1G\n");
    config_write_drop_in("10-more.conf", "[class gold]\nshares=8\n");
    config_write_drop_in("20-more.conf", "# one\n\n[vm anything]\nmatch=*1\nsacrifice=last\n"
                                         "[admission]\ncommit=maximum\n");
    ck_assert_msg(config_try(&config) == 0, "%s", scene.told);

    ask("web1", NULL);
    ck_assert(origins.said);
    expect("class", "p.conf:7 [vm web*]");
    expect("priority", "p.conf:4 [class gold]");
    expect("shares", "p.conf.d/10-more.conf:2 [class gold]");
    expect("sacrifice", "p.conf.d/20-more.conf:5 [vm anything]");
    expect("minimum", "built-in"); /* [class default] is no ancestor */
    expect("mode", "built-in");
    ck_assert_str_eq(told(&origins.guard_mode), "p.conf:2 [guard]");
    ck_assert_str_eq(told(&origins.commitment), "p.conf.d/20-more.conf:7 [admission]");
    ck_assert_uint_eq(origins.match_count, 2);
    ck_assert_str_eq(origins.matches[0].pattern, "web*");
    ck_assert_str_eq(told(&origins.matches[0].origin), "p.conf:6 [vm web*]");
    ck_assert_str_eq(origins.matches[1].pattern, "*1");
    ck_assert_str_eq(told(&origins.matches[1].origin), "p.conf.d/20-more.conf:4 [vm anything]");

    ask("other", NULL);
    ck_assert(!origins.said);
    expect("class", "built-in");
    expect("minimum", "p.conf:9 [class default]");
    expect("priority", "built-in");
    ck_assert_uint_eq(origins.match_count, 0);
}
END_TEST

START_TEST(metadata)
{
    struct virt_metadata own = {.set = VIRT_RULE_CLASS | VIRT_RULE_PRIORITY | VIRT_RULE_SHARES,
        .rules = {.class_name = "gold", .priority = 5, .shares = 6}};

    config = config_load_good("[class gold]\nminimum=25%\npriority=900\n"
                              "[vm db]\nshares=9\n");
    ask("web", &own);
    ck_assert(origins.said);
    ck_assert(!origins.class_is_unknown);
    expect("class", "metadata");
    expect("priority", "metadata");
    expect("shares", "metadata");
    expect("minimum", "p.conf:2 [class gold]");
    /* What the operator has said of that very guest stands above it. */
    ask("db", &own);
    expect("shares", "p.conf:5 [vm db]");
    expect("priority", "metadata");

    (void)snprintf(own.rules.class_name, sizeof(own.rules.class_name), "platinum");
    own.set = VIRT_RULE_CLASS;
    ask("web", &own);
    ck_assert(!origins.said);
    ck_assert(origins.class_is_unknown);
    expect("class", "built-in");
    own.set |= VIRT_RULE_PRIORITY;
    ask("web", &own);
    ck_assert(origins.said);
    expect("priority", "metadata");
}
END_TEST

/* Another class takes away what was said before it, and who said it. */
START_TEST(a_class_takes_the_place_of_all_before)
{
    config = config_load_good("[class gold]\npriority=900\n[class plain]\nshares=2\n"
                              "[vm a*]\nclass=gold\nshares=5\n[vm ab]\nclass=plain\n");
    ask("ab", NULL);
    ck_assert_uint_eq(rules.priority, PRIORITY_DEFAULT);
    expect("priority", "built-in");
    expect("shares", "p.conf:4 [class plain]");
    expect("class", "p.conf:9 [vm ab]");
    ck_assert_uint_eq(origins.match_count, 2);
}
END_TEST

START_TEST(more_sections_than_are_told_of)
{
    char text[CONFIG_MATCHES_MAX * 64] = "";

    for (int i = 0; i <= CONFIG_MATCHES_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
            "[vm s%d]\nmatch=*\npriority=%d\n", i, i + 1);
    config = config_load_good(text);
    ask("web", NULL);
    ck_assert_uint_eq(origins.match_count, CONFIG_MATCHES_MAX + 1);
    ck_assert_str_eq(origins.matches[0].origin.name, "s16");
    ck_assert_str_eq(origins.matches[1].origin.name, "s1");
    ck_assert_uint_eq(rules.priority, CONFIG_MATCHES_MAX + 1);
}
END_TEST

/* ---- values ---- */

/* Each key of a class, its usual value, and others that are shown as they are written. */
static const struct {
    const char *key, *usual;
    const char *written[6];
} values[] = {
    {"priority", "100", {"1", "1000"}},
    {"shares", "1000", {"1", "1000000"}},
    {"minimum", "50%", {"1536M", "3T", "0.25%", "62.5%", "100%", "4097"}},
    {"rungs", "balloon reclaim pause kill",
        {"balloon", "balloon resize reclaim brake pause save shutdown kill"}},
    {"sacrifice", "normal", {"last", "never"}},
    {"restart-cost", "1h", {"1h 30min", "2d 5s", "1ms 7ns", "0s"}},
    {"commit", "minimum", {"maximum"}},
    {"memory-high", "none", {"90%", "4G"}},
    {"memory-max", "none", {"4G"}},
    {"pids-max", "none", {"512"}},
    {"cpu-max", "none", {"150%"}},
    {"oom-group", "no", {"yes"}},
    {"mode", "dry-run", {"enforce"}},
};

START_TEST(each_value_is_shown_as_it_is_written)
{
    const char *key = values[_i].key;
    char text[256], shown[CONFIG_VALUE_MAX];

    config = config_load_good("");
    ask("web", NULL);
    ck_assert(config_value_format(key_of(key), &rules, config_host_rules(config), shown));
    ck_assert_str_eq(shown, values[_i].usual);
    for (size_t i = 0; i < ELEMENTSOF(values[_i].written) && values[_i].written[i]; i++) {
        (void)snprintf(text, sizeof(text), "[vm web]\n%s=%s\n", key, values[_i].written[i]);
        config_free(config);
        config = config_load_good(text);
        ask("web", NULL);
        ck_assert(config_value_format(key_of(key), &rules, config_host_rules(config), shown));
        ck_assert_str_eq(shown, values[_i].written[i]);
        expect(key, "p.conf:2 [vm web]");
    }
}
END_TEST

/* A key that is added to the table and not here would be passed over in silence. */
START_TEST(no_rule_is_without_a_value)
{
    unsigned count = 0;
    char shown[CONFIG_VALUE_MAX];

    config = config_load_good("");
    ask("web", NULL);
    for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
        bool is_rule = config_key_is_rule(key);
        count += is_rule;
        ck_assert_msg(config_value_format(key, &rules, config_host_rules(config), shown) == is_rule,
            "%s", config_keys[key].name);
    }
    ck_assert_uint_eq(count, ELEMENTSOF(values));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_rules");
    TCase *tests = tcase_create("rules");

    tcase_add_checked_fixture(tests, config_scene_setup, teardown);
    tcase_add_test(tests, main_file_and_drop_ins);
    tcase_add_test(tests, metadata);
    tcase_add_test(tests, a_class_takes_the_place_of_all_before);
    tcase_add_test(tests, more_sections_than_are_told_of);
    tcase_add_loop_test(tests, each_value_is_shown_as_it_is_written, 0, ELEMENTSOF(values));
    tcase_add_test(tests, no_rule_is_without_a_value);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
