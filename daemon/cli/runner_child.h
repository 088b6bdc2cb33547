/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that is run for one of the guard's lines, see runner.h: one process and its group. */
#ifndef PLIMSOLL_CLI_RUNNER_CHILD_H
#define PLIMSOLL_CLI_RUNNER_CHILD_H

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct runner_child {
    pid_t pid;   /* and its group; 0: none */
    int fd;      /* a pidfd */
    int refusal; /* a pipe, with an errno in it if the program could not be started */
};
#define RUNNER_CHILD_NONE ((struct runner_child){.fd = -1, .refusal = -1})

/* 0 or a negative errno. Whether the program itself could be started is known when it has ended. */
int runner_child_start(
    const char *program, struct json_object *line, struct runner_child *ret_child);
/* For the whole group. */
void runner_child_signal(const struct runner_child *child, int number);
/* True: it has ended, the rest of its group was killed, and *CHILD is none. *RET_REFUSED: the errno
 * with which the program could not be started, or 0; *RET_ENDED: as waitid() says. */
bool runner_child_reap(struct runner_child *child, int *ret_refused, siginfo_t *ret_ended);
/* Kills it and waits for that; none is left as it is. */
void runner_child_kill(struct runner_child *child);

#endif
