/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what a person's `undo` does to one guest. What is in force on it is taken back at once,
 * which the policy would do in its own time; and for a while the guest is held, or the next look
 * would take the same again. That hold is dry run with an end, as the host's is (guard_hold.c), and
 * stands in a file of its own beside that one's.
 *
 * Somebody may be asking in the middle of what made the guard act. So it is refused where the host
 * is short, or has less room than the guest may take, what others may yet take after such an undo
 * included; with force it is done, and the log says so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "act.h"
#include "announce.h"
#include "give_back.h"
#include "guard_private.h"
#include "hold.h"
#include "json_writer.h"
#include "log.h"
#include "text.h"

/* How long taking back may take: a guest that answers is done in seconds; what is left then stays
 * in the ledger, and the policy gives it back. */
#define UNDO_TIME (30 * NSEC_PER_SEC)
/* Between two looks at what waits for something. */
#define UNDO_STEP (250 * NSEC_PER_MSEC)
/* These cost no memory to take back. */
#define UNDO_FREE (VM_MEASURE_OOM_SCORE | VM_MEASURE_MEMLOCK)
/* All words of measures, each with a comma. */
#define MEASURES_TEXT_MAX 192
/* A guest's quoted name, its uuid and pid. */
#define WHO_MAX (2 * VM_NAME_MAX + 80)

static struct hold_file file_of(
    const struct guard *guard, const struct vm *vm, char name[HOLD_NAME_MAX])
{
    return (struct hold_file){.folder = guard->options.runtime_directory,
        .name = hold_guest_name(&vm->figures.identity, name),
        .boot_id = guard->boot_id};
}

static const char *who(const struct vm *vm, char buffer[WHO_MAX])
{
    char name[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE];

    (void)snprintf(buffer, WHO_MAX, "vm=%s uuid=%s pid=%d",
        log_quote(vm->figures.name, name, sizeof(name)), uuid_text(vm->figures.identity.uuid, uuid),
        (int)vm->figures.identity.pid);
    return buffer;
}

/* ---- holds of guests ---- */

uint64_t guard_undo_hold_left(const struct vm *vm)
{
    return vm->hold_until == 0 ? 0 : sub_or_zero(vm->hold_until, hold_clock());
}

static void hold_set(struct guard *guard, struct vm *vm, uint64_t until)
{
    guard->undo.held = guard->undo.held + (until != 0) - (vm->hold_until != 0);
    guard->undo.deadline = 0;
    vm->hold_until = until;
    if (until != 0)
        return;
    vm->undo_by = vm->undo_most = 0;
    vm->hold_unwritten = false;
}

void guard_undo_appeared(struct guard *guard, struct vm *vm)
{
    char name[HOLD_NAME_MAX], moment[HOLD_MOMENT_MAX], guest[WHO_MAX];
    const struct hold_file file = file_of(guard, vm, name);
    struct error error = {0};
    uint64_t until = 0;
    int result = hold_read(&file, hold_clock(), &until, &error);

    if (result < 0)
        log_message(LOG_WARNING, "%s: %s; the guest has no hold", vm->figures.name, error.text);
    if (result == 0 || result == -EBADMSG || result == -ESTALE)
        (void)hold_remove(&file, NULL); /* it was over, or none, or not there */
    if (result <= 0)
        return;
    hold_set(guard, vm, until);
    uint64_t left = guard_undo_hold_left(vm);
    log_alert(LOG_NOTICE, "event=hold reason=kept %s until=%s remaining=%" PRIu64 "ms",
        who(vm, guest), hold_moment(left, moment), left / NSEC_PER_MSEC);
}

void guard_undo_ended(struct guard *guard, struct vm *vm)
{
    char name[HOLD_NAME_MAX];
    const struct hold_file file = file_of(guard, vm, name);

    if (vm->hold_until == 0)
        return;
    hold_set(guard, vm, 0);
    (void)hold_remove(&file, NULL); /* nobody has that start time again in this boot */
}

