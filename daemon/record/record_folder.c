/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the traces of a folder: the one being written, and which of the others go.
 *
 * When a trace ends in which nothing was decided, and nothing was in the one before it, that one
 * goes: so whenever something is decided the minutes before it are on the disk already, whatever
 * becomes of the guard, and a calm week leaves two traces behind. The names are of the time at
 * which each begins, so their order is that of their age.
 *
 * Where hundreds of guests are looked at many times a second, what goes on fills the limit within
 * minutes. Of that the beginning is worth most: the trace in which the first decision fell and the
 * one before it stay while it lasts, and what followed goes in their place.
 */
#include "record_folder.h"

#include "record_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_PREFIX "trace-"
#define NAME_SUFFIX ".ndjson"
/* trace-20261122T123053.123456789Z.ndjson */
#define NAME_LENGTH_MAX 64
/* Of the limit: a trace ends at one part, is given up at another, and so much is made room for. */
#define PART_ENDS 8
#define PART_GIVEN_UP 4

struct record_folder {
    char directory[PATH_MAX];
    uint64_t limit;
    struct record_writer *writer;
    FILE *file;                     /* NULL: none is being written */
    char name[NAME_LENGTH_MAX];     /* of it */
    char previous[NAME_LENGTH_MAX]; /* the one before; empty: there is none */
    bool eventful, previous_eventful;
    char lead[NAME_LENGTH_MAX];    /* before the first decision of what goes on; empty: calm */
    char opening[NAME_LENGTH_MAX]; /* in which that fell */
    uint64_t began, size;
    uint64_t first; /* its size with its first frame, which is whole; 0: there is none yet */
    uint64_t retry; /* nothing is tried before the snapshot's time is this */
};

int record_folder_new(
    const char *directory, uint64_t limit, uint32_t vm_capacity, struct record_folder **ret_folder)
{
    CLEANUP(record_folder_free_at) struct record_folder *folder = calloc(1, sizeof(*folder));

    if (!folder)
        return -ENOMEM;
    if (strlen(directory) >= sizeof(folder->directory))
        return -ENAMETOOLONG;
    memcpy(folder->directory, directory, strlen(directory) + 1);
    folder->limit = limit;
    int result = record_writer_new(vm_capacity, &folder->writer);
    if (result < 0)
        return result;
    *ret_folder = STEAL(folder);
    return 0;
}

static int path_make(const struct record_folder *folder, const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", folder->directory, name) < PATH_MAX ? 0
                                                                                 : -ENAMETOOLONG;
}

static void trace_remove(const struct record_folder *folder, const char *name)
{
    char path[PATH_MAX];

    if (path_make(folder, name, path) == 0)
        (void)unlink(path); /* what stays is counted, and tried again */
}

/* ---- room ---- */

bool record_folder_names(const char *name)
{
    size_t length = strlen(name), suffix = strlen(NAME_SUFFIX);

    return strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 && length < NAME_LENGTH_MAX &&
           length > suffix && strcmp(name + length - suffix, NAME_SUFFIX) == 0;
}

static bool name_is_kept(const struct record_folder *folder, const char *name)
{
    return strcmp(name, folder->lead) == 0 || strcmp(name, folder->opening) == 0;
}

/* NAME would go before OTHER, which may be empty. */
static bool goes_before(const struct record_folder *folder, const char *name, const char *other)
{
    bool kept = name_is_kept(folder, name), other_kept = name_is_kept(folder, other);

    if (other[0] == '\0' || kept != other_kept)
        return other[0] == '\0' || other_kept;
    return strcmp(name, other) < 0;
}

/* The bytes of all traces, and the name of that which goes first. */
static int traces_sum(const struct record_folder *folder, uint64_t *ret_bytes, char *ret_first)
{
    DIR *entries = opendir(folder->directory);

    if (!entries)
        return -errno;
    *ret_bytes = 0;
    ret_first[0] = '\0';
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat status;
        if (!record_folder_names(entry->d_name) ||
            fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        *ret_bytes = add_held(*ret_bytes, (uint64_t)status.st_size);
        if (goes_before(folder, entry->d_name, ret_first))
            memcpy(ret_first, entry->d_name, strlen(entry->d_name) + 1);
    }
    (void)closedir(entries);
    return 0;
}

/* Each turn removes one, or is the last. */
static int room_make(const struct record_folder *folder)
{
    char first[NAME_LENGTH_MAX], before[NAME_LENGTH_MAX] = "";
    uint64_t bytes = 0;

    for (;;) {
        int result = traces_sum(folder, &bytes, first);
        if (result < 0 || bytes <= folder->limit - folder->limit / PART_GIVEN_UP)
            return result;
        if (strcmp(first, before) == 0) /* it cannot be removed */
            return -EDQUOT;
        trace_remove(folder, first);
        memcpy(before, first, sizeof(before));
    }
}

