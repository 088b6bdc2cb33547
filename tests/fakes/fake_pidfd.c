/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake_pidfd.h; asks the kernel, since a version says nothing of what valgrind lets through. */
#include "fake_pidfd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

bool fake_pidfd_missing(const char *test)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (fd < 0 && errno == ENOSYS) {
        (void)fprintf(stderr, "%s: skipped: pidfd_open() is not available here\n", test);
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}
