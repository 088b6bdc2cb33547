/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns a temporary folder; texts are as Linux 6.1 writes them, with fewer lines. */
#include "fake_tree.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tree_path(const struct fake_tree *tree, const char *path, char *buffer)
{
    int length = snprintf(buffer, PATH_MAX, "%s/%s", tree->folder, path);

    ck_assert(length > 0 && length < PATH_MAX);
}

struct fake_tree *fake_tree_new(void)
{
    struct fake_tree *tree = calloc(1, sizeof(*tree));

    ck_assert_ptr_nonnull(tree);
    scratch_make("fake", tree->folder);
    (void)snprintf(tree->proc, sizeof(tree->proc), "%s/proc", tree->folder);
    (void)snprintf(tree->sys, sizeof(tree->sys), "%s/sys", tree->folder);
    (void)snprintf(tree->unified, sizeof(tree->unified), "%s/unified", tree->folder);
    (void)snprintf(tree->memory, sizeof(tree->memory), "%s/memory", tree->folder);
    ck_assert_int_eq(mkdir(tree->proc, 0755), 0);
    ck_assert_int_eq(mkdir(tree->sys, 0755), 0);
    tree->roots = (struct roots){.proc = tree->proc, .sys = tree->sys};
    return tree;
}

struct fake_tree *fake_tree_free(struct fake_tree *tree)
{
    if (!tree)
        return NULL;
    scratch_remove(tree->folder);
    free(tree);
    return NULL;
}

void fake_tree_write_bytes(
    struct fake_tree *tree, const char *path, const void *bytes, size_t length)
{
    char full[PATH_MAX];

    tree_path(tree, path, full);
    scratch_write_bytes(full, bytes, length);
}

void fake_tree_write(struct fake_tree *tree, const char *path, const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    ck_assert_int_ge(length, 0);
    fake_tree_write_bytes(tree, path, text, (size_t)length);
    free(text);
}

void fake_tree_link(struct fake_tree *tree, const char *path, const char *target)
{
    char full[PATH_MAX];

    tree_path(tree, path, full);
    scratch_make_parents(full);
    (void)unlink(full);
    ck_assert_int_eq(symlink(target, full), 0);
}

void fake_tree_remove(struct fake_tree *tree, const char *path)
{
    char full[PATH_MAX];

    tree_path(tree, path, full);
    scratch_remove(full);
}

static void tree_write_node(struct fake_tree *tree, unsigned node)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/meminfo", node);
    fake_tree_write(tree, path,
        "\nNode %u MemTotal:        8388608 kB\nNode %u MemFree:         4194304 kB\n"
        "Node %u Active(file):     524288 kB\nNode %u Inactive(file):   524288 kB\n"
        "Node %u KReclaimable:     262144 kB\nNode %u SReclaimable:     262144 kB\n",
        node, node, node, node, node, node);
    (void)snprintf(path, sizeof(path),
        "sys/devices/system/node/node%u/hugepages/hugepages-2048kB/nr_hugepages", node);
    fake_tree_write(tree, path, "256\n");
    (void)snprintf(path, sizeof(path),
        "sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages", node);
    fake_tree_write(tree, path, "64\n");
}

