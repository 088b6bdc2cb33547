/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status document: its fixed names, null for what nobody knows, hostile names, the words for a
 * VM's state, and its agreement with the interface description.
 */
#include "control_interface.h"
#include "status.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 4

static struct snapshot *snapshot;
static struct plan *plan;
static struct rules *rules;
static struct json_object *status;
static const struct status_aside *aside;

/* Every quantity unknown, as before the first look at a host that offers nothing. */
static void vm_unknown(struct vm_snapshot *vm)
{
    *vm = (struct vm_snapshot){.sampled = UNKNOWN,
        .migration = VM_MIGRATION_UNKNOWN,
        .rss = UNKNOWN,
        .hugetlb = UNKNOWN,
        .swap = UNKNOWN,
        .locked = UNKNOWN,
        .pinned = UNKNOWN,
        .memlock_hard = UNKNOWN,
        .memlock_soft = UNKNOWN,
        .definition = VM_DEFINITION_UNKNOWN,
        .cgroup_current = UNKNOWN,
        .maximum = UNKNOWN,
        .balloon.actual = UNKNOWN,
        .statistics.updated = UNKNOWN,
        .measures.balloon_target = UNKNOWN,
        .measures.balloon_before = UNKNOWN};
    memset(vm->node_bytes, 0xff, sizeof(vm->node_bytes));
    memset(vm->limits.values, 0xff, sizeof(vm->limits.values));
}

static void setup(void)
{
    snapshot = calloc(1, snapshot_size(CAPACITY));
    plan = calloc(1, plan_size(CAPACITY));
    rules = calloc(1, rules_size(CAPACITY));
    snapshot->vm_capacity = rules->vm_capacity = CAPACITY;
    memset(&snapshot->host, 0xff, offsetof(struct host_snapshot, anonymous));
    snapshot->host.swap_total = snapshot->host.swap_free = UNKNOWN;
    snapshot->host.memory_pressure = (struct psi_totals){UNKNOWN, UNKNOWN};
    snapshot->host.oom_kills = UNKNOWN;
    snapshot->realtime = UNKNOWN;
    for (unsigned i = 0; i < CAPACITY; i++) {
        vm_unknown(&snapshot->vms[i]);
        snapshot->vms[i].slot = i;
        (void)snprintf(rules->vms[i].class_name, sizeof(rules->vms[i].class_name), "%s", "default");
        rules->vms[i].mode = MODE_ENFORCE;
        rules->vms[i].priority = PRIORITY_DEFAULT;
    }
}

static void teardown(void)
{
    json_object_put(status);
    status = NULL;
    aside = NULL;
    free(snapshot);
    free(plan);
    free(rules);
}

/* The value at PATH ("host.total", "vms.0.name"); fails if there is no such key. */
static struct json_object *at(const char *path)
{
    struct json_object *value = status;
    char copy[128], *rest = copy, *key;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    while ((key = strsep(&rest, "."))) {
        if (json_object_is_type(value, json_type_array)) {
            size_t index = strtoul(key, NULL, 10);

            ck_assert_uint_lt(index, json_object_array_length(value));
            value = json_object_array_get_idx(value, index);
        } else {
            ck_assert_msg(
                json_object_object_get_ex(value, key, &value), "%s: no %s in it", path, key);
        }
    }
    return value;
}

static void assert_json(const char *path, const char *expected)
{
    ck_assert_msg(
        strcmp(json_object_to_json_string_ext(at(path), JSON_C_TO_STRING_PLAIN), expected) == 0,
        "%s is %s, not %s", path, json_object_to_json_string_ext(at(path), JSON_C_TO_STRING_PLAIN),
        expected);
}

static void make(void)
{
    json_object_put(status);
    status = status_json(snapshot, plan, rules, aside);
    ck_assert_ptr_nonnull(status);
}

