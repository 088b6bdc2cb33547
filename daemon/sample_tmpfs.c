/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the descriptors of the init process's root folder and list of mounts, and what each tmpfs
 * held at the last look.
 *
 * A path that mountinfo gives is not followed as any other: it may lie below a dead NFS server, or
 * something may have been mounted over it since, and both would hold up the guard for good. So it
 * is opened only as far as the kernel's lookup cache goes (RESOLVE_CACHED, Linux 5.12; a mount
 * point is always in it), as a path alone, and asked for its size only when it is the very mount of
 * the line, by its mount id, whose kind the line has told. Where openat2() is not to be had (older
 * kernels; systemd's RestrictSUIDSGID=, which cannot look into its argument) only those mounts are
 * opened that lie on the root file system or on one another.
 *
 * What statfs() tells of a tmpfs without a limit (size=0) is nothing; such a one is not seen.
 */
#include "sample_tmpfs.h"

#include "kernel_file.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Those of the host itself (/dev, /dev/shm, /run, /tmp) are mounted first and come first; those of
 * containers and pods, some hundreds on some hosts, come later and are small. */
#define TMPFS_MOUNTS_MAX 128
/* Lines of mountinfo read, at about 1 µs each. */
#define MOUNT_LINES_MAX 1024
#define CALM_INTERVAL (10 * NSEC_PER_SEC)
#define INTERVAL NSEC_PER_SEC
/* Slower growth names nobody, as with processes (scan.c). */
#define GROWTH_MIN ((int64_t)MIB)

struct tmpfs_mount {
    uint64_t id; /* as in mountinfo and statx() */
    uint64_t used;
};

struct tmpfs_look {
    uint64_t time; /* UNKNOWN: there was none */
    unsigned count;
    struct tmpfs_mount mounts[TMPFS_MOUNTS_MAX];
};

struct tmpfs_sampler {
    int root, mountinfo;
    enum band band;
    uint64_t next;
    uint64_t root_mount; /* id of the mount at "/" */
    struct tmpfs_look last, current;
    struct tmpfs_snapshot largest;
};

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS…] - TYPE SOURCE SUPEROPTIONS": true for a tmpfs,
 * with its id and, in LINE, its mount point. */
static bool line_parse(char *line, uint64_t *ret_id, uint64_t *ret_parent, char **ret_point)
{
    const char *cursor = line;
    const char *type = strstr(line, " - ");

    if (!type || !kernel_number_parse(&cursor, ret_id) || !kernel_number_parse(&cursor, ret_parent))
        return false;
    type += strlen(" - ");
    /* /dev, where a mistyped device name becomes a file, is a tmpfs in all but its name. */
    if (strncmp(type, "tmpfs ", strlen("tmpfs ")) != 0 &&
        strncmp(type, "devtmpfs ", strlen("devtmpfs ")) != 0)
        return false;
    char *point = line;
    for (unsigned field = 0; field < 4; field++) {
        point = strchr(point, ' ');
        if (!point)
            return false;
        point++;
    }
    point[strcspn(point, " ")] = '\0';
    kernel_octal_unescape(point);
    *ret_point = point;
    return point[0] == '/';
}

/* On the root file system, or on a tmpfs that was reached already: nothing on the way can hang. */
static bool is_near(const struct tmpfs_sampler *sampler, uint64_t parent)
{
    if (parent == sampler->root_mount)
        return true;
    for (unsigned i = 0; i < sampler->current.count; i++)
        if (sampler->current.mounts[i].id == parent)
            return true;
    return false;
}

static int mount_open(const struct tmpfs_sampler *sampler, uint64_t parent, const char *point)
{
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS,
    };

    point += strspn(point, "/");
    if (*point == '\0')
        point = ".";
    int fd = (int)syscall(SYS_openat2, sampler->root, point, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS && is_near(sampler, parent))
        fd = openat(sampler->root, point, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* What the tmpfs mounted as ID on the mount PARENT at POINT holds. */
static int mount_used(const struct tmpfs_sampler *sampler, uint64_t id, uint64_t parent,
    const char *point, uint64_t *ret_used)
{
    CLEANUP(kernel_file_close_at) int fd = mount_open(sampler, parent, point);
    struct statx status;
    struct statfs figures;

    if (fd < 0)
        return fd;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) < 0)
        return -errno;
    if (!(status.stx_mask & STATX_MNT_ID) || status.stx_mnt_id != id)
        return -ESTALE; /* something else is mounted over it */
    if (fstatfs(fd, &figures) < 0)
        return -errno;
    if (figures.f_bsize <= 0 || figures.f_bfree > figures.f_blocks)
        return -EBADMSG;
    *ret_used = scale_u64(figures.f_blocks - figures.f_bfree, (uint64_t)figures.f_bsize, 1);
    return 0;
}

