/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every struct of which a trace is made, with random values in every field: what is written and
 * read back is the same byte by byte but for padding. So a field that somebody adds to a struct and
 * not to its table fails here.
 */
#include "field_read.h"
#include "field_write.h"
#include "record_frame.h"
#include "state.h"
#include "suite.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>
#include <stdlib.h>
#include <string.h>

#define CASES 100
#define TEXT_MAX ((size_t)256 * 1024)

static uint64_t seed;

/* splitmix64 */
static uint64_t random_next(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void random_bytes(char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (char)random_next();
}

static void random_table(const struct field_table *table, char *at);

/* A valid one; all else is random bytes already. */
static void random_element(const struct field *field, char *at)
{
    uint64_t number = random_next();

    switch (field->kind) {
    case FIELD_UNSIGNED:
        if (field->most < UINT64_MAX)
            number = field->least + number % (field->most - field->least + 1);
        else if (number % 4 == 0)
            number = UNKNOWN;
        else if (number % 4 == 1)
            number = UNKNOWN - 1;
        memcpy(at, &number, field->size); /* little endian, as all that Plimsoll runs on */
        break;
    case FIELD_BOOL:
        *at = (char)(number % 2);
        break;
    case FIELD_TEXT:
        at[number % field->size] = '\0';
        memset(at + strlen(at), 0, field->size - strlen(at));
        break;
    case FIELD_STRUCT:
        random_table(field->table, at);
        break;
    case FIELD_SIGNED:
    case FIELD_BYTES:
        break;
    }
}

static void random_table(const struct field_table *table, char *at)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        for (uint32_t n = 0; n < field->count; n++)
            random_element(field, at + field->offset + (size_t)n * field->size);
    }
}

/* gcc 11 and clang 20 know what is padding; with others bytes are compared by the tables. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define PADDING_IS_KNOWN
#endif
#endif

#ifdef PADDING_IS_KNOWN
#define CLEAR(pointer) __builtin_clear_padding(pointer)
#define CLEAR_EACH(array)                             \
    for (size_t i_ = 0; i_ < ELEMENTSOF(array); i_++) \
    CLEAR(&(array)[i_])
/* gcc 12 does not know it of a struct that ends in an array, nor of what comes after an array of
 * structs with padding. Of those the holes are these: a member that is put into one of them is the
 * one thing that this test does not see. */
#define CLEAR_FROM(pointer, member, end)                                                          \
    memset(                                                                                       \
        (char *)(pointer) + offsetof(__typeof__(*(pointer)), member) + sizeof((pointer)->member), \
        0, (end)-offsetof(__typeof__(*(pointer)), member) - sizeof((pointer)->member))
#define CLEAR_HOLE(pointer, member, next) \
    CLEAR_FROM(pointer, member, offsetof(__typeof__(*(pointer)), next))

static void state_clear(struct policy_state *state)
{
    CLEAR_EACH(state->pools);
    CLEAR_EACH(state->destructions);
    CLEAR_EACH(state->kill.victims);
    CLEAR_HOLE(&state->kill, count, victims);
    CLEAR_FROM(&state->kill, gone, sizeof(state->kill));
    CLEAR(&state->end);
    CLEAR(&state->reclaim);
    CLEAR(&state->leak);
    CLEAR_EACH(state->culprit.growth);
    CLEAR(&state->culprit.last);
    CLEAR_HOLE(state, memlock_next, contain_at);
    CLEAR_HOLE(state, destruction_count, time);
    CLEAR_HOLE(state, reclaim_dry, destructions);
    CLEAR_HOLE(state, oom_critical, inflated_at);
    CLEAR_FROM(state, inflated_band, sizeof(*state));
}

static void rules_clear(struct host_rules *rules)
{
    CLEAR(&rules->floor);
    CLEAR(&rules->budget);
    CLEAR_EACH(rules->bands);
    CLEAR_HOLE(rules, held, held_until);
    CLEAR_HOLE(rules, on_exit, floor);
    CLEAR(&rules->pinned_limit);
    CLEAR_HOLE(rules, max_destructive, max_destructive_window);
    CLEAR_HOLE(rules, memlock, pinned_limit);
}

static void snapshot_clear(struct snapshot *snapshot)
{
    CLEAR(&snapshot->host);
    CLEAR_EACH(snapshot->reservations);
    CLEAR_HOLE(snapshot, reservation_count, reservations);
}

static void plan_clear(struct plan *plan)
{
    CLEAR_EACH(plan->assessment.pools);
    CLEAR(&plan->assessment.culprit);
    CLEAR_HOLE(&plan->assessment, sprint, pool_count);
    CLEAR_FROM(plan, actions_dropped, sizeof(*plan));
}

static void padding_clear(enum record_part part, void *at)
{
    switch (part) {
    case RECORD_STATE:
        state_clear(at);
        break;
    case RECORD_VM_STATE:
        CLEAR((struct vm_state *)at);
        break;
    case RECORD_RULES:
        rules_clear(at);
        break;
    case RECORD_VM_RULES:
        CLEAR((struct vm_rules *)at);
        break;
    case RECORD_SNAPSHOT:
        snapshot_clear(at);
        break;
    case RECORD_VM:
        CLEAR((struct vm_snapshot *)at);
        break;
    case RECORD_ACTION:
        CLEAR((struct action *)at);
        break;
    case RECORD_PLAN:
        plan_clear(at);
        break;
    case RECORD_PART_COUNT:
        break;
    }
}
#endif

struct trip {
    enum record_part part;
    const struct field_table *table;
    char *value, *base, *again;
    struct record_text text;
};

