/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading allocates nothing, ours and the C library's work included: the allocator of this program
 * counts its calls. A program of its own, because sanitizers bring their own allocator.
 */
#include "kernel_file.h"
#include "sample_host.h"
#include "sample_process.h"
#include "sample_vm.h"
#include "suite.h"

#include <check.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own names of its allocator, which are reserved for it.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static unsigned allocations;

/* glibc's own parameter names are reserved words.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    allocations++;
    return __libc_realloc(pointer, size);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

START_TEST(reads_allocate_nothing)
{
    static const struct roots roots = {.proc = "/proc", .sys = "/sys"};
    static struct host_snapshot host;
    static struct vm_snapshot vm;
    struct vm_sampler sampler = VM_SAMPLER_CLOSED;
    struct host_sampler *host_sampler;
    struct cgroup_mounts *mounts;
    struct process_stat stat;

    int fd = kernel_file_open(AT_FDCWD, "/proc/self/stat");
    ck_assert_int_eq(process_stat_read(fd, &stat), 0);
    (void)kernel_file_close(fd);
    unsigned before = allocations;
    const struct vm_identity self = {.pid = getpid(), .start_time = stat.start_time};
    ck_assert_int_eq(host_sampler_new(&roots, &host_sampler, NULL), 0);
    ck_assert_int_eq(cgroup_mounts_new(&roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &roots, mounts, &self), 0);
    ck_assert_uint_gt(allocations, before); /* else it counts nothing */
    /* From here to the end of the loop no check, which would allocate for its message. */
    bool failed = false;
    before = allocations;
    for (uint64_t now = 0; now < 10; now++) {
        host_sampler_read(host_sampler, SAMPLE_FULL, now * NSEC_PER_SEC, &host);
        host_sampler_read(host_sampler, SAMPLE_EDGE, now * NSEC_PER_SEC, &host);
        failed |= vm_sampler_read(&sampler, SAMPLE_FULL, &host, now, &vm) < 0;
        failed |= vm_sampler_read(&sampler, SAMPLE_EDGE, &host, now, &vm) < 0;
    }
    unsigned after = allocations;
    ck_assert(!failed);
    ck_assert_uint_eq(after, before);
    vm_sampler_close(&sampler);
    (void)cgroup_mounts_free(mounts);
    (void)host_sampler_free(host_sampler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_allocation");
    TCase *tests = tcase_create("sample_allocation");

    tcase_add_test(tests, reads_allocate_nothing);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
