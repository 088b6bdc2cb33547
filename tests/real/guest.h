/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A real guest in a real QEMU: started, listened to on its serial line, told what to do next,
 * looked at from outside. Its schedule is that of tests/guest/schedule.h. As everything here, what
 * cannot be done fails the test.
 */
#ifndef PLIMSOLL_TESTS_REAL_GUEST_H
#define PLIMSOLL_TESTS_REAL_GUEST_H

#include "harness.h"
#include "lines.h"

#include <json-c/json.h>

#define GUEST_NAME_MAX 32
/* From start to `ready`: 3 s alone under emulation; four at once on two busy cores take longer. */
#define GUEST_READY_LIMIT (60 * NSEC_PER_SEC)
/* One QMP command, on a machine that may be busy with something else. */
#define GUEST_QMP_LIMIT (20 * NSEC_PER_SEC)
/* Guests at once in one test. */
#define GUESTS_MAX 8

struct guest_options {
    const char *name;     /* at most GUEST_NAME_MAX - 1 bytes */
    uint64_t memory;      /* bytes, whole MiB */
    const char *schedule; /* NULL: none */
    bool no_balloon_device;
    const char *balloon;       /* further properties of the balloon device; NULL: none */
    bool memfd;                /* memory from a shared memfd instead of anonymous */
    const char *qmp_directory; /* a second monitor, for the guard, at DIR/NAME.sock; NULL: none */
    const char *const *extra;  /* more arguments for QEMU, NULL-terminated; NULL: none */
};

struct guest {
    char name[GUEST_NAME_MAX];
    char uuid[37];
    struct child qemu;
    struct lines serial;
    size_t cursor; /* behind the last line guest_wait() has given */
    char monitor_path[HARNESS_PATH_MAX];
    struct lines monitor;
    size_t monitor_cursor;
    char cgroup[HARNESS_PATH_MAX]; /* empty: it stays in ours */
};

void guest_start(struct guest *guest, const struct guest_options *options);
/* Starts it and waits until it is ready. */
void guest_boot(struct guest *guest, const struct guest_options *options);
/* SIGKILL; nothing for one that was never started or has ended. */
void guest_end(struct guest *guest);

/* The next line of EVENT ("ready", "report", "done step=grow", …); what comes before is skipped. */
const char *guest_wait(struct guest *guest, const char *event, uint64_t limit);
/* The number behind KEY= in LINE. */
uint64_t guest_value(const char *line, const char *key);
/* The figure KEY of the next report. */
uint64_t guest_report(struct guest *guest, const char *key);
/* Steps to take now, in place of what is left of the schedule; see schedule.h. */
void guest_tell(struct guest *guest, const char *steps);

/* Bytes resident, /proc/PID/statm. */
uint64_t guest_rss(const struct guest *guest);
/* Until its RSS is below or above BYTES; returns it. */
uint64_t guest_wait_rss_below(const struct guest *guest, uint64_t bytes, uint64_t limit);
uint64_t guest_wait_rss_above(const struct guest *guest, uint64_t bytes, uint64_t limit);
int guest_oom_score_adj(const struct guest *guest);
/* All its threads have stopped: a SIGSTOP stops each when it next leaves the kernel. */
bool guest_is_stopped(const struct guest *guest);
/* It is there, and none of its threads has stopped. */
bool guest_is_going(const struct guest *guest);

/* Executes COMMAND on the test's own monitor, ARGUMENTS as JSON or NULL. The caller owns the
 * result, which is NULL when QEMU answered with an error. */
struct json_object *guest_query(struct guest *guest, const char *command, const char *arguments);
/* The same, for a command that must succeed and whose answer does not matter. */
void guest_execute(struct guest *guest, const char *command, const char *arguments);
void guest_set_balloon(struct guest *guest, uint64_t bytes);
uint64_t guest_balloon_actual(struct guest *guest);
/* Its run state is STATE ("running", "paused", …) now. */
bool guest_is(struct guest *guest, const char *state);
void guest_wait_is(struct guest *guest, const char *state, uint64_t limit);

/* Gives each vCPU thread a threaded cgroup of its own, laid out as libvirt does. False: this
 * machine has none to give. */
bool guest_isolate_vcpus(struct guest *guest);
/* cgroup.freeze of its first vCPU; -1 without a group. */
int guest_vcpu_frozen(const struct guest *guest);
void guest_freeze_vcpu(const struct guest *guest, bool freeze);

/* Everything it said, to stderr, and how its QEMU ended if it has. */
void guest_dump(struct guest *guest);
/* The same of all guests of this test that were not ended by it. */
void guest_dump_all(void);

#endif