/* Bytes per second since the last look; 0 for a mount that was not seen then. */
static int64_t growth_of(const struct tmpfs_sampler *sampler, const struct tmpfs_mount *mount)
{
    const struct tmpfs_look *last = &sampler->last, *current = &sampler->current;
    uint64_t before = mount->used;

    if (!known(last->time) || current->time <= last->time)
        return 0;
    for (unsigned i = 0; i < last->count; i++)
        if (last->mounts[i].id == mount->id)
            before = last->mounts[i].used;
    uint64_t elapsed = current->time - last->time;
    if (mount->used >= before)
        return diff_i64(scale_u64(mount->used - before, NSEC_PER_SEC, elapsed), 0);
    return -diff_i64(scale_u64(before - mount->used, NSEC_PER_SEC, elapsed), 0);
}

/* A names the culprit better than B. */
static bool is_before(const struct tmpfs_snapshot *a, const struct tmpfs_snapshot *b)
{
    bool grows = a->growth > GROWTH_MIN, other_grows = b->growth > GROWTH_MIN;

    if (grows || other_grows)
        return a->growth > b->growth;
    return a->used > b->used;
}

/* Its line has "/" for what is mounted and for where; the last one covers those before it. */
static void root_note(struct tmpfs_sampler *sampler, const char *line)
{
    uint64_t id;
    if (kernel_number_parse(&line, &id))
        sampler->root_mount = id;
}

static void mount_note(struct tmpfs_sampler *sampler, char *line)
{
    struct tmpfs_look *look = &sampler->current;
    struct tmpfs_mount mount;
    uint64_t parent;
    char *point;

    if (strstr(line, " / / "))
        root_note(sampler, line);
    if (!line_parse(line, &mount.id, &parent, &point) ||
        mount_used(sampler, mount.id, parent, point, &mount.used) < 0)
        return;
    look->mounts[look->count++] = mount;
    struct tmpfs_snapshot seen = {.used = mount.used, .growth = growth_of(sampler, &mount)};
    if (sampler->largest.path[0] != '\0' && !is_before(&seen, &sampler->largest))
        return;
    memcpy(seen.path, point, min_u64(strlen(point), sizeof(seen.path) - 1));
    sampler->largest = seen;
}

static void mounts_look(struct tmpfs_sampler *sampler, uint64_t now)
{
    struct kernel_lines lines;
    char *line;

    sampler->last = sampler->current;
    sampler->current.time = now;
    sampler->current.count = 0;
    sampler->largest = (struct tmpfs_snapshot){.used = 0};
    kernel_lines_begin(&lines, sampler->mountinfo);
    for (unsigned i = 0; i < MOUNT_LINES_MAX && sampler->current.count < TMPFS_MOUNTS_MAX; i++) {
        line = kernel_lines_next(&lines);
        if (!line)
            break;
        mount_note(sampler, line);
    }
}

void tmpfs_sampler_advance(struct tmpfs_sampler *sampler, enum band band, uint64_t now)
{
    bool due = now >= sampler->next || band > sampler->band;

    sampler->band = band;
    if (!due || sampler->root < 0 || sampler->mountinfo < 0)
        return;
    sampler->next = now + (band == BAND_CALM ? CALM_INTERVAL : INTERVAL);
    mounts_look(sampler, now);
}

void tmpfs_sampler_largest(const struct tmpfs_sampler *sampler, struct tmpfs_snapshot *ret_tmpfs)
{
    *ret_tmpfs = sampler->largest;
}

static int root_open(const struct roots *roots)
{
    char path[PATH_MAX];

    int length = snprintf(path, sizeof(path), "%s/1/root", roots->proc);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int tmpfs_sampler_new(const struct roots *roots, struct tmpfs_sampler **ret_sampler)
{
    struct tmpfs_sampler *sampler = calloc(1, sizeof(*sampler));

    if (!sampler)
        return -ENOMEM;
    sampler->last.time = sampler->current.time = UNKNOWN;
    sampler->root = root_open(roots);
    sampler->mountinfo = kernel_file_open_format("%s/1/mountinfo", roots->proc);
    int error = sampler->root < 0 ? sampler->root : sampler->mountinfo;
    if (error < 0)
        log_message(LOG_NOTICE,
            "%s/1: %s: a tmpfs that fills the host cannot be told by its mount point", roots->proc,
            strerror(-error));
    *ret_sampler = sampler;
    return 0;
}

struct tmpfs_sampler *tmpfs_sampler_free(struct tmpfs_sampler *sampler)
{
    if (!sampler)
        return NULL;
    (void)kernel_file_close(sampler->root);
    (void)kernel_file_close(sampler->mountinfo);
    free(sampler);
    return NULL;
}
