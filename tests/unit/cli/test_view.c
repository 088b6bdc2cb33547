/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of `plimsoll status` at the widths people have: nothing is wider than the terminal,
 * nothing that identifies a guest is lost, and no document makes it fall over.
 */
#include "status_view.h"
#include "suite.h"

#include <check.h>
#include <locale.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define VM                                                                                         \
    "\"uuid\":null,\"class\":\"production\",\"mode\":\"enforce\",\"state\":\"running\",\"rss\":"   \
    "17179869184,\"pinned\":1610612736,\"minimum\":8589934592,\"kind\":\"rigid\",\"kind_reason\":" \
    "\"no-driver\",\"balloon\":{\"actual\":16642998272,\"target\":9126805504}"
#define HOST                                                                               \
    "\"band\":\"tight\",\"worst\":\"host\",\"host\":{\"total\":68719476736,\"available\":" \
    "10737418240,\"headroom\":-1073741824,\"floor\":3221225472,\"fill_rate\":12582912,"    \
    "\"time_to_exhaustion\":750000000000,\"band\":\"tight\",\"mode\":\"%s\",\"nodes\":[%s]}"
#define NODE "{\"id\":%d,\"total\":1,\"band\":\"calm\"}"

static char *output;
static size_t output_size;

static void teardown(void)
{
    free(output);
    output = NULL;
}

static void render(const char *text, unsigned width, bool colours)
{
    struct json_object *status = json_tokener_parse(text);
    struct style style = {.width = width, .colours = colours};
    FILE *out;

    ck_assert_msg(status != NULL, "the test's own document is broken: %.200s", text);
    free(output);
    output = NULL;
    out = open_memstream(&output, &output_size);
    ck_assert_int_eq(status_view_print(status, &style, out), 0);
    fclose(out);
    json_object_put(status);
}

static void assert_has(const char *text)
{
    ck_assert_msg(strstr(output, text) != NULL, "no “%s” in:\n%.2000s", text, output);
}

static void assert_has_not(const char *text)
{
    ck_assert_msg(strstr(output, text) == NULL, "“%s” in:\n%.2000s", text, output);
}

/* Every line in columns of a terminal. */
static void assert_width(unsigned width)
{
    char *copy = strdup(output), *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        wchar_t wide[1024];
        size_t length = mbstowcs(wide, line, ELEMENTSOF(wide));

        ck_assert_uint_lt(length, ELEMENTSOF(wide));
        ck_assert_int_le(wcswidth(wide, length), (int)width);
    }
    free(copy);
}

static char *document(unsigned count, const char *name, const char *mode, const char *nodes)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputs("{", out);
    fprintf(out, HOST, mode, nodes);
    fputs(",\"budget\":null,\"vms\":[", out);
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "%s{\"name\":\"%s%u\"," VM "}", i ? "," : "", name, i);
    fputs("]}", out);
    fclose(out);
    return text;
}

START_TEST(test_none)
{
    char *text = document(0, "", "enforce", "");

    render(text, 80, false);
    assert_has("Band tight, by the host; mode enforce.\n");
    assert_has("No guests.\n");
    assert_has("-1G");
    assert_has("12M/s");
    assert_has("12min 30s");
    assert_has_not("DRY RUN");
    assert_has_not("node");
    assert_width(80);
    free(text);
}
END_TEST

START_TEST(test_node_named)
{
    render("{\"band\":\"critical\",\"worst\":\"node\",\"worst_node\":8,\"host\":{\"mode\":"
           "\"enforce\"},\"vms\":[]}",
        80, false);
    assert_has("Band critical, by the node 8; mode enforce.\n");
}
END_TEST

START_TEST(test_one)
{
    char *text = document(1, "web", "dry-run", "");

    render(text, 80, false);
    ck_assert_int_eq(strncmp(output, "DRY RUN", 7), 0);
    assert_has("web0");
    assert_has("16G");
    assert_has("15.5G/8.5G");
    assert_has("PINNED");
    assert_has("rigid no-driver");
    assert_width(80);
    free(text);
}
END_TEST

START_TEST(test_widths)
{
    static const char name[] = "a-rather-long-name-of-a-guest-in-some-cloud-";
    char *text = document(20, name, "enforce", "");

    for (unsigned width = 40; width <= 200; width++) {
        render(text, width, false);
        assert_has("a-rather-long-");
        assert_has("running");
        if (width >= 80)
            assert_width(width);
    }
    free(text);
    text = document(500, name, "enforce", "");
    render(text, 80, false);
    assert_has("KIND");
    assert_has_not("WHY"); /* the first to go */
    assert_has_not("no-driver");
    render(text, 70, false);
    assert_has_not("CLASS"); /* the next */
    render(text, 200, false);
    assert_has("CLASS");
    assert_has("a-rather-long-name-of-a-guest-in-some-cloud-499 ");
    /* A pipe loses nothing. */
    render(text, 0, false);
    assert_has("production");
    assert_has("a-rather-long-name-of-a-guest-in-some-cloud-499 ");
    free(text);
}
END_TEST

START_TEST(test_wide_names)
{
    /* Two columns and three bytes each. */
    char *text =
        document(3, "計算機計算機計算機計算機計算機計算機計算機計算機計算機計算機", "enforce", "");

    render(text, 80, false);
    assert_has("計算機計算機");
    assert_width(80);
    free(text);
    text = document(1, "e\\u001b[31m\\n\\u009b", "enforce", "");
    render(text, 80, false);
    assert_has("e?[31m??0");
    free(text);
}
END_TEST

