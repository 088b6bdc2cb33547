/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: every mistake with its words, and that nothing crashes its reader. */
#include "config_file.h"
#include "config_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some 1 ms each. */
#define MUTATIONS 2000

static const struct {
    const char *text, *told;
} mistakes[] = {
    {"[guard]\nmode=on\n", "p.conf:2: mode=on: expected \"enforce\" or \"dry-run\"\n"},
    {"[guard]\nfloor=101%\n", "p.conf:2: floor=101%: expected \"auto\", a size such as 4G, or a "
                              "share such as 5%, at most 100%\n"},
    {"[guard]\nvm-budget=auto\n",
        "p.conf:2: vm-budget=auto: expected a size such as 4G, or a share "
        "such as 50%, at most 100%\n"},
    {"[guard]\ntight=10% soon\n",
        "p.conf:2: tight=10% soon: expected \"auto\", or a size or share such as 10% and then a "
        "time such as 5min, or one of them\n"},
    {"[guard]\ntight=5%\nscarce=10%\n",
        "p.conf:3: scarce begins at more headroom than tight: the order is tight, scarce, "
        "critical\n"},
    {"[guard]\ncritical=2G\ntight=1G\n",
        "p.conf:2: critical begins at more headroom than tight: the order is tight, scarce, "
        "critical\n"},
    {"[guard]\nscarce=1min\n\ncritical=2min\n",
        "p.conf:4: critical begins with more time left than scarce: the order is tight, scarce, "
        "critical\n"},
    {"[guard]\nqmp-directory=qmp\n",
        "p.conf:2: qmp-directory=qmp: expected an absolute path of at most 255 bytes\n"},
    {"[guard]\nlibvirt=yes\n",
        "p.conf:2: libvirt=yes: expected \"auto\", \"off\" or a URI such as qemu:///system\n"},
    {"[guard]\nmax-vms=0\n", "p.conf:2: max-vms=0: expected a number from 1 to 16384\n"},
    {"[guard]\non-exit=undo\n", "p.conf:2: on-exit=undo: expected \"keep\" or \"restore\"\n"},
    {"[guard]\nmax-destructive=3\n", "p.conf:2: max-destructive=3: expected a number from 0 to "
                                     "1000, \"/\" and a time, such as 3/10min\n"},
    {"[guard]\nmax-destructive=3/0s\n", "p.conf:2: max-destructive=3/0s: expected a number from 0 "
                                        "to 1000, \"/\" and a time, such as 3/10min\n"},
    {"[class a]\npriority=1001\n", "p.conf:2: priority=1001: expected a number from 1 to 1000\n"},
    {"[class a]\npriority=0\n", "p.conf:2: priority=0: expected a number from 1 to 1000\n"},
    {"[class a]\nshares=0\n", "p.conf:2: shares=0: expected a number from 1 to 1000000\n"},
    {"[vm a]\nminimum=100.5%\n", "p.conf:2: minimum=100.5%: expected a size such as 4G, or a share "
                                 "such as 50%, at most 100%\n"},
    {"[vm a]\nrungs=balloon murder\n", "p.conf:2: rungs=balloon murder: expected some of balloon "
                                       "resize reclaim brake pause save shutdown kill\n"},
    {"[vm a]\nrungs=kill kill\n", "p.conf:2: rungs=kill kill: expected each rung once\n"},
    {"[vm a]\nsacrifice=no\n",
        "p.conf:2: sacrifice=no: expected \"normal\", \"last\" or \"never\"\n"},
    {"[vm a]\nrestart-cost=60\n",
        "p.conf:2: restart-cost=60: expected a time such as 60min or 1h 30min\n"},
    {"[vm a]\nclass=gold\n", "p.conf:2: class=gold: there is no [class gold] in any file\n"},
    {"[vm a]\nclass=g old\n", "p.conf:2: class=g old: expected a class name of at most 31 of the "
                              "characters A-Z a-z 0-9 . _ -\n"},
    {"[class a]\nmatch=*\n", "p.conf:2: [class a] has no key match\n"},
    {"[guard]\npriority=1\n", "p.conf:2: [guard] has no key priority\n"},
    {"[vm a]\nfloor=1G\n", "p.conf:2: [vm a] has no key floor\n"},
    {"[class a]\nmemory-max=0\n", "p.conf:2: memory-max=0: expected \"none\", a size such as 4G, "
                                  "or a share such as 90%, at most 100%\n"},
    {"[vm a]\nmemory-high=110%\n", "p.conf:2: memory-high=110%: expected \"none\", a size such as "
                                   "4G, or a share such as 90%, at most 100%\n"},
    {"[vm a]\npids-max=0\n",
        "p.conf:2: pids-max=0: expected \"none\", or a number from 1 to 4194304\n"},
    {"[class a]\ncpu-max=150\n",
        "p.conf:2: cpu-max=150: expected \"none\", or whole percent of one "
        "processor such as 150%, at most 100000%\n"},
    {"[class a]\ncpu-max=1.5%\n", "p.conf:2: cpu-max=1.5%: expected \"none\", or whole percent of "
                                  "one processor such as 150%, at most 100000%\n"},
    {"[class a]\ncpu-max=100001%\n",
        "p.conf:2: cpu-max=100001%: expected \"none\", or whole percent "
        "of one processor such as 150%, at most 100000%\n"},
    {"[class a]\noom-group=1\n", "p.conf:2: oom-group=1: expected \"yes\" or \"no\"\n"},
    {"[guard]\nmemory-max=4G\n", "p.conf:2: [guard] has no key memory-max\n"},
    {"[numa]\nmode=off\n",
        "p.conf:1: section [numa] is not known to this version; there are "
        "[guard], [memlock], [admission], [record], [class NAME] and [vm NAME]\n"},
    {"[record]\nmode=yes\n", "p.conf:2: mode=yes: expected \"on\" or \"off\"\n"},
    {"[record]\nlimit=1M\n", "p.conf:2: limit=1M: expected a size from 8M to 1T\n"},
    {"[record]\nlimit=2T\n", "p.conf:2: limit=2T: expected a size from 8M to 1T\n"},
    {"[memlock]\nmode=dry-run\n",
        "p.conf:2: mode=dry-run: expected \"off\", \"report\" or \"enforce\"\n"},
    {"[guard]\nmode=report\n", "p.conf:2: mode=report: expected \"enforce\" or \"dry-run\"\n"},
    {"[memlock]\npinned-limit=4G\n",
        "p.conf:2: pinned-limit=4G: expected a share such as 80%, at most 100%\n"},
    {"[memlock]\nfloor=1G\n", "p.conf:2: [memlock] has no key floor\n"},
    {"[guard]\npinned-limit=80%\n", "p.conf:2: [guard] has no key pinned-limit\n"},
    {"[class]\n", "p.conf:1: [class]: expected a class name of at most 31 of the characters A-Z "
                  "a-z 0-9 . _ -\n"},
    {"[vm]\n", "p.conf:1: [vm]: expected a name of at most 127 bytes\n"},
    {"[class a/b]\n", "p.conf:1: [class a/b]: expected a class name of at most 31 of the "
                      "characters A-Z a-z 0-9 . _ -\n"},
    /* What libeconf passes over. */
    {"[guard]\nmode=enforce\n[class a]\n[guard]\nfloor=1G\n",
        "p.conf:4: section [guard] stands already at line 1\n"},
    {"[vm a]\nshares=1\npriority=2\nshares=3\n", "p.conf:4: shares= stands already at line 2\n"},
    {"mode=enforce\n", "p.conf:1: mode= stands before any section\n"},
    {"[guard]\nmode=enforce\nfloor 4G\n", "p.conf:3: expected key=value or [section]\n"},
    {"[guard]\nmode=enforce\n   dry-run\n", "p.conf:3: expected key=value or [section]\n"},
    {"[guard]\nMode=enforce\n", "p.conf:2: expected key=value or [section]\n"},
    {"[guard]\n=enforce\n", "p.conf:2: expected key=value or [section]\n"},
    {"[guard]\nmode=\n", "p.conf:2: mode= has no value\n"},
    {"[guard]\nmode=  # none\n", "p.conf:2: mode= has no value\n"},
    {"[guard]\nmode=\"enforce\"\n", "p.conf:2: mode=: values stand without quotes\n"},
    {"[vm a]\nmatch=web#1\n", "p.conf:2: match=: a '#' within a value begins a comment; write a "
                              "blank before it, or in a pattern '?' for it\n"},
    {"[guard\nmode=enforce\n", "p.conf:1: expected a section's name in brackets\n"},
    {"[guard] x\nmode=enforce\n", "p.conf:1: expected a section's name in brackets\n"},
    {"[]\n", "p.conf:1: expected a section's name in the brackets, without blanks around it\n"},
    {"[ guard]\n",
        "p.conf:1: expected a section's name in the brackets, without blanks around it\n"},
    {"\xef\xbb\xbf[guard]\nmode=enforce\n", "p.conf:1: has control characters or is not UTF-8\n"
                                            "p.conf:2: mode= stands before any section\n"},
    {"[vm a]\nmatch=a\x1b[2J\n", "p.conf:2: has control characters or is not UTF-8\n"},
    {"[vm a]\nmatch=\xff\n", "p.conf:2: has control characters or is not UTF-8\n"},
    /* All in one pass, form and meaning together. */
    {"[guard]\nmode=on\nnonsense\nfloor=x\n[class a]\npriority=9999\n[vm b]\nclass=c\n",
        "p.conf:3: expected key=value or [section]\n"
        "p.conf:2: mode=on: expected \"enforce\" or \"dry-run\"\n"
        "p.conf:4: floor=x: expected \"auto\", a size such as 4G, or a share such as 5%, at most "
        "100%\n"
        "p.conf:6: priority=9999: expected a number from 1 to 1000\n"
        "p.conf:8: class=c: there is no [class c] in any file\n"},
};

