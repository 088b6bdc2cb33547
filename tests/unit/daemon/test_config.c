/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: what is read, every mistake with its words, and that nothing crashes it. */
#include "config.h"
#include "config_file.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128], drop_ins[160];

/* What the sink was told, a line each, without the folder. */
static char told[16384];
static unsigned told_count;

static void sink(const char *line, void *userdata)
{
    size_t used = strlen(told), prefix = strlen(folder) + 1;

    ck_assert_ptr_eq(userdata, told);
    if (strncmp(line, folder, prefix - 1) == 0)
        line += prefix;
    snprintf(told + used, sizeof(told) - used, "%s\n", line);
    told_count++;
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/plimsoll-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/p.conf", folder);
    snprintf(drop_ins, sizeof(drop_ins), "%s.d", path);
}

static void teardown(void)
{
    char command[256];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static void bytes_write(const char *name, const char *bytes, size_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, bytes, size), (int)size);
    close(fd);
}

static void text_write(const char *name, const char *text)
{
    bytes_write(name, text, strlen(text));
}

static void drop_in_write(const char *name, const char *text)
{
    char full[256];

    (void)mkdir(drop_ins, 0755);
    snprintf(full, sizeof(full), "%s/%s", drop_ins, name);
    text_write(full, text);
}

static int load(struct config **ret_config)
{
    told[0] = '\0';
    told_count = 0;
    return config_load(path, sink, told, ret_config);
}

static struct config *load_good(const char *text)
{
    struct config *config = NULL;

    text_write(path, text);
    int result = load(&config);
    ck_assert_msg(result == 0, "%d: %s", result, told);
    ck_assert_str_eq(told, "");
    return config;
}

static const char good[] = "# A comment\n"
                           "; another\n"
                           "[guard]\n"
                           "mode=enforce\n"
                           "floor = 4G   # of 256\n"
                           "vm-budget=80%\n"
                           "\ttight=10% 5min\n"
                           "scarce=5%\n"
                           "critical=10s\n"
                           "qmp-directory=/run/other/qmp\n"
                           "libvirt=qemu:///system\n"
                           "max-vms=200\n"
                           "on-exit=restore\n"
                           "max-destructive=5/1h 30min\n"
                           "\n"
                           "[class gold]\n"
                           "priority=900\n"
                           "shares=2000\n"
                           "minimum=75%\n"
                           "rungs=balloon pause\n"
                           "sacrifice=never\n"
                           "restart-cost=2h\n"
                           "mode=enforce\n"
                           "[class batch]\n"
                           "priority=1\n"
                           "[class default]\n"
                           "priority=50\n"
                           "[class empty]\n"
                           "[vm db[0-9]*]\n"
                           "class=gold\n"
                           "[vm render farm]\n"
                           "match=render-*\n"
                           "class=batch\n"
                           "minimum=1G\n"
                           "[vm db7]\n"
                           "priority=999\n"
                           "[vm render-never]\n"
                           "class=empty\n"
                           "sacrifice=last\n";

static void expect_threshold(
    struct threshold threshold, enum amount_kind kind, uint64_t value, uint64_t time)
{
    ck_assert_int_eq((int)threshold.headroom.kind, (int)kind);
    ck_assert_uint_eq(threshold.headroom.value, value);
    ck_assert_uint_eq(threshold.time, time);
}

