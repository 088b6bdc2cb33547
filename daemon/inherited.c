/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. $LISTEN_FDS descriptors begin at 3, for the process $LISTEN_PID; their names stand
 * in $LISTEN_FDNAMES, with colons between.
 */
#include "inherited.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3              /* SD_LISTEN_FDS_START, sd-daemon.h */
#define FDS_MAX UINT64_C(65536) /* more than a unit may pass */

static int prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return fd;
}

int inherited_fd(const char *name)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t pid, count;

    if (!pid_text || !count_text || !names)
        return -ENOENT;
    if (text_parse_number(pid_text, 1, INT32_MAX, &pid) < 0 ||
        text_parse_number(count_text, 0, FDS_MAX, &count) < 0)
        return -EINVAL;
    if (pid != (uint64_t)getpid())
        return -ENOENT;
    for (uint64_t i = 0; i < count; i++) {
        size_t length = strcspn(names, ":");

        if (length == strlen(name) && memcmp(names, name, length) == 0)
            return prepare(FIRST_FD + (int)i);
        if (names[length] == '\0')
            break;
        names += length + 1;
    }
    return -ENOENT;
}
