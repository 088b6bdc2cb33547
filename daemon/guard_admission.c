/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers libvirt's hook. The question is about a guest that is not there yet, so its rules are
 * resolved by name and by what its own metadata says, as they will be once it is; the policy judges
 * by the view of the last tick; and where the guard acts, what it grants is kept at once, so that
 * the next question sees it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "announce.h"
#include "config_parse.h"
#include "guard_private.h"
#include "json_writer.h"
#include "log.h"
#include "text.h"

#include <plimsoll/cleanup.h>

/* Ids of nodes in one question: one for each that can be watched. */
#define NODE_IDS_MAX NODES_MAX

struct question {
    char name[VM_NAME_MAX];
    struct virt_metadata metadata;
    struct admission_request request;
};

/* ---- the question ---- */

/* Each of these reads one parameter and returns its name if it is not as it should be, or NULL. */

static const char *flag_read(struct json_object *parameters, const char *key, bool *ret_flag)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(parameters, key, &value) ||
        !json_object_is_type(value, json_type_boolean))
        return key;
    *ret_flag = json_object_get_boolean(value);
    return NULL;
}

static bool number_of(struct json_object *value, uint64_t most, uint64_t *ret_number)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
        (uint64_t)json_object_get_int64(value) > most)
        return false;
    *ret_number = (uint64_t)json_object_get_int64(value);
    return true;
}

static const char *number_read(
    struct json_object *parameters, const char *key, uint64_t most, uint64_t *ret_number)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(parameters, key, &value) && number_of(value, most, ret_number)
               ? NULL
               : key;
}

/* A text without a NUL in it; NULL: there is none. */
static const char *text_of(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static const char *name_read(struct json_object *parameters, struct question *question)
{
    struct json_object *value = NULL;

    (void)json_object_object_get_ex(parameters, "name", &value);
    const char *text = text_of(value);
    if (!text || text[0] == '\0')
        return "name";
    text_finish(question->name, sizeof question->name,
        snprintf(question->name, sizeof question->name, "%s", text));
    return NULL;
}

static const char *uuid_read(struct json_object *parameters, struct question *question)
{
    static const uint8_t nobody[UUID_SIZE];
    struct json_object *value = NULL;

    (void)json_object_object_get_ex(parameters, "uuid", &value);
    const char *text = text_of(value);
    if (!text || text_parse_uuid(text, question->request.uuid) < 0 ||
        memcmp(question->request.uuid, nobody, UUID_SIZE) == 0)
        return "uuid";
    return NULL;
}

/* Kernel's ids made bits of the host's nodes. One that is not there cannot be allocated on; if none
 * is, the guest cannot start; a kernel without NUMA shows none. */
static const char *nodes_read(struct json_object *parameters, const struct host_snapshot *host,
    struct admission_request *request)
{
    struct json_object *array = NULL;

    if (!json_object_object_get_ex(parameters, "nodes", &array) ||
        !json_object_is_type(array, json_type_array) ||
        json_object_array_length(array) > NODE_IDS_MAX)
        return "nodes";
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        uint64_t id;

        if (!number_of(json_object_array_get_idx(array, i), UINT32_MAX, &id))
            return "nodes";
        for (uint32_t node = 0; node < host->node_count && node < NODES_MAX; node++)
            if (host->nodes[node].id == id)
                request->nodes |= UINT32_C(1) << node;
    }
    bool nowhere = json_object_array_length(array) > 0 && request->nodes == 0;
    return nowhere && host->node_count > 0 ? "nodes" : NULL;
}

/* What the domain's own metadata says; each may be missing, or null. */
static const char *metadata_read(struct json_object *parameters, struct virt_metadata *metadata)
{
    struct json_object *class = NULL, *bytes = NULL, *share = NULL;
    struct amount *minimum = &metadata->rules.minimum;

    (void)json_object_object_get_ex(parameters, "class", &class);
    (void)json_object_object_get_ex(parameters, "minimum", &bytes);
    (void)json_object_object_get_ex(parameters, "minimum_share", &share);
    if (class) {
        const char *name = text_of(class);
        if (!name || config_parse_class_name(name, metadata->rules.class_name))
            return "class";
        metadata->set |= VIRT_RULE_CLASS;
    }
    if (bytes && share)
        return "minimum_share";
    if (bytes && !number_of(bytes, INT64_MAX, &minimum->value))
        return "minimum";
    if (share && !number_of(share, AMOUNT_SHARE_WHOLE, &minimum->value))
        return "minimum_share";
    if (bytes || share) {
        minimum->kind = bytes ? AMOUNT_BYTES : AMOUNT_SHARE;
        metadata->set |= VIRT_RULE_MINIMUM;
    }
    return NULL;
}

