/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's figures, read from a fake tree where every number is known, and from this machine. */
#include "fake_tree.h"
#include "sample_host.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake_tree *tree;
static struct host_sampler *sampler;
static struct host_snapshot host;

static void setup(void)
{
    tree = fake_tree_new();
    fake_tree_host(tree);
    memset(&host, 0, sizeof(host));
}

static void teardown(void)
{
    sampler = host_sampler_free(sampler);
    tree = fake_tree_free(tree);
}

static void open_and_read(void)
{
    ck_assert_int_eq(host_sampler_new(&tree->roots, &sampler, NULL), 0);
    host_sampler_read(sampler, SAMPLE_FULL, NSEC_PER_SEC, &host);
}

START_TEST(reads_every_field)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    fake_tree_write(tree, "proc/spl/kstat/zfs/arcstats",
        "13 1 0x01 123 33456 8000 9000\nname                            type data\n"
        "hits                            4    17\nsize                            4    8589934592\n"
        "c_min                           4    1073741824\n");
    open_and_read();
    ck_assert_uint_eq(host.total, 16 * GIB);
    ck_assert_uint_eq(host.free, 8 * GIB);
    ck_assert_uint_eq(host.available, 10 * GIB);
    ck_assert_uint_eq(host.anonymous, 5 * GIB);
    ck_assert_uint_eq(host.cached, 2 * GIB);
    ck_assert_uint_eq(host.shmem, 128 * MIB);
    ck_assert_uint_eq(host.slab_unreclaimable, 64 * MIB);
    ck_assert_uint_eq(host.page_tables, 20 * MIB);
    ck_assert_uint_eq(host.locked, 18816 * KIB);
    ck_assert_uint_eq(host.commit_limit, 12 * GIB);
    ck_assert_uint_eq(host.committed, 7 * GIB);
    ck_assert_int_eq(host.overcommit, OVERCOMMIT_STRICT);
    ck_assert_uint_eq(host.swap_total, 4 * GIB);
    ck_assert_uint_eq(host.swap_free, 4 * GIB - 4 * MIB);
    ck_assert_uint_eq(host.watermark_min, (50 + 10000 + 11000) * page);
    ck_assert_uint_eq(host.watermark_low, (60 + 12000 + 13000) * page);
    ck_assert_uint_eq(host.watermark_high, (70 + 15000 + 16000) * page);
    ck_assert_uint_eq(host.arc_size, 8 * GIB);
    ck_assert_uint_eq(host.arc_minimum, GIB);
    ck_assert_uint_eq(host.hugepages_total, GIB);
    ck_assert_uint_eq(host.hugepages_free, 256 * MIB);
    ck_assert_uint_eq(host.oom_kills, 4);
    ck_assert_uint_eq(host.allocation_stalls, 6);
    ck_assert_uint_eq(host.swapped_in, 10 * page);
    ck_assert_uint_eq(host.swapped_out, 1000 * page);
    ck_assert_uint_eq(host.memory_pressure.some, 123456000);
    ck_assert_uint_eq(host.memory_pressure.full, 7890000);
    ck_assert_int_eq(host_sampler_psi_fd(sampler), -1);
}
END_TEST

START_TEST(computes_what_nodes_have)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    /* The DMA zone's protection exceeds what it manages, which bounds its reserve. */
    const uint64_t low[] = {(60 + 12000) * page, 13000 * page};
    const uint64_t reserve[] = {(3840 + 15000) * page, 16000 * page};

    open_and_read();
    ck_assert_uint_eq(host.node_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct node_snapshot *node = &host.nodes[i];
        ck_assert_uint_eq(node->id, i);
        ck_assert_uint_eq(node->total, 8 * GIB);
        ck_assert_uint_eq(node->free, 4 * GIB);
        ck_assert_uint_eq(
            node->available, 4 * GIB - reserve[i] + (GIB - low[i]) + (256 * MIB - low[i]));
        ck_assert_uint_eq(node->hugepages_total, 512 * MIB);
        ck_assert_uint_eq(node->hugepages_free, 128 * MIB);
    }
}
END_TEST