START_TEST(test_unknown)
{
    static const char *const nulls[] = {"host.total", "host.available", "host.headroom",
        "host.floor", "host.fill_rate", "host.time_to_exhaustion", "host.band", "host.swap_total",
        "host.pressure.some", "host.largest_process", "host.culprit", "host.guests_held", "budget",
        "worst", "vms.0.uuid", "vms.0.rss", "vms.0.pinned", "vms.0.swap", "vms.0.minimum",
        "vms.0.maximum", "vms.0.balloon.actual", "vms.0.balloon.target", "vms.0.memlock_limit",
        "vms.0.memlock_unlimited", "vms.0.memlock_formula", "vms.0.memlock_formula_unlimited",
        "vms.0.memlock_safe_cap", "vms.0.definition_age", "host.pinned", "host.reserved",
        "vms.0.migrating", "vms.0.oom_score_adj", "realtime", "vms.0.statistics",
        "vms.0.victim_order", "vms.0.unmatched"};

    snapshot->vm_count = 1;
    make();
    for (size_t i = 0; i < ELEMENTSOF(nulls); i++)
        assert_json(nulls[i], "null");
    assert_json("host.mode", "\"dry-run\"");
    assert_json("host.nodes", "[]");
    assert_json("vms.0.state", "\"unknown\"");
    assert_json("vms.0.measures", "[]");
    assert_json("vms.0.source", "[]");
}
END_TEST

static void fill(void)
{
    struct vm_snapshot *vm = &snapshot->vms[2];

    plan->assessment = (struct assessment){
        .band = BAND_CRITICAL,
        .worst = 1,
        .pool_count = 4,
        .guests_held = 5 * GIB,
        .guests_growth = -7,
        .culprit = {CULPRIT_TMPFS, .mounted = true, .bytes = GIB, .growth = 9},
        .pools = {{.kind = POOL_HOST,
                      .total = 64 * GIB,
                      .available = 10 * GIB,
                      .pinned = 3,
                      .reserved = 4,
                      .floor = 3 * GIB,
                      .headroom = (int64_t)(7 * GIB),
                      .fill_rate = -5,
                      .time_to_exhaustion = NEVER,
                      .band = BAND_CALM},
            {.kind = POOL_BUDGET,
                .total = 4 * GIB,
                .available = 0,
                .headroom = -1,
                .fill_rate = 9,
                .time_to_exhaustion = 0,
                .band = BAND_CRITICAL},
            {.kind = POOL_NODE, .node = 0, .total = UNKNOWN},
            {.kind = POOL_NODE, .node = 1, .total = 32 * GIB, .pinned = 2, .band = BAND_TIGHT}},
    };
    snapshot->host.node_count = 2;
    snapshot->host.nodes[0] = (struct node_snapshot){.id = 0, .total = UNKNOWN, .available = 1};
    snapshot->host.nodes[1] = (struct node_snapshot){.id = 8, .total = 32 * GIB};
    snapshot->host.largest_process = (struct process_snapshot){.pid = 77, .rss = 5, .growth = 6};
    memset(snapshot->host.largest_process.name, '\xe4', PROCESS_NAME_MAX);

    (void)snprintf(snapshot->host.largest_tmpfs.path, TMPFS_PATH_MAX, "/srv/a b\xff");

    snapshot->vm_count = 3;
    vm->identity = (struct vm_identity){.pid = 4711, .uuid = {0xde, 0xad, 0xbe, 0xef, [15] = 1}};
    vm->sources = VM_SOURCE_PROC | VM_SOURCE_LIBVIRT;
    (void)snprintf(vm->name, sizeof(vm->name), "%s", "web");
    vm->sampled = 1;
    vm->maximum = 8 * GIB;
    vm->rss = 2 * GIB;
    vm->locked = GIB;
    vm->pinned = 0;
    vm->memlock_hard = MEMLOCK_UNLIMITED;
    snapshot->time = 100 * NSEC_PER_SEC;
    vm->definition = (struct vm_definition){.confirmed = 40 * NSEC_PER_SEC,
        .memory = 8 * GIB,
        .hard_limit = MEMLOCK_UNLIMITED,
        .locked = TRISTATE_NO,
        .vfio_devices = 1};
    vm->kind = VM_KIND_RIGID;
    vm->kind_reason = VM_KIND_REASON_VFIO;
    vm->balloon.actual = 6 * GIB;
    vm->measures = (struct vm_measures){
        .in_force = VM_MEASURE_BALLOON | VM_MEASURE_OOM_SCORE | VM_MEASURE_BRAKED,
        .balloon_target = 5 * GIB,
        .balloon_before = 8 * GIB};
    vm->measures.in_force |= VM_MEASURE_CONTAIN;
    vm->limits.values[VM_LIMIT_MEMORY_HIGH] = 4 * GIB;
    vm->limits.values[VM_LIMIT_MEMORY_MAX] = VM_LIMIT_NONE;
    vm->limits.values[VM_LIMIT_OOM_GROUP] = 1;
    vm->node_bytes[1] = 12;
    vm->nodes_allowed = 2;
}