/* NULL, or the name of the first parameter that is wrong. */
static const char *question_read(
    struct json_object *parameters, const struct host_snapshot *host, struct question *ret_question)
{
    struct question question = {0};
    struct admission_request *request = &question.request;
    const char *wrong = name_read(parameters, &question);

    wrong = wrong ? wrong : uuid_read(parameters, &question);
    wrong = wrong ? wrong : number_read(parameters, "maximum", INT64_MAX, &request->maximum);
    wrong = wrong ? wrong : flag_read(parameters, "pinned", &request->pinned);
    wrong = wrong ? wrong : flag_read(parameters, "allocated", &request->allocated);
    wrong = wrong ? wrong : flag_read(parameters, "hugepages", &request->hugepages);
    wrong = wrong ? wrong : flag_read(parameters, "balloon", &request->balloon);
    wrong = wrong ? wrong : number_read(parameters, "patience", INT64_MAX, &request->patience);
    wrong = wrong ? wrong : nodes_read(parameters, host, request);
    wrong = wrong ? wrong : metadata_read(parameters, &question.metadata);
    if (!wrong)
        *ret_question = question;
    return wrong;
}

/* ---- the answer ---- */

static bool guard_admits(const struct guard *guard)
{
    return guard->rules->host.mode == MODE_ENFORCE &&
           guard->rules->host.admission == ADMISSION_ENFORCE;
}

void guard_resolve_admission(struct guard *guard)
{
    const struct host_rules *host = &guard->rules->host;
    bool keeps = host->held && host->admission == ADMISSION_ENFORCE;

    /* In a hold nothing new is granted, and who was told to start has the room. */
    if (!guard_admits(guard) && !keeps)
        guard->admission.count = 0;
}

void guard_admission_ended(struct guard *guard, const struct vm *vm)
{
    const struct vm_snapshot *figures = &vm->figures;
    struct reservation reservation;

    if (guard->rules->host.admission == ADMISSION_OFF || !vm_has(vm, VM_MEASURE_SAVING) ||
        vm_has(vm, VM_MEASURE_KILLED) || vm->kernel_killed)
        return;
    for (uint32_t i = 0; i < guard->snapshot->vm_count; i++) {
        if (!vm_identity_equal(&guard->snapshot->vms[i].identity, &figures->identity))
            continue;
        admission_saved(guard->snapshot, guard->rules, i, vm->save_held, &reservation);
        admission_keep_saved(&guard->admission, &reservation, figures->name, vm->save_begun);
        announce_admission_kept(figures->name, &reservation);
        return;
    }
}

static void refused_say(struct refused *refused, uint64_t now)
{
    if (log_owes(&refused->said, now) && log_permit(&refused->said, now))
        announce_admission_suppressed(
            refused->name, refused->uuid, refused->acts, refused->said.suppressed);
}

/* That guest's place; beyond them the one whose refusal is longest ago gives way. */
static struct refused *refused_place(struct guard *guard, const struct question *question)
{
    struct refused *oldest = &guard->refused[0];

    for (size_t i = 0; i < ELEMENTSOF(guard->refused); i++) {
        struct refused *refused = &guard->refused[i];

        if (memcmp(refused->uuid, question->request.uuid, UUID_SIZE) == 0)
            return refused;
        if (refused->said.last < oldest->said.last)
            oldest = refused;
    }
    refused_say(oldest, NEVER); /* what it owes is due at last */
    *oldest = (struct refused){0};
    memcpy(oldest->uuid, question->request.uuid, UUID_SIZE);
    return oldest;
}