START_TEST(edge_leaves_the_rest)
{
    open_and_read();
    fake_tree_write(tree, "proc/meminfo", "MemTotal: 1024 kB\nMemFree: 512 kB\n");
    fake_tree_write(tree, "proc/vmstat", "oom_kill 9\n");
    host_sampler_read(sampler, SAMPLE_EDGE, 2 * NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.total, MIB);
    ck_assert(!known(host.available));
    ck_assert_uint_eq(host.oom_kills, 4);
    ck_assert_uint_eq(host.nodes[1].hugepages_total, 512 * MIB);
    ck_assert(known(host.nodes[1].available));
    host_sampler_read(sampler, SAMPLE_FULL, 3 * NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.oom_kills, 9);
    ck_assert(!known(host.allocation_stalls));
}
END_TEST

START_TEST(absent_is_unknown)
{
    fake_tree_remove(tree, "proc/pressure");
    fake_tree_remove(tree, "proc/vmstat");
    fake_tree_remove(tree, "proc/zoneinfo");
    fake_tree_remove(tree, "proc/sys");
    fake_tree_remove(tree, "sys/kernel");
    open_and_read();
    ck_assert(!known(host.memory_pressure.some) && !known(host.memory_pressure.full));
    ck_assert(!known(host.oom_kills) && !known(host.swapped_out) && !known(host.swap_rate));
    ck_assert(!known(host.watermark_low) && !known(host.hugepages_total));
    ck_assert(!known(host.arc_size) && host.overcommit == OVERCOMMIT_UNKNOWN);
    ck_assert_uint_eq(host.node_count, 2);
    ck_assert(!known(host.nodes[0].available));
    ck_assert_uint_eq(host.nodes[0].free, 4 * GIB);
}
END_TEST

START_TEST(without_nodes)
{
    fake_tree_remove(tree, "sys/devices");
    open_and_read();
    ck_assert_uint_eq(host.node_count, 0);
    ck_assert_uint_eq(host.total, 16 * GIB);
}
END_TEST

START_TEST(no_meminfo_no_sampler)
{
    struct error error = {.code = 0};

    fake_tree_write(tree, "proc/meminfo", "MemFree: 12");
    ck_assert_int_eq(host_sampler_new(&tree->roots, &sampler, &error), -EBADMSG);
    fake_tree_remove(tree, "proc/meminfo");
    ck_assert_int_eq(host_sampler_new(&tree->roots, &sampler, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, "meminfo"));
    ck_assert_ptr_null(sampler);
}
END_TEST

START_TEST(broken_lines_are_unknown)
{
    open_and_read();
    fake_tree_write(tree, "proc/meminfo",
        "MemTotal:  99999999999999999999 kB\nMemFree: 18446744073709551615 kB\n"
        "MemAvailable: twelve kB\nCached: 12 MB\nSwapTotal: 7 kB\nAnonPages: 123");
    host_sampler_read(sampler, SAMPLE_EDGE, NSEC_PER_SEC, &host);
    ck_assert(!known(host.total) && !known(host.free) && !known(host.available));
    ck_assert(!known(host.cached) && !known(host.anonymous));
    ck_assert_uint_eq(host.swap_total, 7 * KIB);
    fake_tree_write(tree, "proc/meminfo", "%s", "");
    fake_tree_write(tree, "proc/pressure/memory", "some avg10=0.00 total=5");
    host_sampler_read(sampler, SAMPLE_EDGE, NSEC_PER_SEC, &host);
    ck_assert(!known(host.swap_total) && !known(host.memory_pressure.some));
}
END_TEST

