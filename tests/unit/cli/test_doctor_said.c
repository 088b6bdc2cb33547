/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `plimsoll doctor` prints, at the widths people have and as JSON, and its exit status. */
#include "command.h"
#include "doctor_scene.h"
#include "finding_view.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static char *output;
static size_t output_size;

/* ---- what is printed ---- */

static void render(unsigned width, bool colours, bool all)
{
    struct style style = {.width = width, .colours = colours};
    FILE *out;

    free(output);
    output = NULL;
    out = open_memstream(&output, &output_size);
    ck_assert_int_eq(findings_print(&scene_findings, &style, all, out), 0);
    fclose(out);
}

/* Every line in columns of a terminal, but those to paste. */
static void assert_width(unsigned width)
{
    char *copy = strdup(output), *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        wchar_t wide[2048];
        size_t length = mbstowcs(wide, line, ELEMENTSOF(wide));
        bool command = false;

        ck_assert_uint_lt(length, ELEMENTSOF(wide));
        for (size_t i = 0; i < scene_findings.count && !command; i++)
            command = scene_findings.list[i].command &&
                      strcmp(line + strspn(line, " "), scene_findings.list[i].mend) == 0;
        ck_assert_msg(command || wcswidth(wide, length) <= (int)width, "%u: %s", width, line);
    }
    free(copy);
}

START_TEST(test_text)
{
    fake_tree_write(scene_tree, "proc/sys/vm/panic_on_oom", "1\n");
    fake_tree_write(scene_tree, "proc/sys/vm/swappiness", "0\n");
    scene_audit(NULL);
    for (unsigned width = 0; width <= 240; width += 80) {
        render(width, false, true);
        if (width > 0)
            assert_width(width);
        ck_assert_ptr_nonnull(
            strstr(output, "\n    sysctl -w vm.panic_on_oom=0 | tee -a /etc/sysctl.d/90-plimsoll"));
        ck_assert_ptr_nonnull(strstr(output, "\nfine hugepages"));
        /* The worst first, and what is unknown for one reason once. */
        ck_assert_ptr_eq(strstr(output, "ERROR guard\n"), output);
        ck_assert(strstr(output, "WARNING swappiness") > strstr(output, "ERROR panic-on-oom"));
        const char *once = strstr(output, "nobody else");
        ck_assert(once && !strstr(once + 1, "nobody else"));
        ck_assert_ptr_null(strchr(output, '\x1b'));
    }
    ck_assert_ptr_nonnull(strstr(output, "34 checks: 18 fine, 1 note, 12 unknown"
                                         ", 1 warning, 2 errors\n"));
    render(80, true, false);
    ck_assert_ptr_eq(strstr(output, "\x1b[1;31mERROR\x1b[0m guard"), output);
    ck_assert_ptr_null(strstr(output, "fine hugepages"));
}
END_TEST

START_TEST(test_guests_are_one_group)
{
    struct json_object *status = scene_status("\"kind_reason\":\"no-driver\"");
    struct json_object *guests = json_object_object_get(status, "vms");

    for (int i = 0; i < 200; i++)
        json_object_array_add(guests, json_object_get(json_object_array_get_idx(guests, 0)));
    scene_audit(status);
    render(80, false, false);
    const char *title = strstr(output, "WARNING guest-balloon");
    ck_assert(title && !strstr(title + 1, "WARNING guest-balloon"));
    const char *mend = strstr(output, "modprobe");
    ck_assert(mend && !strstr(mend + 1, "modprobe"));
    assert_width(80);
}
END_TEST

