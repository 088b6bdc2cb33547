/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `plimsoll vm` shows of documents: what a person needs, at the width people have, whatever
 * stands in them. */
#include "vm_view.h"
#include "vm_words.h"

#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>

#include "status.h"
#include "suite.h"

#define SCOPE "/sys/fs/cgroup/machine.slice/machine-qemu\\\\x2d1\\\\x2dweb.scope/libvirt"

/* A guest of libvirt's, in dry run. */
static const char usual[] =
    "{\"vm\":{\"name\":\"web\",\"uuid\":\"6d8bd8b8-2a3c-4d53-9f4e-0123456789ab\",\"pid\":4711,"
    "\"source\":[\"proc\",\"libvirt\"],\"class\":\"gold\",\"state\":\"running\",\"kind\":\"rigid\","
    "\"kind_reason\":\"no-driver\",\"rss\":3221225472,\"maximum\":8589934592,\"minimum\":"
    "4294967296,"
    "\"balloon\":{\"actual\":6442450944,\"target\":5368709120,\"before\":8589934592},"
    "\"measures\":[\"balloon\",\"oom-score\"],\"mode\":\"dry-run\",\"statistics\":false,"
    "\"victim_order\":2,\"unmatched\":false},\"victims\":14,\"band\":\"calm\",\"policy\":["
    "{\"key\":\"match\",\"value\":\"web*\",\"origin\":\"file\",\"file\":\"/etc/plimsoll/"
    "plimsoll.conf\",\"line\":12,\"section\":\"vm web*\"},"
    "{\"key\":\"guard-mode\",\"value\":\"dry-run\",\"origin\":\"command-line\"},"
    "{\"key\":\"mode\",\"value\":\"enforce\",\"origin\":\"built-in\",\"file\":null},"
    "{\"key\":\"rungs\",\"value\":\"balloon resize reclaim brake pause save shutdown kill\","
    "\"origin\":\"file\",\"file\":\"/etc/plimsoll/plimsoll.conf.d/10-classes.conf\",\"line\":7,"
    "\"section\":\"class gold\"},"
    "{\"key\":\"sacrifice\",\"value\":\"last\",\"origin\":\"metadata\"}],"
    "\"refused\":[{\"rule\":\"minimum\",\"text\":\"it has a value that is none for it\"},"
    "{\"rule\":null,\"text\":\"no rule of a domain\"}],"
    "\"facts\":[{\"name\":\"rss\",\"unit\":\"bytes\",\"value\":3221225472,\"word\":null,"
    "\"source\":\"/proc/4711/statm\",\"age\":500000000},"
    "{\"name\":\"cgroup_current\",\"unit\":\"bytes\",\"value\":5,\"word\":null,"
    "\"source\":\"" SCOPE "/memory.current\",\"age\":1000000000},"
    "{\"name\":\"memory_max\",\"unit\":\"bytes\",\"value\":null,\"word\":\"none\","
    "\"source\":\"" SCOPE "/memory.max\",\"age\":null},"
    "{\"name\":\"oom_score_adj\",\"unit\":\"count\",\"value\":-7,\"source\":\"/proc/4711/x\"},"
    "{\"name\":\"cpu_max\",\"unit\":\"nanoseconds\",\"value\":5000000},"
    "{\"name\":\"swap\",\"unit\":\"bytes\",\"value\":null,\"source\":\"/proc/4711/status\"},"
    "{\"name\":\"guest_free\",\"unit\":\"bytes\",\"value\":null}]}";

static char *output;
static size_t output_size;

static void teardown(void)
{
    free(output);
    output = NULL;
}

static void render(const char *text, unsigned width)
{
    struct json_object *reply = json_tokener_parse(text);
    const struct style style = {.width = width};

    ck_assert_msg(reply != NULL, "the test's own document is broken: %.300s", text);
    free(output);
    output = NULL;
    FILE *out = open_memstream(&output, &output_size);
    vm_view_print(reply, &style, out);
    (void)fclose(out);
    json_object_put(reply);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(output, text) != NULL, "no “%s” in:\n%.4000s", text, output);
}

static void has_not(const char *text)
{
    ck_assert_msg(strstr(output, text) == NULL, "“%s” in:\n%.4000s", text, output);
}

/* Every line in columns of a terminal, but those of one word, which can be copied whole. */
static void fits(unsigned width)
{
    char *copy = strdup(output), *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        wchar_t wide[2048];
        size_t length = mbstowcs(wide, line, ELEMENTSOF(wide));
        ck_assert_uint_lt(length, ELEMENTSOF(wide));
        bool one_word = !strchr(line + strspn(line, " "), ' ');
        ck_assert_msg(
            one_word || wcswidth(wide, length) <= (int)width, "%u columns: %s", width, line);
    }
    free(copy);
}