static void trip_begin(struct trip *trip, enum record_part part)
{
    size_t size = record_part_table(part)->size;

    *trip = (struct trip){.part = part,
        .table = record_part_table(part),
        .value = malloc(size),
        .base = malloc(size),
        .again = malloc(size),
        .text = {.bytes = malloc(TEXT_MAX), .size = TEXT_MAX}};
    record_part_base(part, trip->base);
}

static void trip_end(struct trip *trip)
{
    free(trip->value);
    free(trip->base);
    free(trip->again);
    free(trip->text.bytes);
}

/* What differs from the base, read over the base. */
static void trip_go(struct trip *trip)
{
    struct error error = {0};

    trip->text.length = 0;
    ck_assert(fields_write(&trip->text, trip->table, trip->value, trip->base));
    ck_assert(!trip->text.overflow);
    trip->text.bytes[trip->text.length] = '\0';
    struct json_object *object = json_tokener_parse(trip->text.bytes);
    ck_assert_msg(
        object != NULL, "%s: no JSON: %.2000s", record_part_name(trip->part), trip->text.bytes);
    memcpy(trip->again, trip->base, trip->table->size);
    int result = fields_read(trip->table, object, trip->again, &error);
    ck_assert_msg(result == 0, "%s: %s", record_part_name(trip->part), error.text);
    json_object_put(object);
    ck_assert_msg(!fields_write(&trip->text, trip->table, trip->value, trip->again),
        "%s: a field does not survive", record_part_name(trip->part));
}

START_TEST(no_byte_is_lost)
{
    struct trip trip;

    trip_begin(&trip, (enum record_part)_i);
    for (uint64_t i = 0; i < suite_cases(CASES); i++) {
        seed = i;
        random_bytes(trip.value, trip.table->size);
        random_table(trip.table, trip.value);
        if (trip.part == RECORD_STATE) /* which is as whoever makes one says */
            ((struct policy_state *)(void *)trip.value)->vm_capacity = 1;
        trip_go(&trip);
#ifdef PADDING_IS_KNOWN
        padding_clear(trip.part, trip.value);
        padding_clear(trip.part, trip.again);
        ck_assert_msg(memcmp(trip.value, trip.again, trip.table->size) == 0,
            "struct of %s: a member is not in its table", record_part_name(trip.part));
#endif
    }
    trip_end(&trip);
}
END_TEST

START_TEST(what_is_unknown_stays_so)
{
    struct vm_snapshot vm = {.rss = UNKNOWN, .swap = UNKNOWN - 1}, none = {0}, again = {0};
    char bytes[4096];
    struct record_text text = {.bytes = bytes, .size = sizeof(bytes)};

    ck_assert(fields_write(&text, &fields_vm_snapshot, &vm, &none));
    bytes[text.length] = '\0';
    ck_assert_str_eq(bytes, "{\"rss\":null,\"swap\":18446744073709551614}");
    struct json_object *object = json_tokener_parse(bytes);
    ck_assert_int_eq(fields_read(&fields_vm_snapshot, object, &again, NULL), 0);
    ck_assert_uint_eq(again.rss, UNKNOWN);
    ck_assert_uint_eq(again.swap, UNKNOWN - 1);
    json_object_put(object);
}
END_TEST

START_TEST(what_does_not_fit_is_told)
{
    struct vm_snapshot vm = {.rss = 1}, none = {0};
    char bytes[8];
    struct record_text text = {.bytes = bytes, .size = sizeof(bytes)};

    (void)fields_write(&text, &fields_vm_snapshot, &vm, &none);
    ck_assert(text.overflow);
    ck_assert_uint_le(text.length, sizeof(bytes));
}
END_TEST

static const char *const wrong[] = {
    "[]",
    "7",
    "{\"no_such\":1}",
    "{\"rss\":-1}",
    "{\"rss\":1.5}",
    "{\"rss\":\"1\"}",
    "{\"rss\":18446744073709551615}",
    "{\"rss\":99999999999999999999999}",
    "{\"slot\":null}",
    "{\"slot\":4294967296}",
    "{\"slot\":16384}",
    "{\"monitor\":4}",
    "{\"oom_score_adj\":2147483648}",
    "{\"oom_score_adj\":18446744073709551614}",
    "{\"oom_score_adj\":-9223372036854775809}",
    "{\"callable\":1}",
    "{\"name\":7}",
    "{\"name\":\"a\\u0000b\"}",
    ("{\"name\":\"0123456789012345678901234567890123456789012345678901234567890123"
     "0123456789012345678901234567890123456789012345678901234567890123\"}"),
    "{\"identity\":{\"uuid\":\"00\"}}",
    "{\"identity\":{\"uuid\":\"0011223344556677889900112233445g\"}}",
    "{\"identity\":7}",
    "{\"identity\":null}",
    "{\"node_bytes\":[1]}",
    "{\"node_bytes\":{\"32\":1}}",
    "{\"node_bytes\":{\"-1\":1}}",
    "{\"node_bytes\":{\"\":1}}",
    "{\"node_bytes\":{\"1x\":1}}",
    "{\"node_bytes\":{\"99999999999999999999999\":1}}",
};

START_TEST(what_is_no_value_is_refused)
{
    struct vm_snapshot vm = {0};
    struct error error = {0};
    struct json_object *object = json_tokener_parse(wrong[_i]);

    ck_assert_int_eq(fields_read(&fields_vm_snapshot, object, &vm, &error), -EINVAL);
    ck_assert_str_ne(error.text, "");
    json_object_put(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fields");
    TCase *tests = tcase_create("fields");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, no_byte_is_lost, 0, RECORD_PART_COUNT);
    tcase_add_test(tests, what_is_unknown_stays_so);
    tcase_add_test(tests, what_does_not_fit_is_told);
    tcase_add_loop_test(tests, what_is_no_value_is_refused, 0, (int)ELEMENTSOF(wrong));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
