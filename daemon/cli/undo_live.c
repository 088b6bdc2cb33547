/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns an undo by the guard itself. Each guest is asked for on its own, so that one that is refused
 * keeps no other waiting; then the status is read until what was in force is so no more. The guard
 * answers at once, and its status is as old as its last look: only a later one than it had when it
 * answered says anything.
 */
#include "undo_live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "client.h"
#include "field.h"
#include "json_writer.h"
#include "loop.h"
#include "progress.h"
#include "text.h"

#include <json-c/json.h>

/* A guest that answers is done in a second or two; the guard goes on without us. */
#define WAIT_MOST (10 * NSEC_PER_SEC)
#define WAIT_STEP (200 * NSEC_PER_MSEC)
#define TEXT_MAX 192

DEFINE_CLEANUP(struct json_object *, json_object_put);

/* A measure as people know it, of one or more of the status's words. */
static const char *measure_of(const char *word)
{
    static const struct {
        const char *word, *measure;
    } measures[] = {
        {"frozen-cgroup", "freeze"},
        {"frozen-signal", "freeze"},
        {"stop-sent", "pause"},
        {"stopped", "pause"},
        {"resuming", "pause"},
        {"braked", "brake"},
        {"contain", "limits"},
    };

    for (size_t i = 0; i < ELEMENTSOF(measures); i++)
        if (strcmp(measures[i].word, word) == 0)
            return measures[i].measure;
    return word;
}

static bool has_measure(struct json_object *words, const char *measure, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(words, i));

        if (word && strcmp(measure_of(word), measure) == 0)
            return true;
    }
    return false;
}

static size_t words_count(struct json_object *words)
{
    return json_object_is_type(words, json_type_array) ? json_object_array_length(words) : 0;
}

/* ---- asking ---- */

static struct json_object *question(const struct undo_live *undo, const char *name, uint64_t pid)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    if (name)
        json_writer_path(&writer, "name", name);
    else
        json_writer_u64(&writer, "pid", pid);
    json_writer_u64(&writer, "time", undo->time);
    json_writer_bool(&writer, "force", undo->force);
    return json_writer_end(&writer);
}

/* Adds the guard's answer to ANSWERS; 1: it refused, and that was told; negative: not reached. */
static int undo_ask(const struct undo_live *undo, const char *name, uint64_t pid, const char *shown,
    struct json_object *answers, struct error *ret_error)
{
    CLEANUP(json_object_put_at) struct json_object *parameters = question(undo, name, pid);
    struct json_object *answer = NULL;
    struct error error = {0};
    int result = parameters ? client_call(undo->socket, CONTROL_METHOD_UNDO, parameters,
                                  CLIENT_TIMEOUT, &answer, &error)
                            : error_set(&error, -ENOMEM, "no memory to ask");

    if (result == -EREMOTEIO || result == -E2BIG) {
        undo->report(shown, "guest", false, error.text, undo->userdata);
        return 1;
    }
    if (result < 0)
        return error_set(ret_error, result, "%s", error.text);
    if (!json_array_append(answers, answer))
        return error_set(ret_error, -ENOMEM, "no memory for the answer");
    return 0;
}

static int all_ask(
    const struct undo_live *undo, struct json_object *answers, struct error *ret_error)
{
    CLEANUP(json_object_put_at) struct json_object *status = NULL;
    int refused = 0, result = client_call(undo->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT,
                         &status, ret_error);
    if (result < 0)
        return result;
    struct json_object *vms = field_get(status, "vms");
    for (size_t i = 0; i < words_count(vms); i++) {
        struct json_object *vm = json_object_array_get_idx(vms, i);
        char name[FIELD_MAX];

        if (words_count(field_get(vm, "measures")) == 0)
            continue;
        result = undo_ask(
            undo, NULL, field_u64(vm, "pid"), field_text(vm, "name", name), answers, ret_error);
        if (result < 0)
            return result;
        refused += result;
    }
    return refused;
}

static int names_ask(const struct undo_live *undo, const char *const *names, unsigned count,
    struct json_object *answers, struct error *ret_error)
{
    int refused = 0;

    for (unsigned i = 0; i < count; i++) {
        int result = undo_ask(undo, names[i], UNKNOWN, names[i], answers, ret_error);
        if (result < 0)
            return result;
        refused += result;
    }
    return refused;
}

/* ---- waiting ---- */

static struct json_object *guest_find(struct json_object *status, uint64_t pid)
{
    struct json_object *vms = field_get(status, "vms");

