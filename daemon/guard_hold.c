/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the host's hold: for a time the guard watches and alerts, and takes nothing new. It is dry
 * run with an end, so what dry run does with measures in force holds here as well: a freeze becomes
 * a pause, a save goes to its end, and what there is room for is given back. Limits of cgroups and
 * of locked memory stay, for they would only be set again.
 *
 * The file is written before the hold begins and removed when it ends, so that who is told of a
 * hold has one that a restart keeps. Where memory is at its end a new file may be waited for, and
 * the guard waits for nobody there: then it is written as soon as that is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "guard_private.h"
#include "hold.h"
#include "json_writer.h"
#include "log.h"
#include "status.h"

/* The monotonic clock stands still while the host sleeps, and the hold's does not. */
#define CLOCKS_APART NSEC_PER_SEC

static struct hold_file hold_file_of(const struct guard *guard)
{
    return (struct hold_file){
        .folder = guard->options.runtime_directory, .name = HOLD_NAME, .boot_id = guard->boot_id};
}

static uint64_t hold_left(const struct guard *guard)
{
    return guard->hold.until == 0 ? 0 : sub_or_zero(guard->hold.until, hold_clock());
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
    char moment[HOLD_MOMENT_MAX];

    log_alert(LOG_WARNING, "event=hold reason=%s until=%s remaining=%" PRIu64 "ms", reason,
        hold_moment(left, moment), left / NSEC_PER_MSEC);
}

static void hold_end(struct guard *guard, const char *reason)
{
    guard->hold.until = 0;
    guard->hold.unwritten = false;
    log_alert(LOG_NOTICE, "event=release reason=%s", reason);
    hold_changed(guard);
}

void guard_take_hold(struct guard *guard)
{
    const struct hold_file file = hold_file_of(guard);
    struct error error = {0};
    int result = hold_read(&file, hold_clock(), &guard->hold.until, &error);

    if (result > 0) {
        begin_announce(guard, "kept");
        return;
    }
    if (result < 0)
        log_message(LOG_WARNING, "%s; there is no hold", error.text);
    if (result == 0 || result == -EBADMSG || result == -ESTALE)
        (void)hold_remove(&file, NULL); /* it was over, or none, and so it will be next time */
}

void guard_hold_advance(struct guard *guard, uint64_t now)
{
    struct host_rules *host = &guard->rules->host;
    uint64_t left = hold_left(guard);
    struct error error = {0};
    char moment[HOLD_MOMENT_MAX];

    if (guard->hold.until == 0)
        return;
    if (left == 0) {
        const struct hold_file file = hold_file_of(guard);
        if (hold_remove(&file, &error) < 0)
            log_message(LOG_WARNING, "%s", error.text); /* its time is over for any guard */
        hold_end(guard, "expired");
        return;
    }
    if (guard->hold.unwritten && guard_band(guard) < BAND_CRITICAL) {
        const struct hold_file file = hold_file_of(guard);
        guard->hold.unwritten = false;
        if (hold_write(&file, guard->hold.until, &error) < 0)
            log_message(LOG_WARNING, "%s; a restart of plimsolld would end the hold", error.text);
    }
    if (sub_or_zero(host->held_until, now + left) > CLOCKS_APART)
        host->held_until = now + left;
    if (host->held && guard->plan->assessment.band == BAND_CRITICAL &&
        log_permit(&guard->hold.critical_said, now))
        log_alert(LOG_ERR,
            "event=held band=%s until=%s remaining=%" PRIu64
            "ms text=\"memory is out, and a hold keeps the guard from acting; to end it: plimsoll "
            "release\"",
            band_name(BAND_CRITICAL), hold_moment(left, moment), left / NSEC_PER_MSEC);
}

uint64_t guard_hold_deadline(const struct guard *guard)
{
    return guard->hold.until == 0 ? NEVER : loop_now() + hold_left(guard);
}

const char *guard_mode_words(const struct guard *guard, char buffer[GUARD_MODE_WORDS])
{
    char moment[HOLD_MOMENT_MAX];

    (void)snprintf(buffer, GUARD_MODE_WORDS, "%s%s%s", status_mode(guard->rules, NULL),
        guard->rules->host.held ? " until " : "",
        guard->rules->host.held ? hold_moment(hold_left(guard), moment) : "");
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
        const struct hold_file file = hold_file_of(guard);
        bool later = guard_band(guard) >= BAND_CRITICAL;
        int result = later ? 0 : hold_write(&file, until, ret_error);
        if (result < 0)
            return result;
        guard->hold.until = until;
        guard->hold.unwritten = later;
        begin_announce(guard, "asked");
        hold_changed(guard);
    }
    uint64_t left = hold_left(guard);
    json_writer_begin(&writer);
    json_writer_u64(&writer, "until", hold_realtime(left));
    json_writer_u64(&writer, "remaining", left);
    json_writer_bool(&writer, "stands", !longer);
    json_writer_text(&writer, "mode", status_mode(guard->rules, NULL));
    *ret_parameters = json_writer_end(&writer);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}

const char *const guard_release_parameters[] = {"name", NULL};

/* The host's, and with it those of guests: whoever asks wants the guard to act. */
static int release_all(
    struct guard *guard, bool *ret_held, uint64_t *ret_guests, struct error *ret_error)
{
    const struct hold_file file = hold_file_of(guard);

    *ret_held = guard->hold.until != 0;
    *ret_guests = 0;
    /* What is asked is done; that a restart would take the file for a hold has to be known. */
    int result = hold_remove(&file, ret_error);
    if (*ret_held)
        hold_end(guard, "asked");
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        *ret_guests += vm && !vm->gone && guard_undo_release(guard, vm, "asked");
    }
    return result;
}

int guard_release(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct json_object *name = json_object_object_get(parameters, "name");
    struct json_writer writer;
    struct vm *vm = NULL;
    bool held = false;
    uint64_t guests = 0;
    int result;

    if (name && !json_object_is_type(name, json_type_string))
        return error_set(ret_error, -EBADR, "name");
    if (name) {
        result = guard_find_vm(guard, json_object_get_string(name), &vm, ret_error);
        if (result == 0)
            guests = held = guard_undo_release(guard, vm, "asked");
    } else {
        result = release_all(guard, &held, &guests, ret_error);
    }
    if (result < 0)
        return result;
    json_writer_begin(&writer);
    json_writer_bool(&writer, "held", held);
    json_writer_u64(&writer, "guests", guests);
    json_writer_text(&writer, "mode", status_mode(guard->rules, NULL));
    *ret_parameters = json_writer_end(&writer);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
