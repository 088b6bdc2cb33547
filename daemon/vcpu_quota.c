/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the form of cpu.max: "QUOTA PERIOD" or "max PERIOD"
 * (Documentation/admin-guide/cgroup-v2.rst). The kernel shows what was written to the microsecond,
 * so equal numbers are the same setting.
 */
#include "vcpu_quota.h"

#include "kernel_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 48 /* two numbers of 20 digits */

int vcpu_quota_read(int fd, struct vcpu_quota *ret_quota)
{
    static const char none[] = "max ";
    struct vcpu_quota found = {.quota = VCPU_QUOTA_NONE};
    char text[TEXT_MAX];
    const char *cursor = text;
    int length = kernel_file_read(fd, text, sizeof(text));

    if (length < 0)
        return length;
    if (strncmp(text, none, strlen(none)) == 0)
        cursor += strlen(none);
    else if (!kernel_number_parse(&cursor, &found.quota))
        return -EBADMSG;
    if (!kernel_number_parse(&cursor, &found.period) || found.period == 0 || *cursor != '\n')
        return -EBADMSG;
    *ret_quota = found;
    return 0;
}

static int quota_write(int fd, struct vcpu_quota quota)
{
    char text[TEXT_MAX];
    int length;

    if (quota.quota == VCPU_QUOTA_NONE)
        length = snprintf(text, sizeof(text), "max %" PRIu64 "\n", quota.period);
    else
        length =
            snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", quota.quota, quota.period);
    return pwrite(fd, text, (size_t)length, 0) == length ? 0 : -errno;
}

int vcpu_quota_exchange(int fd, struct vcpu_quota from, struct vcpu_quota to)
{
    struct vcpu_quota current;
    int result = vcpu_quota_read(fd, &current);

    if (result < 0)
        return result;
    return vcpu_quota_equal(current, from) ? quota_write(fd, to) : -ESTALE;
}
