/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the form of a record as bytes: version and kind, then the fields of the kind one after the
 * other, numbers in the host's own order (both ends are on it), texts with their length before
 * them.
 *
 * Each kind is written down once, as a walk over its fields that serves both directions: the same
 * checks hold for what is sent and for what came, so whatever can be encoded can be decoded, and
 * what was decoded encodes to the same bytes. There is no padding and no second form of any value.
 */
#include "config_parse.h"
#include "text.h"

#include <errno.h>
#include <plimsoll/virt.h>
#include <string.h>

struct walk {
    uint8_t *to;         /* NULL: this is a reading */
    const uint8_t *from; /* likewise a writing */
    size_t at, size;
    bool failed; /* once true, nothing is read or written any more */
};

static void bytes_walk(struct walk *walk, void *value, size_t size)
{
    if (walk->failed || size > walk->size - walk->at) {
        walk->failed = true;
        return;
    }
    if (walk->to)
        memcpy(walk->to + walk->at, value, size);
    else
        memcpy(value, walk->from + walk->at, size);
    walk->at += size;
}

static void expect(struct walk *walk, bool holds)
{
    walk->failed |= !holds;
}

static void u32_walk(struct walk *walk, uint32_t *value, uint32_t minimum, uint32_t maximum)
{
    bytes_walk(walk, value, sizeof(*value));
    expect(walk, *value >= minimum && *value <= maximum);
}

static void u64_walk(struct walk *walk, uint64_t *value)
{
    bytes_walk(walk, value, sizeof(*value));
}

/* Enums have a type of their own each, so they are walked by value. */
static unsigned choice_walk(struct walk *walk, unsigned value, unsigned count)
{
    uint8_t byte = (uint8_t)(value < count ? value : UINT8_MAX);

    bytes_walk(walk, &byte, sizeof(byte));
    expect(walk, byte < count);
    return walk->failed ? 0 : byte;
}

static void bool_walk(struct walk *walk, bool *value)
{
    *value = choice_walk(walk, *value, 2) == 1;
}

static void uuid_walk(struct walk *walk, uint8_t uuid[UUID_SIZE])
{
    static const uint8_t none[UUID_SIZE];

    bytes_walk(walk, uuid, UUID_SIZE);
    expect(walk, memcmp(uuid, none, UUID_SIZE) != 0);
}

/* SIZE with the NUL, which is not sent. */
static void text_walk(struct walk *walk, char *text, size_t size)
{
    uint16_t length = (uint16_t)strnlen(text, size);

    bytes_walk(walk, &length, sizeof(length));
    expect(walk, length < size);
    if (walk->failed)
        return;
    bytes_walk(walk, text, length);
    if (walk->failed)
        return;
    text[length] = '\0';
    for (size_t at = 0, step; at < length; at += step) {
        step = text_character(text + at, length - at);
        if (step == 0) {
            walk->failed = true;
            return;
        }
    }
}

/* ---- the kinds ---- */

static void hello_walk(struct walk *walk, struct virt_hello *hello)
{
    u32_walk(walk, &hello->libvirt_version, 0, UINT32_MAX);
}

static void begin_walk(struct walk *walk, struct virt_begin *begin)
{
    text_walk(walk, begin->uri, sizeof(begin->uri));
    expect(walk, begin->uri[0] != '\0');
}

static void connection_walk(struct walk *walk, struct virt_connection *connection)
{
    bool connected;

    connection->state = choice_walk(walk, connection->state, VIRT_CONNECTION_STATE_COUNT);
    connected = connection->state == VIRT_CONNECTION_CONNECTED;
    u32_walk(walk, &connection->libvirt_version, 0, connected ? UINT32_MAX : 0);
    text_walk(walk, connection->text, sizeof(connection->text));
}

static void amount_walk(struct walk *walk, struct amount *amount)
{
    amount->kind = choice_walk(walk, amount->kind, AMOUNT_SHARE + 1);
    u64_walk(walk, &amount->value);
    expect(walk, amount->kind != AMOUNT_AUTO); /* no word for it in a domain's metadata */
    expect(walk, amount->kind != AMOUNT_SHARE || amount->value <= AMOUNT_SHARE_WHOLE);
}

