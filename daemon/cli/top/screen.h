/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The terminal while it is ours: raw, on its alternate screen, without a cursor. Whatever way this
 * ends, the terminal is as it was before.
 */
#ifndef PLIMSOLL_CLI_TOP_SCREEN_H
#define PLIMSOLL_CLI_TOP_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "frame.h"

/* Larger than any terminal is; one that says it were is not believed. */
#define SCREEN_COLUMNS_MAX 1024
#define SCREEN_ROWS_MAX 512

struct screen {
    /* Readable when screen_read() has something. */
    int fd;
    /* Read only. */
    unsigned rows, columns;
    /* Its own. */
    int signal_fd, timer_fd;
    struct termios before;
    sigset_t mask_before;
    bool raw, shown, masked;
    struct frame previous; /* what stands there */
    char *output;
    size_t output_size;
};

enum screen_event {
    SCREEN_NOTHING, /* to be looked at again when the fd is readable */
    SCREEN_BYTES,
    SCREEN_RESIZED, /* or lost: all of it is to be drawn */
    SCREEN_TIMER,
    SCREEN_END,    /* by the terminal's Ctrl-C */
    SCREEN_SIGNAL, /* by a signal, which screen_close() passes on */
    SCREEN_GONE,   /* nobody is there any more */
};

/* Standard input and output; 0, or a negative errno with the terminal left as it is. */
int screen_open(struct screen *screen);
/* Gives the terminal back. */
void screen_close(struct screen *screen);

/* What there is to know next, without waiting; of SCREEN_BYTES *RET_COUNT, at most SIZE. Stops this
 * process and goes on, as job control has it. */
enum screen_event screen_read(
    struct screen *screen, char *buffer, size_t size, size_t *ret_count, int *ret_signal);
/* SCREEN_TIMER once, NANOSECONDS from now; 0: not. */
void screen_timer(struct screen *screen, uint64_t nanoseconds);

/* Writes what is other than what stands there, in one go. FRAME is changed for what was shown
 * before, so that it is composed anew. 0 or a negative errno. */
int screen_show(struct screen *screen, struct frame *frame);
/* Draws all of it with the next frame. */
void screen_forget(struct screen *screen);

#endif
