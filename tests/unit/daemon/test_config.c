/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: what is read, from which files, and what it means. */
#include "config_file.h"
#include "config_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_threshold(
    struct threshold threshold, enum amount_kind kind, uint64_t value, uint64_t time)
{
    ck_assert_int_eq((int)threshold.headroom.kind, (int)kind);
    ck_assert_uint_eq(threshold.headroom.value, value);
    ck_assert_uint_eq(threshold.time, time);
}

START_TEST(guard_section)
{
    struct config *config = config_load_good(config_good);
    const struct guard_config *guard = config_guard(config);
    const struct host_rules *host = config_host_rules(config);

    ck_assert_str_eq(guard->qmp_directory, "/run/other/qmp");
    ck_assert_str_eq(guard->libvirt, "qemu:///system");
    ck_assert_uint_eq(guard->max_vms, 200);
    ck_assert_int_eq((int)host->mode, MODE_ENFORCE);
    ck_assert_int_eq((int)host->on_exit, ON_EXIT_RESTORE);
    ck_assert_int_eq((int)host->floor.kind, AMOUNT_BYTES);
    ck_assert_uint_eq(host->floor.value, 4 * GIB);
    ck_assert_int_eq((int)host->budget.kind, AMOUNT_SHARE);
    ck_assert_uint_eq(host->budget.value, 8000);
    expect_threshold(host->bands[BAND_TIGHT], AMOUNT_SHARE, 1000, 5 * NSEC_PER_MINUTE);
    expect_threshold(host->bands[BAND_SCARCE], AMOUNT_SHARE, 500, UNKNOWN);
    expect_threshold(host->bands[BAND_CRITICAL], AMOUNT_AUTO, 0, 10 * NSEC_PER_SEC);
    ck_assert_uint_eq(host->max_destructive, 5);
    ck_assert_uint_eq(host->max_destructive_window, 90 * NSEC_PER_MINUTE);
    ck_assert_int_eq((int)host->memlock, MEMLOCK_ENFORCE);
    ck_assert_int_eq((int)host->pinned_limit.kind, AMOUNT_SHARE);
    ck_assert_uint_eq(host->pinned_limit.value, 6250);
    ck_assert_ptr_null(config_free(config));
    ck_assert_ptr_null(config_free(NULL));
}
END_TEST

START_TEST(vm_rules)
{
    static const struct {
        const char *name, *class_name;
        uint32_t priority;
        enum sacrifice sacrifice;
        enum amount_kind minimum_kind;
        uint64_t minimum;
    } cases[] = {
        {"nobody", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"db1", "gold", 900, SACRIFICE_NEVER, AMOUNT_SHARE, 7500},
        {"db7", "gold", 999, SACRIFICE_NEVER, AMOUNT_SHARE, 7500},
        {"dbx", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"render farm", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"render-12", "batch", 1, SACRIFICE_NORMAL, AMOUNT_BYTES, GIB},
        /* A later class replaces the earlier section as a whole. */
        {"render-never", "empty", PRIORITY_DEFAULT, SACRIFICE_LAST, AMOUNT_AUTO, 0},
    };
    struct config *config = config_load_good(config_good);
    struct vm_rules rules;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        config_vm_rules(config, cases[i].name, &rules);
        ck_assert_str_eq(rules.class_name, cases[i].class_name);
        ck_assert_msg(rules.priority == cases[i].priority, "%s: %u", cases[i].name, rules.priority);
        ck_assert_int_eq((int)rules.sacrifice, (int)cases[i].sacrifice);
        ck_assert_int_eq((int)rules.minimum.kind, (int)cases[i].minimum_kind);
        ck_assert_uint_eq(rules.minimum.value, cases[i].minimum);
    }
    config_vm_rules(config, "db1", &rules);
    ck_assert_uint_eq(rules.shares, 2000);
    ck_assert_uint_eq(rules.rungs, RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_PAUSE));
    ck_assert_uint_eq(rules.restart_cost, 120 * NSEC_PER_MINUTE);
    ck_assert_int_eq((int)rules.mode, MODE_ENFORCE);
    config_free(config);
}
END_TEST

