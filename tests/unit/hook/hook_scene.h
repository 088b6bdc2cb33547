/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsoll-hook as libvirt runs it, against a guard of a script: a thread that answers one question
 * a connection, with the lines it was given. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_HOOK_SCENE_H
#define PLIMSOLL_TESTS_HOOK_SCENE_H

#include <json-c/json.h>
#include <stddef.h>
#include <sys/types.h>

#define WEB_UUID "6d8bd8b8-2a3c-4d53-9f4e-0123456789ab"
/* A domain called web of 2 GiB that has INSIDE. */
#define WEB(inside)                                                        \
    "<domain type='kvm'><name>web</name><uuid>" WEB_UUID "</uuid>"         \
    "<memory unit='KiB'>2097152</memory><currentMemory unit='KiB'>1048576" \
    "</currentMemory>" inside "</domain>\n"

/* As long as a configuration may say: for whatever is not about time. */
#define PATIENT "timeout=30s\n"

#define ANSWER(verdict, text, acts) \
    "{\"parameters\":{\"verdict\":\"" verdict "\",\"text\":\"" text "\",\"acts\":" acts "}}"

/* In the place of an answer: */
#define GUARD_HANGS "hangs"   /* reads the question, and stays */
#define GUARD_CLOSES "closes" /* reads it, and goes */

/* In the place of what stands on standard input: */
#define INPUT_OPEN ((const char *)NULL) /* nothing, and no end */
extern const char INPUT_FLOOD[];        /* anything, and no end */

/* Checked fixture. */
void hook_scene_setup(void);
void hook_scene_teardown(void);

/* Which program is run from now on. */
void hook_program(const char *path);
/* What stands in [admission]; NULL: there is no such file. */
void hook_configure(const char *lines);

/* Begins to listen. ANSWERS end in NULL; the last of them answers all further questions. */
void guard_begin(const char *const answers[]);
/* Waits until it was asked once more. */
void guard_await(void);
/* Ends it; returns how often it was asked. */
unsigned guard_end(void);
/* The parameters of a question, from 0, once it has ended; the caller's to put. */
struct json_object *guard_heard(unsigned question);

/* Starts the hook for the guest "web". */
pid_t hook_start(const char *operation, const char *suboperation, const char *input);
/* … with any arguments, of which the program's name is none. */
pid_t hook_start_with(const char *const arguments[], const char *input);
/* Waits for it. It has to exit with STATUS, to have read all of its input, and to have written
 * nothing to standard output. Returns what it wrote to standard error. */
const char *hook_end(int status);

/* From begin to end: `prepare begin` of what is INPUT. ANSWERS NULL: there is no guard. */
const char *hook_ask(const char *lines, const char *const answers[], const char *input, int status);
/* How often the guard was asked in it. */
unsigned hook_asked(void);

#endif
