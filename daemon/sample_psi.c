/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns two descriptors of the pressure file.
 *
 * Each read makes the kernel add up the stalls anew, so polling the totals has no window and sees
 * pressure as it arises; the averages lag by seconds and are not read. The trigger wakes a guard
 * that sleeps for a whole interval while the host stalls. It fires at most once a window, and a
 * window that is no multiple of 2 s needs CAP_SYS_RESOURCE (kernel/sched/psi.c), hence two tries.
 */
#include "sample_psi.h"

#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Tasks stalled for 5 % of the window, in µs: a host that swaps or reclaims now and then stays
 * below, one that runs short is far above within the first window. */
static const char *const psi_triggers[] = {"some 50000 1000000", "some 100000 2000000"};

static int psi_trigger_open(const char *path)
{
    struct statfs filesystem;

    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    /* Writing to anything but the kernel's own file would change it. */
    if (fstatfs(fd, &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC)
        for (unsigned i = 0; i < ELEMENTSOF(psi_triggers); i++)
            if (write(fd, psi_triggers[i], strlen(psi_triggers[i]) + 1) > 0)
                return fd;
    return kernel_file_close(fd);
}

int psi_source_open(struct psi_source *source, const struct roots *roots)
{
    char path[PATH_MAX];

    *source = (struct psi_source)PSI_SOURCE_CLOSED;
    int length = snprintf(path, sizeof(path), "%s/pressure/memory", roots->proc);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = kernel_file_open(AT_FDCWD, path);
    if (fd < 0)
        return fd;
    source->fd = fd;
    /* With psi=0 the file is there and cannot be read. */
    struct psi_totals totals = psi_source_read(source);
    if (!known(totals.some)) {
        psi_source_close(source);
        return -EOPNOTSUPP;
    }
    source->trigger = psi_trigger_open(path);
    return 0;
}

void psi_source_close(struct psi_source *source)
{
    source->fd = kernel_file_close(source->fd);
    source->trigger = kernel_file_close(source->trigger);
}

/* The total of the line that begins with KIND: "some avg10=0.00 … total=123\n". */
static uint64_t psi_total(const char *text, const char *kind)
{
    uint64_t total;
    const char *end;

    for (const char *line = text; (end = strchr(line, '\n')); line = end + 1) {
        if (strncmp(line, kind, strlen(kind)) != 0)
            continue;
        const char *cursor = strstr(line, " total=");
        if (!cursor || cursor > end)
            return UNKNOWN;
        cursor += strlen(" total=");
        if (!kernel_number_parse(&cursor, &total) || *cursor != '\n' ||
            __builtin_mul_overflow(total, NSEC_PER_USEC, &total))
            return UNKNOWN;
        return total;
    }
    return UNKNOWN;
}

struct psi_totals psi_source_read(const struct psi_source *source)
{
    char text[256]; /* two lines of about 60 characters */

    if (kernel_file_read(source->fd, text, sizeof(text)) < 0)
        return (struct psi_totals){.some = UNKNOWN, .full = UNKNOWN};
    return (struct psi_totals){
        .some = psi_total(text, "some "),
        .full = psi_total(text, "full "),
    };
}