START_TEST(containment)
{
    struct config *config = config_load_good(
        "[class tight]\nmemory-high=90%\nmemory-max=4G\npids-max=512\ncpu-max=150%\noom-group=yes\n"
        "[vm a]\nclass=tight\n"
        "[vm b]\nclass=tight\nmemory-high=none\nmemory-max=none\npids-max=none\ncpu-max=none\n"
        "oom-group=no\n");
    struct vm_rules rules;

    config_vm_rules(config, "a", &rules);
    ck_assert_int_eq((int)rules.memory_high.kind, AMOUNT_SHARE);
    ck_assert_uint_eq(rules.memory_high.value, 9000);
    ck_assert_int_eq((int)rules.memory_max.kind, AMOUNT_BYTES);
    ck_assert_uint_eq(rules.memory_max.value, 4 * GIB);
    ck_assert_uint_eq(rules.pids_max, 512);
    ck_assert_uint_eq(rules.cpu_max, 150);
    ck_assert(rules.oom_group);
    for (int i = 0; i < 2; i++) {
        config_vm_rules(config, i == 0 ? "b" : "nobody", &rules);
        ck_assert_int_eq((int)rules.memory_high.kind, AMOUNT_AUTO);
        ck_assert_int_eq((int)rules.memory_max.kind, AMOUNT_AUTO);
        ck_assert_uint_eq(rules.pids_max, 0);
        ck_assert_uint_eq(rules.cpu_max, 0);
        ck_assert(!rules.oom_group);
    }
    config_free(config);
}
END_TEST

START_TEST(record)
{
    struct config *config = config_load_good("[record]\nmode=off\nlimit=16M\n");

    ck_assert(config_record(config)->off);
    ck_assert_uint_eq(config_record(config)->limit, 16 * MIB);
    config_free(config);
}
END_TEST

START_TEST(defaults)
{
    struct config *config = config_load_good("");
    struct vm_rules rules;

    ck_assert_str_eq(config_guard(config)->qmp_directory, "/run/plimsoll/qmp");
    ck_assert_str_eq(config_guard(config)->libvirt, "auto");
    ck_assert_uint_eq(config_guard(config)->max_vms, MAX_VMS_DEFAULT);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_DRY_RUN);
    ck_assert_uint_eq(config_host_rules(config)->max_destructive, MAX_DESTRUCTIVE_DEFAULT);
    ck_assert(!config_record(config)->off);
    ck_assert_uint_eq(config_record(config)->limit, RECORD_LIMIT_DEFAULT);
    config_vm_rules(config, "any", &rules);
    ck_assert_str_eq(rules.class_name, "default");
    ck_assert_uint_eq(rules.priority, PRIORITY_DEFAULT);
    config_free(config);
}
END_TEST

/* [vm a] class=x, [vm b] class=y: econf_getKeys() of 0.5.1 does not list the second. */
START_TEST(same_key_in_neighbouring_sections)
{
    struct config *config =
        config_load_good("[class x]\npriority=1\n[class y]\npriority=2\n[vm a]\nclass=x"
                         "\n[vm b]\nclass=y\n[vm c]\nclass=x\n");
    struct vm_rules rules;

    config_vm_rules(config, "b", &rules);
    ck_assert_str_eq(rules.class_name, "y");
    ck_assert_uint_eq(rules.priority, 2);
    config_vm_rules(config, "c", &rules);
    ck_assert_uint_eq(rules.priority, 1);
    config_free(config);
}
END_TEST

START_TEST(line_ends_and_blanks)
{
    struct config *config =
        config_load_good("[guard]\r\nmode=enforce\r\n\r\n  max-vms \t=\t 7 \t\r\n"
                         "[vm a] # names\nmatch = a\\*b ; c\nshares=3");
    struct vm_rules rules;

    ck_assert_uint_eq(config_guard(config)->max_vms, 7);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_ENFORCE);
    config_vm_rules(config, "a*b ; c", &rules);
    ck_assert_uint_eq(rules.shares, 3);
    config_free(config);
}
END_TEST

START_TEST(files_in_order)
{
    struct config *config = NULL;
    struct vm_rules rules;

    config_write_drop_in(
        "20-b.conf", "[guard]\nmax-vms=2\n[vm x]\nclass=late\n[class late]\npriority=7\n");
    config_write_drop_in(
        "10-a.conf", "[guard]\nmax-vms=3\nfloor=1G\n[vm x]\nshares=9\n[vm *]\nshares=4\n");
    config_write_drop_in(".30-hidden.conf", "[guard]\nmax-vms=4\n");
    config_write_drop_in("30-other.txt", "[guard]\nmax-vms=5\n");
    config = config_load_good("[guard]\nmax-vms=1\nmode=enforce\n[vm x]\nshares=8\npriority=3\n");
    ck_assert_uint_eq(config_guard(config)->max_vms, 2);
    ck_assert_uint_eq(config_host_rules(config)->floor.value, GIB);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_ENFORCE);
    /* [vm x] keeps its first place, before [vm *], and takes keys from all files. */
    config_vm_rules(config, "x", &rules);
    ck_assert_uint_eq(rules.shares, 4);
    ck_assert_uint_eq(rules.priority, 3);
    ck_assert_str_eq(rules.class_name, "late");
    config_free(config);

    config_write_drop_in("15-bad.conf", "[guard]\nmode=x\n");
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(
        scene.told, "p.conf.d/15-bad.conf:2: mode=x: expected \"enforce\" or \"dry-run\"\n");
}
END_TEST

