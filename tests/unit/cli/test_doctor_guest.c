/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll doctor` on what the guard says of guests: each fault alone, and documents that are
 * none. */
#include "doctor_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- one fault of a guest each ---- */

struct guest_fault {
    const char *name;
    const char *changed; /* fields of the status */
    struct expected expected;
};

static const struct guest_fault guest_faults[] = {
    {"dry run", "\"mode\":\"dry-run\"", {"guest-mode", SEVERITY_WARNING, "gold", "[class gold]"}},
    {"default class", "\"class\":\"default\"", {"guest-class", SEVERITY_NOTE, NULL, "[vm …]"}},
    {"no balloon", "\"kind\":\"rigid\",\"kind_reason\":\"no-device\"",
        {"guest-balloon", SEVERITY_WARNING, "no balloon", "virsh edit " UUID}},
    {"no balloon, no libvirt",
        "\"source\":[\"proc\"],\"kind\":\"rigid\",\"kind_reason\":\"no-device\"",
        {"guest-balloon", SEVERITY_WARNING, "no balloon", "-device virtio-balloon-pci"}},
    {"no driver", "\"kind\":\"rigid\",\"kind_reason\":\"no-driver\"",
        {"guest-balloon", SEVERITY_WARNING, "no driver", "virtio_balloon"}},
    {"no monitor", "\"kind\":\"rigid\",\"kind_reason\":\"no-monitor\"",
        {"guest-balloon", SEVERITY_WARNING, "no monitor", "-qmp"}},
    {"not seen", "\"kind\":\"unknown\",\"kind_reason\":\"unseen\"",
        {"guest-balloon", SEVERITY_UNKNOWN, NULL, NULL}},
    {"kind of another type", "\"kind\":null", {"guest-balloon", SEVERITY_UNKNOWN, NULL, NULL}},
    {"no statistics", "\"statistics\":false",
        {"guest-statistics", SEVERITY_WARNING, "reports no statistics",
            "virsh dommemstat " UUID " --period 10 --live"}},
    {"no statistics, no libvirt", "\"statistics\":false,\"source\":[\"proc\",\"qmp\"]",
        {"guest-statistics", SEVERITY_WARNING, NULL, "guest-stats-polling-interval"}},
    {"statistics not known", "\"statistics\":null",
        {"guest-statistics", SEVERITY_UNKNOWN, "whether it reports", NULL}},
    {"statistics of another type", "\"statistics\":\"yes\"",
        {"guest-statistics", SEVERITY_UNKNOWN, NULL, NULL}},
    {"much is rigid", "\"kind\":\"rigid\",\"kind_reason\":\"hugetlb\",\"hugetlb\":9663676416",
        {"guest-rigid", SEVERITY_WARNING, "1 rigid guests hold 10G of the host's 16G", "WHY"}},
    {"rigid of no size", "\"kind\":\"rigid\",\"kind_reason\":\"locked\",\"rss\":null",
        {"guest-rigid", SEVERITY_UNKNOWN, NULL, NULL}},
    {"limit below its memory", "\"limits\":{\"memory_max\":1073741824}",
        {"guest-limit", SEVERITY_WARNING, "1G, and its memory 2G",
            "virsh memtune " UUID " --hard-limit -1 --live"}},
    {"limit of the guard's", "\"limits\":{\"memory_max\":1073741824},\"measures\":[7,\"contain\"]",
        {"guest-limit", SEVERITY_WARNING, NULL, "memory-max= of its class"}},
    {"exempt", "\"oom_score_adj\":-1000",
        {"guest-score", SEVERITY_WARNING, "-1000", "choom -n 0 -p 500"}},
    {"bound", "\"nodes_allowed\":[0]",
        {"guest-numa", SEVERITY_NOTE, "node 0 alone, of 8G, and has 2G",
            "virsh numatune " UUID " --mode preferred --config"}},
    {"bound too tight", "\"nodes_allowed\":[1]",
        {"guest-numa", SEVERITY_WARNING, "node 1 alone, of 1G, and has 2G", "preferred"}},
    {"bound to nowhere", "\"nodes_allowed\":[7]", {"guest-numa", SEVERITY_UNKNOWN, NULL, NULL}},
    {"nodes unknown", "\"nodes_allowed\":null", {"guest-numa", SEVERITY_UNKNOWN, NULL, NULL}},
    {"nodes of another type", "\"nodes_allowed\":[\"0\",[]]",
        {"guest-numa", SEVERITY_FINE, NULL, NULL}},
    {"limit at what is locked",
        "\"kind_reason\":\"vfio\",\"pinned\":2147483648,\"memlock_limit\":2147483648,"
        "\"memlock_safe_cap\":3221225472",
        {"guest-memlock", SEVERITY_ERROR, "2G locked, and a limit of 2G",
            "prlimit --pid 500 --memlock=3221225472:3221225472"}},
    {"limit too near",
        "\"kind_reason\":\"iommufd\",\"pinned\":2147483648,\"memlock_limit\":2147487744,"
        "\"memlock_safe_cap\":3221225472",
        {"guest-memlock", SEVERITY_WARNING, NULL, "prlimit --pid 500"}},
    {"limit too near, nobody knows the right one",
        "\"kind_reason\":\"vdpa\",\"pinned\":2147483648,\"memlock_limit\":4096",
        {"guest-memlock", SEVERITY_ERROR, NULL, "1 GiB above"}},
    {"sound limit",
        "\"kind_reason\":\"vfio\",\"pinned\":2147483648,\"memlock_limit\":3221225472,"
        "\"memlock_safe_cap\":3221225472",
        {"guest-memlock", SEVERITY_FINE, NULL, NULL}},
    {"no limit",
        "\"kind_reason\":\"vfio\",\"memlock_limit\":null,\"memlock_unlimited\":true,"
        "\"memlock_formula\":3221225472,\"memlock_safe_cap\":3221225472",
        {"guest-memlock", SEVERITY_NOTE, NULL, "[memlock]"}},
    {"limit unknown", "\"kind_reason\":\"vfio\",\"memlock_limit\":null,\"memlock_unlimited\":null",
        {"guest-memlock", SEVERITY_UNKNOWN, NULL, NULL}},
};

START_TEST(test_guest_fault)
{
    const struct guest_fault *fault = &guest_faults[_i];

    scene_audit(scene_status(fault->changed));
    scene_assert_found(fault->name, &fault->expected);
    scene_assert_nothing_else(fault->name, fault->expected.check);
    if (fault->expected.severity != SEVERITY_FINE &&
        strcmp(fault->expected.check, "guest-rigid") != 0)
        ck_assert_str_eq(scene_finding(fault->expected.check)->subject, "web");
}
END_TEST

START_TEST(test_pids)
{
    fake_tree_write(scene_tree, SCOPE "/pids.max", "max\n");
    scene_audit(scene_status(""));
    scene_assert_found(
        "none", &(struct expected){"guest-pids", SEVERITY_NOTE, "no pids.max", "pids-max=1024"});
    scene_assert_nothing_else("none", "guest-pids");
    fake_tree_write(scene_tree, SCOPE "/pids.max", "95\n");
    scene_audit(scene_status(""));
    scene_assert_found("near",
        &(struct expected){"guest-pids", SEVERITY_WARNING, "90 of pids.max 95", "TasksMax="});
    fake_tree_write(scene_tree, "proc/500/cgroup", "0::/../elsewhere\n");
    scene_audit(scene_status(""));
    scene_assert_found("not shown", &(struct expected){"guest-pids", SEVERITY_UNKNOWN, NULL, NULL});
    fake_tree_remove(scene_tree, "proc/500");
    scene_audit(scene_status(""));
    scene_assert_found("gone", &(struct expected){"guest-pids", SEVERITY_FINE, NULL, NULL});
}
END_TEST

/* ---- the guard ---- */

START_TEST(test_guard_is_dead)
{
    scene_audit(NULL);
    scene_assert_found("runs",
        &(struct expected){"guard", SEVERITY_ERROR, "cannot reach", "systemctl restart plimsolld"});
    scene_assert_found(
        "asked", &(struct expected){"guest-memlock", SEVERITY_UNKNOWN, "answer", NULL});
    scene_assert_found("libvirtd's score is inherited",
        &(struct expected){"score-libvirt", SEVERITY_NOTE, "is -999", "choom -n 0 -p 30"});
    scene_assert_found("host", &(struct expected){"panic-on-oom", SEVERITY_FINE, NULL, NULL});
    scene_assert_found("rate", &(struct expected){"watermarks", SEVERITY_UNKNOWN, "15.6M", NULL});
    fake_tree_remove(scene_tree, "proc/40");
    fake_tree_remove(scene_tree, "proc/41");
    scene_audit(NULL);
    scene_assert_found("does not run",
        &(struct expected){"guard", SEVERITY_ERROR, NULL, "systemctl enable --now plimsolld"});
}
END_TEST

START_TEST(test_guard_is_not_ours_to_ask)
{
    struct doctor_input input = {.kernel = scene_tree->roots,
        .files = scene_files,
        .result = -EACCES,
        .text = "may not use it"};

    doctor_run(&input, &scene_findings);
    scene_assert_found(
        "access", &(struct expected){"guard", SEVERITY_UNKNOWN, "may not", "sudo plimsoll doctor"});
}
END_TEST

START_TEST(test_guard_in_dry_run)
{
    struct json_object *status = scene_status("\"mode\":\"dry-run\"");

    json_object_object_add(
        json_object_object_get(status, "host"), "mode", json_object_new_string("dry-run"));
    scene_audit(status);
    scene_assert_found("dry", &(struct expected){"guard-mode", SEVERITY_WARNING, "dry run",
                                  "systemctl reload plimsolld"});
    scene_assert_found("said once", &(struct expected){"guest-mode", SEVERITY_FINE, NULL, NULL});
}
END_TEST

START_TEST(test_guard_that_is_held)
{
    struct json_object *status = scene_status("\"mode\":\"held\"");

    json_object_object_add(
        json_object_object_get(status, "host"), "mode", json_object_new_string("held"));
    json_object_object_add(status, "hold",
        _i == 0 ? json_tokener_parse("{\"remaining\":3540000000000}") : json_object_new_int(7));
    scene_audit(status);
    scene_assert_found(
        "held", &(struct expected){"guard-mode", SEVERITY_WARNING,
                    _i == 0 ? "for another 59min" : "for another -", "plimsoll release"});
    scene_assert_found("said once", &(struct expected){"guest-mode", SEVERITY_FINE, NULL, NULL});
}
END_TEST

/* What answers is no guard, or one gone mad. */
static const char *const documents[] = {"{}", "{\"host\":7,\"vms\":7}", "{\"vms\":{}}",
    "{\"vms\":[null,7,\"x\",[],{},{\"name\":7,\"pid\":-1,\"uuid\":[],\"source\":7}]}",
    "{\"host\":{\"nodes\":[null,7]},\"vms\":[{\"nodes_allowed\":[{}],\"limits\":[]}]}",
    "{\"host\":{\"total\":0,\"fill_rate_most\":0,\"mode\":1},\"vms\":[]}",
    ("{\"host\":{\"fill_rate_most\":18446744073709551614},\"vms\":[{\"pid\":0,\"rss\":-1,"
     "\"kind\":\"rigid\",\"maximum\":18446744073709551615}]}")};

START_TEST(test_document)
{
    scene_audit(json_tokener_parse(documents[_i]));
    ck_assert_uint_ge(scene_findings.count, doctor_check_count());
    for (size_t i = 0; i < scene_findings.count; i++)
        ck_assert(scene_findings.list[i].found[0] != '\0');
    if (_i < 3)
        scene_assert_found(
            "no guests", &(struct expected){"guest-balloon", SEVERITY_UNKNOWN, "no list", NULL});
}
END_TEST

START_TEST(test_hostile_name)
{
    char text[1024];

    (void)snprintf(text, sizeof(text),
        "\"kind_reason\":\"no-device\",\"name\":\"\\u001b[2J'; rm -rf $(x)\\n%0300d\","
        "\"class\":\"\\u202e'`x`\",\"mode\":\"dry-run\",\"uuid\":\"$(reboot)\",\"oom_score_adj\":-"
        "1000",
        7);
    scene_audit(scene_status(text));
    for (size_t i = 0; i < scene_findings.count; i++) {
        const struct finding *finding = &scene_findings.list[i];

        ck_assert_ptr_null(strpbrk(finding->subject, "\x1b\n"));
        ck_assert_ptr_null(strpbrk(finding->found, "\x1b\n"));
        ck_assert_ptr_null(strpbrk(finding->mend, "\x1b\n"));
        ck_assert_ptr_null(strstr(finding->mend, "\u202e"));
        ck_assert(!finding->command || !strstr(finding->mend, "rm -rf"));
        ck_assert(!strstr(finding->mend, "reboot)"));
    }
    ck_assert(strncmp(scene_finding("guest-score")->subject, "?[2J'; rm -rf", 13) == 0);
}
END_TEST

static void tests_add(TCase *tests)
{
    tcase_add_checked_fixture(tests, scene_begin, scene_end);
    tcase_add_loop_test(tests, test_guest_fault, 0, ELEMENTSOF(guest_faults));
    tcase_add_test(tests, test_pids);
    tcase_add_test(tests, test_guard_is_dead);
    tcase_add_test(tests, test_guard_is_not_ours_to_ask);
    tcase_add_test(tests, test_guard_in_dry_run);
    tcase_add_loop_test(tests, test_guard_that_is_held, 0, 2);
    tcase_add_loop_test(tests, test_document, 0, ELEMENTSOF(documents));
    tcase_add_test(tests, test_hostile_name);
}

int main(void)
{
    Suite *suite = suite_create("cli_doctor_guest");
    TCase *tests = tcase_create("doctor");

    tests_add(tests);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