START_TEST(test_known)
{
    fill();
    make();
    assert_json("band", "\"critical\"");
    assert_json("worst", "\"budget\"");
    assert_json("host.total", "68719476736");
    assert_json("host.headroom", "7516192768");
    assert_json("host.fill_rate", "-5");
    assert_json("host.time_to_exhaustion", "null");
    assert_json("host.band", "\"calm\"");
    assert_json("host.guests_growth", "-7");
    assert_json("host.largest_process.name", "\"????????????????\"");
    assert_json("host.culprit",
        "{\"kind\":\"tmpfs\",\"bytes\":1073741824,\"growth\":9,\"mount\":\"\\/srv\\/a b?\"}");
    assert_json("host.nodes.0.total", "null");
    assert_json("host.nodes.0.available", "1");
    assert_json("host.nodes.0.band", "null");
    assert_json("host.nodes.1.id", "8");
    assert_json("host.nodes.1.band", "\"tight\"");
    assert_json("budget.headroom", "-1");
    assert_json("budget.time_to_exhaustion", "0");
    assert_json("budget.band", "\"critical\"");
    assert_json("vms.2.name", "\"web\"");
    assert_json("vms.2.uuid", "\"deadbeef-0000-0000-0000-000000000001\"");
    assert_json("vms.2.pid", "4711");
    assert_json("vms.2.source", "[\"proc\",\"libvirt\"]");
    assert_json("vms.2.class", "\"default\"");
    assert_json("vms.2.kind", "\"rigid\"");
    assert_json("vms.2.kind_reason", "\"vfio\"");
    assert_json("vms.2.pinned", "1073741824");
    assert_json("vms.2.minimum", "4294967296");
    assert_json("vms.2.memlock_limit", "null");
    assert_json("vms.2.memlock_unlimited", "true");
    assert_json("vms.2.memlock_formula", "9663676416");
    assert_json("vms.2.definition_age", "60000000000");
    assert_json("vms.2.memlock_formula_unlimited", "false");
    assert_json("vms.2.memlock_safe_cap", "9663676416");
    assert_json("host.pinned", "3");
    assert_json("host.reserved", "4");
    assert_json("host.nodes.0.pinned", "null");
    assert_json("host.nodes.1.pinned", "2");
    assert_json("vms.2.balloon", "{\"actual\":6442450944,\"target\":5368709120,"
                                 "\"before\":8589934592}");
    assert_json("vms.2.measures", "[\"balloon\",\"oom-score\",\"braked\",\"contain\"]");
    assert_json("vms.2.limits", "{\"memory_high\":4294967296,\"memory_max\":null,"
                                "\"pids_max\":null,\"cpu_max\":null,\"oom_group\":1}");
    assert_json("vms.2.node_bytes", "[null,12]");
    assert_json("vms.2.nodes_allowed", "[8]");
    assert_json("vms.0.nodes_allowed", "null");
    assert_json("worst_node", "null");
    /* The guest's class may act, the host's mode forbids it. */
    assert_json("vms.2.mode", "\"dry-run\"");
    rules->host.mode = MODE_ENFORCE;
    plan->assessment.worst = 3;
    make();
    assert_json("worst", "\"node\"");
    assert_json("worst_node", "8");
    assert_json("vms.2.mode", "\"enforce\"");
    /* A limit that is one; unlimited is no number. */
    snapshot->vms[2].memlock_hard = 64 * MIB;
    make();
    assert_json("vms.2.memlock_limit", "67108864");
    assert_json("vms.2.memlock_unlimited", "false");
    /* <locked/>: neither has a number. */
    snapshot->vms[2].definition.locked = TRISTATE_YES;
    make();
    assert_json("vms.2.memlock_formula", "null");
    assert_json("vms.2.memlock_formula_unlimited", "true");
    assert_json("vms.2.memlock_safe_cap", "null");
}
END_TEST