/* As many keys as one file may have: bounded in time, too (the case's timeout). */
START_TEST(largest_file)
{
    struct config *config = NULL;
    char *text = malloc(CONFIG_FILE_MAX);
    size_t used = 0;

    for (int i = 0; i < 4096; i++)
        used += (size_t)sprintf(text + used, "[vm guest-%d]\npriority=%d\nshares=%d\nminimum=1G\n",
            i, i % 1000 + 1, i + 1);
    scratch_write(scene.path, text);
    free(text);
    ck_assert_int_eq(config_try(&config), 0);
    struct vm_rules rules;
    config_vm_rules(config, "guest-4095", &rules);
    ck_assert_uint_eq(rules.shares, 4096);
    config_free(config);
}
END_TEST

/* What a domain says itself stands above its class and below what [vm …] says of that guest. */
START_TEST(domain_rules)
{
    static const struct virt_metadata gold = {.set = VIRT_RULE_CLASS, .rules.class_name = "gold"},
                                      unknown = {.set = VIRT_RULE_CLASS | VIRT_RULE_SHARES,
                                          .rules = {.class_name = "platinum", .shares = 7}},
                                      own = {.set = VIRT_RULE_ALL & ~VIRT_RULE_CLASS,
                                          .rules = {.priority = 7,
                                              .shares = 7,
                                              .minimum = {AMOUNT_BYTES, 7 * GIB},
                                              .rungs = RUNG_BIT(RUNG_KILL),
                                              .sacrifice = SACRIFICE_LAST}};
    static const struct {
        const char *name;
        const struct virt_metadata *metadata;
        const char *class_name;
        uint32_t priority, shares;
        enum sacrifice sacrifice;
        uint64_t minimum;
    } cases[] = {
        {"nobody", &gold, "gold", 900, 2000, SACRIFICE_NEVER, 7500},
        {"nobody", &unknown, "default", 50, 7, SACRIFICE_NORMAL, 0},
        {"nobody", &own, "default", 7, 7, SACRIFICE_LAST, 7 * GIB},
        /* The operator has given this guest a class: what else the domain says stands above that.
         */
        {"render-1", &gold, "batch", 1, SHARES_DEFAULT, SACRIFICE_NORMAL, GIB},
        {"render-1", &own, "batch", 7, 7, SACRIFICE_LAST, GIB},
        /* … and a priority. */
        {"db7", &own, "gold", 999, 7, SACRIFICE_LAST, 7 * GIB},
    };
    struct config *config = config_load_good(config_good);
    struct vm_rules rules;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        config_domain_rules(config, cases[i].name, cases[i].metadata, &rules);
        ck_assert_str_eq(rules.class_name, cases[i].class_name);
        ck_assert_msg(rules.priority == cases[i].priority, "case %zu: %u", i, rules.priority);
        ck_assert_msg(rules.shares == cases[i].shares, "case %zu: %u", i, rules.shares);
        ck_assert_int_eq((int)rules.sacrifice, (int)cases[i].sacrifice);
        ck_assert_uint_eq(rules.minimum.value, cases[i].minimum);
    }
    ck_assert(config_has_class(config, "default") && config_has_class(config, "gold"));
    ck_assert(!config_has_class(config, "platinum"));
    config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("meaning");

    tcase_add_checked_fixture(tests, config_scene_setup, config_scene_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, guard_section);
    tcase_add_test(tests, vm_rules);
    tcase_add_test(tests, domain_rules);
    tcase_add_test(tests, containment);
    tcase_add_test(tests, record);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, same_key_in_neighbouring_sections);
    tcase_add_test(tests, line_ends_and_blanks);
    tcase_add_test(tests, files_in_order);
    tcase_add_test(tests, largest_file);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
