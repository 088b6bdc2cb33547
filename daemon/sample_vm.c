/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the descriptors of one process's files and of its memory cgroup's.
 *
 * They are opened below one descriptor of /proc/PID and the start time is checked through them, so
 * that they are the guest's for as long as they are open: a later process with the same pid never
 * shows through them, they answer ESRCH. The cgroup's files can fail (the group was removed, the
 * process moved) without the process being gone: that only leaves their fields UNKNOWN.
 */
#include "sample_vm.h"

#include "kernel_file.h"
#include "process.h"
#include "sample_binding.h"
#include "sample_cgroup.h"
#include "sample_process.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How far the memory counted by a cgroup may exceed its QEMU's own before it is taken to hold other
 * processes, too: helpers such as swtpm and virtiofsd live beside QEMU. */
#define CGROUP_COMPANY_BYTES (64 * MIB)
#define CGROUP_COMPANY_DIVISOR 8

/* In the file's order. */
static const struct kernel_field status_fields[] = {
    KERNEL_FIELD("VmLck", struct vm_snapshot, locked),
    KERNEL_FIELD("VmPin", struct vm_snapshot, pinned),
    KERNEL_FIELD("RssAnon", struct vm_snapshot, rss_anonymous),
    KERNEL_FIELD("RssFile", struct vm_snapshot, rss_file),
    KERNEL_FIELD("RssShmem", struct vm_snapshot, rss_shmem),
    KERNEL_FIELD("VmPTE", struct vm_snapshot, page_tables),
    KERNEL_FIELD("VmSwap", struct vm_snapshot, swap),
    KERNEL_FIELD("HugetlbPages", struct vm_snapshot, hugetlb),
};

int vm_sampler_open(struct vm_sampler *sampler, const struct roots *roots,
    const struct cgroup_mounts *mounts, const struct vm_identity *identity)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open(roots->proc, identity->pid);
    struct vm_sampler opened = VM_SAMPLER_CLOSED;
    struct process_stat stat;

    if (process < 0)
        return process;
    const struct {
        const char *name;
        int *fd;
    } files[] = {
        {"stat", &opened.stat_fd},
        {"statm", &opened.statm_fd},
        {"status", &opened.status_fd},
        {"limits", &opened.limits_fd},
        {"oom_score_adj", &opened.oom_score_adj_fd},
    };
    int result = 0;
    for (unsigned i = 0; i < ELEMENTSOF(files) && result == 0; i++) {
        int fd = kernel_file_open(process, files[i].name);
        if (fd < 0)
            result = fd == -ENOENT ? -ESRCH : fd;
        else
            *files[i].fd = fd;
    }
    if (result == 0)
        result = process_stat_read(opened.stat_fd, &stat);
    if (result == 0 && stat.start_time != identity->start_time)
        result = -ESRCH;
    if (result < 0) {
        vm_sampler_close(&opened);
        return result;
    }
    cgroup_memory_open(mounts, process, &opened.cgroup_current_fd, &opened.cgroup_numa_fd);
    cgroup_reclaim_open(mounts, process, &opened.cgroup_reclaim_fd, &opened.cgroup_procs_fd);
    limit_group_open(mounts, process, &opened.limits);
    opened.proc = roots->proc;
    *sampler = opened;
    return 0;
}

void vm_sampler_close(struct vm_sampler *sampler)
{
    sampler->stat_fd = kernel_file_close(sampler->stat_fd);
    sampler->statm_fd = kernel_file_close(sampler->statm_fd);
    sampler->status_fd = kernel_file_close(sampler->status_fd);
    sampler->limits_fd = kernel_file_close(sampler->limits_fd);
    sampler->oom_score_adj_fd = kernel_file_close(sampler->oom_score_adj_fd);
    sampler->cgroup_current_fd = kernel_file_close(sampler->cgroup_current_fd);
    sampler->cgroup_numa_fd = kernel_file_close(sampler->cgroup_numa_fd);
    sampler->cgroup_reclaim_fd = kernel_file_close(sampler->cgroup_reclaim_fd);
    sampler->cgroup_procs_fd = kernel_file_close(sampler->cgroup_procs_fd);
    limit_group_close(&sampler->limits);
}

/* A file of a process: empty or ESRCH is a process that is gone. */
static int process_text_read(int fd, char *text, size_t size)
{
    int length = kernel_file_read(fd, text, size);

    return length == -ENODATA || length == -ENOENT ? -ESRCH : length;
}

