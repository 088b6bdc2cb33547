/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; one pass over the arguments.
 *
 * QEMU's options take one dash or two, and their values are lists `key=value,key=value` in which a
 * comma is doubled to stand for itself and the first item may leave its key out (util/qemu-option.c
 * calls it the implied option). libvirt gives -object as JSON since 6.0; both forms are read.
 */
#include "scan_cmdline.h"

#include "kernel_file.h"
#include "scan_name.h"
#include "text.h"

#include <json-c/json.h>
#include <plimsoll/cleanup.h>
#include <string.h>

/* An object of ours is flat, but may hold lists of nodes. */
#define OBJECT_JSON_DEPTH 8
/* Longest value of a list item that we look at; a longer one is no name, size or type. */
#define ITEM_VALUE_MAX 512

struct item {
    char key[64]; /* empty: implied */
    char value[ITEM_VALUE_MAX];
};

static void append(char *buffer, size_t size, char character)
{
    size_t length = strlen(buffer);

    if (length + 1 < size) {
        buffer[length] = character;
        buffer[length + 1] = '\0';
    }
}

/* Takes the next item of LIST; what is too long is cut. False at the end. */
static bool item_next(const char **list, struct item *item)
{
    const char *cursor = *list;
    size_t used = 0;

    if (*cursor == '\0')
        return false;
    item->key[0] = '\0';
    size_t key = strcspn(cursor, "=,");
    if (cursor[key] == '=') {
        for (size_t i = 0; i < key; i++)
            append(item->key, sizeof(item->key), cursor[i]);
        cursor += key + 1;
    }
    for (; *cursor; cursor++) {
        if (*cursor == ',' && *++cursor != ',')
            break;
        if (used + 1 < sizeof(item->value))
            item->value[used++] = *cursor;
    }
    item->value[used] = '\0';
    *list = cursor;
    return true;
}

static bool item_is(const struct item *item, const char *key, bool implied)
{
    return strcmp(item->key, key) == 0 || (implied && item->key[0] == '\0');
}

static void parse_name(const char *list, struct cmdline_facts *facts)
{
    struct item item;

    for (bool first = true; item_next(&list, &item); first = false)
        if (item_is(&item, "guest", first))
            name_clean(item.value, strlen(item.value), facts->name, sizeof(facts->name));
}

static void parse_uuid(const char *text, struct cmdline_facts *facts)
{
    (void)text_parse_uuid(text, facts->uuid);
}

static unsigned unit_shift(char unit)
{
    static const char units[] = "BKMGTPE";
    const char *found = unit ? strchr(units, unit >= 'a' && unit <= 'z' ? unit - 32 : unit) : NULL;

    return found ? 10 * (unsigned)(found - units) : UINT32_MAX;
}

/* "512", "4G", "1.5g": MiB where no unit is given (qemu_strtosz_MiB). */
static uint64_t parse_size(const char *text)
{
    uint64_t whole, fraction = 0, scale = 1, bytes;

    if (!kernel_number_parse(&text, &whole))
        return UNKNOWN;
    if (*text == '.') {
        /* Six digits are finer than any page of a guest of terabytes; the rest is passed over. */
        for (text++; *text >= '0' && *text <= '9'; text++)
            if (scale < 1000000) {
                fraction = fraction * 10 + (uint64_t)(*text - '0');
                scale *= 10;
            }
    }
    unsigned shift = *text ? unit_shift(*text++) : unit_shift('M');
    if (shift == UINT32_MAX || *text != '\0' ||
        __builtin_mul_overflow(whole, UINT64_C(1) << shift, &bytes) ||
        __builtin_add_overflow(bytes, scale_u64(fraction, UINT64_C(1) << shift, scale), &bytes))
        return UNKNOWN;
    return bytes;
}

static void parse_memory(const char *list, struct cmdline_facts *facts)
{
    struct item item;

    for (bool first = true; item_next(&list, &item); first = false)
        if (item_is(&item, "size", first))
            facts->memory = parse_size(item.value);
}

static void parse_machine(const char *list, struct cmdline_facts *facts)
{
    struct item item;

    for (bool first = true; item_next(&list, &item); first = false) {
        if (item_is(&item, "type", first))
            facts->probe = strcmp(item.value, "none") == 0;
        else if (item_is(&item, "confidential-guest-support", false) ||
                 item_is(&item, "memory-encryption", false))
            facts->encrypted = TRISTATE_YES;
    }
}

/* Wherever it comes from; libvirt says that later, by QMP ("defer"). */
static void parse_incoming(const char *address, struct cmdline_facts *facts)
{
    (void)address;
    facts->incoming = true;
}

/* What one -object says of itself. */
struct object {
    char type[64];
    enum tristate share; /* unknown where it is left to its default */
    uint64_t nodes;      /* host-nodes= */
    bool bind;           /* policy=bind */
    bool cut;            /* nodes beyond what `nodes` can say */
};

static void object_add_nodes(struct object *object, uint64_t first, uint64_t last)
{
    if (first > last || last > 63) {
        object->cut = true;
        return;
    }
    for (uint64_t node = first; node <= last; node++)
        object->nodes |= UINT64_C(1) << node;
}

