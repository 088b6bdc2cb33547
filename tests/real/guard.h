/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsolld under test, as an operator has it: started with a configuration file, heard by its
 * alert lines, asked through `plimsoll --json status`. Nothing here knows its insides.
 */
#ifndef PLIMSOLL_TESTS_REAL_GUARD_H
#define PLIMSOLL_TESTS_REAL_GUARD_H

#include "harness.h"
#include "lines.h"

#include <json-c/json.h>

/* From start to the first answer: it locks its memory and rehearses. */
#define GUARD_START_LIMIT (20 * NSEC_PER_SEC)
/* From a cause to the guard's deed; its ticks are at most a second apart. */
#define GUARD_ACT_LIMIT (60 * NSEC_PER_SEC)
#define GUARD_CONFIG_MAX 4096

struct guard {
    char directory[HARNESS_PATH_MAX];     /* its runtime directory */
    char qmp_directory[HARNESS_PATH_MAX]; /* where guests shall put their monitors for it */
    char config[HARNESS_PATH_MAX];
    struct child daemon;
    struct lines lines; /* its stderr */
};

/* Makes the folders for a guard called NAME; guests may be started with its qmp_directory. */
void guard_prepare(struct guard *guard, const char *name);
/* Writes the configuration: [guard] with mode=enforce, no libvirt and our folder, then what FORMAT
 * says, which begins within that section. May be called again, for a restart. */
void guard_configure(struct guard *guard, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Starts it and waits until it answers. */
void guard_start(struct guard *guard);
/* SIGKILL; its folder stays, for a successor. */
void guard_kill(struct guard *guard);
/* SIGTERM, and waits for exit status 0. */
void guard_stop(struct guard *guard);
/* Runs a second plimsolld on the same folder until it ends by itself; fills OUTPUT with its stderr.
 */
int guard_run_second(struct guard *guard, char *output, size_t size);

/* "From now on", for the next two. */
size_t guard_mark(struct guard *guard);
/* An alert line since *CURSOR with all of the words given, as "action=pause"; NULL ends them. Moves
 * *CURSOR behind it. */
const char *guard_wait_event(struct guard *guard, size_t *cursor, uint64_t limit, ...)
    __attribute__((sentinel));
/* Whether there is one already. */
bool guard_saw(struct guard *guard, size_t since, ...) __attribute__((sentinel));

/* `plimsoll --json status`, parsed; the caller owns it. NULL: the command failed. */
struct json_object *guard_status(struct guard *guard);
/* `plimsoll undo --offline`; its exit status. */
int guard_undo_offline(struct guard *guard);

typedef bool (*guard_predicate)(struct json_object *status, const void *userdata);
/* Until PREDICATE holds of a status. */
void guard_wait_status(struct guard *guard, guard_predicate predicate, const void *userdata,
    const char *what, uint64_t limit);

/* The entry of the VM of this name in a status, borrowed; NULL: it has none. */
struct json_object *guard_status_vm(struct json_object *status, const char *name);
/* The string under KEY, or "" where there is none. */
const char *guard_status_text(struct json_object *object, const char *key);
/* The VM has a string KEY of this value. */
struct guard_expectation {
    const char *vm, *key, *value;
};
bool guard_expects(struct json_object *status, const void *expectation);
/* Waits until the guard knows the VM of this name with its monitor. */
void guard_wait_vm(struct guard *guard, const char *name);

/* Its stderr so far, to ours. */
void guard_dump(struct guard *guard);

#endif