bool guard_undo_release(struct guard *guard, struct vm *vm, const char *reason)
{
    char name[HOLD_NAME_MAX], guest[WHO_MAX];
    const struct hold_file file = file_of(guard, vm, name);
    struct error error = {0};

    if (vm->hold_until == 0)
        return false;
    hold_set(guard, vm, 0);
    if (hold_remove(&file, &error) < 0)
        log_message(LOG_WARNING, "%s", error.text);
    guard_resolve_rules(guard, vm);
    guard->next_tick = 0;
    log_alert(LOG_NOTICE, "event=release reason=%s %s", reason, who(vm, guest));
    return true;
}

/* ---- taking back ---- */

/* True: it is to be looked at again soon. */
static bool undo_step(struct guard *guard, struct vm *vm, uint64_t now)
{
    uint64_t room = UINT64_MAX; /* it was looked at when this began */

    if (vm->undo_by == 0)
        return false;
    if (!vm_has(vm, VM_MEASURE_KILLED | VM_MEASURE_ENDING))
        give_back_step(vm, &guard->roots, &room, now);
    act_pause_advance(vm, now);
    act_balloon_advance(vm, now);
    act_resize_advance(vm, now);
    bool left = vm->figures.measures.in_force != 0;
    if (left && now < vm->undo_by)
        return true;
    if (left)
        log_message(LOG_WARNING,
            "%s: not all could be taken back within %u s; what is left is given back as there is "
            "room, see: plimsoll status",
            vm->figures.name, (unsigned)(UNDO_TIME / NSEC_PER_SEC));
    vm->undo_by = 0;
    guard->next_tick = 0;
    return false;
}

/* What was put off as memory was at its end (guard_hold.c). */
static void file_write(struct guard *guard, struct vm *vm)
{
    char name[HOLD_NAME_MAX];
    const struct hold_file file = file_of(guard, vm, name);
    struct error error = {0};

    if (!vm->hold_unwritten || guard_band(guard) >= BAND_CRITICAL)
        return;
    vm->hold_unwritten = false;
    if (hold_write(&file, vm->hold_until, &error) < 0)
        log_message(LOG_WARNING, "%s; a restart of plimsolld would end the hold of %s", error.text,
            vm->figures.name);
}

void guard_undo_advance(struct guard *guard, uint64_t now)
{
    struct guard_undo *undo = &guard->undo;

    if (undo->held == 0 || now < undo->deadline)
        return;
    undo->deadline = NEVER;
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (!vm || vm->gone || vm->hold_until == 0)
            continue;
        uint64_t left = guard_undo_hold_left(vm);
        file_write(guard, vm);
        /* However short the hold is, what was asked for is brought to its end. */
        if (undo_step(guard, vm, now)) {
            left = left > 0 ? min_u64(left, UNDO_STEP) : UNDO_STEP;
        } else if (left == 0) {
            (void)guard_undo_release(guard, vm, "expired");
            continue;
        }
        if (vm->hold_unwritten)
            left = min_u64(left, UNDO_TIME);
        undo->deadline = min_u64(undo->deadline, add_held(now, left));
    }
}

uint64_t guard_undo_deadline(const struct guard *guard)
{
    return guard->undo.held > 0 ? guard->undo.deadline : NEVER;
}

/* ---- room ---- */

/* What other guests than ASKING may yet take that were undone before. */
static uint64_t owed(const struct guard *guard, const struct vm *asking)
{
    uint64_t sum = 0;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        const struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && vm != asking && !vm->gone && vm->undo_most > 0)
            sum = add_held(sum, sub_or_zero(vm->undo_most, known_or(vm_held(&vm->figures), 0)));
    }
    return sum;
}

