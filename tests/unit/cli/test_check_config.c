/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll check-config`: whatever the guard would refuse fails it, its own file above all. */
#include "command.h"
#include "config.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/control.h>
#include <stdio.h>

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16];

static void setup(void)
{
    scratch_make("check", folder);
    (void)snprintf(path, sizeof(path), "%s/plimsoll.conf", folder);
}

static void teardown(void)
{
    scratch_remove(folder);
}

/* FILE and MORE may be NULL. */
static int check(char *file, char *more)
{
    static const struct command_context context = {.socket = ""};
    char name[] = "check-config";
    char *arguments[] = {name, file, more, NULL};

    return command_check_config(&context, more ? 3 : file ? 2 : 1, arguments);
}

START_TEST(a_file_is_judged)
{
    ck_assert_int_eq(check(path, NULL), COMMAND_FAILED); /* there is none */
    scratch_write(path, "[guard]\nmode=enforce\n");
    ck_assert_int_eq(check(path, NULL), COMMAND_OK);
    scratch_write(path, "[guard]\nmode=enforced\n");
    ck_assert_int_eq(check(path, NULL), COMMAND_FAILED);
    ck_assert_int_eq(check(path, path), COMMAND_USAGE);
}
END_TEST

static void mistake_ignore(const char *line, void *userdata)
{
    (void)line;
    (void)userdata;
}

/* As the unit asks before it tells the guard to read it. This host may have one or not. */
START_TEST(without_a_file_it_is_the_guards)
{
    struct config *config = NULL;
    int loaded = config_load(CONFIG_FILE_DEFAULT, mistake_ignore, NULL, &config);

    ck_assert_int_eq(check(NULL, NULL), loaded < 0 ? COMMAND_FAILED : COMMAND_OK);
    (void)config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check-config");
    TCase *tests = tcase_create("check-config");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_file_is_judged);
    tcase_add_test(tests, without_a_file_it_is_the_guards);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