/* ---- a trace ---- */

static int trace_end(struct record_folder *folder)
{
    if (!folder->file)
        return 0;
    int result = fclose(folder->file) != 0 ? -errno : 0;
    folder->file = NULL;
    if (folder->first == 0) { /* no frame is whole: the disk is full, and others are worth more */
        trace_remove(folder, folder->name);
        return result;
    }
    if (folder->eventful && !folder->previous_eventful && folder->opening[0] == '\0') {
        memcpy(folder->lead, folder->previous, sizeof(folder->lead));
        memcpy(folder->opening, folder->name, sizeof(folder->opening));
    } else if (!folder->eventful && !folder->previous_eventful) {
        folder->lead[0] = folder->opening[0] = '\0';
        if (folder->previous[0] != '\0')
            trace_remove(folder, folder->previous);
    }
    memcpy(folder->previous, folder->name, sizeof(folder->previous));
    folder->previous_eventful = folder->eventful;
    return result;
}

static int trace_open(struct record_folder *folder)
{
    char path[PATH_MAX];

    int result = path_make(folder, folder->name, path);
    if (result < 0)
        return result;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    folder->file = fdopen(fd, "w");
    if (folder->file)
        return 0;
    result = -errno;
    (void)close(fd);
    return result;
}

static int trace_begin(struct record_folder *folder, const struct snapshot *snapshot)
{
    time_t seconds = (time_t)(snapshot->realtime / NSEC_PER_SEC);
    char stamp[32];
    struct tm parts;

    if (mkdir(folder->directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    int result = room_make(folder);
    if (result < 0)
        return result;
    if (!gmtime_r(&seconds, &parts) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &parts) == 0)
        return -ERANGE;
    (void)snprintf(folder->name, sizeof(folder->name), NAME_PREFIX "%s.%09" PRIu64 "Z" NAME_SUFFIX,
        stamp, snapshot->realtime % NSEC_PER_SEC);
    result = trace_open(folder);
    if (result < 0)
        return result;
    folder->eventful = false;
    folder->began = snapshot->time;
    folder->size = folder->first = 0;
    return record_write_head(folder->writer, folder->file);
}

/* A trace that is mostly its first frame would be followed by another like it at once. */
static bool trace_is_due(const struct record_folder *folder, const struct snapshot *snapshot)
{
    return !folder->file || sub_or_zero(snapshot->time, folder->began) >= RECORD_TRACE_TIME ||
           (folder->size >= folder->limit / PART_ENDS && folder->size / 2 >= folder->first);
}

/* The order of the kernel's victims is kept up at all times, and is no event. */
static bool frame_is_eventful(const struct record_frame *frame)
{
    const struct action *actions = record_frame_part(frame, RECORD_ACTION);

    for (uint32_t i = 0; i < frame->counts[RECORD_ACTION]; i++)
        if (actions[i].kind != ACTION_OOM_SCORE)
            return true;
    return false;
}

static int frame_put(struct record_folder *folder, const struct record_frame *frame)
{
    const struct snapshot *snapshot = record_frame_part(frame, RECORD_SNAPSHOT);
    bool begins = frame->counts[RECORD_STATE] > 0;
    int result = 0;

    if (begins && trace_is_due(folder, snapshot)) {
        result = trace_end(folder);
        if (result == 0)
            result = trace_begin(folder, snapshot);
    }
    if (result < 0 || !folder->file)
        return result;
    folder->eventful |= frame_is_eventful(frame);
    result = record_write_frame(folder->writer, frame, folder->file);
    if (result == 0 && fflush(folder->file) != 0)
        result = -errno;
    if (result < 0)
        return result;
    long size = ftell(folder->file);
    folder->size = size < 0 ? UNKNOWN : (uint64_t)size;
    if (folder->first == 0)
        folder->first = folder->size;
    return folder->size > folder->limit / PART_GIVEN_UP ? -EFBIG : 0;
}

int record_folder_write(
    struct record_folder *folder, const struct record_frame *frame, bool *ret_stretch)
{
    const struct snapshot *snapshot = record_frame_part(frame, RECORD_SNAPSHOT);
    int result = 0;

    if (snapshot->time >= folder->retry)
        result = frame_put(folder, frame);
    if (result < 0) {
        (void)trace_end(folder);
        folder->retry = add_held(snapshot->time, RECORD_RETRY);
    }
    *ret_stretch = snapshot->time >= folder->retry && trace_is_due(folder, snapshot);
    return result;
}

struct record_folder *record_folder_free(struct record_folder *folder)
{
    if (!folder)
        return NULL;
    (void)trace_end(folder);
    record_writer_free(folder->writer);
    free(folder);
    return NULL;
}