/* statm: "SIZE RESIDENT SHARED …" in pages. RET_EMPTY: the process has no memory. */
static int vm_read_statm(const struct vm_sampler *sampler, struct vm_snapshot *vm, bool *ret_empty)
{
    char text[256]; /* seven numbers */
    const char *cursor = text;
    uint64_t size, resident;

    vm->rss = UNKNOWN;
    int length = process_text_read(sampler->statm_fd, text, sizeof(text));
    if (length < 0)
        return length;
    if (!kernel_number_parse(&cursor, &size) || *cursor != ' ' ||
        !kernel_number_parse(&cursor, &resident) || *cursor != ' ' || text[length - 1] != '\n')
        return -EBADMSG;
    vm->rss = scale_u64(resident, (uint64_t)sysconf(_SC_PAGESIZE), 1);
    *ret_empty = size == 0;
    return 0;
}

/* "Uid: REAL EFFECTIVE SAVED FILESYSTEM". */
static uint64_t uid_parse(const char *text)
{
    static const char key[] = "\nUid:";
    const char *line = strstr(text, key);
    uint64_t uid;

    if (!line)
        return UNKNOWN;
    line += strlen(key);
    return kernel_number_parse(&line, &uid) && *line == '\t' ? uid : UNKNOWN;
}

/* A kernel without one of the fields (hugetlb, VmPin) leaves it UNKNOWN; a status that says nothing
 * of anonymous memory is none. */
static int vm_read_status(
    const struct vm_sampler *sampler, const struct host_snapshot *host, struct vm_snapshot *vm)
{
    char text[KERNEL_FILE_TEXT];

    int length = process_text_read(sampler->status_fd, text, sizeof(text));
    if (length < 0)
        text[0] = '\0';
    (void)kernel_fields_parse(text, 0, status_fields, ELEMENTSOF(status_fields), vm);
    vm->uid = uid_parse(text);
    vm->nodes_allowed = length < 0 ? 0 : binding_parse(text, vm->wiring.backend_nodes, host);
    if (length < 0)
        return length;
    return known(vm->rss_anonymous) ? 0 : -EBADMSG;
}

/* One column of a line of limits. */
static bool limit_parse(const char **cursor, uint64_t *ret_limit)
{
    static const char unlimited[] = "unlimited";

    *cursor += strspn(*cursor, " ");
    if (strncmp(*cursor, unlimited, strlen(unlimited)) != 0)
        return kernel_number_parse(cursor, ret_limit);
    *cursor += strlen(unlimited);
    *ret_limit = MEMLOCK_UNLIMITED;
    return true;
}

static int vm_read_limits(const struct vm_sampler *sampler, struct vm_snapshot *vm)
{
    static const char key[] = "\nMax locked memory ";
    char text[KERNEL_FILE_TEXT];
    uint64_t soft, hard;

    vm->memlock_soft = vm->memlock_hard = UNKNOWN;
    int length = process_text_read(sampler->limits_fd, text, sizeof(text));
    if (length < 0)
        return length;
    const char *line = strstr(text, key);
    if (!line)
        return -EBADMSG;
    line += strlen(key);
    if (!limit_parse(&line, &soft) || !limit_parse(&line, &hard) || *line != ' ')
        return -EBADMSG;
    vm->memlock_soft = soft;
    vm->memlock_hard = hard;
    return 0;
}

static uint32_t node_index(const struct host_snapshot *host, uint64_t id)
{
    uint32_t i = 0;

    while (i < host->node_count && host->nodes[i].id != id)
        i++;
    return i;
}

/* Adds the nodes of a line, " N0=1 N1=2", in units of UNIT bytes. */
static void numa_line_add(
    const char *cursor, uint64_t unit, const struct host_snapshot *host, uint64_t bytes[NODES_MAX])
{
    uint64_t id, value;

    while (cursor[0] == ' ' && cursor[1] == 'N') {
        cursor += 2;
        if (!kernel_number_parse(&cursor, &id) || *cursor++ != '=' ||
            !kernel_number_parse(&cursor, &value))
            return;
        uint32_t index = node_index(host, id);
        if (index < host->node_count)
            bytes[index] = add_held(known_or(bytes[index], 0), scale_u64(value, unit, 1));
    }
}

/* What a guest's memory is made of. v2 ("anon N0=BYTES") counts it as anon and shmem; v1
 * ("anon=PAGES N0=PAGES") by LRU list, where shmem is among anon, and locked memory apart. */
static void numa_text_add(
    const char *text, const struct host_snapshot *host, uint64_t bytes[NODES_MAX])
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const char *end;

    for (const char *line = text; (end = strchr(line, '\n')); line = end + 1) {
        size_t key = strcspn(line, " =\n");
        bool pages = line[key] == '=';
        if ((key == 4 && strncmp(line, "anon", key) == 0) ||
            (!pages && key == 5 && strncmp(line, "shmem", key) == 0) ||
            (pages && key == 11 && strncmp(line, "unevictable", key) == 0))
            numa_line_add(line + key + (pages ? strcspn(line + key, " \n") : 0), pages ? page : 1,
                host, bytes);
    }
}