/* Of the host, its budget, and the nodes that VM is bound to, whichever has least. */
static uint64_t room_for(const struct guard *guard, const struct vm *vm)
{
    const struct assessment *assessment = &guard->plan->assessment;
    uint64_t room = UNKNOWN, nodes = 0;
    bool bound = false;

    for (uint32_t i = 0; i < assessment->pool_count; i++) {
        const struct pool_view *pool = &assessment->pools[i];
        uint64_t here = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;

        if (!known(pool->total))
            continue;
        if (pool->kind != POOL_NODE) {
            room = min_u64(room, here);
        } else if (vm->figures.nodes_allowed >> pool->node & 1) {
            nodes = add_held(nodes, here);
            bound = true;
        }
    }
    if (bound)
        room = min_u64(room, nodes);
    return known(room) ? sub_or_zero(room, owed(guard, vm)) : 0;
}

static int refuse_over(const struct guard *guard, const struct vm *vm, struct error *ret_error)
{
    enum band band = guard->plan->assessment.band;
    uint64_t most = give_back_most(vm), room = room_for(guard, vm);
    char most_text[TEXT_NUMBER_MAX], room_text[TEXT_NUMBER_MAX];

    if (!(vm->figures.measures.in_force & ~(uint32_t)UNDO_FREE) ||
        (band < BAND_SCARCE && known(most) && most <= room))
        return 0;
    (void)text_format_bytes(room, room_text, sizeof(room_text));
    if (!known(most))
        return error_set(ret_error, -EBUSY,
            "the host is %s and has room for %s, and nobody knows how much %s may take; with "
            "--force it is undone nevertheless",
            band_name(band), room_text, vm->figures.name);
    (void)text_format_bytes(most, most_text, sizeof(most_text));
    return error_set(ret_error, -EBUSY,
        "the host is %s and has room for %s, and %s may take %s once it is undone; what that would "
        "cost others: plimsoll plan --need %s; with --force it is undone nevertheless",
        band_name(band), room_text, vm->figures.name, most_text, most_text);
}

/* ---- the method ---- */

const char *const guard_undo_parameters[] = {"name", "pid", "time", "force", NULL};

struct question {
    struct vm *vm;
    uint64_t time;
    bool force;
};

static int vm_by_pid(
    const struct guard *guard, int64_t pid, struct vm **ret_vm, struct error *ret_error)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && !vm->gone && vm->figures.identity.pid == pid) {
            *ret_vm = vm;
            return 0;
        }
    }
    return error_set(ret_error, -ESRCH, "the guest of process %" PRId64 " has just ended", pid);
}

static int question_read(const struct guard *guard, struct json_object *parameters,
    struct question *question, struct error *ret_error)
{
    struct json_object *name = json_object_object_get(parameters, "name");
    struct json_object *pid = json_object_object_get(parameters, "pid");
    struct json_object *time = json_object_object_get(parameters, "time");
    struct json_object *force = json_object_object_get(parameters, "force");

    if (!json_object_is_type(time, json_type_int) || json_object_get_int64(time) <= 0 ||
        (uint64_t)json_object_get_int64(time) > HOLD_MOST)
        return error_set(ret_error, -EBADR, "time");
    if (force && !json_object_is_type(force, json_type_boolean))
        return error_set(ret_error, -EBADR, "force");
    if (!json_object_is_type(name, name ? json_type_string : json_type_null))
        return error_set(ret_error, -EBADR, "name");
    if (!json_object_is_type(pid, name ? json_type_null : json_type_int))
        return error_set(ret_error, -EBADR, "pid");
    question->time = (uint64_t)json_object_get_int64(time);
    question->force = json_object_get_boolean(force);
    return name ? guard_find_vm(guard, json_object_get_string(name), &question->vm, ret_error)
                : vm_by_pid(guard, json_object_get_int64(pid), &question->vm, ret_error);
}

