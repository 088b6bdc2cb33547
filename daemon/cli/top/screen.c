/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the terminal. Theory of operation:
 *
 * Signals are blocked and read from a signalfd, so that none finds the terminal half set, and one
 * epoll descriptor stands for all there is to heed: bytes, signals, a timer. Ctrl-C and Ctrl-Z stay
 * the terminal's, which makes them the same as a kill from elsewhere. To be stopped is done by
 * hand: the terminal is given back, the signal let through, and taken again when we go on.
 *
 * A row is written only if it differs from the one that stands there. Wrapping is off, so that a
 * character which is wider than the locale says spoils one row and not the screen.
 */
#include "screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#define ROWS_DEFAULT 24
#define COLUMNS_DEFAULT 80

/* Alternate screen, no wrapping, no cursor; and back. */
#define SEQUENCE_ENTER "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[0m\x1b[2J"
#define SEQUENCE_LEAVE "\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l"
/* Where a row is put, and the end of what stood there: of each half. */
#define SEQUENCE_ROW_MAX 32

static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH};

static int output_write(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t count = write(STDOUT_FILENO, text, length);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0) {
            text += count;
            length -= (size_t)count;
        }
    }
    return 0;
}

static void size_ask(struct screen *screen)
{
    struct winsize size = {0};

    screen->rows = ROWS_DEFAULT;
    screen->columns = COLUMNS_DEFAULT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen->rows = (unsigned)min_u64(size.ws_row, SCREEN_ROWS_MAX);
        screen->columns = (unsigned)min_u64(size.ws_col, SCREEN_COLUMNS_MAX);
    }
}

/* In the background the kernel stops us here until we are brought to the foreground. */
static int screen_enter(struct screen *screen)
{
    struct termios raw = screen->before;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    raw.c_oflag |= OPOST;
    raw.c_cc[VMIN] = 0; /* a read never waits: what is there is there */
    raw.c_cc[VTIME] = 0;
    while (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        if (errno != EINTR)
            return -errno;
    screen->raw = true;
    size_ask(screen);
    screen_forget(screen);
    screen->shown = true;
    return output_write(SEQUENCE_ENTER, strlen(SEQUENCE_ENTER));
}

static void screen_leave(struct screen *screen)
{
    if (screen->shown)
        (void)output_write(SEQUENCE_LEAVE, strlen(SEQUENCE_LEAVE));
    screen->shown = false;
    if (screen->raw)
        while (tcsetattr(STDIN_FILENO, TCSADRAIN, &screen->before) < 0 && errno == EINTR)
            ;
    screen->raw = false;
}

static int descriptor_watch(const struct screen *screen, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(screen->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int descriptors_open(struct screen *screen)
{
    sigset_t set;
    int result;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < ELEMENTSOF(signals); i++)
        (void)sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, &screen->mask_before) < 0)
        return -errno;
    screen->masked = true;
    screen->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    screen->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    screen->fd = epoll_create1(EPOLL_CLOEXEC);
    if (screen->signal_fd < 0 || screen->timer_fd < 0 || screen->fd < 0)
        return -errno;
    result = descriptor_watch(screen, screen->signal_fd);
    if (result == 0)
        result = descriptor_watch(screen, screen->timer_fd);
    return result == 0 ? descriptor_watch(screen, STDIN_FILENO) : result;
}