void fake_tree_host(struct fake_tree *tree)
{
    fake_tree_write(tree, "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:         8388608 kB\n"
        "MemAvailable:   10485760 kB\nBuffers:           10240 kB\n"
        "Cached:          2097152 kB\nSwapCached:            0 kB\n"
        "Mlocked:           18816 kB\nSwapTotal:       4194304 kB\n"
        "SwapFree:        4190208 kB\nAnonPages:       5242880 kB\n"
        "Shmem:            131072 kB\nSUnreclaim:        65536 kB\n"
        "PageTables:        20480 kB\nCommitLimit:    12582912 kB\n"
        "Committed_AS:    7340032 kB\nHugePages_Total:     512\nHugepagesize:       2048 kB\n");
    fake_tree_write(tree, "proc/vmstat",
        "nr_free_pages 2097152\npswpin 10\npswpout 1000\nallocstall_dma32 1\n"
        "allocstall_normal 2\nallocstall_movable 3\noom_kill 4\noom_killer 77\n");
    fake_tree_write(tree, "proc/pressure/memory",
        "some avg10=1.50 avg60=0.20 avg300=0.00 total=123456\n"
        "full avg10=0.50 avg60=0.10 avg300=0.00 total=7890\n");
    fake_tree_write(tree, "proc/zoneinfo",
        "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 2262\n"
        "  pages free     3840\n        boost    0\n        min      50\n        low      60\n"
        "        high     70\n        managed  3840\n        protection: (0, 3000, 5000, 5000)\n"
        "  pagesets\n    cpu: 0\n              count: 0\n              high:     999999\n"
        "Node 0, zone   Normal\n  pages free     1048576\n        min      10000\n"
        "        low      12000\n        high     15000\n        managed  2000000\n"
        "        protection: (0, 0, 0, 0)\n              high:     6435\n"
        "Node 1, zone   Normal\n  pages free     1048576\n        min      11000\n"
        "        low      13000\n        high     16000\n        managed  2097152\n"
        "        protection: (0, 0, 0, 0)\n");
    fake_tree_write(tree, "proc/sys/vm/overcommit_memory", "2\n");
    fake_tree_write(tree, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    fake_tree_write(tree, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "128\n");
    fake_tree_write(tree, "sys/devices/system/node/online", "0-1\n");
    tree_write_node(tree, 0);
    tree_write_node(tree, 1);
}

void fake_tree_mounts(struct fake_tree *tree, enum fake_cgroups cgroups)
{
    char v1[256] = "", v2[256] = "";

    if (cgroups != FAKE_CGROUPS_V2)
        (void)snprintf(v1, sizeof(v1),
            "34 31 0:31 / /nowhere/cpu rw - cgroup cgroup rw,cpu\n"
            "35 31 0:32 / %s rw,relatime shared:9 - cgroup cgroup rw,memory\n",
            tree->memory);
    if (cgroups != FAKE_CGROUPS_V1)
        (void)snprintf(v2, sizeof(v2),
            "41 31 0:38 / %s rw,relatime shared:5 - cgroup2 cgroup2 rw,nsdelegate\n",
            tree->unified);
    fake_tree_write(
        tree, "proc/self/mountinfo", "23 1 0:20 / / rw - ext4 /dev/root rw\n%s%s", v1, v2);
}

static void process_write(struct fake_tree *tree, pid_t pid, const char *file, const char *text)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "proc/%d/%s", (int)pid, file);
    fake_tree_write(tree, path, "%s", text);
}

static void process_write_status(struct fake_tree *tree, const struct fake_process *process)
{
    char text[512];
    unsigned long long rss = process->rss_kib;

    (void)snprintf(text, sizeof(text),
        "Name:\tqemu\nState:\tS (sleeping)\nVmPeak:\t %llu kB\nVmLck:\t    1024 kB\n"
        "VmPin:\t    2048 kB\nVmRSS:\t%8llu kB\nRssAnon:\t%8llu kB\nRssFile:\t     256 kB\n"
        "RssShmem:\t     512 kB\nVmPTE:\t      48 kB\nVmSwap:\t      96 kB\n"
        "HugetlbPages:\t    4096 kB\nThreads:\t3\nMems_allowed_list:\t0-1\n",
        rss * 2, rss, rss - 768);
    process_write(tree, process->pid, "status", text);
}

void fake_tree_process(struct fake_tree *tree, const struct fake_process *process)
{
    char text[512], path[64];
    unsigned long long pages = process->rss_kib * 1024 / (unsigned long long)sysconf(_SC_PAGESIZE);

    (void)snprintf(text, sizeof(text),
        "%d (%s) %c 1 1 1 0 -1 4194560 100 0 0 0 5 6 0 0 20 0 3 0 %llu %llu %llu "
        "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        (int)process->pid, process->name ? process->name : "qemu-system-x86",
        process->state ? process->state : 'S', (unsigned long long)process->start_time,
        (unsigned long long)process->rss_kib * 2048, pages);
    process_write(tree, process->pid, "stat", text);
    (void)snprintf(text, sizeof(text), "%llu %llu 10 1 0 10 0\n", pages * 2, pages);
    process_write(tree, process->pid, "statm", text);
    process_write_status(tree, process);
    process_write(tree, process->pid, "limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max cpu time              unlimited            unlimited            seconds   \n"
        "Max locked memory         67108864             unlimited            bytes     \n"
        "Max address space         unlimited            unlimited            bytes     \n");
    process_write(tree, process->pid, "oom_score_adj", "-250\n");
    process_write(tree, process->pid, "cmdline", "");
    process_write(tree, process->pid, "fd/0", "");
    if (process->executable) {
        (void)snprintf(path, sizeof(path), "proc/%d/exe", (int)process->pid);
        fake_tree_link(tree, path, process->executable);
    }
}

void fake_tree_cmdline(struct fake_tree *tree, pid_t pid, const char *const *arguments)
{
    char text[8192], path[64];
    size_t used = 0;

    for (; *arguments; arguments++) {
        size_t length = strlen(*arguments) + 1;
        ck_assert(used + length <= sizeof(text));
        memcpy(text + used, *arguments, length);
        used += length;
    }
    (void)snprintf(path, sizeof(path), "proc/%d/cmdline", (int)pid);
    fake_tree_write_bytes(tree, path, text, used);
}
