/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's record as it lies on disk: a folder of traces, or one, read look by look in the order
 * of time. A guard may write on while it is read. What of it cannot be read is left out, and told.
 */
#ifndef PLIMSOLL_REPORT_TRACES_H
#define PLIMSOLL_REPORT_TRACES_H

#include <plimsoll/cleanup.h>
#include <plimsoll/error.h>

#include "progress.h"
#include "record_read.h"

/* More than the guard keeps: each is of five minutes, or an eighth of the record's limit. */
#define TRACES_MAX 4096
/* Without a look for so long nobody knows what was: the guard looks each second at least (WAKE_MAX,
 * policy/tuning.h), and may be late. */
#define LOOK_APART_MOST (3 * NSEC_PER_SEC)

enum look_follows {
    LOOK_FOLLOWS,
    LOOK_FIRST,        /* that is read */
    LOOK_AFTER_GAP,    /* there was none for longer than LOOK_APART_MOST */
    LOOK_AFTER_REBOOT, /* the host was started anew: the clock is another */
};

/* One look of the guard, as it is recorded. */
struct look {
    const struct record_seen *seen;
    uint64_t number; /* in the whole record, from 0 on */
    uint32_t trace;
    enum look_follows follows;
};

struct trace_file {
    char *path;
    uint64_t size; /* bytes when it was found */
    bool walked;
    uint64_t first_look; /* its number; valid once all before it has been read */
    uint64_t looks;
    bool cut;                   /* it ends within a look */
    char fault[ERROR_TEXT_MAX]; /* why the rest of it cannot be read; empty: all can */
};

struct traces {
    char *path; /* as it was given */
    struct trace_file *files;
    uint32_t count;
    bool left_out; /* there were more than TRACES_MAX: the oldest are not read */
};

/* PATH is a trace, or a folder of them, which may have none. A negative errno, and words. */
int traces_open(const char *path, struct traces **ret_traces, struct error *ret_error);
struct traces *traces_close(struct traces *traces);
DEFINE_CLEANUP(struct traces *, traces_close);

/* False: no more looks are wanted. */
typedef bool (*traces_visitor)(const struct look *look, void *userdata);

/* Shows VISITOR each look from trace FIRST on. PROGRESS may be NULL. A negative errno, and words:
 * not one trace could be read. */
int traces_walk(struct traces *traces, uint32_t first, traces_visitor visitor, void *userdata,
    struct progress *progress, struct error *ret_error);

#endif
