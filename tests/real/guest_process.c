/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the view of a guest from the host: what /proc says of its QEMU, and the cgroups of its vCPU
 * threads. They are laid out as libvirt does: the process in NAME/libvirt, each vCPU thread in a
 * threaded group below it.
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool file_read(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    buffer[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written == (ssize_t)strlen(text);
}

static bool process_file_read(
    const struct guest *guest, const char *file, char *buffer, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", guest->qemu.pid, file);
    return file_read(path, buffer, size);
}

uint64_t guest_rss(const struct guest *guest)
{
    char text[128];
    if (!process_file_read(guest, "statm", text, sizeof(text)))
        return 0;
    const char *resident = strchr(text, ' ');
    ck_assert_ptr_nonnull(resident);
    return strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t rss_wait(const struct guest *guest, uint64_t bytes, bool above, uint64_t limit)
{
    uint64_t deadline = harness_now() + limit;
    do {
        uint64_t rss = guest_rss(guest);
        if (above ? rss > bytes : rss < bytes)
            return rss;
    } while (harness_look_again(deadline));
    ck_abort_msg("%s: RSS %llu KiB is not %s %llu KiB", guest->name,
        (unsigned long long)(guest_rss(guest) / KIB), above ? "above" : "below",
        (unsigned long long)(bytes / KIB));
    return 0;
}

uint64_t guest_wait_rss_below(const struct guest *guest, uint64_t bytes, uint64_t limit)
{
    return rss_wait(guest, bytes, false, limit);
}

uint64_t guest_wait_rss_above(const struct guest *guest, uint64_t bytes, uint64_t limit)
{
    return rss_wait(guest, bytes, true, limit);
}

int guest_oom_score_adj(const struct guest *guest)
{
    char text[32];
    ck_assert(process_file_read(guest, "oom_score_adj", text, sizeof(text)));
    return (int)strtol(text, NULL, 10);
}

/* 'X' when it is gone. */
static char thread_state(const struct guest *guest, const char *thread)
{
    char name[48], text[512];
    (void)snprintf(name, sizeof(name), "task/%.16s/stat", thread);
    if (!process_file_read(guest, name, text, sizeof(text)))
        return 'X';
    const char *name_end = strrchr(text, ')');
    ck_assert_ptr_nonnull(name_end);
    return name_end[2];
}

/* How many of its threads have stopped, of how many; 0 of 0 when it is gone. */
static unsigned threads_stopped(const struct guest *guest, unsigned *ret_count)
{
    char path[64];
    unsigned stopped = 0;
    *ret_count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", guest->qemu.pid);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    for (struct dirent *entry; (entry = readdir(threads));) {
        if (entry->d_name[0] == '.')
            continue;
        (*ret_count)++;
        stopped += thread_state(guest, entry->d_name) == 'T';
    }
    closedir(threads);
    return stopped;
}

bool guest_is_stopped(const struct guest *guest)
{
    unsigned count, stopped = threads_stopped(guest, &count);
    return count > 0 && stopped == count;
}

bool guest_is_going(const struct guest *guest)
{
    unsigned count, stopped = threads_stopped(guest, &count);
    return count > 0 && stopped == 0;
}

/* ---- vCPU groups ---- */

static bool group_make(const char *path, bool threaded)
{
    char file[HARNESS_PATH_MAX + 32];
    if (mkdir(path, 0755) < 0)
        return false;
    (void)snprintf(file, sizeof(file), "%s/cgroup.type", path);
    return !threaded || file_write(file, "threaded");
}

static bool group_take(const char *path, const char *file, int id)
{
    char name[HARNESS_PATH_MAX + 64], text[16];
    (void)snprintf(name, sizeof(name), "%s/%s", path, file);
    (void)snprintf(text, sizeof(text), "%d", id);
    return file_write(name, text);
}

bool guest_isolate_vcpus(struct guest *guest)
{
    char path[HARNESS_PATH_MAX];
    if (!harness_cgroup())
        return false;
    ck_assert_int_lt(snprintf(guest->cgroup, sizeof(guest->cgroup), "%s/%s-%d", harness_cgroup(),
                         guest->name, getpid()),
        (int)sizeof(guest->cgroup) - 32);
    ck_assert(group_make(guest->cgroup, false));
    (void)snprintf(path, sizeof(path), "%.200s/libvirt", guest->cgroup);
    ck_assert(group_make(path, false));
    ck_assert(group_take(path, "cgroup.procs", guest->qemu.pid));

    struct json_object *vcpus = guest_query(guest, "query-cpus-fast", NULL);
    ck_assert_ptr_nonnull(vcpus);
    for (size_t i = 0; i < json_object_array_length(vcpus); i++) {
        struct json_object *thread;
        ck_assert(
            json_object_object_get_ex(json_object_array_get_idx(vcpus, i), "thread-id", &thread));
        (void)snprintf(path, sizeof(path), "%.200s/libvirt/vcpu%zu", guest->cgroup, i);
        ck_assert(group_make(path, true));
        ck_assert(group_take(path, "cgroup.threads", json_object_get_int(thread)));
    }
    json_object_put(vcpus);
    return true;
}

static void freeze_path(const struct guest *guest, char *path, size_t size)
{
    (void)snprintf(path, size, "%.200s/libvirt/vcpu0/cgroup.freeze", guest->cgroup);
}

void guest_freeze_vcpu(const struct guest *guest, bool freeze)
{
    char path[HARNESS_PATH_MAX];
    freeze_path(guest, path, sizeof(path));
    ck_assert(file_write(path, freeze ? "1" : "0"));
}

int guest_vcpu_frozen(const struct guest *guest)
{
    char path[HARNESS_PATH_MAX], text[8];
    if (guest->cgroup[0] == '\0')
        return -1;
    freeze_path(guest, path, sizeof(path));
    ck_assert(file_read(path, text, sizeof(text)));
    return text[0] == '1';
}