/* By slot the one, by position the other. */
START_TEST(test_aside)
{
    static const bool unmatched[CAPACITY] = {[3] = true};
    static const uint32_t order[CAPACITY] = {0, 2, 1};
    static const uint64_t hold_left[CAPACITY] = {[3] = NSEC_PER_MINUTE};
    static const struct status_aside beside = {unmatched, hold_left, order};

    fill();
    snapshot->vms[1].slot = 3;
    aside = &beside;
    make();
    assert_json("vms.0.victim_order", "null");
    assert_json("vms.1.victim_order", "2");
    assert_json("vms.2.victim_order", "1");
    assert_json("vms.0.unmatched", "false");
    assert_json("vms.1.unmatched", "true");
    assert_json("vms.2.unmatched", "false");
}
END_TEST

START_TEST(test_reports)
{
    static const uint64_t now = 10 * NSEC_PER_MINUTE;
    static const struct {
        uint64_t age; /* of the last report; UNKNOWN: none */
        enum vm_monitor monitor;
        enum vm_run_state run;
        enum tristate device, driver;
        uint64_t seen; /* since when */
        enum tristate expected;
    } cases[] = {
        {NSEC_PER_SEC, VM_MONITOR_NONE, VM_RUN_UNKNOWN, TRISTATE_UNKNOWN, TRISTATE_UNKNOWN, 0,
            TRISTATE_YES},
        {70 * NSEC_PER_SEC, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_YES, 0,
            TRISTATE_YES},
        {4 * NSEC_PER_MINUTE, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_YES, 0,
            TRISTATE_NO},
        /* Who stands still says nothing, nor is whom nobody can ask. */
        {4 * NSEC_PER_MINUTE, VM_MONITOR_READY, VM_RUN_PAUSED, TRISTATE_YES, TRISTATE_YES, 0,
            TRISTATE_UNKNOWN},
        {4 * NSEC_PER_MINUTE, VM_MONITOR_SILENT, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_YES, 0,
            TRISTATE_UNKNOWN},
        {UNKNOWN, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_NO, TRISTATE_UNKNOWN, 9, TRISTATE_NO},
        {UNKNOWN, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_NO, 9, TRISTATE_NO},
        {UNKNOWN, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_YES, 0, TRISTATE_NO},
        {UNKNOWN, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_YES, TRISTATE_YES, 9,
            TRISTATE_UNKNOWN},
        {UNKNOWN, VM_MONITOR_READY, VM_RUN_RUNNING, TRISTATE_UNKNOWN, TRISTATE_UNKNOWN, 0,
            TRISTATE_UNKNOWN},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t age = cases[i].age;
        struct vm_snapshot vm = {.statistics.updated = known(age) ? now - age : UNKNOWN,
            .monitor = cases[i].monitor,
            .run_state = cases[i].run,
            .balloon = {.device = cases[i].device, .driver = cases[i].driver},
            .first_seen = cases[i].seen * NSEC_PER_MINUTE};
        ck_assert_msg(
            status_vm_reports(&vm, now) == cases[i].expected, "case %zu is not as expected", i);
    }
}
END_TEST

START_TEST(test_hostile_names)
{
    static const char *const names[] = {"\xff\xfe", "a\nb\x1b[31m\x7f", "\xed\xa0\x80", "\xc3",
        "\"},{\"name\":\"x", "\xc2\x9bz", "</script>\\"};

    snapshot->vm_count = 1;
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *again;
        const char *text, *name;

        (void)snprintf(snapshot->vms[0].name, sizeof(snapshot->vms[0].name), "%s", names[i]);
        make();
        text = json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        again = json_tokener_parse_ex(tokener, text, (int)strlen(text));
        ck_assert_msg(again != NULL, "no valid JSON with name %zu", i);
        ck_assert(json_object_equal(again, status));
        name = json_object_get_string(at("vms.0.name"));
        for (const char *c = name; *c; c++)
            ck_assert((unsigned char)*c >= 0x20 && *c != 0x7f);
        ck_assert_ptr_null(strstr(name, "\xc2\x9b"));
        json_object_put(again);
        json_tokener_free(tokener);
    }
    memset(snapshot->vms[0].name, 'x', VM_NAME_MAX - 1);
    make();
    ck_assert_int_eq(json_object_get_string_len(at("vms.0.name")), VM_NAME_MAX - 1);
}
END_TEST