static void class_walk(struct walk *walk, char class_name[CLASS_NAME_MAX])
{
    char checked[CLASS_NAME_MAX];

    text_walk(walk, class_name, CLASS_NAME_MAX);
    expect(walk, walk->failed || !config_parse_class_name(class_name, checked));
}

static void metadata_walk(struct walk *walk, struct virt_metadata *metadata)
{
    struct vm_rules *rules = &metadata->rules;

    u32_walk(walk, &metadata->set, 0, VIRT_RULE_ALL);
    u32_walk(walk, &metadata->refused, 0, VIRT_RULE_ALL | VIRT_RULE_STRANGE);
    if (walk->failed)
        return;
    if (metadata->set & VIRT_RULE_CLASS)
        class_walk(walk, rules->class_name);
    if (metadata->set & VIRT_RULE_PRIORITY)
        u32_walk(walk, &rules->priority, PRIORITY_MIN, PRIORITY_MAX);
    if (metadata->set & VIRT_RULE_SHARES)
        u32_walk(walk, &rules->shares, 1, SHARES_MAX);
    if (metadata->set & VIRT_RULE_MINIMUM)
        amount_walk(walk, &rules->minimum);
    if (metadata->set & VIRT_RULE_RUNGS)
        u32_walk(walk, &rules->rungs, 0, RUNG_ALL);
    if (metadata->set & VIRT_RULE_SACRIFICE)
        rules->sacrifice = choice_walk(walk, rules->sacrifice, SACRIFICE_COUNT);
}

static void domain_walk(struct walk *walk, struct virt_domain *domain)
{
    u64_walk(walk, &domain->asked);
    expect(walk, known(domain->asked));
    uuid_walk(walk, domain->uuid);
    text_walk(walk, domain->name, sizeof(domain->name));
    expect(walk, domain->name[0] != '\0');
    bytes_walk(walk, &domain->id, sizeof(domain->id));
    expect(walk, domain->id >= -1);
    bytes_walk(walk, &domain->pid, sizeof(domain->pid));
    expect(walk, domain->pid >= 0);
    domain->state = choice_walk(walk, domain->state, VIRT_DOMAIN_STATE_COUNT);
    u64_walk(walk, &domain->maximum);
    u64_walk(walk, &domain->current);
    u64_walk(walk, &domain->hard_limit);
    u64_walk(walk, &domain->soft_limit);
    bool_walk(walk, &domain->hugepages);
    bool_walk(walk, &domain->locked);
    bool_walk(walk, &domain->allocated);
    bool_walk(walk, &domain->encrypted);
    domain->source = choice_walk(walk, domain->source, VIRT_MEMORY_SOURCE_COUNT);
    domain->access = choice_walk(walk, domain->access, VIRT_ACCESS_COUNT);
    u32_walk(walk, &domain->vfio, 0, VIRT_DEVICES_MAX);
    u32_walk(walk, &domain->vdpa, 0, VIRT_DEVICES_MAX);
    u32_walk(walk, &domain->nvme, 0, VIRT_DEVICES_MAX);
    bool_walk(walk, &domain->viommu);
    bool_walk(walk, &domain->can_save);
    domain->balloon = choice_walk(walk, domain->balloon, VIRT_BALLOON_MODEL_COUNT);
    bool_walk(walk, &domain->deflates);
    bool_walk(walk, &domain->reports);
    u32_walk(walk, &domain->resizable_count, 0, VIRT_DEVICES_MAX);
    u64_walk(walk, &domain->resizable_maximum);
    u64_walk(walk, &domain->resizable_requested);
    u64_walk(walk, &domain->resizable_current);
    u64_walk(walk, &domain->resizable_block);
    domain->numa_mode = choice_walk(walk, domain->numa_mode, VIRT_NUMA_MODE_COUNT);
    u64_walk(walk, &domain->numa_nodes);
    metadata_walk(walk, &domain->metadata);
}

static void call_walk(struct walk *walk, struct virt_call *call)
{
    u64_walk(walk, &call->number);
    uuid_walk(walk, call->uuid);
    bytes_walk(walk, &call->id, sizeof(call->id));
    expect(walk, call->id >= VIRT_ID_ANY);
    bytes_walk(walk, &call->operation, sizeof(call->operation)); /* any: see virt_operation */
    u64_walk(walk, &call->argument);
    u64_walk(walk, &call->expected);
    u64_walk(walk, &call->deadline);
}

