/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the hold: for maintenance the guard watches, decides and tells, and touches nobody but to
 * give back what it has taken, which is its dry run for a time. It always has an end, and outlives
 * the guard by a file in the runtime folder: one that is restarted in the middle of somebody's work
 * must not act. The file has the end as a time of day, as no other clock goes on over a reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "guard_private.h"
#include "log.h"
#include "text.h"

/* Twenty digits and a newline. */
#define HOLD_TEXT_MAX 32

static uint64_t realtime_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void path_format(const struct guard *guard, char path[static PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/" HOLD_NAME, guard->options.runtime_directory);
}

/* 0, or a negative errno: the hold would not outlive us. */
static int file_write(const struct guard *guard, uint64_t time)
{
    char path[PATH_MAX], text[HOLD_TEXT_MAX];

    path_format(guard, path);
    if (time == 0)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    int length = snprintf(text, sizeof(text), "%" PRIu64 "\n", realtime_now() + time);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int result = write(fd, text, (size_t)length) == length ? 0 : -EIO;
    (void)close(fd);
    return result;
}

/* For how long yet, by the file; 0: there is none, or nothing of worth in it. */
static uint64_t file_read(const struct guard *guard)
{
    char path[PATH_MAX], text[HOLD_TEXT_MAX] = "";
    uint64_t until;

    path_format(guard, path);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (text_parse_number(text, 0, INT64_MAX, &until) < 0)
        return 0;
    uint64_t left = sub_or_zero(until, realtime_now());
    return left <= CONTROL_HOLD_MAX ? left : 0;
}

static void hold_end(struct guard *guard, const char *cause)
{
    int result = file_write(guard, 0);

    if (result < 0)
        log_message(LOG_WARNING, "the hold has ended, but its file stays: %s", strerror(-result));
    guard->hold_until = 0;
    guard_take_rules(guard);
    guard->next_tick = 0;
    log_alert(
        LOG_NOTICE, "event=hold-ended cause=%s mode=%s", cause, mode_name(guard->rules->host.mode));
}

bool guard_is_held(const struct guard *guard)
{
    return guard->hold_until > 0;
}

struct json_object *guard_hold_json(const struct guard *guard)
{
    if (!guard_is_held(guard))
        return NULL;
    return json_object_new_uint64(sub_or_zero(guard->hold_until, loop_now()));
}

const char *const guard_hold_parameters[] = {"time", NULL};

int guard_hold(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct json_object *time = json_object_object_get(parameters, "time");
    uint64_t nanoseconds =
        json_object_is_type(time, json_type_int) ? json_object_get_uint64(time) : 0;

    (void)ret_parameters;
    if (nanoseconds == 0 || nanoseconds > CONTROL_HOLD_MAX)
        return error_set(ret_error, -EBADR, "time");
    int result = file_write(guard, nanoseconds);
    if (result < 0)
        return error_set(ret_error, result,
            "not held: a guard that is restarted would not know of it, for %s/" HOLD_NAME
            " cannot be written: %s",
            guard->options.runtime_directory, strerror(-result));
    guard->hold_until = loop_now() + nanoseconds;
    guard_take_rules(guard);
    guard->next_tick = 0;
    log_alert(LOG_WARNING, "event=hold seconds=%" PRIu64, nanoseconds / NSEC_PER_SEC);
    return 0;
}

int guard_release(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;

    (void)parameters;
    (void)ret_parameters;
    if (!guard_is_held(guard))
        return error_set(ret_error, -EALREADY, "the guard is not held");
    hold_end(guard, "released");
    return 0;
}

void guard_take_hold(struct guard *guard)
{
    uint64_t left = file_read(guard);

    if (left == 0)
        return;
    guard->hold_until = loop_now() + left;
    log_alert(LOG_WARNING, "event=hold seconds=%" PRIu64 " cause=earlier", left / NSEC_PER_SEC);
}

void guard_advance_hold(struct guard *guard, uint64_t now)
{
    if (guard_is_held(guard) && now >= guard->hold_until)
        hold_end(guard, "time");
}