/* Someone who tries again and again is told each time; the log, once a minute, with how often it
 * was. Of some it is remembered; beyond them it is told again. */
static bool refusal_is_news(
    struct guard *guard, const struct question *question, bool acts, uint32_t *ret_suppressed)
{
    struct refused *refused = refused_place(guard, question);

    (void)snprintf(refused->name, sizeof refused->name, "%s", question->name);
    refused->acts = acts;
    if (!log_permit(&refused->said, loop_now()))
        return false;
    *ret_suppressed = refused->said.suppressed;
    return true;
}

void guard_admission_advance(struct guard *guard, uint64_t now)
{
    for (size_t i = 0; i < ELEMENTSOF(guard->refused); i++)
        refused_say(&guard->refused[i], now);
}

static bool is_news(struct guard *guard, const struct question *question,
    const struct admission_answer *answer, bool acts, enum admission_verdict before,
    uint32_t *ret_suppressed)
{
    switch (answer->verdict) {
    case ADMISSION_WAIT:
        return before != ADMISSION_WAIT;
    case ADMISSION_REFUSE:
        return refusal_is_news(guard, question, acts, ret_suppressed);
    case ADMISSION_ALLOW:
    case ADMISSION_VERDICT_COUNT:
        break;
    }
    return true;
}

/* Keeps what was granted, or nothing. */
static void answer_keep(struct guard *guard, const struct question *question,
    struct admission_answer *answer, enum admission_verdict before)
{
    uint64_t now = loop_now();

    if (answer->verdict == ADMISSION_REFUSE) {
        admission_drop(&guard->admission, question->request.uuid);
    } else if (!admission_keep(&guard->admission, answer, question->name, now)) {
        answer->verdict = ADMISSION_REFUSE;
        answer->lack = ADMISSION_LACK_NONE;
    }
    admission_show(&guard->admission, guard->snapshot, now);
    if (answer->verdict == ADMISSION_WAIT && before != ADMISSION_WAIT)
        guard->next_tick = 0; /* what is lacking is asked of balloons now */
}

static struct json_object *answer_json(
    const struct admission_answer *answer, bool acts, const char *words)
{
    struct json_writer writer;
    /* Room that would be made is as good as there to whoever does not wait for it. */
    enum admission_verdict verdict =
        !acts && answer->verdict == ADMISSION_WAIT ? ADMISSION_ALLOW : answer->verdict;

    json_writer_begin(&writer);
    json_writer_text(&writer, "verdict", admission_verdict_name(verdict));
    json_writer_child(&writer, "text", json_object_new_string(words));
    json_writer_bool(&writer, "acts", acts);
    return json_writer_end(&writer);
}

const char *const guard_admit_parameters[] = {"name", "uuid", "maximum", "pinned", "allocated",
    "hugepages", "balloon", "nodes", "class", "minimum", "minimum_share", "patience", NULL};

int guard_admit(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct question question;
    struct admission_answer answer = {.verdict = ADMISSION_ALLOW};
    char words[ADMISSION_WORDS_MAX] = "admission is off";
    bool acts = guard_admits(guard);
    const char *wrong = question_read(parameters, &guard->snapshot->host, &question);

    if (wrong)
        return error_set(ret_error, -EBADR, "%s", wrong);
    if (guard->rules->host.admission != ADMISSION_OFF) {
        const struct admission_start *start =
            admission_find(&guard->admission, question.request.uuid);
        enum admission_verdict before = start ? start->verdict : ADMISSION_VERDICT_COUNT;
        struct vm_rules own;

        (void)config_domain_rules(guard->config, question.name, &question.metadata, &own);
        admission_decide(guard->snapshot, guard->rules, guard->state, guard->scratch,
            &question.request, &own, &answer);
        if (acts)
            answer_keep(guard, &question, &answer, before);
        admission_words(&answer, words);
        uint32_t suppressed = 0;
        if (is_news(guard, &question, &answer, acts, before, &suppressed))
            announce_admission(
                question.name, question.request.uuid, &answer, acts, suppressed, words);
    }
    *ret_parameters = answer_json(&answer, acts, words);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
