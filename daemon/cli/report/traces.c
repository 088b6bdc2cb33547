/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the list of traces, and what is between two looks. The names of traces are in the order of
 * their age. The files may be anybody's: only regular ones are read, and what record_read.h refuses
 * ends that trace, not the walk.
 *
 * A boot is told from another by two clocks: within one the time of day and the monotonic clock
 * move together. The time of day can be set, but not while the guard counts its looks on.
 */
#include "traces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record_folder.h"

/* Clocks that have moved apart by more, with a guard that counts anew: another boot. */
#define CLOCKS_APART_MOST NSEC_PER_MINUTE

struct walk {
    struct traces *traces;
    traces_visitor visitor;
    void *userdata;
    struct progress *progress;
    uint64_t done, whole; /* bytes */
    uint64_t number;
    bool any;
    uint64_t time, realtime, sequence; /* of the look before */
};

/* ---- the list ---- */

struct traces *traces_close(struct traces *traces)
{
    if (!traces)
        return NULL;
    for (uint32_t i = 0; traces->files && i < traces->count; i++)
        free(traces->files[i].path);
    free(traces->files);
    free(traces->path);
    free(traces);
    return NULL;
}

static int is_trace(const struct dirent *entry)
{
    return record_folder_names(entry->d_name);
}

static int file_add(struct traces *traces, const char *folder, const char *name)
{
    struct trace_file *file = &traces->files[traces->count];

    if (asprintf(&file->path, "%s%s%s", folder, *folder ? "/" : "", name) < 0) {
        file->path = NULL;
        return -ENOMEM;
    }
    traces->count++;
    struct stat status;
    file->size = stat(file->path, &status) == 0 ? (uint64_t)status.st_size : 0;
    return 0;
}

