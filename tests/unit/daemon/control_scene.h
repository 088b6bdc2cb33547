/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control server and its clients in one thread: the test turns the loop by hand, and time is
 * handed to control_server_expire(), so that nothing is waited for by luck. Every function ends the
 * test when it fails.
 *
 * Methods: io.plimsoll.Echo {text} returns its parameters, Big a text of scene.text_size bytes,
 * Fail an error; Root is for root alone.
 */
#ifndef PLIMSOLL_TESTS_CONTROL_SCENE_H
#define PLIMSOLL_TESTS_CONTROL_SCENE_H

#include "control_server.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>

/* Turns of the loop that any exchange here ends within. */
#define CONTROL_TURNS_MAX 10000

struct control_scene {
    char folder[SCRATCH_FOLDER_MAX];
    char path[SCRATCH_FOLDER_MAX + 32]; /* the server's socket */
    struct loop *loop;
    struct control_server *server;
    unsigned calls; /* of Echo and Root */
    unsigned text_size;
};
extern struct control_scene scene;

/* Checked fixture: a server that listens, and its end. */
void control_scene_setup(void);
void control_scene_teardown(void);
/* Starts scene.server; returns what control_server_new() returns. */
int control_server_start(struct error *error);

/* A client's end of a new connection, non-blocking. */
int control_connect(void);

/* One turn of the loop as the guard makes it: what is due, then a wait of at most a millisecond. */
void control_turn(void);
/* Lets the server do all it can do without hearing more: what is on a Unix socket is there at once,
 * so a turn never has to wait, and nothing here needs more turns than it takes. */
void control_settle(void);

void control_say(int fd, const char *bytes, size_t length);
/* TEXT with its NUL, which ends a request. */
void control_say_text(int fd, const char *text);
/* One reply up to its NUL, or NULL when the server closed; the caller frees it. */
char *control_hear(int fd);
bool control_is_closed(int fd);

/* The server still serves somebody new: no misbehaviour of another may change that. */
void control_assert_serves(void);
void control_assert_answer(const char *request, const char *expected);
/* The server closes on hearing BYTES, and serves others. */
void control_assert_refused(const char *bytes, size_t length);

#endif