START_TEST(test_json)
{
    static const char *const keys[] = {"check", "severity", "subject", "found", "why", "mend"};
    struct json_object *array, *value;

    fake_tree_write(scene_tree, "proc/sys/vm/panic_on_oom", "1\n");
    scene_audit(scene_status("\"oom_score_adj\":-1000,\"statistics\":null"));
    array = findings_json(&scene_findings, false);
    ck_assert_uint_eq(json_object_array_length(array), 3);
    for (size_t i = 0; i < 3; i++) {
        struct json_object *finding = json_object_array_get_idx(array, i);

        ck_assert_int_eq(json_object_object_length(finding), ELEMENTSOF(keys));
        for (size_t k = 0; k < ELEMENTSOF(keys); k++)
            ck_assert(json_object_object_get_ex(finding, keys[k], &value));
    }
    struct json_object *first = json_object_array_get_idx(array, 0);
    ck_assert_str_eq(
        json_object_get_string(json_object_object_get(first, "check")), "panic-on-oom");
    ck_assert_str_eq(json_object_get_string(json_object_object_get(first, "severity")), "error");
    ck_assert_ptr_null(json_object_object_get(first, "subject"));
    struct json_object *last = json_object_array_get_idx(array, 2);
    ck_assert_str_eq(json_object_get_string(json_object_object_get(last, "subject")), "web");
    json_object_put(array);
    array = findings_json(&scene_findings, true);
    ck_assert_uint_eq(json_object_array_length(array), scene_findings.count);
    json_object_put(array);
}
END_TEST

/* ---- the exit status ---- */

/* Of an audit whose words go nowhere. */
static int audit_exit(struct json_object *status, bool json)
{
    struct doctor_input input = {.kernel = scene_tree->roots,
        .files = scene_files,
        .status = status,
        .result = status ? 0 : -ENOENT,
        .text = "cannot reach the guard"};
    int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    ck_assert(kept >= 0 && nowhere >= 0);
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(nowhere, STDOUT_FILENO), 0);
    int result = doctor_audit(&input, json, true);
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(kept, STDOUT_FILENO), 0);
    close(kept);
    close(nowhere);
    json_object_put(status);
    return result;
}

START_TEST(test_exit)
{
    bool json = _i;

    ck_assert_int_eq(audit_exit(scene_status(""), json), 0);
    fake_tree_write(scene_tree, "proc/sys/vm/overcommit_memory", "1\n"); /* a note */
    ck_assert_int_eq(audit_exit(scene_status(""), json), 0);
    fake_tree_write(scene_tree, "proc/sys/vm/swappiness", "0\n"); /* a warning */
    ck_assert_int_eq(audit_exit(scene_status(""), json), 4);
    ck_assert_int_eq(audit_exit(NULL, json), 1); /* an error */
}
END_TEST

START_TEST(test_usage)
{
    static const struct command_context context = {.socket = "/nonexistent/socket"};
    char name[] = "doctor", wrong[] = "--wrong", more[] = "more";

    optind = 0; /* getopt begins anew */
    ck_assert_int_eq(command_doctor(&context, 2, (char *[]){name, wrong, NULL}), COMMAND_USAGE);
    optind = 0;
    ck_assert_int_eq(command_doctor(&context, 2, (char *[]){name, more, NULL}), COMMAND_USAGE);
}
END_TEST

START_TEST(test_quote)
{
    char buffer[16];

    ck_assert(shell_quote("a'b", buffer, sizeof(buffer)));
    ck_assert_str_eq(buffer, "'a'\\''b'");
    ck_assert(shell_quote("0123456789abc", buffer, sizeof(buffer)));
    ck_assert(!shell_quote("0123456789abcd", buffer, sizeof(buffer)));
    ck_assert(!shell_quote("a\nb", buffer, sizeof(buffer)));
    ck_assert(!shell_quote("a\xff", buffer, sizeof(buffer)));
}
END_TEST

static void teardown(void)
{
    free(output);
    output = NULL;
    scene_end();
}

static void tests_add(TCase *tests)
{
    tcase_add_checked_fixture(tests, scene_begin, teardown);
    tcase_add_test(tests, test_text);
    tcase_add_test(tests, test_guests_are_one_group);
    tcase_add_test(tests, test_json);
    tcase_add_loop_test(tests, test_exit, 0, 2);
    tcase_add_test(tests, test_usage);
    tcase_add_test(tests, test_quote);
}

int main(void)
{
    Suite *suite = suite_create("cli_doctor_said");
    TCase *tests = tcase_create("doctor");

    (void)setlocale(LC_ALL, "C.UTF-8");
    tests_add(tests);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
