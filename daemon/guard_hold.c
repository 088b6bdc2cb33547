/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the hold: for a time the guard watches and alerts, and takes nothing new. It is dry run with
 * an end, so what dry run does with measures in force holds here as well: a freeze becomes a pause,
 * a save goes to its end, and what there is room for is given back. Limits of cgroups and of locked
 * memory stay, for they would only be set again.
 *
 * The file is written before the hold begins and removed when it ends, so that who is told of a
 * hold has one that a restart keeps.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard_private.h"
#include "hold.h"
#include "json_writer.h"
#include "log.h"
#include "status.h"

/* Room for "2026-11-23T10:30:00Z", and for years to come. */
#define MOMENT_MAX 32
/* The monotonic clock stands still while the host sleeps, and the hold's does not. */
#define CLOCKS_APART NSEC_PER_SEC

static uint64_t hold_left(const struct guard *guard)
{
    return guard->hold.until == 0 ? 0 : sub_or_zero(guard->hold.until, hold_clock());
}

static uint64_t realtime_after(uint64_t left)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec + left;
}

/* In UTC. */
static const char *moment_format(uint64_t realtime, char buffer[MOMENT_MAX])
{
    time_t seconds = (time_t)(realtime / NSEC_PER_SEC);
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(buffer, MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        buffer[0] = '\0';
    return buffer;
}

void guard_resolve_hold(struct guard *guard)
{
    struct host_rules *host = &guard->rules->host;
    uint64_t left = hold_left(guard);

    host->held = left > 0 && host->mode == MODE_ENFORCE;
    host->held_until = left > 0 ? loop_now() + left : 0;
    if (host->held)
        host->mode = MODE_DRY_RUN;
}

/* All goes by the rules; and whoever looks at the service sees it. */
static void hold_changed(struct guard *guard)
{
    guard->hold.critical_said = (struct log_limit){0};
    guard_take_rules(guard);
    guard->next_tick = 0;
    guard->next_notify = 0;
}

static void begin_announce(const struct guard *guard, const char *reason)
{
    uint64_t left = hold_left(guard);
    char moment[MOMENT_MAX];

    log_alert(LOG_WARNING, "event=hold reason=%s until=%s remaining=%" PRIu64 "ms", reason,
        moment_format(realtime_after(left), moment), left / NSEC_PER_MSEC);
}

static void hold_end(struct guard *guard, const char *reason)
{
    guard->hold.until = 0;
    log_alert(LOG_NOTICE, "event=release reason=%s", reason);
    hold_changed(guard);
}

void guard_take_hold(struct guard *guard)
{
    const char *folder = guard->options.runtime_directory;
    struct error error = {0};
    int result = hold_read(folder, guard->boot_id, hold_clock(), &guard->hold.until, &error);

    if (result < 0)
        log_message(LOG_WARNING, "%s; there is no hold", error.text);
    else if (result > 0)
        begin_announce(guard, "kept");
    else
        (void)hold_remove(folder, NULL); /* it was over */
}

void guard_hold_advance(struct guard *guard, uint64_t now)
{
    struct host_rules *host = &guard->rules->host;
    uint64_t left = hold_left(guard);
    struct error error = {0};
    char moment[MOMENT_MAX];

    if (guard->hold.until == 0)
        return;
    if (left == 0) {
        if (hold_remove(guard->options.runtime_directory, &error) < 0)
            log_message(LOG_WARNING, "%s", error.text); /* its time is over for any guard */
        hold_end(guard, "expired");
        return;
    }
    if (sub_or_zero(host->held_until, now + left) > CLOCKS_APART)
        host->held_until = now + left;
    if (host->held && guard->plan->assessment.band == BAND_CRITICAL &&
        log_permit(&guard->hold.critical_said, now))
        log_alert(LOG_ERR,
            "event=held band=%s until=%s remaining=%" PRIu64
            "ms text=\"memory is out, and a hold keeps the guard from acting; to end it: plimsoll "
            "release\"",
            band_name(BAND_CRITICAL), moment_format(realtime_after(left), moment),
            left / NSEC_PER_MSEC);
}

uint64_t guard_hold_deadline(const struct guard *guard)
{
    return guard->hold.until == 0 ? NEVER : loop_now() + hold_left(guard);
}

const char *guard_mode_words(const struct guard *guard, char buffer[GUARD_MODE_WORDS])
{
    char moment[MOMENT_MAX];

    (void)snprintf(buffer, GUARD_MODE_WORDS, "%s%s%s", status_mode(guard->rules, NULL),
        guard->rules->host.held ? " until " : "",
        guard->rules->host.held ? moment_format(realtime_after(hold_left(guard)), moment) : "");
    return buffer;
}

/* ---- methods ---- */

const char *const guard_hold_parameters[] = {"time", NULL};

int guard_hold(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct json_object *asked = json_object_object_get(parameters, "time");
    struct json_writer writer;

    if (!json_object_is_type(asked, json_type_int) || json_object_get_int64(asked) <= 0 ||
        (uint64_t)json_object_get_int64(asked) > HOLD_MOST)
        return error_set(ret_error, -EBADR, "time");
    uint64_t until = hold_clock() + (uint64_t)json_object_get_int64(asked);
    bool longer = until > guard->hold.until;
    if (longer) {
        int result = hold_write(guard->options.runtime_directory, guard->boot_id, until, ret_error);
        if (result < 0)
            return result;
        guard->hold.until = until;
        begin_announce(guard, "asked");
        hold_changed(guard);
    }
    uint64_t left = hold_left(guard);
    json_writer_begin(&writer);
    json_writer_u64(&writer, "until", realtime_after(left));
    json_writer_u64(&writer, "remaining", left);
    json_writer_bool(&writer, "stands", !longer);
    json_writer_text(&writer, "mode", status_mode(guard->rules, NULL));
    *ret_parameters = json_writer_end(&writer);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}

int guard_release(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    bool held = guard->hold.until != 0;
    struct json_writer writer;

    (void)parameters;
    /* What is asked is done; that a restart would take the file for a hold has to be known. */
    int result = hold_remove(guard->options.runtime_directory, ret_error);
    if (held)
        hold_end(guard, "asked");
    if (result < 0)
        return result;
    json_writer_begin(&writer);
    json_writer_bool(&writer, "held", held);
    json_writer_text(&writer, "mode", status_mode(guard->rules, NULL));
    *ret_parameters = json_writer_end(&writer);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