    for (size_t i = 0; i < words_count(vms); i++) {
        struct json_object *vm = json_object_array_get_idx(vms, i);

        if (field_u64(vm, "pid") == pid)
            return vm;
    }
    return NULL;
}

/* Nothing of what ANSWER named is in force any more. */
static bool is_done(struct json_object *answer, struct json_object *status)
{
    struct json_object *words = field_get(answer, "measures");
    struct json_object *now = field_get(guest_find(status, field_u64(answer, "pid")), "measures");

    if (words_count(words) == 0)
        return true;
    if (!known(field_u64(status, "sequence")) ||
        field_u64(status, "sequence") <= field_u64(answer, "sequence"))
        return false;
    for (size_t i = 0; i < words_count(words); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(words, i));

        if (word && has_measure(now, measure_of(word), words_count(now)))
            return false;
    }
    return true;
}

static bool all_done(struct json_object *answers, struct json_object *status)
{
    for (size_t i = 0; i < words_count(answers); i++)
        if (!is_done(json_object_array_get_idx(answers, i), status))
            return false;
    return true;
}

/* *RET_STATUS is the last that was read. */
static int answers_await(const struct undo_live *undo, struct json_object *answers,
    struct json_object **ret_status, struct error *ret_error)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP};
    struct progress progress = progress_begin("taking back");
    uint64_t begun = loop_now(), passed = 0;
    int result = 0;

    while (result == 0 && passed < WAIT_MOST) {
        (void)json_object_put(*ret_status);
        *ret_status = NULL;
        result = client_call(
            undo->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT, ret_status, ret_error);
        if (result < 0 || all_done(answers, *ret_status))
            break;
        (void)nanosleep(&step, NULL);
        passed = loop_now() - begun;
        progress_update(&progress, passed, WAIT_MOST);
    }
    progress_hide(&progress);
    return result;
}

/* ---- telling ---- */

static int answer_tell(
    const struct undo_live *undo, struct json_object *answer, struct json_object *status)
{
    char name[FIELD_MAX], moment[TEXT_NUMBER_MAX], left[FIELD_MAX], text[TEXT_MAX];
    struct json_object *words = field_get(answer, "measures");
    struct json_object *guest = guest_find(status, field_u64(answer, "pid"));
    struct json_object *now = field_get(guest, "measures");
    bool later = field_u64(status, "sequence") > field_u64(answer, "sequence");
    int failures = 0;

    (void)field_text(answer, "vm", name);
    if (words_count(words) == 0) {
        undo->report(name, "guest", true, "nothing is in force", undo->userdata);
        return 0;
    }
    if (!guest) {
        undo->report(name, "guest", true, "is gone, nothing is left to undo", undo->userdata);
        return 0;
    }
    for (size_t i = 0; i < words_count(words); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(words, i));
        if (!word || has_measure(words, measure_of(word), i))
            continue; /* told with another word of the same */
        bool done = later && !has_measure(now, measure_of(word), words_count(now));
        undo->report(name, measure_of(word), done,
            done ? "taken back" : "the guard is still at it; see: plimsoll status", undo->userdata);
        failures += !done;
    }
    (void)text_format_moment(field_u64(answer, "until"), moment, sizeof(moment));
    (void)snprintf(text, sizeof(text), "left alone until %s (%s)", moment,
        field_time(answer, "remaining", left));
    undo->report(name, "hold", true, text, undo->userdata);
    return failures;
}

/* The guard has gone in the middle of it. */
static int answers_leave(const struct undo_live *undo, struct json_object *answers, int result)
{
    char name[FIELD_MAX];

    for (size_t i = 0; i < words_count(answers); i++)
        undo->report(field_text(json_object_array_get_idx(answers, i), "vm", name), "guest", false,
            "was begun, and the guard does not answer any more; see: plimsoll status",
            undo->userdata);
    return result;
}

int undo_live(
    const struct undo_live *undo, const char *const *names, unsigned count, struct error *ret_error)
{
    CLEANUP(json_object_put_at) struct json_object *answers = json_object_new_array();
    CLEANUP(json_object_put_at) struct json_object *status = NULL;
    int failures = count > 0 ? names_ask(undo, names, count, answers, ret_error)
                             : all_ask(undo, answers, ret_error);
    if (failures < 0)
        return answers_leave(undo, answers, failures);
    if (words_count(answers) == 0)
        return failures;
    int result = answers_await(undo, answers, &status, ret_error);
    if (result < 0)
        return answers_leave(undo, answers, result);
    for (size_t i = 0; i < words_count(answers); i++)
        failures += answer_tell(undo, json_object_array_get_idx(answers, i), status);
    return failures;
}
