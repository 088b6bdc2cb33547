/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program in libqmp.3 does what the page says. Argument: that program. */
#include "fake_qemu.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 256

static const char *program;
static char folder[SCRATCH_FOLDER_MAX], monitor[SCRATCH_FOLDER_MAX + 8];

static void setup(void)
{
    scratch_make("manual", folder);
    (void)snprintf(monitor, sizeof(monitor), "%s/qmp", folder);
}

static void teardown(void)
{
    scratch_remove(folder);
}

/* Its status, and what it has printed. */
static int example_run(const char *path, char output[OUTPUT_MAX])
{
    char command[OUTPUT_MAX];
    size_t length;

    (void)snprintf(command, sizeof(command), "'%s' '%s' 2>&1", program, path);
    FILE *out = popen(command, "r"); /* NOLINT(cert-env33-c): the arguments are the test's own */
    ck_assert_ptr_nonnull(out);
    length = fread(output, 1, OUTPUT_MAX - 1, out);
    output[length] = '\0';
    return WEXITSTATUS(pclose(out));
}

START_TEST(it_asks_a_guest)
{
    struct fake_qemu fake;
    char output[OUTPUT_MAX];
    int status = 0;

    ck_assert_int_eq(fake_qemu_listen(&fake, monitor), 0);
    fake.ram = GIB;
    fake.balloon = 512 * MIB;
    fake.running = true;
    pid_t server = fork();
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(fake_qemu_accept(&fake) < 0 || fake_qemu_serve(&fake) < 0);
    }
    ck_assert_int_gt(server, 0);
    ck_assert_int_eq(example_run(monitor, output), 0);
    ck_assert_str_eq(output, "running\nballoon 536870912\n");
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_eq(status, 0);
    fake_qemu_close(&fake);
}
END_TEST

START_TEST(nobody_listens)
{
    char output[OUTPUT_MAX];

    ck_assert_int_eq(example_run(monitor, output), 1);
    ck_assert_str_eq(output, "No such file or directory\n");
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("manual_example");
    TCase *tests = tcase_create("example");

    if (argc != 2)
        return EXIT_FAILURE;
    program = argv[1];
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_asks_a_guest);
    tcase_add_test(tests, nobody_listens);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