START_TEST(each_mistake)
{
    struct config *config = (void *)scene.told;

    scratch_write(scene.path, mistakes[_i].text);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, mistakes[_i].told);
    ck_assert_ptr_eq(config, scene.told);
}
END_TEST

START_TEST(hidden_bytes)
{
    static const char nul[] = "[guard]\nmode=enforce\0dry-run\n", head[] = "[vm a]\nmatch=";
    struct config *config = NULL;
    char line[sizeof(head) + CONFIG_LINE_MAX];

    scratch_write_bytes(scene.path, nul, sizeof(nul) - 1);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf:2: has control characters or is not UTF-8\n");
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memcpy(line, head, sizeof(head) - 1);
    scratch_write(scene.path, line);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf:2: longer than 1024 bytes\n");
}
END_TEST

START_TEST(files_refused)
{
    struct config *config = NULL;

    ck_assert_int_eq(config_try(&config), -ENOENT);
    ck_assert_str_eq(scene.told, "p.conf: does not exist\n");
    ck_assert_int_eq(mkdir(scene.path, 0755), 0);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf: is not a regular file\n");
    rmdir(scene.path);
    ck_assert_int_eq(mkfifo(scene.path, 0644), 0); /* must not wait for a writer */
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf: is not a regular file\n");
    unlink(scene.path);
    scratch_write(scene.path, "");
    ck_assert_int_eq(truncate(scene.path, CONFIG_FILE_MAX + 1), 0);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf: is larger than 1 MiB\n");
    scratch_write(scene.path, "");
    if (geteuid() != 0)
        return; /* the rest is for root only */
    ck_assert_int_eq(chmod(scene.path, 0666), 0);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(scene.told, "p.conf: may be written by everybody; mend with: chmod o-w\n");
    ck_assert_int_eq(chmod(scene.path, 0644), 0);
    ck_assert_int_eq(chown(scene.path, 65534, 0), 0);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_str_eq(
        scene.told, "p.conf: does not belong to root, for whom it decides what is killed\n");
}
END_TEST