static const char *measures_text(uint32_t measures, char buffer[MEASURES_TEXT_MAX])
{
    size_t used = 0;

    buffer[0] = '\0';
    for (unsigned bit = 0; status_measure_name(bit) && used < MEASURES_TEXT_MAX; bit++)
        if (measures >> bit & 1)
            used += (size_t)snprintf(buffer + used, MEASURES_TEXT_MAX - used, "%s%s",
                used > 0 ? "," : "", status_measure_name(bit));
    return buffer;
}

static struct json_object *measures_json(uint32_t measures)
{
    struct json_object *array = json_object_new_array();

    for (unsigned bit = 0; status_measure_name(bit); bit++) {
        if (!(measures >> bit & 1) ||
            json_array_append(array, json_object_new_string(status_measure_name(bit))))
            continue;
        json_object_put(array);
        return NULL;
    }
    return array;
}

/* Its hold first, so that nothing is taken again; and its file before that. */
static int undo_begin(struct guard *guard, const struct question *question, struct error *ret_error)
{
    struct vm *vm = question->vm;
    char name[HOLD_NAME_MAX], moment[HOLD_MOMENT_MAX], words[MEASURES_TEXT_MAX], guest[WHO_MAX];
    const struct hold_file file = file_of(guard, vm, name);
    uint64_t until = max_u64(vm->hold_until, hold_clock() + question->time), now = loop_now();
    uint64_t held = vm_held(&vm->figures), most = give_back_most(vm);
    bool later = guard_band(guard) >= BAND_CRITICAL;
    int result = later ? 0 : hold_write(&file, until, ret_error);

    if (result < 0)
        return result;
    hold_set(guard, vm, until);
    vm->hold_unwritten = later;
    guard_resolve_rules(guard, vm);
    vm->undo_by = now + UNDO_TIME;
    vm->undo_most = known(held) && known(most) ? add_held(held, most) : UNKNOWN;
    give_back_begin(vm);
    uint64_t left = guard_undo_hold_left(vm);
    log_alert(question->force ? LOG_WARNING : LOG_NOTICE,
        "event=undo %s measures=%s band=%s%s until=%s remaining=%" PRIu64 "ms", who(vm, guest),
        measures_text(vm->figures.measures.in_force, words),
        band_name(guard->plan->assessment.band), question->force ? " forced=yes" : "",
        hold_moment(left, moment), left / NSEC_PER_MSEC);
    guard->next_tick = 0;
    return 0;
}

int guard_undo(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct question question = {0};
    struct json_writer writer;
    int result = question_read(guard, parameters, &question, ret_error);
    const struct vm *vm = question.vm;

    if (!vm)
        return result;
    uint32_t measures = vm->figures.measures.in_force;
    uint64_t most = give_back_most(vm);
    if (measures & (VM_MEASURE_KILLED | VM_MEASURE_ENDING))
        return error_set(ret_error, -EBUSY, "%s %s, which cannot be taken back", vm->figures.name,
            measures & VM_MEASURE_KILLED ? "was sent SIGKILL, or is destroyed by libvirt"
                                         : "is being saved or shut down by libvirt");
    if (measures != 0 && !question.force)
        result = refuse_over(guard, vm, ret_error);
    if (result == 0 && measures != 0)
        result = undo_begin(guard, &question, ret_error);
    if (result < 0)
        return result;
    uint64_t left = guard_undo_hold_left(vm);
    json_writer_begin(&writer);
    json_writer_text(&writer, "vm", vm->figures.name);
    json_writer_i64(&writer, "pid", vm->figures.identity.pid);
    json_writer_child(&writer, "measures", measures_json(measures));
    json_writer_u64(&writer, "most", most);
    json_writer_u64(&writer, "sequence", guard->snapshot->sequence);
    json_writer_u64(&writer, "until", left > 0 ? hold_realtime(left) : UNKNOWN);
    json_writer_u64(&writer, "remaining", left > 0 ? left : UNKNOWN);
    *ret_parameters = json_writer_end(&writer);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