START_TEST(guard_section)
{
    struct config *config = load_good(good);
    const struct guard_config *guard = config_guard(config);
    const struct host_rules *host = config_host_rules(config);

    ck_assert_str_eq(guard->qmp_directory, "/run/other/qmp");
    ck_assert_str_eq(guard->libvirt, "qemu:///system");
    ck_assert_uint_eq(guard->max_vms, 200);
    ck_assert_int_eq((int)host->mode, MODE_ENFORCE);
    ck_assert_int_eq((int)host->on_exit, ON_EXIT_RESTORE);
    ck_assert_int_eq((int)host->floor.kind, AMOUNT_BYTES);
    ck_assert_uint_eq(host->floor.value, 4 * GIB);
    ck_assert_int_eq((int)host->budget.kind, AMOUNT_SHARE);
    ck_assert_uint_eq(host->budget.value, 8000);
    expect_threshold(host->bands[BAND_TIGHT], AMOUNT_SHARE, 1000, 5 * NSEC_PER_MINUTE);
    expect_threshold(host->bands[BAND_SCARCE], AMOUNT_SHARE, 500, UNKNOWN);
    expect_threshold(host->bands[BAND_CRITICAL], AMOUNT_AUTO, 0, 10 * NSEC_PER_SEC);
    ck_assert_uint_eq(host->max_destructive, 5);
    ck_assert_uint_eq(host->max_destructive_window, 90 * NSEC_PER_MINUTE);
    ck_assert_ptr_null(config_free(config));
    ck_assert_ptr_null(config_free(NULL));
}
END_TEST

START_TEST(vm_rules)
{
    static const struct {
        const char *name, *class_name;
        uint32_t priority;
        enum sacrifice sacrifice;
        enum amount_kind minimum_kind;
        uint64_t minimum;
    } cases[] = {
        {"nobody", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"db1", "gold", 900, SACRIFICE_NEVER, AMOUNT_SHARE, 7500},
        {"db7", "gold", 999, SACRIFICE_NEVER, AMOUNT_SHARE, 7500},
        {"dbx", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"render farm", "default", 50, SACRIFICE_NORMAL, AMOUNT_AUTO, 0},
        {"render-12", "batch", 1, SACRIFICE_NORMAL, AMOUNT_BYTES, GIB},
        /* A later class replaces the earlier section as a whole. */
        {"render-never", "empty", PRIORITY_DEFAULT, SACRIFICE_LAST, AMOUNT_AUTO, 0},
    };
    struct config *config = load_good(good);
    struct vm_rules rules;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        config_vm_rules(config, cases[i].name, &rules);
        ck_assert_str_eq(rules.class_name, cases[i].class_name);
        ck_assert_msg(rules.priority == cases[i].priority, "%s: %u", cases[i].name, rules.priority);
        ck_assert_int_eq((int)rules.sacrifice, (int)cases[i].sacrifice);
        ck_assert_int_eq((int)rules.minimum.kind, (int)cases[i].minimum_kind);
        ck_assert_uint_eq(rules.minimum.value, cases[i].minimum);
    }
    config_vm_rules(config, "db1", &rules);
    ck_assert_uint_eq(rules.shares, 2000);
    ck_assert_uint_eq(rules.rungs, RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_PAUSE));
    ck_assert_uint_eq(rules.restart_cost, 120 * NSEC_PER_MINUTE);
    ck_assert_int_eq((int)rules.mode, MODE_ENFORCE);
    config_free(config);
}
END_TEST

START_TEST(defaults)
{
    struct config *config = load_good("");
    struct vm_rules rules;

    ck_assert_str_eq(config_guard(config)->qmp_directory, "/run/plimsoll/qmp");
    ck_assert_str_eq(config_guard(config)->libvirt, "auto");
    ck_assert_uint_eq(config_guard(config)->max_vms, MAX_VMS_DEFAULT);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_DRY_RUN);
    ck_assert_uint_eq(config_host_rules(config)->max_destructive, MAX_DESTRUCTIVE_DEFAULT);
    config_vm_rules(config, "any", &rules);
    ck_assert_str_eq(rules.class_name, "default");
    ck_assert_uint_eq(rules.priority, PRIORITY_DEFAULT);
    config_free(config);
}
END_TEST

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
                                       "reclaim brake pause save shutdown kill\n"},
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
    {"[class a]\nmemory-max=4G\n", "p.conf:2: memory-max= is not supported by this version\n"},
    {"[vm a]\noom-group=yes\n", "p.conf:2: oom-group= is not supported by this version\n"},
    {"[memlock]\nmode=off\n", "p.conf:1: section [memlock] is not known to this version; there are "
                              "[guard], [class NAME] and [vm NAME]\n"},
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
    struct config *config = (void *)told;

    text_write(path, mistakes[_i].text);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, mistakes[_i].told);
    ck_assert_ptr_eq(config, told);
}
END_TEST