START_TEST(a_guest)
{
    render(usual, 80);
    fits(80);
    ck_assert_int_eq(strncmp(output, "web: running\n", 13), 0);
    has("pid 4711, uuid 6d8bd8b8-2a3c-4d53-9f4e-0123456789ab, known by proc, libvirt\n");
    has("  Mode        dry run: it is decided on, and nothing is done to it; the guard as\n"
        "              a whole is\n");
    has("  Kind        rigid: no balloon returns its memory to the host; it has a\n"
        "              balloon, and no driver for it in the guest\n");
    has("  Memory      holds 3G of 8G; 6G by its balloon; is not ballooned below 4G\n");
    has("  Statistics  it does not say what it uses, so");
    has("  In force    balloon: it is asked to have 5G; it had 8G\n"
        "              oom-score: its place in the kernel's order");
    has("  Next        if guests have to be killed it is number 2 of 14 that may be\n");
    has("  Refused     minimum= in its metadata does not hold: it has a value");
    has("  Refused     something in its metadata does not hold: no rule of a domain\n");
    has_not("Unmatched");
}
END_TEST

START_TEST(who_says_so)
{
    render(usual, 80);
    has("  match         web*                /etc/plimsoll/plimsoll.conf:12 [vm web*]\n");
    has("  guard-mode    dry-run             plimsolld --dry-run\n");
    has("  mode          enforce             nobody: built in\n");
    has("  rungs         balloon resize reclaim brake pause save shutdown kill\n"
        "      /etc/plimsoll/plimsoll.conf.d/10-classes.conf:7 [class gold]\n");
    has("  sacrifice     last                the domain's metadata\n");
}
END_TEST

START_TEST(where_figures_are_from)
{
    render(usual, 80);
    has("  rss                   3G        500ms      /proc/4711/statm\n");
    has("  cgroup_current        5         1s\n"
        "      /sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/"
        "memory.current\n");
    has("  memory_max            none      -\n");
    has("  oom_score_adj         -7        -          /proc/4711/x\n");
    has("  cpu_max               5ms       -          -\n");
    has("  Not known: swap, guest_free\n");
    /* A pipe has a line for each. */
    render(usual, 0);
    has("  cgroup_current        5         1s         /sys/fs/cgroup/machine.slice/");
}
END_TEST

START_TEST(what_is_in_store)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"{\"vm\":{\"victim_order\":1},\"victims\":9}", "it goes first, of 9 that may be"},
        {"{\"vm\":{\"victim_order\":1},\"victims\":1}", "the only guest that may be killed"},
        {"{\"vm\":{\"victim_order\":null},\"policy\":[{\"key\":\"sacrifice\",\"value\":\"never\"},"
         "{\"key\":\"rungs\",\"value\":\"kill\"}]}",
            "never killed: its rules say sacrifice=never"},
        {"{\"vm\":{},\"policy\":[{\"key\":\"sacrifice\",\"value\":\"last\"},{\"key\":\"rungs\","
         "\"value\":\"balloon skill\"}]}",
            "its rungs= have no kill"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        render(cases[i].text, 80);
        has(cases[i].said);
    }
    render("{\"vm\":{},\"policy\":[{\"key\":\"sacrifice\",\"value\":\"last\"},{\"key\":\"rungs\","
           "\"value\":\"balloon kill\"}]}",
        80);
    has_not("Next");
}
END_TEST

START_TEST(modes)
{
    render("{\"vm\":{\"mode\":\"enforce\"}}", 80);
    has("  Mode        enforce: it is acted on\n");
    render("{\"vm\":{\"mode\":\"dry-run\"},\"policy\":[{\"key\":\"mode\",\"value\":\"dry-run\"},"
           "{\"key\":\"guard-mode\",\"value\":\"dry-run\"}]}",
        0);
    has("its own rules say so, and the guard as a whole is, too\n");
    render("{\"vm\":{\"mode\":\"dry-run\"},\"policy\":[{\"key\":\"mode\",\"value\":\"dry-run\"},"
           "{\"key\":\"guard-mode\",\"value\":\"enforce\"}]}",
        0);
    has("nothing is done to it; its own rules say so\n");
    render("{\"vm\":{\"unmatched\":true,\"statistics\":true,\"measures\":[]}}", 80);
    has("  Unmatched   no [vm …] section fits it and its metadata says nothing");
    has("  Statistics  it says what it uses\n");
    has("  In force    nothing\n");
}
END_TEST