START_TEST(test_states)
{
    static const struct {
        enum vm_process_state process;
        enum vm_run_state run;
        enum vm_monitor monitor;
        uint32_t measures;
        const char *expected;
    } cases[] = {
        {VM_PROCESS_ALIVE, VM_RUN_RUNNING, VM_MONITOR_READY, 0, "running"},
        {VM_PROCESS_ALIVE, VM_RUN_UNKNOWN, VM_MONITOR_NONE, 0, "alive"},
        {VM_PROCESS_UNKNOWN, VM_RUN_UNKNOWN, VM_MONITOR_NONE, 0, "unknown"},
        {VM_PROCESS_DEAD, VM_RUN_RUNNING, VM_MONITOR_READY, VM_MEASURE_KILLED, "dead"},
        {VM_PROCESS_ALIVE, VM_RUN_RUNNING, VM_MONITOR_READY, VM_MEASURE_KILLED, "killed"},
        {VM_PROCESS_ALIVE, VM_RUN_MIGRATING, VM_MONITOR_READY,
            VM_MEASURE_STOPPED | VM_MEASURE_SAVING, "saving"},
        {VM_PROCESS_ALIVE, VM_RUN_RUNNING, VM_MONITOR_READY, VM_MEASURE_SHUTTING_DOWN,
            "shutting-down"},
        {VM_PROCESS_STOPPED, VM_RUN_RUNNING, VM_MONITOR_SILENT, VM_MEASURE_FROZEN_SIGNAL, "frozen"},
        {VM_PROCESS_STOPPED, VM_RUN_RUNNING, VM_MONITOR_SILENT, 0, "stopped"},
        {VM_PROCESS_BLOCKED, VM_RUN_RUNNING, VM_MONITOR_READY, 0, "running"},
        {VM_PROCESS_BLOCKED, VM_RUN_RUNNING, VM_MONITOR_SILENT, 0, "blocked"},
        {VM_PROCESS_ALIVE, VM_RUN_RUNNING, VM_MONITOR_READY, VM_MEASURE_STOP_SENT, "stopping"},
        {VM_PROCESS_ALIVE, VM_RUN_PAUSED, VM_MONITOR_READY,
            VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, "paused"},
        {VM_PROCESS_ALIVE, VM_RUN_UNKNOWN, VM_MONITOR_SILENT, VM_MEASURE_STOPPED, "paused"},
        {VM_PROCESS_ALIVE, VM_RUN_RUNNING, VM_MONITOR_READY, VM_MEASURE_STOPPED, "running"},
        {VM_PROCESS_ALIVE, VM_RUN_PAUSED, VM_MONITOR_READY,
            VM_MEASURE_STOPPED | VM_MEASURE_RESUMING, "resuming"},
        {VM_PROCESS_ALIVE, VM_RUN_FAILED, VM_MONITOR_READY, 0, "failed"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct vm_snapshot vm = {.process_state = cases[i].process,
            .run_state = cases[i].run,
            .monitor = cases[i].monitor,
            .measures.in_force = cases[i].measures};

        ck_assert_str_eq(status_vm_state(&vm), cases[i].expected);
    }
}
END_TEST

/* Every key of VALUE stands in the interface description as a field. */
static void assert_described(struct json_object *value)
{
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            assert_described(json_object_array_get_idx(value, i));
        return;
    }
    if (!json_object_is_type(value, json_type_object))
        return;
    json_object_object_foreach(value, key, child)
    {
        char after_space[64], after_parenthesis[64];

        snprintf(after_space, sizeof(after_space), " %s: ", key);
        snprintf(after_parenthesis, sizeof(after_parenthesis), "(%s: ", key);
        ck_assert_msg(strstr(control_interface_description(), after_space) ||
                          strstr(control_interface_description(), after_parenthesis),
            "%s is not described", key);
        assert_described(child);
    }
}

START_TEST(test_described)
{
    fill();
    make();
    assert_described(status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tcase = tcase_create("json");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_unknown);
    tcase_add_test(tcase, test_known);
    tcase_add_test(tcase, test_aside);
    tcase_add_test(tcase, test_reports);
    tcase_add_test(tcase, test_hostile_names);
    tcase_add_test(tcase, test_states);
    tcase_add_test(tcase, test_described);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