START_TEST(mistakes_are_bounded)
{
    struct config *config = NULL;
    char *text = malloc(CONFIG_FILE_MAX + 1);

    for (size_t at = 0; at + 2 <= CONFIG_FILE_MAX; at += 2)
        memcpy(text + at, "x\n", 3);
    scratch_write(scene.path, text);
    ck_assert_int_eq(config_try(&config), -EINVAL);
    ck_assert_uint_eq(scene.told_count, 101);
    ck_assert_ptr_nonnull(strstr(scene.told, "further mistakes are not listed\n"));
    free(text);
}
END_TEST

/* Room that doubling some of the text may take, in all. */
#define MUTATION_ROOM 64

/* Changes a byte, cuts some out or doubles some; returns the new length. */
static size_t text_mutate(char *text, size_t length, size_t size)
{
    static const char likely[] = "[]=#;\"\\\n\r \t%\0/.*";
    size_t at = (size_t)random() % length, cut = (length - at) / 8;

    switch (random() % 4) {
    case 0:
        text[at] = (char)random();
        return length;
    case 1:
        text[at] = likely[(size_t)random() % (sizeof(likely) - 1)];
        return length;
    case 2:
        memmove(text + at, text + at + cut, length - at - cut);
        return length - cut;
    default:
        if (length + 16 >= size || at < 16)
            return length;
        memmove(text + at + 8, text + at, length - at);
        memcpy(text + at, text + at - 8, 8);
        return length + 8;
    }
}

START_TEST(random_mutations)
{
    uint64_t cases = suite_cases(MUTATIONS), loaded = 0;
    size_t good_length = strlen(config_good), size = good_length + MUTATION_ROOM;
    char *text = malloc(size);

    srandom(1);
    for (uint64_t left = cases; left > 0; left--) {
        struct config *config = NULL;
        size_t length = good_length;
        struct vm_rules rules;

        memcpy(text, config_good, length);
        for (long changes = 1 + random() % 2; changes > 0; changes--)
            length = text_mutate(text, length, size);
        scratch_write_bytes(scene.path, text, length);
        int result = config_try(&config);
        ck_assert(result == 0 || result == -EINVAL);
        ck_assert((result == 0) == (scene.told_count == 0));
        ck_assert_msg(
            strstr(scene.told, "libeconf") == NULL, "%s\n%.*s", scene.told, (int)length, text);
        if (result == 0) {
            config_vm_rules(config, "db7", &rules);
            ck_assert(rules.priority >= PRIORITY_MIN && rules.priority <= PRIORITY_MAX);
            config_free(config);
            loaded++;
        }
    }
    free(text);
    /* Some of both kinds, or nothing was proved. */
    ck_assert_uint_gt(loaded, cases / 50);
    ck_assert_uint_lt(loaded, cases - cases / 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("mistakes");

    tcase_add_checked_fixture(tests, config_scene_setup, config_scene_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_mistake, 0, (int)ELEMENTSOF(mistakes));
    tcase_add_test(tests, hidden_bytes);
    tcase_add_test(tests, files_refused);
    tcase_add_test(tests, mistakes_are_bounded);
    tcase_add_test(tests, random_mutations);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