static void look_walk(struct walk *walk, struct virt_look *look)
{
    look->run_state = choice_walk(walk, look->run_state, VM_RUN_STATE_COUNT);
    look->migration = choice_walk(walk, look->migration, VM_MIGRATION_COUNT);
    u64_walk(walk, &look->actual);
    u64_walk(walk, &look->total);
    u64_walk(walk, &look->free);
    u64_walk(walk, &look->available);
    u64_walk(walk, &look->disk_caches);
    u64_walk(walk, &look->swapped_in);
    u64_walk(walk, &look->swapped_out);
    u64_walk(walk, &look->major_faults);
    u64_walk(walk, &look->reported);
}

static void result_walk(struct walk *walk, struct virt_result *result)
{
    u64_walk(walk, &result->number);
    bytes_walk(walk, &result->result, sizeof(result->result));
    expect(walk, result->result <= 0 && result->result >= -VIRT_ERRNO_MAX);
    bool_walk(walk, &result->looked);
    expect(walk, !result->looked || result->result == 0);
    if (!walk->failed && result->looked)
        look_walk(walk, &result->look);
    text_walk(walk, result->text, sizeof(result->text));
}

static void record_walk(struct walk *walk, struct virt_record *record)
{
    switch (record->kind) {
    case VIRT_RECORD_HELLO:
        hello_walk(walk, &record->hello);
        break;
    case VIRT_RECORD_CONNECTION:
        connection_walk(walk, &record->connection);
        break;
    case VIRT_RECORD_DOMAIN:
        domain_walk(walk, &record->domain);
        break;
    case VIRT_RECORD_DOMAIN_GONE:
    case VIRT_RECORD_DOMAIN_KEPT:
        uuid_walk(walk, record->uuid);
        break;
    case VIRT_RECORD_BALLOON:
        uuid_walk(walk, record->balloon.uuid);
        u64_walk(walk, &record->balloon.current);
        break;
    case VIRT_RECORD_CALL:
        call_walk(walk, &record->call);
        break;
    case VIRT_RECORD_RESULT:
        result_walk(walk, &record->result);
        break;
    case VIRT_RECORD_WORKERS:
        u32_walk(walk, &record->workers.hung, 0, VIRT_WORKERS);
        break;
    case VIRT_RECORD_BEGIN:
        begin_walk(walk, &record->begin);
        break;
    case VIRT_RECORD_RESYNC_BEGIN:
    case VIRT_RECORD_RESYNC_END:
    case VIRT_RECORD_KIND_COUNT:
        break;
    }
}

/* ---- the record as a whole ---- */

int virt_encode(const struct virt_record *record, uint8_t ret_datagram[VIRT_DATAGRAM_MAX])
{
    struct virt_record copy = *record; /* a walk may write to what it walks over */
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct walk walk = {.to = datagram, .size = sizeof(datagram)};
    uint16_t version = VIRT_VERSION;

    bytes_walk(&walk, &version, sizeof(version));
    copy.kind = choice_walk(&walk, record->kind, VIRT_RECORD_KIND_COUNT);
    if (!walk.failed)
        record_walk(&walk, &copy);
    if (walk.failed)
        return -EINVAL;
    memcpy(ret_datagram, datagram, walk.at);
    return (int)walk.at;
}

int virt_decode(const uint8_t *datagram, size_t length, struct virt_record *ret_record)
{
    struct virt_record record;
    struct walk walk = {.from = datagram, .size = length};
    uint16_t version = 0;

    memset(&record, 0, sizeof(record));
    bytes_walk(&walk, &version, sizeof(version));
    if (!walk.failed && version != VIRT_VERSION)
        return -EPROTO;
    record.kind = choice_walk(&walk, 0, VIRT_RECORD_KIND_COUNT);
    if (!walk.failed)
        record_walk(&walk, &record);
    if (walk.failed || walk.at != length)
        return -EBADMSG;
    *ret_record = record;
    return 0;
}