/* [vm a] class=x, [vm b] class=y: econf_getKeys() of 0.5.1 does not list the second. */
START_TEST(same_key_in_neighbouring_sections)
{
    struct config *config =
        load_good("[class x]\npriority=1\n[class y]\npriority=2\n[vm a]\nclass=x"
                  "\n[vm b]\nclass=y\n[vm c]\nclass=x\n");
    struct vm_rules rules;

    config_vm_rules(config, "b", &rules);
    ck_assert_str_eq(rules.class_name, "y");
    ck_assert_uint_eq(rules.priority, 2);
    config_vm_rules(config, "c", &rules);
    ck_assert_uint_eq(rules.priority, 1);
    config_free(config);
}
END_TEST

START_TEST(line_ends_and_blanks)
{
    struct config *config = load_good("[guard]\r\nmode=enforce\r\n\r\n  max-vms \t=\t 7 \t\r\n"
                                      "[vm a] # names\nmatch = a\\*b ; c\nshares=3");
    struct vm_rules rules;

    ck_assert_uint_eq(config_guard(config)->max_vms, 7);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_ENFORCE);
    config_vm_rules(config, "a*b ; c", &rules);
    ck_assert_uint_eq(rules.shares, 3);
    config_free(config);
}
END_TEST

START_TEST(hidden_bytes)
{
    static const char nul[] = "[guard]\nmode=enforce\0dry-run\n";
    struct config *config = NULL;
    char *line = malloc(CONFIG_LINE_MAX + 64);

    bytes_write(path, nul, sizeof(nul) - 1);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf:2: has control characters or is not UTF-8\n");
    strcpy(line, "[vm a]\nmatch=");
    memset(line + strlen(line), 'x', CONFIG_LINE_MAX);
    line[CONFIG_LINE_MAX + 13] = '\0';
    text_write(path, line);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf:2: longer than 1024 bytes\n");
    free(line);
}
END_TEST

START_TEST(files_in_order)
{
    struct config *config = NULL;
    struct vm_rules rules;

    drop_in_write(
        "20-b.conf", "[guard]\nmax-vms=2\n[vm x]\nclass=late\n[class late]\npriority=7\n");
    drop_in_write(
        "10-a.conf", "[guard]\nmax-vms=3\nfloor=1G\n[vm x]\nshares=9\n[vm *]\nshares=4\n");
    drop_in_write(".30-hidden.conf", "[guard]\nmax-vms=4\n");
    drop_in_write("30-other.txt", "[guard]\nmax-vms=5\n");
    config = load_good("[guard]\nmax-vms=1\nmode=enforce\n[vm x]\nshares=8\npriority=3\n");
    ck_assert_uint_eq(config_guard(config)->max_vms, 2);
    ck_assert_uint_eq(config_host_rules(config)->floor.value, GIB);
    ck_assert_int_eq((int)config_host_rules(config)->mode, MODE_ENFORCE);
    /* [vm x] keeps its first place, before [vm *], and takes keys from all files. */
    config_vm_rules(config, "x", &rules);
    ck_assert_uint_eq(rules.shares, 4);
    ck_assert_uint_eq(rules.priority, 3);
    ck_assert_str_eq(rules.class_name, "late");
    config_free(config);

    drop_in_write("15-bad.conf", "[guard]\nmode=x\n");
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf.d/15-bad.conf:2: mode=x: expected \"enforce\" or \"dry-run\"\n");
}
END_TEST

START_TEST(files_refused)
{
    struct config *config = NULL;

    ck_assert_int_eq(load(&config), -ENOENT);
    ck_assert_str_eq(told, "p.conf: does not exist\n");
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf: is not a regular file\n");
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0644), 0); /* must not wait for a writer */
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf: is not a regular file\n");
    unlink(path);
    text_write(path, "");
    ck_assert_int_eq(truncate(path, CONFIG_FILE_MAX + 1), 0);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf: is larger than 1 MiB\n");
    text_write(path, "");
    if (geteuid() != 0)
        return; /* the rest is for root only */
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf: may be written by everybody; mend with: chmod o-w\n");
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(chown(path, 65534, 0), 0);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_str_eq(told, "p.conf: does not belong to root, for whom it decides what is killed\n");
}
END_TEST

