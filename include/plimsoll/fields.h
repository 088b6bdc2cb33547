/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the plain structs of policy_decide() consist of, field by field, as data: for whoever writes
 * them down and reads them back. One table serves both ways, so neither can leave out a field that
 * the other knows, and a test shows that no byte but padding is left out by both.
 */
#ifndef PLIMSOLL_FIELDS_H
#define PLIMSOLL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_UNSIGNED, /* of 64 bits, UNKNOWN is a value */
    FIELD_SIGNED,
    FIELD_BOOL,
    FIELD_TEXT,  /* ends in NUL; any bytes before */
    FIELD_BYTES, /* as many as `size` says */
    FIELD_STRUCT,
};

struct field {
    const char *name;
    enum field_kind kind;
    uint32_t offset;
    uint32_t size;                   /* of one element, in bytes */
    uint32_t count;                  /* elements; 1: it is no array */
    uint64_t least, most;            /* FIELD_UNSIGNED: nothing beyond is valid but UNKNOWN */
    const struct field_table *table; /* FIELD_STRUCT */
};

struct field_table {
    size_t size; /* of the struct, without what comes in its flexible array */
    const struct field *fields;
    uint32_t count;
};

/* struct snapshot but for its vms, vm_snapshot, host_rules, vm_rules, plan but for its actions,
 * action, policy_state but for its vms, and what the policy remembers of one VM. */
extern const struct field_table fields_snapshot, fields_vm_snapshot;
extern const struct field_table fields_host_rules, fields_vm_rules;
extern const struct field_table fields_plan, fields_action;
extern const struct field_table fields_policy_state, fields_vm_state;

/* ---- for the tables ---- */

/* No default: what is neither of these is no number. An enum is as good as its integer type. */
/* clang-format off */
#define FIELD_NUMBER_KIND(value)   \
    _Generic((value),              \
        bool: FIELD_BOOL,          \
        uint8_t: FIELD_UNSIGNED,   \
        uint16_t: FIELD_UNSIGNED,  \
        uint32_t: FIELD_UNSIGNED,  \
        uint64_t: FIELD_UNSIGNED,  \
        int32_t: FIELD_SIGNED,     \
        int64_t: FIELD_SIGNED)
/* clang-format on */
#define FIELD_OF(type, member) (((struct type *)NULL)->member)
#define FIELD_RANGE(type, member, low, high)                                             \
    {                                                                                    \
        .name = #member, .kind = FIELD_NUMBER_KIND(FIELD_OF(type, member)),              \
        .offset = offsetof(struct type, member), .size = sizeof(FIELD_OF(type, member)), \
        .count = 1, .least = (low), .most = (high),                                      \
    }
#define FIELD(type, member) FIELD_RANGE(type, member, 0, UINT64_MAX)
#define FIELD_ENUM(type, member, end) FIELD_RANGE(type, member, 0, (end)-1)
#define FIELD_ARRAY(type, member)                                                           \
    {                                                                                       \
        .name = #member, .kind = FIELD_NUMBER_KIND(FIELD_OF(type, member)[0]),              \
        .offset = offsetof(struct type, member), .size = sizeof(FIELD_OF(type, member)[0]), \
        .count = sizeof(FIELD_OF(type, member)) / sizeof(FIELD_OF(type, member)[0]),        \
        .most = UINT64_MAX,                                                                 \
    }
#define FIELD_STRING(type, member)                                                    \
    {                                                                                 \
        .name = #member, .kind = FIELD_TEXT, .offset = offsetof(struct type, member), \
        .size = sizeof(FIELD_OF(type, member)), .count = 1,                           \
    }
#define FIELD_RAW(type, member)                                                        \
    {                                                                                  \
        .name = #member, .kind = FIELD_BYTES, .offset = offsetof(struct type, member), \
        .size = sizeof(FIELD_OF(type, member)), .count = 1,                            \
    }
/* One struct ELEMENT, and an array of them; what is not as said does not compile. */
#define FIELD_NESTED(type, member, element)                                                        \
    {                                                                                              \
        .name = #member, .kind = FIELD_STRUCT, .offset = offsetof(struct type, member),            \
        .size = sizeof(struct element),                                                            \
        .count = _Generic(FIELD_OF(type, member), struct element : 1), .table = &fields_##element, \
    }
#define FIELD_NESTED_ARRAY(type, member, element)                                       \
    {                                                                                   \
        .name = #member, .kind = FIELD_STRUCT, .offset = offsetof(struct type, member), \
        .size = _Generic(FIELD_OF(type, member)[0], struct element                      \
                         : sizeof(struct element)),                                     \
        .count = sizeof(FIELD_OF(type, member)) / sizeof(FIELD_OF(type, member)[0]),    \
        .table = &fields_##element,                                                     \
    }
#define FIELD_TABLE(type, rows)                                                                  \
    {                                                                                            \
        .size = sizeof(struct type), .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0]) \
    }

#endif
