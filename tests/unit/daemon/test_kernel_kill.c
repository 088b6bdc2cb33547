/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of the kernel's log. The pair marked "seen" came out of a Linux 6.18's /dev/kmsg, but for
 * the cgroup's path; the others are what the format strings of mm/oom_kill.c and mm/memcontrol.c of
 * 5.10 and 6.1 give, which are the same.
 */
#include "kernel_kill.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 2048
#define LINES_MAX 3

static struct kernel_kill_parser parser;

static void setup(void)
{
    parser = (struct kernel_kill_parser){0};
}

static bool record_take(const char *record, struct kernel_kill *ret_kill)
{
    struct kernel_record parsed;
    char bytes[RECORD_MAX];

    ck_assert_uint_lt(strlen(record), sizeof bytes);
    memcpy(bytes, record, strlen(record));
    ck_assert_msg(
        kernel_record_parse(bytes, strlen(record), &parsed) == 0, "no record: %s", record);
    return kernel_kill_parse(&parser, &parsed, ret_kill);
}

#define FIGURES " total-vm:10kB, anon-rss:3kB, file-rss:2kB, shmem-rss:1kB, UID:64055 pgtables:9kB "

static const struct {
    const char *records[LINES_MAX]; /* the last tells of a kill */
    struct kernel_kill kill;
} kills[] = {
    /* Seen: a cgroup's limit, and a name that plays the line. */
    {{"6,474,26089640940,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,"
      "mems_allowed=0,oom_memcg=/p/q,task_memcg=/p/q,task=a) total-vm:\\x0a(1,pid=13878,uid=0\n",
         "3,475,26089640975,-;Memory cgroup out of memory: Killed process 13878 "
         "(a) total-vm:\\x0a(1) total-vm:57844kB, anon-rss:19336kB, file-rss:4236kB, "
         "shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:0\n"},
        {13878, "a) total-vm:\n(1", KILL_CONSTRAINT_CGROUP, UINT64_C(23572) * KIB, 0, true}},
    /* The host, with CONFIG_PRINTK_CALLER and a guest of libvirt. */
    {{"6,9,8,-,caller=T77;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=emulator,"
      "mems_allowed=0-1,global_oom,task_memcg=/machine.slice/"
      "machine-qemu\\x5cx2d1\\x5cx2dweb.scope/"
      "libvirt/emulator,task=qemu-system-x86,pid=4242,uid=64055\n",
         "3,10,9,-,caller=T77;Out of memory: Killed process 4242 (qemu-system-x86) "
         "total-vm:9021332kB, anon-rss:8388608kB, file-rss:23552kB, shmem-rss:4kB, UID:64055 "
         "pgtables:17012kB oom_score_adj:-300\n"},
        {4242, "qemu-system-x86", KILL_CONSTRAINT_HOST, UINT64_C(8412164) * KIB, -300, true}},
    /* A node: by policy, and by cpuset. */
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=1,cpuset=/,mems_allowed=0-1,"
      "global_oom,task_memcg=/q,task=qemu,pid=7,uid=0\n",
         "3,10,9,-;Out of memory: Killed process 7 (qemu)" FIGURES "oom_score_adj:1000\n"},
        {7, "qemu", KILL_CONSTRAINT_NODE, 6 * KIB, 1000, true}},
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=emulator,"
      "mems_allowed=1,global_oom,task_memcg=/q,task=qemu,pid=7,uid=0\n",
         "3,10,9,-;Out of memory: Killed process 7 (qemu)" FIGURES "oom_score_adj:0\n"},
        {7, "qemu", KILL_CONSTRAINT_NODE, 6 * KIB, 0, true}},
    /* vm.oom_kill_allocating_task. */
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
      "global_oom,task_memcg=/,task=sh,pid=7,uid=0\n",
         "3,10,9,-;Out of memory (oom_kill_allocating_task): Killed process 7 (sh)" FIGURES
         "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_HOST, 6 * KIB, 0, true}},
    /* The first line was not printed (its rate is limited), or is of another kill. */
    {{"3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 0, true}},
    {{"3,10,9,-;Memory cgroup out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_CGROUP, 6 * KIB, 0, true}},
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
      "global_oom,task_memcg=/,task=sh,pid=8,uid=0\n",
         "3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 0, true}},
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
      "oom_memcg=/,task_memcg=/,task=sh,pid=7,uid=0\n",
         "3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 0, true}},
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_OF_TOMORROW,nodemask=(null),task=sh,pid=7,uid=0\n",
         "3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 0, true}},
    /* Torn: another CPU printed in between, and the rest became a record of its own. */
    {{"6,9,8,c;oom-kill:constraint=CONSTRAINT_NONE\n",
         "6,10,8,c;,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task=sh,pid=7,uid=0\n",
         "3,11,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n"},
        {7, "sh", KILL_CONSTRAINT_HOST, 6 * KIB, 0, true}},
    /* A name and a cgroup that imitate what follows them; an owner below 0 is how %d shows it. */
    {{"6,9,8,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
      "global_oom,task_memcg=/x,pid=1,uid=0,task=,pid=1,uid=0,pid=7,uid=-2\n",
         "3,10,9,-;Out of memory: Killed process 7 (,pid=1,uid=0)" FIGURES "oom_score_adj:0\n"},
        {7, ",pid=1,uid=0", KILL_CONSTRAINT_HOST, 6 * KIB, 0, true}},
    {{"3,10,9,-;Out of memory: Killed process 7 () oom_score_adj)" FIGURES "oom_score_adj:5\n"},
        {7, ") oom_score_adj", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 5, true}},
    {{"3,10,9,-;Out of memory: Killed process 7 ()" FIGURES "oom_score_adj:5\n"},
        {7, "", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 5, true}},
    {{"3,10,9,-;Out of memory: Killed process 7 (\\x5c\\xff\\x00\\xg1\\x)" FIGURES
      "oom_score_adj:5\n"},
        {7, "\\\xff?\\xg1\\x", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 5, true}},
    /* Longer than any name: cut. */
    {{"3,10,9,-;Out of memory: Killed process 7 (0123456789abcdefghi)" FIGURES "oom_score_adj:5\n"},
        {7, "0123456789abcde", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 5, true}},
    /* Figures that are missing, malformed or too large are unknown; the kill is one all the same.
     */
    {{"3,10,9,-;Out of memory: Killed process 7 (sh) total-vm:1kB, anon-rss:1kB, file-rss:1kB\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, UNKNOWN, 0, false}},
    {{"3,10,9,-;Out of memory: Killed process 7 (sh) total-vm:1kB, anon-rss:18014398509481984kB, "
      "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:9kB oom_score_adj:1001\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, UNKNOWN, 0, false}},
    {{"3,10,9,-;Out of memory: Killed process 7 (sh) total-vm:1kB, anon-rss:17000000000000000kB, "
      "file-rss:17000000000000000kB, shmem-rss:0kB, UID:0 pgtables:9kB oom_score_adj:-1x\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, UNKNOWN, 0, false}},
    /* The properties of a device, which a kill has not, come after the line. */
    {{"3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:5\n SUBSYSTEM=x\n"},
        {7, "sh", KILL_CONSTRAINT_UNKNOWN, 6 * KIB, 5, true}},
};

START_TEST(a_kill_is_told)
{
    struct kernel_kill kill = {0};
    bool told = false;

    for (size_t i = 0; i < LINES_MAX && kills[_i].records[i]; i++) {
        ck_assert_msg(!told, "told before %s", kills[_i].records[i]);
        told = record_take(kills[_i].records[i], &kill);
    }
    ck_assert_msg(told, "not told: %s", kills[_i].records[0]);
    ck_assert_int_eq(kill.pid, kills[_i].kill.pid);
    ck_assert_str_eq(kill.name, kills[_i].kill.name);
    ck_assert_int_eq(kill.constraint, kills[_i].kill.constraint);
    ck_assert_uint_eq(kill.rss, kills[_i].kill.rss);
    ck_assert_int_eq(kill.oom_score_adj, kills[_i].kill.oom_score_adj);
    ck_assert_int_eq(kill.oom_score_adj_known, kills[_i].kill.oom_score_adj_known);
}
END_TEST

static const char *const others[] = {
    /* Forged: written to /dev/kmsg, which gives it facility 1 at least (8 = user). */
    "11,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n",
    "27,10,9,-;Memory cgroup out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n",
    /* By a name at the beginning of a line. */
    "4,10,9,-;Out of memory:  invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n",
    "4,10,9,-;x Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n",
    "6,10,9,-;[  7]  0  7  1  1  1  0  0  Out of memory: Killed process 7 (sh) total-vm:1kB\n",
    "6,10,9,-;Out of memory: OOM victim 7 (sh) is already exiting. Skip killing the task\n",
    "6,10,9,-;oom_reaper: reaped process 7 (sh), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB\n",
    "4,10,9,-;Out of memory and no killable processes...\n",
    /* Cut, or with a pid that is none. */
    "3,10,9,-;Out of memory: Killed process \n",
    "3,10,9,-;Out of memory: Killed process 7\n",
    "3,10,9,-;Out of memory: Killed process 7 (sh\n",
    "3,10,9,-;Out of memory: Killed process 7 (sh) \n",
    "3,10,9,-;Out of memory: Killed process 7) total-vm:1kB\n",
    "3,10,9,-;Out of memory: Killed process 0 (sh)" FIGURES "oom_score_adj:0\n",
    "3,10,9,-;Out of memory: Killed process -7 (sh)" FIGURES "oom_score_adj:0\n",
    "3,10,9,-;Out of memory: Killed process  7 (sh)" FIGURES "oom_score_adj:0\n",
    "3,10,9,-;Out of memory: Killed process 2147483648 (sh)" FIGURES "oom_score_adj:0\n",
    "3,10,9,-;\n",
};

START_TEST(another_line_is_none)
{
    struct kernel_kill kill;

    ck_assert_msg(!record_take(others[_i], &kill), "told: %s", others[_i]);
}
END_TEST

/* A forged first line does not colour a true second. */
START_TEST(a_forged_constraint_is_not_taken)
{
    struct kernel_kill kill;

    ck_assert(
        !record_take("14,9,8,-;oom-kill:constraint=CONSTRAINT_NONE,task=sh,pid=7,uid=0\n", &kill));
    ck_assert(record_take(
        "3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n", &kill));
    ck_assert_int_eq(kill.constraint, KILL_CONSTRAINT_UNKNOWN);
}
END_TEST

/* One summary is of one kill: what memory.oom.group takes along has none of its own. */
START_TEST(a_constraint_is_of_one_kill)
{
    struct kernel_kill kill;

    ck_assert(!record_take("6,9,8,c;oom-kill:constraint=CONSTRAINT_NONE\n", &kill));
    for (int i = 0; i < 2; i++) {
        ck_assert(record_take(
            "3,10,9,-;Out of memory: Killed process 7 (sh)" FIGURES "oom_score_adj:0\n", &kill));
        ck_assert_int_eq(kill.constraint, i == 0 ? KILL_CONSTRAINT_HOST : KILL_CONSTRAINT_UNKNOWN);
    }
}
END_TEST

START_TEST(a_record_is_whole_or_none)
{
    static const struct {
        const char *bytes;
        size_t length; /* 0: all */
    } broken[] = {
        {"", 0},
        {"\n", 0},
        {"6,1,2,-;torn", 0},
        {"6,1,2,-\n", 0},
        {"6,1;x\n", 0},
        {"6;x\n", 0},
        {",1,2,-;x\n", 0},
        {"x,1,2,-;x\n", 0},
        {"-6,1,2,-;x\n", 0},
        {"6,x,2,-;x\n", 0},
        {"99999999999999999999,1,2,-;x\n", 0},
        {"6,18446744073709551615,2,-;x\n", 0},
        {"6,1,2,-;a\0b\n", 12},
        {"6,1,2,-\n;x\n", 0},
    };
    char bytes[64] = "190,123456789,5,c,caller=C1;a;b\\x0ac\n SUBSYSTEM=x\n";
    struct kernel_record record;

    ck_assert_int_eq(kernel_record_parse(bytes, strlen(bytes), &record), 0);
    ck_assert_uint_eq(record.facility, 23);
    ck_assert_uint_eq(record.sequence, 123456789);
    ck_assert_str_eq(record.text, "a;b\\x0ac");
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        size_t length = broken[i].length ? broken[i].length : strlen(broken[i].bytes);

        memcpy(bytes, broken[i].bytes, length);
        ck_assert_msg(
            kernel_record_parse(bytes, length, &record) == -EBADMSG, "taken: %s", broken[i].bytes);
    }
}
END_TEST

/* Every true line, cut anywhere and with any byte changed, is read within its bounds: no pid out of
 * range, no name without its end. A sanitizer or valgrind sees the rest. */
START_TEST(damaged_lines_do_no_harm)
{
    srandom(1);
    for (uint64_t left = suite_cases(50000); left > 0; left--) {
        size_t i = (size_t)random() % ELEMENTSOF(kills), last = 0;
        struct kernel_record record;
        struct kernel_kill kill;

        while (last + 1 < LINES_MAX && kills[i].records[last + 1])
            last++;
        const char *line = kills[i].records[(size_t)random() % (last + 1)];
        size_t length = strlen(line), cut = (size_t)random() % length;
        char *bytes = malloc(length);
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, line, length);
        for (long changes = random() % 4; changes > 0; changes--)
            bytes[(size_t)random() % length] = (char)random();
        if (random() % 2)
            length = cut;
        if (kernel_record_parse(bytes, length, &record) == 0 &&
            kernel_kill_parse(&parser, &record, &kill)) {
            ck_assert_int_gt(kill.pid, 0);
            ck_assert_uint_lt(strnlen(kill.name, sizeof kill.name), sizeof kill.name);
            ck_assert_uint_lt(kill.constraint, KILL_CONSTRAINT_COUNT);
        }
        free(bytes);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel kill");
    TCase *tests = tcase_create("kernel kill");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_kill_is_told, 0, ELEMENTSOF(kills));
    tcase_add_loop_test(tests, another_line_is_none, 0, ELEMENTSOF(others));
    tcase_add_test(tests, a_forged_constraint_is_not_taken);
    tcase_add_test(tests, a_constraint_is_of_one_kill);
    tcase_add_test(tests, a_record_is_whole_or_none);
    tcase_add_test(tests, damaged_lines_do_no_harm);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