START_TEST(test_nodes_and_budget)
{
    char nodes[128];
    char *text;

    snprintf(nodes, sizeof(nodes), NODE, 0);
    text = document(0, "", "enforce", nodes);
    render(text, 80, false);
    assert_has_not("node 0");
    free(text);
    snprintf(nodes, sizeof(nodes), NODE "," NODE, 0, 8);
    text = document(0, "", "enforce", nodes);
    render(text, 80, false);
    assert_has("node 0");
    assert_has("node 8");
    assert_has_not("budget");
    assert_width(80);
    free(text);
    render("{\"budget\":{\"total\":1073741824,\"band\":\"scarce\"}}", 80, false);
    assert_has("budget");
    assert_has("scarce");
}
END_TEST

START_TEST(test_colours)
{
    char *text = document(1, "web", "dry-run", "");

    render(text, 80, false);
    assert_has_not("\x1b");
    render(text, 80, true);
    assert_has("\x1b[1;33mtight"); /* yellow */
    free(text);
}
END_TEST

/* Nothing is said that says nothing, but to a pipe. */
START_TEST(test_quiet)
{
    static const char text[] =
        "{\"band\":\"calm\",\"worst\":\"host\",\"host\":{\"mode\":\"enforce\"},\"vms\":[{\"name\":"
        "\"web\",\"pinned\":0,\"kind_reason\":\"none\",\"balloon\":{\"actual\":1048576,\"target\":"
        "1048576}}]}";

    render(text, 80, false);
    assert_has("Band calm; mode enforce.\n");
    assert_has_not("PINNED");
    assert_has_not("none");
    assert_has(" 1M ");
    assert_has_not("1M/1M");
    render(text, 0, false);
    assert_has("PINNED");
}
END_TEST

/* Who is acted on is seen wherever it is not all, or nobody; it is the last to go. */
START_TEST(test_modes)
{
    char *text = document(3, "web", "enforce", "");

    render(text, 80, false);
    assert_has_not("MODE");
    render(text, 0, false);
    assert_has("MODE");
    char *one = strstr(text, "enforce\",\"state");
    ck_assert_ptr_nonnull(one);
    memcpy(one, "dry-run", sizeof "dry-run" - 1);
    for (unsigned width = 48; width <= 200; width++) {
        render(text, width, false);
        assert_has("MODE");
        assert_has(" dry-run running ");
        assert_has(" enforce running ");
        assert_width(width >= 80 ? width : 80);
    }
    free(text);
}
END_TEST

/* Whom an operator has overlooked is marked, wherever the column went, and who goes first is told;
 * where nothing is known of either nothing is said. */
START_TEST(test_legend)
{
    static const char two[] =
        "{\"host\":{\"mode\":\"enforce\"},\"vms\":[{\"name\":\"a\",\"class\":\"default\","
        "\"unmatched\":true,\"victim_order\":2},{\"name\":\"b\\u001b[1m\",\"class\":\"default\","
        "\"unmatched\":false,\"victim_order\":1},{\"name\":\"c\",\"victim_order\":null,"
        "\"unmatched\":7}]}";
    char *text = document(3, "web", "enforce", "");

    render(text, 80, false);
    assert_has_not("*");
    assert_has_not("go first");
    free(text);
    for (unsigned width = 0; width <= 80; width += 40) {
        render(two, width, false);
        assert_has("section fits,");
        assert_has("says nothing: 1 guest\n");
        assert_has("If one had to be killed,");
        assert_has(" b?[1m ");
    }
    assert_has(" default* ");
    assert_has(" default  ");
    assert_width(80);
    render("{\"vms\":[{\"unmatched\":true},{\"unmatched\":true}]}", 80, false);
    assert_has("says nothing: 2 guests\n");
    assert_has_not("go first");
}
END_TEST

START_TEST(test_strange_documents)
{
    static const char *const documents[] = {"{}", "[]", "7", "{\"host\":7,\"vms\":7}",
        "{\"host\":[],\"budget\":[],\"vms\":{}}", "{\"vms\":[null,7,[],{}]}",
        "{\"host\":{\"nodes\":[1,null]},\"vms\":[{\"name\":7,\"rss\":\"x\",\"balloon\":[]}]}",
        "{\"host\":{\"headroom\":-9223372036854775808,\"total\":-1},\"vms\":[]}"};

    for (size_t i = 0; i < ELEMENTSOF(documents); i++) {
        render(documents[i], 80, true);
        ck_assert_uint_gt(output_size, 0);
    }
}
END_TEST

int main(void)
{
    if (!setlocale(LC_ALL, "C.UTF-8"))
        return suite_skip("there is no locale C.UTF-8");

    Suite *suite = suite_create("status view");
    TCase *tcase = tcase_create("tables");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_none);
    tcase_add_test(tcase, test_node_named);
    tcase_add_test(tcase, test_one);
    tcase_add_test(tcase, test_widths);
    tcase_add_test(tcase, test_wide_names);
    tcase_add_test(tcase, test_nodes_and_budget);
    tcase_add_test(tcase, test_colours);
    tcase_add_test(tcase, test_quiet);
    tcase_add_test(tcase, test_modes);
    tcase_add_test(tcase, test_legend);
    tcase_add_test(tcase, test_strange_documents);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