static void vm_read_nodes(
    const struct vm_sampler *sampler, const struct host_snapshot *host, struct vm_snapshot *vm)
{
    char text[KERNEL_FILE_TEXT];
    uint64_t sum = 0;

    for (uint32_t i = 0; i < NODES_MAX; i++)
        vm->node_bytes[i] = UNKNOWN;
    if (kernel_file_read(sampler->cgroup_numa_fd, text, sizeof(text)) < 0)
        return;
    numa_text_add(text, host, vm->node_bytes);
    for (uint32_t i = 0; i < host->node_count; i++)
        sum = add_held(sum, known_or(vm->node_bytes[i], 0));
    /* A group that holds clearly more than this process is shared, and says nothing of it. */
    uint64_t own = known_or(vm->rss, 0);
    if (sum > add_held(own, own / CGROUP_COMPANY_DIVISOR + CGROUP_COMPANY_BYTES))
        for (uint32_t i = 0; i < NODES_MAX; i++)
            vm->node_bytes[i] = UNKNOWN;
}

/* A zombie's own thread has given its memory up, but others of its process may still hold it: the
 * zero in its statm is not a measurement. */
static void vm_forget_memory(struct vm_snapshot *vm)
{
    vm->rss = vm->rss_anonymous = vm->rss_file = vm->rss_shmem = UNKNOWN;
    vm->hugetlb = vm->swap = vm->page_tables = vm->locked = vm->pinned = UNKNOWN;
}

/* Keeps the first failure; ESRCH, which explains the others, wins. */
static int first_failure(int before, int result)
{
    if (result == -ESRCH || (before == 0 && result < 0))
        return result;
    return before;
}

static void vm_read_group_limits(struct vm_sampler *sampler, uint64_t now, struct vm_snapshot *vm)
{
    if (now < sampler->limits_next)
        return;
    sampler->limits_next = now + VM_LIMITS_INTERVAL;
    limits_read(&sampler->limits, sampler->proc, vm->identity.pid, &vm->limits);
}

static int vm_read_full(struct vm_sampler *sampler, const struct host_snapshot *host, uint64_t now,
    struct vm_snapshot *vm)
{
    int result = vm_read_limits(sampler, vm);

    result =
        first_failure(result, process_score_read(sampler->oom_score_adj_fd, &vm->oom_score_adj));
    if (kernel_file_read_number(sampler->cgroup_current_fd, &vm->cgroup_current) < 0)
        vm->cgroup_current = UNKNOWN;
    vm_read_nodes(sampler, host, vm);
    bool own = vm_sampler_reclaim_check(sampler, vm->identity.pid) == 0;
    vm->reclaim.possible = own ? TRISTATE_YES : TRISTATE_NO;
    vm_read_group_limits(sampler, now, vm);
    if (vm->process_state != VM_PROCESS_DEAD)
        result = first_failure(result, vm_read_status(sampler, host, vm));
    return result;
}

int vm_sampler_reclaim_check(const struct vm_sampler *sampler, pid_t pid)
{
    bool own = sampler->cgroup_reclaim_fd >= 0 &&
               cgroup_is_own(sampler->cgroup_procs_fd, sampler->proc, pid);

    return own ? 0 : -ENODEV;
}

int vm_sampler_memlock_use(const struct vm_sampler *sampler, uint64_t *ret_use)
{
    static const struct kernel_field fields[] = {
        KERNEL_FIELD("VmLck", struct vm_snapshot, locked),
        KERNEL_FIELD("VmPin", struct vm_snapshot, pinned),
    };
    char text[KERNEL_FILE_TEXT];
    struct vm_snapshot vm;

    int length = process_text_read(sampler->status_fd, text, sizeof(text));
    if (length < 0)
        return length;
    (void)kernel_fields_parse(text, 0, fields, ELEMENTSOF(fields), &vm);
    if (!known(memlock_use(&vm)))
        return -EBADMSG;
    *ret_use = memlock_use(&vm);
    return 0;
}

int vm_sampler_read(struct vm_sampler *sampler, enum sample_depth depth,
    const struct host_snapshot *host, uint64_t now, struct vm_snapshot *vm)
{
    bool empty = true;

    vm->sampled = UNKNOWN;
    int result = vm_read_statm(sampler, vm, &empty);
    if (depth == SAMPLE_FULL || empty) {
        vm->process_state = VM_PROCESS_UNKNOWN;
        result = first_failure(result, process_state_read(sampler->stat_fd, &vm->process_state));
    }
    if (depth == SAMPLE_FULL)
        result = first_failure(result, vm_read_full(sampler, host, now, vm));
    if (vm->process_state == VM_PROCESS_DEAD)
        vm_forget_memory(vm);
    if (result == 0)
        vm->sampled = now;
    else if (result != -ESRCH)
        result = -EBADMSG;
    return result;
}
