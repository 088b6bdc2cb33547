/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a program for each of the guard's lines that it is handed: one at a time, in their order,
 * each at most once, and never waited for. What the program is told of:
 *
 *   PLIMSOLL_EVENT, _VM, _REASON, _ACTION, _BAND, _MODE, _TEXT   as the line's fields have them
 *   PLIMSOLL_LEVEL                                               "warning", as level.h has them
 *   standard input                                               the line, one object of JSON
 *
 * What the line does not have is not set. Of our own environment it gets RUNNER_INHERITED and what
 * begins with RUNNER_SETTING, for settings of its own; its standard output is our standard error,
 * and no other descriptor of ours is open in it. There is no shell between: a guest's name stays a
 * value.
 *
 * The program and what it starts are a process group of their own. It is asked to end (SIGTERM)
 * when its time is over, and killed RUNNER_GRACE later; what it has left of its group is killed
 * when it ends. Failures are told of on standard error, once a minute.
 */
#ifndef PLIMSOLL_CLI_RUNNER_H
#define PLIMSOLL_CLI_RUNNER_H

#include <json-c/json.h>
#include <plimsoll/error.h>
#include <plimsoll/units.h>
#include <stdbool.h>
#include <stdint.h>

/* Lines that wait; of more the least urgent gives way, of those the oldest. A storm says some dozen
 * at once, and what is older than 64 runs of a slow program is no news. */
#define RUNNER_QUEUE_MAX 64
/* A mail or a web hook needs seconds where the network is bad; longer than that it hangs. */
#define RUNNER_TIMEOUT (10 * NSEC_PER_SEC)
/* The most that may be asked for: what takes longer is a service of its own. */
#define RUNNER_TIMEOUT_MAX (60 * NSEC_PER_MINUTE)
/* Between SIGTERM and SIGKILL: to take away what is half done. */
#define RUNNER_GRACE (2 * NSEC_PER_SEC)
/* The last of them is what a service is given by LoadCredential=. */
#define RUNNER_INHERITED \
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "CREDENTIALS_DIRECTORY"
#define RUNNER_SETTING "PLIMSOLL_ALERT_"
#define RUNNER_SETTINGS_MAX 32

struct runner;

/* Whether PROGRAM may be run: a path with a slash, as nothing is searched for, to a regular file
 * that we may execute. 0 or a negative errno, of which the error has the words. */
int runner_check(const char *program, struct error *ret_error);

/* PROGRAM, which stays the caller's, is ended after TIMEOUT, ns. 0 or a negative errno; -ENOSYS: a
 * kernel before 5.3. */
int runner_new(const char *program, uint64_t timeout, struct runner **ret_runner);
/* Kills what runs; runner_end() is the gentle way. */
struct runner *runner_free(struct runner *runner);

/* Can be read when runner_serve() has something to do. */
int runner_fd(const struct runner *runner);
/* LINE, an element of GetLog's lines with its "fields" added, is kept by a reference of its own. */
void runner_push(struct runner *runner, struct json_object *line);
/* Starts what is next and ends what has had its time; NOW is loop_now(). Never waits. */
void runner_serve(struct runner *runner, uint64_t now);
/* Nothing runs, and nothing waits for it. */
bool runner_is_idle(const struct runner *runner);
/* Nothing is started any more, what runs is ended with its grace, and that is waited for, for
 * little more than RUNNER_GRACE. */
void runner_end(struct runner *runner);

#endif
