/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll vm` and what `plimsoll status` says beside the figures, of a whole guard on a fake host
 * that reads its configuration from several files and hears of a domain's metadata; each command is
 * a child.
 */
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "command.h"
#include "control_interface.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#define ANSWER_MAX 65536
#define PATIENCE (20 * NSEC_PER_SEC)

static struct fake_host host;
static char answer[ANSWER_MAX]; /* what it printed, on both */

static void teardown(void)
{
    fake_host_end(&host);
}

typedef int command_run(const struct command_context *context, int argc, char **argv);

static void answer_read(int fd)
{
    ssize_t count = lseek(fd, 0, SEEK_SET) == 0 ? read(fd, answer, sizeof(answer) - 1) : -1;

    ck_assert_int_ge(count, 0);
    answer[count] = '\0';
    (void)close(fd);
}

/* Runs it with two arguments, one or none while the guard serves; returns its exit status. */
static int run(command_run *command, bool json, const char *first, const char *second)
{
    char path[256], name[] = "command", copies[2][512] = {"", ""};
    const struct command_context context = {.socket = path, .json = json};
    char *arguments[] = {name, first ? copies[0] : NULL, second ? copies[1] : NULL, NULL};
    int status;

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    (void)snprintf(copies[0], sizeof(copies[0]), "%s", first ? first : "");
    (void)snprintf(copies[1], sizeof(copies[1]), "%s", second ? second : "");
    int fd = open(host.tree->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        status = command(&context, 1 + (first != NULL) + (second != NULL), arguments);
        (void)fflush(stdout);
        _exit(status);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
        control_server_expire(host.guard->control, loop_now());
    }
    ck_assert(WIFEXITED(status));
    answer_read(fd);
    return WEXITSTATUS(status);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(answer, text) != NULL, "no “%s” in:\n%.6000s", text, answer);
}

static void has_not(const char *text)
{
    ck_assert_msg(strstr(answer, text) == NULL, "“%s” in:\n%.6000s", text, answer);
}

/* A line of the rules: KEY, VALUE, and behind the folder of the test FILE. */
static void has_rule(const char *key, const char *value, const char *file)
{
    char line[512];

    (void)snprintf(
        line, sizeof(line), "\n  %-14s%-20s%s/%s\n", key, value, host.tree->folder, file);
    has(line);
}

static void ask(const char *name)
{
    ck_assert_msg(run(command_vm, false, name, NULL) == COMMAND_OK, "%s: %s", name, answer);
}

static const char files_config[] = "[guard]\n"
                                   "mode=enforce\n"
                                   "qmp-directory=/nonexistent\n"
                                   "max-vms=8\n"
                                   "[class default]\n"
                                   "mode=enforce\n"
                                   "[class gold]\n"
                                   "priority=900\n"
                                   "[vm web*]\n"
                                   "class=gold\n";

static void begin(const char *config)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2, config);
    fake_tree_write(host.tree, "plimsoll.conf.d/10-more.conf", "%s",
        "[class gold]\nshares=7\n[vm all of 1]\nmatch=*1\nminimum=1536M\nsacrifice=last\n");
}

static void tick(void)
{
    for (unsigned i = 0; i < 3; i++)
        fake_host_tick(&host, NSEC_PER_SEC);
}

START_TEST(origins_from_files)
{
    char folder[512];

    begin(files_config);
    (void)fake_host_guest(&host, "web1", 2 * GIB);
    fake_host_start_guard(&host);
    tick();
    ask("web1");
    has("web1: alive\n");
    has_rule("match", "web*", "plimsoll.conf:9 [vm web*]");
    has_rule("match", "*1", "plimsoll.conf.d/10-more.conf:4 [vm all of 1]");
    has_rule("class", "gold", "plimsoll.conf:10 [vm web*]");
    has_rule("guard-mode", "enforce", "plimsoll.conf:2 [guard]");
    has_rule("priority", "900", "plimsoll.conf:8 [class gold]");
    has_rule("shares", "7", "plimsoll.conf.d/10-more.conf:2 [class gold]");
    has_rule("minimum", "1536M", "plimsoll.conf.d/10-more.conf:5 [vm all of 1]");
    has("\n  mode          dry-run             nobody: built in\n");
    has("\n  commit        minimum             nobody: built in\n");
    has("it is decided on, and nothing is done to it; its own rules say so");
    has("  Next        it is the only guest that may be killed\n");
    (void)snprintf(folder, sizeof(folder), "%s/proc/", host.tree->folder);
    has("\n  rss                   2G ");
    has(folder);
    has("/statm\n");
    has_not("Unmatched");
}
END_TEST

START_TEST(another_file_after_a_reload)
{
    struct error error = {0};

    begin(files_config);
    (void)fake_host_guest(&host, "web2", 2 * GIB);
    fake_host_start_guard(&host);
    tick();
    fake_tree_write(host.tree, "plimsoll.conf.d/10-more.conf", "%s",
        "\n\n[vm web2]\npriority=17\n[admission]\ncommit=maximum\n");
    ask("web2");
    has_rule("priority", "900", "plimsoll.conf:8 [class gold]");
    ck_assert_msg(guard_reload(host.guard, &error) == 0, "%s", error.text);
    tick();
    ask("web2");
    has_rule("priority", "17", "plimsoll.conf.d/10-more.conf:4 [vm web2]");
    has_rule("commit", "maximum", "plimsoll.conf.d/10-more.conf:6 [admission]");
    has("\n  shares        1000                nobody: built in\n");
    /* One that cannot be used leaves what is said as it is. */
    fake_tree_write(host.tree, "plimsoll.conf.d/10-more.conf", "%s", "[vm web2]\npriority=no\n");
    ck_assert_int_lt(guard_reload(host.guard, &error), 0);
    ask("web2");
    has_rule("priority", "17", "plimsoll.conf.d/10-more.conf:4 [vm web2]");
}
END_TEST

START_TEST(whom_nobody_has_said_anything_of)
{
    begin(files_config);
    (void)fake_host_guest(&host, "stray", 2 * GIB);
    (void)fake_host_guest(&host, "web7", 2 * GIB);
    fake_host_start_guard(&host);
    tick();
    ask("stray");
    has("  Unmatched   no [vm …] section fits it and its metadata says nothing");
    has("\n  class         default             nobody: built in\n");
    has_rule("mode", "enforce", "plimsoll.conf:6 [class default]");
    has("  Next        if one has to be killed it goes first, of 2 that may be\n");
    ck_assert_int_eq(run(command_status, false, NULL, NULL), COMMAND_OK);
    has("default* ");
    has("\n* no [vm …] section fits, and its metadata says nothing: 1 guest\n"
        "If one had to be killed, stray would go first;");
    has_not("gold*");
    ck_assert_int_eq(run(command_status, true, NULL, NULL), COMMAND_OK);
    has("\"victim_order\":2,\"unmatched\":false");
    has("\"victim_order\":1,\"unmatched\":true");
}
END_TEST

START_TEST(which_guest_is_meant)
{
    char pid[32];

    begin(files_config);
    (void)fake_host_guest(&host, "web1", GIB);
    (void)fake_host_guest(&host, "twin", GIB);
    pid_t twin = fake_host_guest(&host, "twin", GIB);
    (void)fake_host_guest(&host, "new\x1b[2J vm=gold", GIB);
    (void)snprintf(pid, sizeof(pid), "%d", (int)twin);
    (void)fake_host_guest(&host, pid, GIB); /* a guest that is called by a number */
    fake_host_start_guard(&host);
    tick();

    /* Who is called so is meant, not who has that pid. */
    ask(pid);
    ck_assert_ptr_nonnull(strstr(answer, ": alive\n"));
    ck_assert_int_eq(strncmp(answer, pid, strlen(pid)), 0);
    ask("new?[2J vm=gold");
    ck_assert_ptr_null(strchr(answer, '\x1b'));
    ask("new\x1b[2J vm=gold");

    ck_assert_int_eq(run(command_vm, false, "twin", NULL), COMMAND_FAILED);
    has("“twin” is what 2 guests have; say which by its pid: ");
    has(pid);
    ck_assert_int_eq(run(command_vm, false, "wbe1", NULL), COMMAND_FAILED);
    has("no guest has the name, uuid or pid “wbe1”; near it: web1\n");
    ck_assert_int_eq(run(command_vm, false, "TWI", NULL), COMMAND_FAILED);
    has("near it: twin, twin\n");
    ck_assert_int_eq(run(command_vm, false, "unheard-of", NULL), COMMAND_FAILED);
    has("“unheard-of”; all are shown by: plimsoll status\n");
    ck_assert_int_eq(run(command_vm, false, "\x1b[2J", NULL), COMMAND_FAILED);
    ck_assert_ptr_null(strchr(answer, '\x1b'));
    ck_assert_int_eq(run(command_vm, false, "", NULL), COMMAND_FAILED);
}
END_TEST

START_TEST(a_command_line_that_is_none)
{
    begin(files_config);
    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_vm, false, NULL, NULL), COMMAND_USAGE);
    ck_assert_int_eq(run(command_vm, false, "a", "b"), COMMAND_USAGE);
    ck_assert_int_eq(run(command_vm, false, "--nothing", NULL), COMMAND_USAGE);
    ck_assert_int_eq(run(command_vm, false, "--", "-x"), COMMAND_FAILED);
    has("“-x”");
}
END_TEST

/* ---- with libvirt's side ---- */

static void begin_virt(const char *class_name, const char *more)
{
    const char *arguments[] = {
        "qemu-system-x86_64", "-name", "guest=web", "-uuid", FAKE_VIRT_UUID_TEXT, NULL};
    struct guard_options options;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    pid_t guest = fake_host_guest(&host, "web", GIB);
    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nqmp-directory=/nonexistent\nmax-vms=8\nlibvirt=fake://good/%d/%s\n"
        "[class gold]\npriority=900\n%s",
        (int)guest, class_name, more);
    options = (struct guard_options){
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .dry_run = true,
        .roots = host.tree->roots,
    };
    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
    tick();
    const struct vm *vm = inventory_vm(host.guard->inventory, 0);
    for (uint64_t limit = loop_now() + PATIENCE; !(vm->figures.sources & VM_SOURCE_LIBVIRT);) {
        ck_assert_msg(loop_now() < limit, "libvirt never spoke of it");
        guard_advance_virt(host.guard, loop_now());
        ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + 20 * NSEC_PER_MSEC), 0);
    }
    tick();
}

START_TEST(a_domain_says_its_class)
{
    begin_virt("gold", "");
    ask(FAKE_VIRT_UUID_TEXT);
    has("web: ");
    has("known by proc, libvirt\n");
    has("\n  class         gold                the domain's metadata\n");
    has_rule("priority", "900", "plimsoll.conf:6 [class gold]");
    has("\n  guard-mode    dry-run             plimsolld --dry-run\n");
    has("  Refused     minimum= in its metadata does not hold: ");
    has("\n  defined_memory        2G ");
    has("libvirt:domain-xml\n");
    has_not("Unmatched");
}
END_TEST

START_TEST(a_section_stands_above_a_domain)
{
    begin_virt("gold", "[class plain]\n[vm web]\nclass=plain\n");
    ask("web");
    has_rule("class", "plain", "plimsoll.conf:9 [vm web]");
    has("\n  priority      100                 nobody: built in\n");
}
END_TEST

START_TEST(a_class_that_is_not_configured)
{
    begin_virt("platinum", "");
    ask("web");
    has("  Refused     class= in its metadata does not hold: there is no [class platinum] in the "
        "configuration\n");
    has("\n  class         default             nobody: built in\n");
    has("  Unmatched   ");
}
END_TEST

/* Every key of VALUE stands in the interface description as a field. */
static void assert_described(struct json_object *value)
{
    size_t count =
        json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;

    for (size_t i = 0; i < count; i++)
        assert_described(json_object_array_get_idx(value, i));
    if (!json_object_is_type(value, json_type_object))
        return;
    json_object_object_foreach(value, key, child)
    {
        char after_space[64], after_parenthesis[64];

        (void)snprintf(after_space, sizeof(after_space), " %s: ", key);
        (void)snprintf(after_parenthesis, sizeof(after_parenthesis), "(%s: ", key);
        ck_assert_msg(strstr(control_interface_description(), after_space) ||
                          strstr(control_interface_description(), after_parenthesis),
            "%s is not described", key);
        assert_described(child);
    }
}

START_TEST(as_json)
{
    static const char *const parts[] = {"vm", "policy", "refused", "facts", "victims", "band"};

    begin_virt("gold", "");
    ck_assert_int_eq(run(command_vm, true, "web", NULL), COMMAND_OK);
    struct json_object *reply = json_tokener_parse(answer);
    ck_assert_ptr_nonnull(reply);
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        ck_assert_msg(
            json_object_object_get_ex(reply, parts[i], NULL), "no %s in %s", parts[i], answer);
    assert_described(reply);
    json_object_put(reply);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    (void)setlocale(LC_ALL, "C.UTF-8");
    Suite *suite = suite_create("cli_vm_live");
    TCase *tests = tcase_create("live");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, origins_from_files);
    tcase_add_test(tests, another_file_after_a_reload);
    tcase_add_test(tests, whom_nobody_has_said_anything_of);
    tcase_add_test(tests, which_guest_is_meant);
    tcase_add_test(tests, a_command_line_that_is_none);
    tcase_add_test(tests, a_domain_says_its_class);
    tcase_add_test(tests, a_section_stands_above_a_domain);
    tcase_add_test(tests, a_class_that_is_not_configured);
    tcase_add_test(tests, as_json);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