START_TEST(mistakes_are_bounded)
{
    struct config *config = NULL;
    char *text = malloc(CONFIG_FILE_MAX + 1);

    for (size_t at = 0; at + 2 <= CONFIG_FILE_MAX; at += 2)
        memcpy(text + at, "x\n", 3);
    text_write(path, text);
    ck_assert_int_eq(load(&config), -EINVAL);
    ck_assert_uint_eq(told_count, 101);
    ck_assert_ptr_nonnull(strstr(told, "further mistakes are not listed\n"));
    free(text);
}
END_TEST

/* As many keys as one file may have: bounded in time, too (the case's timeout). */
START_TEST(largest_file)
{
    struct config *config = NULL;
    char *text = malloc(CONFIG_FILE_MAX);
    size_t used = 0;

    for (int i = 0; i < 4096; i++)
        used += (size_t)sprintf(text + used, "[vm guest-%d]\npriority=%d\nshares=%d\nminimum=1G\n",
            i, i % 1000 + 1, i + 1);
    text_write(path, text);
    free(text);
    ck_assert_int_eq(load(&config), 0);
    struct vm_rules rules;
    config_vm_rules(config, "guest-4095", &rules);
    ck_assert_uint_eq(rules.shares, 4096);
    config_free(config);
}
END_TEST

START_TEST(random_mutations)
{
    unsigned loaded = 0, refused = 0;

    srandom(1);
    for (int round = 0; round < 10000; round++) {
        char text[sizeof(good) + 64];
        size_t length = sizeof(good) - 1;
        memcpy(text, good, length);
        for (long left = 1 + random() % 2; left > 0; left--) {
            size_t at = (size_t)random() % length;
            static const char likely[] = "[]=#;\"\\\n\r \t%\0/.*";
            switch (random() % 4) {
            case 0:
                text[at] = (char)random();
                break;
            case 1:
                text[at] = likely[(size_t)random() % (sizeof(likely) - 1)];
                break;
            case 2: /* cut some out */
                memmove(text + at, text + at + (length - at) / 8, length - at - (length - at) / 8);
                length -= (length - at) / 8;
                break;
            default: /* double some */
                if (length + 16 < sizeof(text) && at >= 16) {
                    memmove(text + at + 8, text + at, length - at);
                    memcpy(text + at, text + at - 8, 8);
                    length += 8;
                }
                break;
            }
        }
        struct config *config = NULL;
        struct vm_rules rules;
        bytes_write(path, text, length);
        int result = load(&config);
        ck_assert(result == 0 || result == -EINVAL);
        ck_assert((result == 0) == (told_count == 0));
        ck_assert_msg(strstr(told, "libeconf") == NULL, "%s\n%.*s", told, (int)length, text);
        if (result == 0) {
            config_vm_rules(config, "db7", &rules);
            ck_assert(rules.priority >= PRIORITY_MIN && rules.priority <= PRIORITY_MAX);
            config_free(config);
        }
        loaded += result == 0;
        refused += result < 0;
    }
    ck_assert_uint_gt(loaded, 200);
    ck_assert_uint_gt(refused, 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, guard_section);
    tcase_add_test(tests, vm_rules);
    tcase_add_test(tests, defaults);
    tcase_add_loop_test(tests, each_mistake, 0, (int)ELEMENTSOF(mistakes));
    tcase_add_test(tests, same_key_in_neighbouring_sections);
    tcase_add_test(tests, line_ends_and_blanks);
    tcase_add_test(tests, hidden_bytes);
    tcase_add_test(tests, files_in_order);
    tcase_add_test(tests, files_refused);
    tcase_add_test(tests, mistakes_are_bounded);
    tcase_add_test(tests, largest_file);
    tcase_add_test(tests, random_mutations);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