START_TEST(node_vanishes_and_returns)
{
    open_and_read();
    fake_tree_write(tree, "sys/devices/system/node/node0/meminfo", "%s", "");
    host_sampler_read(sampler, SAMPLE_EDGE, NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.node_count, 1);
    ck_assert_uint_eq(host.nodes[0].id, 1);
    ck_assert_uint_eq(host.nodes[0].hugepages_total, 512 * MIB);
    fake_tree_write(tree, "sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 512 kB\n");
    host_sampler_read(sampler, SAMPLE_EDGE, NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.node_count, 1);
    host_sampler_read(sampler, SAMPLE_FULL, NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.node_count, 2);
    ck_assert_uint_eq(host.nodes[1].id, 0);
    ck_assert_uint_eq(host.nodes[1].total, MIB);
    fake_tree_write(tree, "sys/devices/system/node/node7/meminfo",
        "Node 7 MemTotal: 2048 kB\nNode 7 MemFree: 512 kB\n");
    fake_tree_write(tree, "sys/devices/system/node/online", "0-1,7\n");
    host_sampler_read(sampler, SAMPLE_FULL, NSEC_PER_SEC, &host);
    ck_assert_uint_eq(host.node_count, 3);
    ck_assert_uint_eq(host.nodes[2].id, 7);
}
END_TEST

START_TEST(node_without_memory_is_left_out)
{
    fake_tree_write(tree, "sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal: 0 kB\nNode 0 MemFree: 0 kB\n");
    open_and_read();
    ck_assert_uint_eq(host.node_count, 1);
    ck_assert_uint_eq(host.nodes[0].id, 1);
}
END_TEST

static void swap_and_write(uint64_t pages, uint64_t stalled)
{
    fake_tree_write(tree, "proc/vmstat", "pswpout %llu\n", (unsigned long long)pages);
    fake_tree_write(tree, "proc/pressure/memory",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        (unsigned long long)(stalled / NSEC_PER_USEC));
}

static void swap_and_open(uint64_t pages, uint64_t stalled)
{
    swap_and_write(pages, stalled);
    open_and_read();
}

static void swap_and_read(uint64_t pages, uint64_t stalled, uint64_t now)
{
    swap_and_write(pages, stalled);
    host_sampler_read(sampler, SAMPLE_FULL, now, &host);
}

START_TEST(swap_rate_is_a_fading_peak)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t stalled = NSEC_PER_SEC;

    swap_and_open(1000, stalled);
    ck_assert(!known(host.swap_rate));
    swap_and_read(1000, stalled, 2 * NSEC_PER_SEC);
    ck_assert(!known(host.swap_rate));
    swap_and_read(61000, stalled + NSEC_PER_SEC, 4 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.swap_rate, 30000 * page);
    /* The counter is folded once a second: less than that says nothing. */
    swap_and_read(99000, stalled + NSEC_PER_SEC, 4 * NSEC_PER_SEC + NSEC_PER_MSEC);
    ck_assert_uint_eq(host.swap_rate, 30000 * page);
    /* Everybody waits, and less goes out. */
    swap_and_read(61000, stalled + 300 * NSEC_PER_SEC, 304 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.swap_rate, 15000 * page);
}
END_TEST

/* The lab's storm beside 4 GiB of idle swap: a dozen kilobytes had gone there, the device was taken
 * to be as slow as that, and a guest was killed. */
START_TEST(swap_that_nobody_waits_for_says_nothing)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    swap_and_open(1000, 0);
    swap_and_read(1003, 0, 2 * NSEC_PER_SEC);
    ck_assert(!known(host.swap_rate));
    swap_and_read(61003, NSEC_PER_SEC, 4 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.swap_rate, 30000 * page);
    swap_and_read(61003, NSEC_PER_SEC, 604 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.swap_rate, 30000 * page);
    swap_and_read(141003, NSEC_PER_SEC, 606 * NSEC_PER_SEC);
    ck_assert_uint_eq(host.swap_rate, 40000 * page);
}
END_TEST

