/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll replay`: its exit status says whether the same was decided, one JSON object holds all
 * that was not, and a trace from somebody else cannot draw on the terminal.
 */
#include "command.h"
#include "scratch.h"
#include "suite.h"
#include "trace_scene.h"

#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* command_replay.c, as cmp(1). */
#define SAME 0
#define DIFFERS 1
#define UNUSABLE 2

#define OTHER_RULES "[guard]\nmode=enforce\n[class default]\nrungs=balloon\nminimum=100%\n"
/* As it stands in a trace. */
#define NAME "\"guest\""

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16],
    config_path[SCRATCH_FOLDER_MAX + 16], out_path[SCRATCH_FOLDER_MAX + 16];
static struct trace trace;
static char *output;

static void once(void)
{
    trace = trace_record(0);
}

static void once_over(void)
{
    free(trace.text);
}

static void setup(void)
{
    scratch_make("replay", folder);
    (void)snprintf(path, sizeof(path), "%s/trace", folder);
    (void)snprintf(config_path, sizeof(config_path), "%s/plimsoll.conf", folder);
    (void)snprintf(out_path, sizeof(out_path), "%s/out", folder);
    scratch_write(path, trace.text);
    output = NULL;
}

static void teardown(void)
{
    free(output);
    scratch_remove(folder);
}

static void output_take(void)
{
    FILE *file = fopen(out_path, "re");
    size_t size = 0;

    ck_assert_ptr_nonnull(file);
    free(output);
    output = NULL;
    /* Nothing that is printed has a NUL in it. */
    if (getdelim(&output, &size, '\0', file) < 0) {
        free(output); /* it is allocated even then */
        output = strdup("");
    }
    ck_assert_ptr_nonnull(output);
    (void)fclose(file);
}

/* CONFIG: that of a file, or NULL. What it prints is in `output` afterwards. */
static int replay(const char *config, bool json)
{
    struct command_context context = {.socket = "", .json = json};
    char name[] = "replay", option[] = "--config";
    char *arguments[] = {name, path, config ? option : NULL, config_path, NULL};
    int terminal = dup(STDOUT_FILENO);

    if (config)
        scratch_write(config_path, config);
    (void)fflush(stdout);
    ck_assert_ptr_nonnull(freopen(out_path, "we", stdout));
    optind = 0; /* as for a process that has parsed nothing yet (getopt(3)) */
    int result = command_replay(&context, config ? 4 : 2, arguments);
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(terminal, STDOUT_FILENO), 0);
    (void)close(terminal);
    output_take();
    return result;
}

START_TEST(the_status_says_whether_it_is_the_same)
{
    ck_assert_int_eq(replay(NULL, false), SAME);
    ck_assert_ptr_nonnull(strstr(output, "decided otherwise in 0 of them"));
    ck_assert_int_eq(replay(OTHER_RULES, false), DIFFERS);
    ck_assert_ptr_nonnull(strstr(output, "  then  guest: "));
}
END_TEST

START_TEST(what_cannot_be_played_is_no_difference)
{
    ck_assert_int_eq(replay("[guard]\nmoed=enforce\n", false), UNUSABLE);
    scratch_write(path, "{\"plimsoll\":1}\n");
    ck_assert_int_eq(replay(NULL, false), UNUSABLE);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(replay(NULL, false), UNUSABLE);
}
END_TEST

START_TEST(it_wants_one_trace)
{
    static const struct command_context context = {.socket = ""};
    char name[] = "replay";
    char *none[] = {name, NULL}, *two[] = {name, path, path, NULL};

    optind = 0;
    ck_assert_int_eq(command_replay(&context, 1, none), COMMAND_USAGE);
    optind = 0;
    ck_assert_int_eq(command_replay(&context, 3, two), COMMAND_USAGE);
}
END_TEST

static int64_t number_of(struct json_object *object, const char *key)
{
    struct json_object *value;

    ck_assert_msg(json_object_object_get_ex(object, key, &value), "no %s", key);
    return json_object_get_int64(value);
}

START_TEST(one_object_holds_it_all)
{
    static const char *const configs[] = {NULL, OTHER_RULES};
    struct json_object *differences;

    ck_assert_int_eq(replay(configs[_i], true), _i == 0 ? SAME : DIFFERS);
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *object = json_tokener_parse_ex(tokener, output, (int)strlen(output) + 1);
    ck_assert_ptr_nonnull(object);
    /* And nothing else. */
    ck_assert_uint_ge(json_tokener_get_parse_end(tokener), strlen(output));
    json_tokener_free(tokener);
    ck_assert(json_object_object_get_ex(object, "differences", &differences));
    ck_assert_int_eq(
        number_of(object, "different"), (int64_t)json_object_array_length(differences));
    ck_assert_int_eq(number_of(object, "looks"), (int64_t)trace.frames);
    ck_assert(_i == 0 ? number_of(object, "different") == 0 : number_of(object, "different") > 0);
    json_object_put(object);
}
END_TEST

/* The trace with the first name in it replaced. */
static void rename_guest(const char *name)
{
    const char *at = strstr(trace.text, NAME);
    FILE *file = fopen(path, "we");

    ck_assert(at && file);
    (void)fwrite(trace.text, 1, (size_t)(at - trace.text), file);
    (void)fputs(name, file);
    (void)fputs(at + strlen(NAME), file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(no_name_draws_on_the_terminal)
{
    rename_guest("\"\\u001b[2J\\n\\u009b1m\"");
    for (int json = 0; json < 2; json++) {
        ck_assert_int_eq(replay(OTHER_RULES, json), DIFFERS);
        ck_assert_ptr_null(strchr(output, '\033'));
        ck_assert_ptr_null(strstr(output, "\xc2\x9b"));
        ck_assert_ptr_nonnull(strstr(output, "?[2J?"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");

    tcase_add_unchecked_fixture(tests, once, once_over);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_status_says_whether_it_is_the_same);
    tcase_add_test(tests, what_cannot_be_played_is_no_difference);
    tcase_add_test(tests, it_wants_one_trace);
    tcase_add_loop_test(tests, one_object_holds_it_all, 0, 2);
    tcase_add_test(tests, no_name_draws_on_the_terminal);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