START_TEST(hostile_words)
{
    char text[8192], name[600];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(text, sizeof(text),
        "{\"vm\":{\"name\":\"a\\u001b[2J\\n%s\",\"state\":\"\\u202eon\",\"source\":[7,\"\\u001b\","
        "null],\"kind\":\"\\u009bnew\",\"kind_reason\":\"\\n\",\"measures\":[7,\"\\u001b[1m\",[]]},"
        "\"policy\":[{\"key\":\"\\nmode\",\"value\":\"\\u001b\",\"origin\":\"\\u001b\"},"
        "{\"key\":\"k\",\"value\":\"v\",\"origin\":\"file\",\"file\":\"/\\n%s\",\"line\":3,"
        "\"section\":\"\\u001b\"}],\"refused\":[{\"rule\":\"\\n\",\"text\":\"\\u001b%s\"}],"
        "\"facts\":[{\"name\":\"\\u001b\",\"word\":\"\\u001b\",\"source\":\"\\n\"},"
        "{\"name\":\"\\u001b%s\"}]}",
        name, name, name, name);
    render(text, 80);
    ck_assert_ptr_null(strchr(output, '\x1b'));
    ck_assert_ptr_null(strstr(output, "\u202e"));
    ck_assert_ptr_null(strstr(output, "\xc2\x9b"));
    ck_assert_ptr_null(strstr(output, "\nmode"));
    /* However long a path is, its line is told. */
    has(":3\n      [?]\n");
    fits(80);
}
END_TEST

/* By type alone what is wrong is known to be wrong. */
static const char *const strange[] = {"{}", "[]", "7", "{\"vm\":7}", "{\"vm\":[]}",
    "{\"vm\":{\"name\":7,\"pid\":\"x\",\"source\":{},\"balloon\":[],\"measures\":7}}",
    "{\"policy\":{},\"facts\":7,\"refused\":\"x\",\"victims\":[]}",
    "{\"policy\":[null,7,[],{}],\"refused\":[null,7,{}]}",
    "{\"facts\":[null,7,[],{},{\"value\":\"7\"},{\"value\":{}}]}",
    "{\"vm\":{\"pid\":-1,\"victim_order\":-5,\"rss\":-1,\"statistics\":7}}",
    "{\"vm\":{\"unmatched\":\"true\"},\"victims\":-1,\"facts\":[{\"word\":7}]}",
    "{\"facts\":[{\"unit\":\"bytes\",\"value\":-9223372036854775808}]}",
    "{\"policy\":[{\"origin\":\"file\",\"line\":\"x\"},{\"origin\":\"file\",\"line\":1}]}"};

START_TEST(strange_documents)
{
    for (unsigned width = 0; width <= 200; width += 20)
        render(strange[_i], width);
    has("pid ");
}
END_TEST

START_TEST(any_width)
{
    for (unsigned width = 80; width <= 200; width++) {
        render(usual, width);
        fits(width);
    }
}
END_TEST

/* Every word that a guard of this version can say has its sentence. */
START_TEST(no_word_is_without_meaning)
{
    for (int kind = 0; kind < VM_KIND_COUNT; kind++)
        ck_assert_ptr_nonnull(vm_kind_text(vm_kind_name((enum vm_kind)kind)));
    for (int reason = VM_KIND_REASON_NONE + 1; reason < VM_KIND_REASON_COUNT; reason++)
        ck_assert_msg(vm_kind_reason_text(vm_kind_reason_name((enum vm_kind_reason)reason)) != NULL,
            "%s", vm_kind_reason_name((enum vm_kind_reason)reason));
    ck_assert_ptr_null(vm_kind_reason_text("none"));
    ck_assert_ptr_null(vm_measure_text("unheard-of"));

    struct snapshot *snapshot = calloc(1, snapshot_size(1));
    struct rules *rules = calloc(1, rules_size(1));
    snapshot->vm_capacity = rules->vm_capacity = 1;
    snapshot->vms[0].measures.in_force = UINT32_MAX;
    struct json_object *vm = status_vm_json(snapshot, 0, rules, NULL);
    struct json_object *measures = json_object_object_get(vm, "measures");
    ck_assert_uint_gt(json_object_array_length(measures), 0);
    for (size_t i = 0; i < json_object_array_length(measures); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(measures, i));
        ck_assert_msg(vm_measure_text(word) != NULL, "%s", word);
    }
    json_object_put(vm);
    free(rules);
    free(snapshot);
}
END_TEST

int main(void)
{
    if (!setlocale(LC_ALL, "C.UTF-8"))
        return suite_skip("there is no locale C.UTF-8");
    Suite *suite = suite_create("cli_vm");
    TCase *tests = tcase_create("vm");

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_guest);
    tcase_add_test(tests, who_says_so);
    tcase_add_test(tests, where_figures_are_from);
    tcase_add_test(tests, what_is_in_store);
    tcase_add_test(tests, modes);
    tcase_add_test(tests, hostile_words);
    tcase_add_loop_test(tests, strange_documents, 0, ELEMENTSOF(strange));
    tcase_add_test(tests, any_width);
    tcase_add_test(tests, no_word_is_without_meaning);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