static void object_seen(const struct object *object, struct cmdline_facts *facts)
{
    static const char *const encrypting[] = {
        "sev-guest", "sev-snp-guest", "tdx-guest", "pef-guest", "s390-pv-guest"};
    static const char backend[] = "memory-backend-";
    const char *type = object->type;
    enum tristate share = object->share;

    for (unsigned i = 0; i < ELEMENTSOF(encrypting); i++)
        if (strcmp(type, encrypting[i]) == 0)
            facts->encrypted = TRISTATE_YES;
    if (strncmp(type, backend, strlen(backend)) != 0)
        return;
    /* memfd and shm are shared by default, ram and file are not (backends/hostmem-*.c). */
    if (share == TRISTATE_UNKNOWN && (strcmp(type + strlen(backend), "memfd") == 0 ||
                                         strcmp(type + strlen(backend), "shm") == 0))
        share = TRISTATE_YES;
    if (share == TRISTATE_YES)
        facts->shared = TRISTATE_YES;
    if (object->bind && object->nodes && !object->cut)
        facts->backend_nodes |= object->nodes;
    else
        facts->unbound = true;
}

static enum tristate tristate_of_word(const char *word)
{
    bool yes = strcmp(word, "on") == 0 || strcmp(word, "yes") == 0 || strcmp(word, "true") == 0 ||
               strcmp(word, "y") == 0;

    return yes ? TRISTATE_YES : TRISTATE_NO;
}

static const char *json_text(struct json_object *root, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(root, key, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : "";
}

static void object_copy_type(struct object *object, const char *type)
{
    if (strlen(type) < sizeof(object->type))
        memcpy(object->type, type, strlen(type) + 1);
}

static void parse_object_json(const char *text, struct cmdline_facts *facts)
{
    struct json_object *share = NULL, *nodes = NULL, *root = NULL;
    struct object object = {.share = TRISTATE_UNKNOWN};

    struct json_tokener *tokener = json_tokener_new_ex(OBJECT_JSON_DEPTH);
    if (!tokener)
        return;
    root = json_tokener_parse_ex(tokener, text, (int)strlen(text));
    if (root) {
        object_copy_type(&object, json_text(root, "qom-type"));
        object.bind = strcmp(json_text(root, "policy"), "bind") == 0;
        if (json_object_object_get_ex(root, "share", &share))
            object.share = json_object_get_boolean(share) ? TRISTATE_YES : TRISTATE_NO;
        size_t count = json_object_object_get_ex(root, "host-nodes", &nodes) &&
                               json_object_is_type(nodes, json_type_array)
                           ? json_object_array_length(nodes)
                           : 0;
        for (size_t i = 0; i < count; i++) {
            struct json_object *node = json_object_array_get_idx(nodes, i);
            int64_t id =
                json_object_is_type(node, json_type_int) ? json_object_get_int64(node) : -1;
            object_add_nodes(&object, (uint64_t)id, (uint64_t)id);
        }
        object_seen(&object, facts);
    }
    (void)json_object_put(root);
    json_tokener_free(tokener);
}

/* "2" or "0-3", and given more than once for more (qapi/opts-visitor.c). */
static void parse_host_nodes(const char *text, struct object *object)
{
    uint64_t first = UNKNOWN, last;

    bool number = kernel_number_parse(&text, &first);
    last = first;
    if (number && *text == '-') {
        text++;
        number = kernel_number_parse(&text, &last);
    }
    if (number && *text == '\0')
        object_add_nodes(object, first, last);
    else
        object->cut = true;
}

static void parse_object(const char *list, struct cmdline_facts *facts)
{
    struct object object = {.share = TRISTATE_UNKNOWN};
    struct item item;

    if (*list == '{') {
        parse_object_json(list, facts);
        return;
    }
    for (bool first = true; item_next(&list, &item); first = false) {
        if (item_is(&item, "qom-type", first))
            object_copy_type(&object, item.value);
        else if (item_is(&item, "share", false))
            object.share = tristate_of_word(item.value);
        else if (item_is(&item, "policy", false))
            object.bind = strcmp(item.value, "bind") == 0;
        else if (item_is(&item, "host-nodes", false))
            parse_host_nodes(item.value, &object);
    }
    object_seen(&object, facts);
}

static const struct {
    const char *name;
    void (*parse)(const char *value, struct cmdline_facts *facts);
} options[] = {
    {"name", parse_name},
    {"uuid", parse_uuid},
    {"m", parse_memory},
    {"machine", parse_machine},
    {"M", parse_machine},
    {"object", parse_object},
    {"incoming", parse_incoming},
};

/* The option that ARGUMENT names, or ELEMENTSOF(options). */
static size_t option_find(const char *argument)
{
    size_t i = 0;

    if (*argument != '-')
        return ELEMENTSOF(options);
    argument += argument[1] == '-' ? 2 : 1;
    while (i < ELEMENTSOF(options) && strcmp(argument, options[i].name) != 0)
        i++;
    return i;
}

/* The argument behind ARGUMENT, or NULL. Only those that end with a NUL count. */
static const char *argument_next(const char *argument, const char *end)
{
    const char *next = argument + strlen(argument) + 1;

    return next < end && memchr(next, '\0', (size_t)(end - next)) ? next : NULL;
}

void cmdline_parse(const char *text, size_t length, bool cut, struct cmdline_facts *ret_facts)
{
    const enum tristate absent = cut || length == 0 ? TRISTATE_UNKNOWN : TRISTATE_NO;
    struct cmdline_facts facts = {.memory = UNKNOWN, .encrypted = absent, .shared = absent};
    const char *end = text + length;

    const char *argument = length > 0 && memchr(text, '\0', length) ? text : NULL;
    while (argument) {
        size_t option = option_find(argument);
        argument = argument_next(argument, end);
        if (argument && option < ELEMENTSOF(options)) {
            options[option].parse(argument, &facts);
            argument = argument_next(argument, end);
        }
    }
    if (cut || facts.unbound)
        facts.backend_nodes = 0;
    *ret_facts = facts;
}