static int folder_list(struct traces *traces, struct error *ret_error)
{
    struct dirent **entries = NULL;
    int found = scandir(traces->path, &entries, is_trace, alphasort), result = 0;

    if (found < 0)
        return error_set(ret_error, -errno, "%s: %s%s", traces->path, strerror(errno),
            errno == EACCES ? "; the record is for root" : "");
    int first = found > TRACES_MAX ? found - TRACES_MAX : 0;
    traces->left_out = first > 0;
    traces->files = calloc((size_t)(found - first) + 1, sizeof(*traces->files));
    if (!traces->files)
        result = -ENOMEM;
    for (int i = 0; i < found; i++) {
        if (i >= first && result == 0)
            result = file_add(traces, traces->path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return result < 0 ? error_set(ret_error, result, "no memory for the list of traces") : 0;
}

int traces_open(const char *path, struct traces **ret_traces, struct error *ret_error)
{
    CLEANUP(traces_close_at) struct traces *traces = calloc(1, sizeof(*traces));
    struct stat status;

    if (traces)
        traces->path = strdup(path);
    if (!traces || !traces->path)
        return error_set(ret_error, -ENOMEM, "no memory for the list of traces");
    if (stat(path, &status) < 0)
        return error_set(ret_error, -errno, "%s: %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode)) {
        int result = folder_list(traces, ret_error);
        if (result < 0)
            return result;
    } else {
        traces->files = calloc(1, sizeof(*traces->files));
        if (!traces->files || file_add(traces, "", path) < 0)
            return error_set(ret_error, -ENOMEM, "no memory for the list of traces");
    }
    *ret_traces = STEAL(traces);
    return 0;
}

/* ---- the walk ---- */

/* A named pipe would have us wait for who writes to it. */
static FILE *file_open(const struct trace_file *file, struct error *ret_error)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;

    if (fd < 0) {
        (void)error_set(ret_error, -errno, "%s%s", strerror(errno),
            errno == EACCES ? "; the record is for root" : "");
        return NULL;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        FILE *in = fdopen(fd, "r");
        if (in)
            return in;
    }
    (void)close(fd);
    (void)error_set(ret_error, -EINVAL, "this is no file, and no folder");
    return NULL;
}

static bool is_reboot(const struct walk *walk, const struct snapshot *snapshot)
{
    if (snapshot->time < walk->time)
        return true;
    uint64_t passed = snapshot->time - walk->time;
    uint64_t of_day = sub_or_zero(snapshot->realtime, walk->realtime);
    uint64_t apart = max_u64(passed, of_day) - min_u64(passed, of_day);
    return snapshot->sequence <= walk->sequence && apart > CLOCKS_APART_MOST;
}

static enum look_follows follows(const struct walk *walk, const struct snapshot *snapshot)
{
    if (!walk->any)
        return LOOK_FIRST;
    if (is_reboot(walk, snapshot))
        return LOOK_AFTER_REBOOT;
    return snapshot->time - walk->time > LOOK_APART_MOST ? LOOK_AFTER_GAP : LOOK_FOLLOWS;
}

static bool look_show(struct walk *walk, uint32_t trace, const struct record_seen *seen)
{
    const struct snapshot *snapshot = seen->snapshot;
    const struct look look = {
        .seen = seen, .number = walk->number, .trace = trace, .follows = follows(walk, snapshot)};

    walk->any = true;
    walk->number++;
    walk->time = snapshot->time;
    walk->realtime = snapshot->realtime;
    walk->sequence = snapshot->sequence;
    return walk->visitor(&look, walk->userdata);
}

/* False: no more is wanted. A fault is the trace's. */
static bool looks_show(struct walk *walk, uint32_t trace, FILE *in, struct record_reader *reader)
{
    struct trace_file *file = &walk->traces->files[trace];
    struct error error = {0};
    struct record_seen seen;
    bool wanted = true;
    int result = 1;

    while (wanted && (result = record_read_frame(reader, &seen, &file->cut, &error)) > 0) {
        long position = walk->progress ? ftell(in) : 0;
        if (position > 0)
            progress_update(walk->progress, walk->done + (uint64_t)position, walk->whole);
        file->looks++;
        wanted = look_show(walk, trace, &seen);
    }
    if (result < 0)
        (void)snprintf(file->fault, sizeof(file->fault), "%s", error.text);
    return wanted;
}

static bool trace_show(struct walk *walk, uint32_t trace)
{
    CLEANUP(record_reader_free_at) struct record_reader *reader = NULL;
    struct trace_file *file = &walk->traces->files[trace];
    struct error error = {0};
    FILE *in = file_open(file, &error);
    bool wanted = true;

    /* By the first reading for good: a guard that prunes its record meanwhile moves no number. */
    if (file->walked)
        walk->number = file->first_look;
    file->walked = true;
    file->first_look = walk->number;
    file->looks = 0;
    file->cut = false;
    file->fault[0] = '\0';
    if (in && record_reader_new(in, &reader, &error) == 0)
        wanted = looks_show(walk, trace, in, reader);
    else
        (void)snprintf(file->fault, sizeof(file->fault), "%s", error.text);
    if (in)
        (void)fclose(in);
    walk->done += file->size;
    return wanted;
}

int traces_walk(struct traces *traces, uint32_t first, traces_visitor visitor, void *userdata,
    struct progress *progress, struct error *ret_error)
{
    struct walk walk = {
        .traces = traces, .visitor = visitor, .userdata = userdata, .progress = progress};
    const struct trace_file *faulty = NULL;
    bool wanted = true;

    for (uint32_t i = first; i < traces->count; i++)
        walk.whole += traces->files[i].size;
    if (first < traces->count)
        walk.number = traces->files[first].first_look;
    for (uint32_t i = first; wanted && i < traces->count; i++) {
        wanted = trace_show(&walk, i);
        if (traces->files[i].fault[0] && !faulty)
            faulty = &traces->files[i];
    }
    if (walk.any || !faulty)
        return 0;
    return error_set(ret_error, -EINVAL, "%s: %s", faulty->path, faulty->fault);
}
