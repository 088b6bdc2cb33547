/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake_host.h. Children are SIGKILLed at the end, stopped ones included. */
#include "fake_host.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void fake_host_begin(struct fake_host *host, enum fake_cgroups cgroups, const char *config)
{
    *host = (struct fake_host){.tree = fake_tree_new(), .now = loop_now()};
    fake_tree_host(host->tree);
    fake_tree_mounts(host->tree, cgroups);
    fake_tree_write(host->tree, "proc/loadavg", "0.00 0.00 0.00 1/100 4242\n");
    fake_tree_write(host->tree, "plimsoll.conf", "%s", config);
    (void)snprintf(
        host->config_path, sizeof host->config_path, "%s/plimsoll.conf", host->tree->folder);
    ck_assert_int_eq(chmod(host->config_path, 0600), 0);
}

void fake_host_start_guard(struct fake_host *host)
{
    struct guard_options options = {
        .config_path = host->config_path,
        .runtime_directory = host->tree->folder,
        .record_folder = host->record_folder,
        .roots = host->tree->roots,
    };
    struct error error = {0};
    int result = guard_new(&options, &host->guard, &error);

    ck_assert_msg(result == 0, "guard_new: %s", error.text);
}

void fake_host_end(struct fake_host *host)
{
    host->guard = guard_free(host->guard);
    host->tree = fake_tree_free(host->tree);
}

void fake_host_dress(struct fake_host *host, pid_t pid, const char *name, uint64_t rss)
{
    char argument[512], path[64]; /* longer than any name the guard keeps */
    const char *arguments[] = {"qemu-system-x86_64", "-name", argument, "-m", "8192", NULL};

    fake_tree_process(host->tree, &(struct fake_process){.pid = pid,
                                      .start_time = FAKE_HOST_START_TIME,
                                      .rss_kib = rss / KIB,
                                      .executable = "/usr/bin/some-vmm"});
    (void)snprintf(argument, sizeof argument, "guest=%s", name);
    fake_tree_cmdline(host->tree, pid, arguments);
    (void)snprintf(path, sizeof path, "proc/%d/fd/9", (int)pid);
    fake_tree_link(host->tree, path, "anon_inode:kvm-vm");
}

pid_t fake_host_guest(struct fake_host *host, const char *name, uint64_t rss)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    fake_host_dress(host, pid, name, rss);
    return pid;
}

void fake_host_set_rss(struct fake_host *host, pid_t pid, uint64_t rss)
{
    fake_tree_process(
        host->tree, &(struct fake_process){
                        .pid = pid, .start_time = FAKE_HOST_START_TIME, .rss_kib = rss / KIB});
}

void fake_host_set_available(struct fake_host *host, uint64_t available)
{
    fake_tree_write(host->tree, "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree: %llu kB\nMemAvailable: %llu kB\n"
        "Buffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nAnonPages: %llu kB\n"
        "Shmem: 0 kB\nSUnreclaim: 65536 kB\nPageTables: 20480 kB\n",
        (unsigned long long)(available / KIB), (unsigned long long)(available / KIB),
        (unsigned long long)((FAKE_HOST_TOTAL - available) / KIB));
}

char fake_host_real_state(pid_t pid)
{
    char path[64], text[256], *end;
    size_t length;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 'X';
    length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    end = strrchr(text, ')');
    ck_assert_ptr_nonnull(end);
    return end[2];
}

void fake_host_tick(struct fake_host *host, uint64_t advance)
{
    host->now += advance;
    guard_tick(host->guard, host->now);
}

void fake_host_await(pid_t pid, int what)
{
    siginfo_t info;

    /* Bounded by the test's own timeout. */
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, what | WNOWAIT), 0);
}