int screen_open(struct screen *screen)
{
    int result;

    *screen = (struct screen){.fd = -1, .signal_fd = -1, .timer_fd = -1};
    if (tcgetattr(STDIN_FILENO, &screen->before) < 0)
        return -errno;
    result = descriptors_open(screen);
    if (result == 0)
        result = screen_enter(screen);
    if (result < 0)
        screen_close(screen);
    return result;
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void screen_close(struct screen *screen)
{
    screen_leave(screen);
    descriptor_close(&screen->fd);
    descriptor_close(&screen->signal_fd);
    descriptor_close(&screen->timer_fd);
    frame_clear(&screen->previous);
    free(screen->output);
    screen->output = NULL;
    screen->output_size = 0;
    if (screen->masked)
        (void)sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
    screen->masked = false;
}

void screen_forget(struct screen *screen)
{
    frame_begin(&screen->previous);
    screen->previous.columns = 0; /* nothing stands there that is known */
}

/* Lets the signal stop us, as it would have; returns when we go on. */
static void screen_suspend(struct screen *screen)
{
    sigset_t set;

    screen_leave(screen);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTSTP);
    (void)raise(SIGTSTP);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* here */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* After a stop. Who is told to end meanwhile may be in the background, where the terminal is not
 * ours, and ends without it. */
static enum screen_event screen_resume(struct screen *screen)
{
    sigset_t pending;

    if (sigpending(&pending) == 0 &&
        (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1))
        return SCREEN_NOTHING;
    return screen_enter(screen) < 0 ? SCREEN_GONE : SCREEN_RESIZED;
}

static enum screen_event signal_take(struct screen *screen, int number, int *ret_signal)
{
    switch (number) {
    case SIGWINCH:
        size_ask(screen);
        screen_forget(screen);
        return SCREEN_RESIZED;
    case SIGTSTP:
        screen_suspend(screen);
        return screen_resume(screen);
    case SIGCONT: /* after a stop that nobody told us of, the shell has had the terminal */
        return screen_resume(screen);
    case SIGINT:
        return SCREEN_END;
    default:
        *ret_signal = number;
        return SCREEN_SIGNAL;
    }
}

enum screen_event screen_read(
    struct screen *screen, char *buffer, size_t size, size_t *ret_count, int *ret_signal)
{
    struct signalfd_siginfo information;
    struct epoll_event event;
    uint64_t expired;

    if (epoll_wait(screen->fd, &event, 1, 0) != 1)
        return SCREEN_NOTHING;
    if (event.data.fd == screen->signal_fd) {
        if (read(screen->signal_fd, &information, sizeof(information)) != sizeof(information))
            return SCREEN_NOTHING;
        return signal_take(screen, (int)information.ssi_signo, ret_signal);
    }
    if (event.data.fd == screen->timer_fd)
        return read(screen->timer_fd, &expired, sizeof(expired)) > 0 ? SCREEN_TIMER
                                                                     : SCREEN_NOTHING;
    ssize_t count = read(STDIN_FILENO, buffer, size);
    if (count > 0) {
        *ret_count = (size_t)count;
        return SCREEN_BYTES;
    }
    if (count < 0)
        return errno == EINTR || errno == EAGAIN ? SCREEN_NOTHING : SCREEN_GONE;
    /* Of one that hung up; else somebody else has read what was there. */
    return event.events & (EPOLLHUP | EPOLLERR) ? SCREEN_GONE : SCREEN_NOTHING;
}

void screen_timer(struct screen *screen, uint64_t nanoseconds)
{
    const struct itimerspec once = {
        .it_value = {.tv_sec = (time_t)(nanoseconds / NSEC_PER_SEC),
            .tv_nsec = (long)(nanoseconds % NSEC_PER_SEC)},
    };

    (void)timerfd_settime(screen->timer_fd, 0, &once, NULL);
}

static bool row_stands(const struct screen *screen, const struct frame *frame, unsigned row)
{
    const struct frame *previous = &screen->previous;

    if (previous->columns != frame->columns || row >= previous->row_count)
        return false;
    return previous->rows[row].length == frame->rows[row].length &&
           memcmp(previous->text + previous->rows[row].begin, frame->text + frame->rows[row].begin,
               frame->rows[row].length) == 0;
}

/* The changed rows into the output; returns its length. */
static size_t output_compose(struct screen *screen, const struct frame *frame)
{
    char *at = screen->output;

    for (unsigned row = 0; row < frame->row_count && row < screen->rows; row++) {
        if (row_stands(screen, frame, row))
            continue;
        at += snprintf(at, SEQUENCE_ROW_MAX / 2, "\x1b[%u;1H", row + 1);
        memcpy(at, frame->text + frame->rows[row].begin, frame->rows[row].length);
        at += frame->rows[row].length;
        /* At the last column it would take the last character with it. */
        at += snprintf(at, SEQUENCE_ROW_MAX / 2, "\x1b[0m%s",
            frame->rows[row].columns < screen->columns ? "\x1b[K" : "");
    }
    /* A frame with fewer rows leaves none of the last one behind. */
    if (frame->row_count < screen->rows && (screen->previous.columns != frame->columns ||
                                               screen->previous.row_count > frame->row_count))
        at += snprintf(at, SEQUENCE_ROW_MAX / 2, "\x1b[%u;1H\x1b[J", frame->row_count + 1);
    return (size_t)(at - screen->output);
}

int screen_show(struct screen *screen, struct frame *frame)
{
    size_t wanted = frame->used + (frame->row_count + 1) * (size_t)SEQUENCE_ROW_MAX;

    if (frame->failed)
        return -ENOMEM;
    if (wanted > screen->output_size) {
        char *output = realloc(screen->output, wanted);
        if (!output)
            return -ENOMEM;
        screen->output = output;
        screen->output_size = wanted;
    }
    size_t length = output_compose(screen, frame);
    struct frame shown = *frame;
    *frame = screen->previous;
    screen->previous = shown;
    /* What the owner has set goes with his frame. */
    frame->columns = shown.columns;
    frame->plain = shown.plain;
    frame->colours = shown.colours;
    frame->utf8 = shown.utf8;
    return output_write(screen->output, length);
}
