/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading allocates nothing, ours and the C library's work included: the allocator of this program
 * counts its calls. A program of its own, because sanitizers bring their own allocator.
 */
#include "allocations.h"
#include "kernel_file.h"
#include "sample_host.h"
#include "sample_process.h"
#include "sample_vm.h"
#include "suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(reads_allocate_nothing)
{
    static const struct roots roots = {.proc = "/proc", .sys = "/sys"};
    static struct host_snapshot host;
    static struct vm_snapshot vm;
    struct vm_sampler sampler = VM_SAMPLER_CLOSED;
    struct host_sampler *host_sampler;
    struct cgroup_mounts *mounts;
    struct process_stat stat;

    unsigned start = allocations_count();
    DIR *directory = opendir("/");
    ck_assert_uint_gt(allocations_count(), start); /* else the C library's are not counted */
    (void)closedir(directory);
    int fd = kernel_file_open(AT_FDCWD, "/proc/self/stat");
    ck_assert_int_eq(process_stat_read(fd, &stat), 0);
    (void)kernel_file_close(fd);
    unsigned before = allocations_count();
    const struct vm_identity self = {.pid = getpid(), .start_time = stat.start_time};
    ck_assert_int_eq(host_sampler_new(&roots, &host_sampler, NULL), 0);
    ck_assert_int_eq(cgroup_mounts_new(&roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &roots, mounts, &self), 0);
    ck_assert_uint_gt(allocations_count(), before); /* else it counts nothing */
    /* From here to the end of the loop no check, which would allocate for its message. */
    bool failed = false;
    before = allocations_count();
    for (uint64_t now = 0; now < 10; now++) {
        host_sampler_read(host_sampler, SAMPLE_FULL, now * NSEC_PER_SEC, &host);
        host_sampler_read(host_sampler, SAMPLE_EDGE, now * NSEC_PER_SEC, &host);
        failed |= vm_sampler_read(&sampler, SAMPLE_FULL, &host, now, &vm) < 0;
        failed |= vm_sampler_read(&sampler, SAMPLE_EDGE, &host, now, &vm) < 0;
    }
    unsigned after = allocations_count();
    ck_assert(!failed);
    ck_assert_uint_eq(after, before);
    vm_sampler_close(&sampler);
    (void)cgroup_mounts_free(mounts);
    (void)host_sampler_free(host_sampler);
}
END_TEST

int main(void)
{
    if (!allocations_are_counted())
        return suite_skip(ALLOCATIONS_NOT_COUNTED);

    Suite *suite = suite_create("sample_allocation");
    TCase *tests = tcase_create("sample_allocation");

    tcase_add_test(tests, reads_allocate_nothing);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
