/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the loop of the live view. Theory of operation:
 *
 * Each interval the guard is asked, what it says goes into the model, and the page is drawn. Keys,
 * signals and a new size are heeded at any time, also while an answer is waited for: the client
 * gives way to top_ready(), which draws what is known so far. Nothing else is ever waited for, so
 * that q works whatever the guard does.
 */
#include "top.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "command.h"
#include "draw.h"
#include "keys.h"
#include "screen.h"
#include "terminal.h"
#include "viewer.h"

/* Between two questions at the start. */
#define AWAIT_INTERVAL (100 * NSEC_PER_MSEC)
/* Bytes of keys taken at once. */
#define KEYS_READ 256

struct top {
    const struct top_wish *wish;
    struct model model;
    struct viewer view;
    struct screen screen;
    struct keys keys;
    struct frame frame;
    bool ended;
    int result;
    int signal; /* that ends us; 0: none */
};

int top_await(struct model *model)
{
    const struct timespec pause = {.tv_nsec = AWAIT_INTERVAL};
    uint64_t end = model_clock() + TOP_START_WAIT;
    int result;

    while ((result = model_ask(model, NULL)) < 0) {
        bool comes = result == -ENOENT || result == -ECONNREFUSED || result == -ECONNRESET;
        if (!comes || model_clock() >= end) {
            fprintf(stderr, "plimsoll: %s\n", model->reason.text);
            return result == -EREMOTEIO || result == -ENOMEM ? COMMAND_FAILED : COMMAND_UNREACHABLE;
        }
        (void)nanosleep(&pause, NULL);
    }
    return COMMAND_OK;
}

static void top_end(struct top *top, int result)
{
    top->ended = true;
    top->result = result;
}

static void top_draw(struct top *top)
{
    const struct canvas canvas = {.frame = &top->frame,
        .rows = top->screen.rows,
        .columns = top->screen.columns,
        .screen = true};

    top->frame.columns = canvas.columns;
    int result = viewer_update(&top->view, &top->model);
    if (result == 0) {
        draw_page(&canvas, &top->model, &top->view);
        result = screen_show(&top->screen, &top->frame);
    }
    if (result < 0)
        top_end(top, COMMAND_FAILED);
}

static void key_heed(struct top *top, const struct key *key)
{
    /* Keys find the guests in the order that they have now, several in one read included. */
    if (viewer_update(&top->view, &top->model) < 0) {
        top_end(top, COMMAND_FAILED);
        return;
    }
    switch (viewer_key(&top->view, key)) {
    case VIEW_STAYS:
    case VIEW_CHANGED:
        break;
    case VIEW_LOST:
        screen_forget(&top->screen);
        break;
    case VIEW_ENDS:
        top_end(top, COMMAND_OK);
        break;
    }
}

static void bytes_heed(struct top *top, const char *bytes, size_t count)
{
    struct key key;

    for (size_t i = 0; i < count && !top->ended; i++)
        if (keys_take(&top->keys, bytes[i], &key))
            key_heed(top, &key);
    screen_timer(&top->screen, keys_wait(&top->keys) ? KEYS_ESCAPE_WAIT : 0);
}

/* Whatever the terminal has for us. */
static void events_heed(struct top *top)
{
    char bytes[KEYS_READ];
    size_t count = 0;
    struct key key;
    bool heeded = false;

    while (!top->ended) {
        switch (screen_read(&top->screen, bytes, sizeof(bytes), &count, &top->signal)) {
        case SCREEN_NOTHING:
            if (heeded)
                top_draw(top);
            return;
        case SCREEN_BYTES:
            bytes_heed(top, bytes, count);
            break;
        case SCREEN_TIMER:
            if (keys_expire(&top->keys, &key))
                key_heed(top, &key);
            break;
        case SCREEN_RESIZED:
            break;
        case SCREEN_END:
            top_end(top, COMMAND_OK);
            break;
        case SCREEN_SIGNAL:
        case SCREEN_GONE:
            top_end(top, COMMAND_FAILED);
            break;
        }
        heeded = true;
    }
}

static bool top_ready(void *userdata)
{
    struct top *top = userdata;

    events_heed(top);
    return !top->ended;
}

static void top_loop(struct top *top)
{
    const struct client_aside aside = {.fd = top->screen.fd, .ready = top_ready, .userdata = top};
    uint64_t next = model_clock() + top->wish->interval;

    top_draw(top);
    while (!top->ended) {
        struct pollfd source = {.fd = top->screen.fd, .events = POLLIN};
        uint64_t now = model_clock();
        int wait = top->view.paused ? -1 : (int)(sub_or_zero(next, now) / NSEC_PER_MSEC);

        if (!top->view.paused && now >= next) {
            (void)model_ask(&top->model, &aside);
            next = max_u64(next + top->wish->interval, model_clock());
            if (!top->ended)
                top_draw(top);
            continue;
        }
        if (poll(&source, 1, wait == 0 ? 1 : wait) < 0 && errno != EINTR)
            top_end(top, COMMAND_FAILED);
        if (source.revents)
            events_heed(top);
    }
}

int top_live(const struct top_wish *wish)
{
    struct top *top = calloc(1, sizeof(*top));
    int result;

    if (!top) {
        fputs("plimsoll: no memory\n", stderr);
        return COMMAND_FAILED;
    }
    top->wish = wish;
    top->model = (struct model){.socket = wish->socket, .interval = wish->interval};
    top->frame.colours = terminal_style().colours;
    top->frame.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    viewer_begin(&top->view);
    result = top_await(&top->model);
    if (result == COMMAND_OK) {
        result = screen_open(&top->screen);
        if (result < 0) {
            fprintf(stderr, "plimsoll: cannot use this terminal: %s\n", strerror(-result));
            result = COMMAND_FAILED;
        } else {
            top_loop(top);
            screen_close(&top->screen);
            result = top->result;
        }
    }
    int number = top->signal;
    viewer_clear(&top->view);
    frame_clear(&top->frame);
    model_clear(&top->model);
    free(top);
    /* Whoever waits for us learns what it was. */
    if (number > 0) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    return result;
}