START_TEST(many_cpus_make_a_long_zoneinfo)
{
    size_t size = 4 * MIB, used = 0;
    char *text = malloc(size);

    ck_assert_ptr_nonnull(text);
    used += (size_t)snprintf(text, size,
        "Node 0, zone   Normal\n        min      1\n        low      2\n        high     3\n"
        "        managed  100\n        protection: (0, 0)\n");
    for (unsigned cpu = 0; cpu < 20000; cpu++)
        used += (size_t)snprintf(text + used, size - used,
            "    cpu: %u\n              count: 7\n              high:     11011\n", cpu);
    used += (size_t)snprintf(text + used, size - used,
        "Node 1, zone   Normal\n        min      10\n        low      20\n        high     30\n"
        "        managed  100\n        protection: (0, 0)\n");
    fake_tree_write_bytes(tree, "proc/zoneinfo", text, used);
    free(text);
    open_and_read();
    ck_assert_uint_eq(host.watermark_high, 33 * (uint64_t)sysconf(_SC_PAGESIZE));
}
END_TEST

/* One sample of the real machine holds together. */
START_TEST(this_machine)
{
    const struct roots real = {.proc = "/proc", .sys = "/sys"};
    uint64_t total = 0, available = 0;

    ck_assert_int_eq(host_sampler_new(&real, &sampler, NULL), 0);
    host_sampler_read(sampler, SAMPLE_FULL, NSEC_PER_SEC, &host);
    ck_assert(known(host.total) && known(host.available));
    ck_assert_uint_le(host.free, host.total);
    ck_assert_uint_le(host.available, host.total);
    ck_assert(known(host.watermark_min) && host.watermark_min <= host.watermark_high);
    ck_assert(known(host.oom_kills) && known(host.allocation_stalls));
    struct pollfd trigger = {.fd = host_sampler_psi_fd(sampler), .events = POLLPRI};
    if (!known(host.memory_pressure.some)) {
        ck_assert_int_eq(trigger.fd, -1);
        (void)fprintf(stderr, "skipped: no PSI on this machine\n");
    } else {
        /* The kernel takes the shorter window or the unprivileged one. */
        ck_assert_int_ge(trigger.fd, 0);
        ck_assert_int_ge(poll(&trigger, 1, 0), 0);
        ck_assert_int_eq(trigger.revents & (POLLERR | POLLNVAL), 0);
    }
    for (uint32_t i = 0; i < host.node_count; i++) {
        total += host.nodes[i].total;
        available += host.nodes[i].available;
    }
    if (host.node_count == 0) {
        (void)fprintf(stderr, "skipped: this machine shows no NUMA nodes\n");
        return;
    }
    /* The kernel's own MemAvailable, of a moment before. What is not available is compared, because
     * memory that a hypervisor has just plugged in can be missing in the nodes' totals. */
    int64_t difference = diff_i64(total - available, host.total - host.available);
    ck_assert_int_le(llabs(difference), (int64_t)(host.total / 500));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_host");
    TCase *tests = tcase_create("sample_host");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, reads_every_field);
    tcase_add_test(tests, computes_what_nodes_have);
    tcase_add_test(tests, edge_leaves_the_rest);
    tcase_add_test(tests, absent_is_unknown);
    tcase_add_test(tests, without_nodes);
    tcase_add_test(tests, no_meminfo_no_sampler);
    tcase_add_test(tests, broken_lines_are_unknown);
    tcase_add_test(tests, node_vanishes_and_returns);
    tcase_add_test(tests, node_without_memory_is_left_out);
    tcase_add_test(tests, swap_rate_is_a_fading_peak);
    tcase_add_test(tests, swap_that_nobody_waits_for_says_nothing);
    tcase_add_test(tests, many_cpus_make_a_long_zoneinfo);
    tcase_add_test(tests, this_machine);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
