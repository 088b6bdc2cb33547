/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing but the answers while they are read. Each question is a connection of its own: the
 * guard's clients are few, and one that waits shall not be among them.
 *
 * Room is waited for as long as the guard answers that it is being made. One that falls silent over
 * it has refused nothing.
 */
#include "asking.h"

#include "client.h"
#include "loop.h"
#include "question.h"

#include <errno.h>
#include <plimsoll/admission.h>
#include <plimsoll/control.h>
#include <poll.h>
#include <string.h>

/* A balloon gives about 100 MiB in so long: nothing is gained by asking more often. */
#define ASK_INTERVAL (100 * NSEC_PER_MSEC)

struct answer {
    enum admission_verdict verdict;
    bool acts;
};

static struct json_object *member_at(
    struct json_object *object, const char *name, enum json_type type)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(object, name, &value) && json_object_is_type(value, type)
               ? value
               : NULL;
}

/* The answer's words become the error's: that is what they are for, unless all is well. */
static int answer_read(
    struct json_object *reply, struct answer *ret_answer, struct error *ret_error)
{
    struct json_object *verdict = member_at(reply, "verdict", json_type_string);
    struct json_object *text = member_at(reply, "text", json_type_string);
    struct json_object *acts = member_at(reply, "acts", json_type_boolean);

    for (unsigned i = 0; verdict && text && acts && i < ADMISSION_VERDICT_COUNT; i++) {
        const char *name = admission_verdict_name((enum admission_verdict)i);

        if (strcmp(name, json_object_get_string(verdict)) != 0)
            continue;
        *ret_answer = (struct answer){(enum admission_verdict)i, json_object_get_boolean(acts)};
        (void)error_set(ret_error, -EPERM, "%s", json_object_get_string(text));
        return 0;
    }
    return error_set(ret_error, -EBADMSG,
        "the guard's answer makes no sense: it is of another version; restart it after an upgrade");
}

static int ask(const char *socket, struct json_object *question, uint64_t patience,
    struct answer *ret_answer, struct error *ret_error)
{
    struct json_object *reply = NULL;

    if (!question_set_patience(question, patience))
        return error_set(ret_error, -ENOMEM, "there is no memory to ask the guard with");
    int result = client_call(socket, CONTROL_METHOD_ADMIT, question,
        max_u64(patience, ASKING_ANSWER_MIN), &reply, ret_error);
    if (result == 0)
        result = answer_read(reply, ret_answer, ret_error);
    json_object_put(reply);
    return result;
}

/* It is there and has no place for one more client, or is about to be restarted. */
static bool is_turned_away(int result)
{
    return result == -ECONNRESET || result == -EPIPE;
}

/* It may come back: it is being restarted. */
static bool is_absent(int result)
{
    return result == -ENOENT || result == -ECONNREFUSED;
}

enum asking_end asking_run(const char *socket, struct json_object *question, uint64_t deadline,
    bool insist, struct error *ret_error)
{
    uint64_t left = sub_or_zero(deadline, loop_now());
    int result;

    do {
        struct answer answer = {0};

        result = ask(socket, question, left, &answer, ret_error);
        if (result < 0 && !is_turned_away(result) && !(insist && is_absent(result)))
            return ASKING_UNREACHABLE;
        if (result == 0 && (answer.verdict == ADMISSION_ALLOW || !answer.acts))
            return ASKING_ADMITTED;
        if (result == 0 && answer.verdict == ADMISSION_REFUSE)
            return ASKING_REFUSED;
        left = min_u64(sub_or_zero(deadline, loop_now()), ASK_INTERVAL);
        (void)poll(NULL, 0, (int)(left / NSEC_PER_MSEC) + 1);
        left = sub_or_zero(deadline, loop_now());
    } while (left > 0);
    if (result < 0)
        return ASKING_UNREACHABLE;
    struct error last = *ret_error;
    (void)error_set(ret_error, -EPERM, "there was no room in time: it %s", last.text);
    return ASKING_REFUSED;
}
