/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the text while it is read. The room for all that is taken is asked for at once: of what is
 * not written to, nothing is used. What goes beyond is read as well and forgotten, for a writer
 * shall not be left with half of it.
 */
#include "input.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"

#include <plimsoll/units.h>

#define WASTE_SIZE 16384 /* a quarter of a pipe */

/* At least one byte, or 0 at the end. The descriptor may be anybody's, so it is not made
 * non-blocking: that would be so for whoever else has it. */
static ssize_t input_some(int fd, char *to, size_t size, uint64_t deadline)
{
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint64_t now = loop_now();

        if (now >= deadline)
            return -ETIMEDOUT;
        int ready = poll(&wait, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1);
        ssize_t count = ready > 0 ? read(fd, to, size) : -1;
        if (count >= 0)
            return count;
        if (ready != 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

int input_read(int fd, size_t maximum, uint64_t deadline, char **ret_text)
{
    char waste[WASTE_SIZE], *text = malloc(maximum + 1);
    size_t used = 0;
    bool more = false;
    ssize_t count;

    if (!text)
        return -ENOMEM;
    do {
        bool full = used == maximum;
        count = full ? input_some(fd, waste, sizeof(waste), deadline)
                     : input_some(fd, text + used, maximum - used, deadline);
        more |= full && count > 0;
        if (!full && count > 0)
            used += (size_t)count;
    } while (count > 0);
    if (count < 0 || more) {
        free(text);
        return count < 0 ? (int)count : -E2BIG;
    }
    text[used] = '\0';
    *ret_text = text;
    return 0;
}

void input_drain(int fd, uint64_t deadline)
{
    char waste[WASTE_SIZE];

    while (input_some(fd, waste, sizeof(waste), deadline) > 0)
        continue;
}
