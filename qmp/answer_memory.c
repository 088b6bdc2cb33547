/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: typed replies about memory (qapi/machine.json, docs/interop/virtio-balloon-stats).
 *
 * Sums are held just below QMP_UNKNOWN's meaning: one part that nobody knows makes the sum unknown.
 */
#include "answer.h"

#include "json.h"

#include <plimsoll/cleanup.h>

#include <string.h>

static uint64_t size_add(uint64_t sum, uint64_t size)
{
    if (sum == QMP_UNKNOWN || size == QMP_UNKNOWN || sum + size > QMP_SIZE_MAX)
        return QMP_UNKNOWN;
    return sum + size;
}

int qmp_answer_balloon(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    return qmp_json_required(qmp_json_number(body, "actual", QMP_SIZE_MAX, &reply->balloon_actual));
}

/* plugged-memory is left out where the target has no memory hotplug. */
int qmp_answer_memory_size(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    reply->memory_size.plugged = 0;
    int r = qmp_json_required(
        qmp_json_number(body, "base-memory", QMP_SIZE_MAX, &reply->memory_size.base));
    if (r < 0)
        return r;
    return qmp_json_optional(
        qmp_json_number(body, "plugged-memory", QMP_SIZE_MAX, &reply->memory_size.plugged));
}

int qmp_answer_memdev(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    struct qmp_memdev_summary *memdev = &reply->memdev;

    (void)container;
    if (!json_object_is_type(body, json_type_array))
        return -EPROTO;
    size_t count = json_object_array_length(body);
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(body, i);
        uint64_t size;
        int r = qmp_json_required(qmp_json_number(entry, "size", QMP_SIZE_MAX, &size));
        if (r < 0)
            return r;
        /* "share" came with QEMU 6.1. */
        bool share = false, prealloc = false;
        r = qmp_json_optional(qmp_json_boolean(entry, "share", &share));
        if (r < 0)
            return r;
        r = qmp_json_required(qmp_json_boolean(entry, "prealloc", &prealloc));
        if (r < 0)
            return r;
        memdev->size = size_add(memdev->size, size);
        memdev->any_shared |= share;
        memdev->any_prealloc |= prealloc;
    }
    memdev->count = (uint32_t)count;
    return 0;
}

/* Called before it is counted. */
static int virtio_mem_add(struct json_object *data, struct qmp_memory_devices *devices)
{
    uint64_t size, requested, maximum, block = QMP_UNKNOWN;
    const char *id = "";
    int r = qmp_json_required(qmp_json_number(data, "size", QMP_SIZE_MAX, &size));
    if (r < 0)
        return r;
    r = qmp_json_required(qmp_json_number(data, "requested-size", QMP_SIZE_MAX, &requested));
    if (r < 0)
        return r;
    r = qmp_json_required(qmp_json_number(data, "max-size", QMP_SIZE_MAX, &maximum));
    if (r < 0)
        return r;
    r = qmp_json_optional(qmp_json_number(data, "block-size", QMP_SIZE_MAX, &block));
    if (r < 0)
        return r;
    r = qmp_json_optional(qmp_json_string(data, "id", &id));
    if (r < 0)
        return r;
    if (devices->virtio_mem_count++ == 0) {
        size_t length = strlen(id);
        if (length < sizeof(devices->virtio_mem_id)) /* one that is cut names another */
            memcpy(devices->virtio_mem_id, id, length + 1);
        devices->virtio_mem_block = block;
    }
    devices->virtio_mem_size = size_add(devices->virtio_mem_size, size);
    devices->virtio_mem_requested = size_add(devices->virtio_mem_requested, requested);
    devices->virtio_mem_maximum = size_add(devices->virtio_mem_maximum, maximum);
    return 0;
}

static int memory_device_add(struct json_object *entry, struct qmp_memory_devices *devices)
{
    const char *type;
    struct json_object *data;
    int r = qmp_json_required(qmp_json_string(entry, "type", &type));
    if (r < 0)
        return r;
    r = qmp_json_required(qmp_json_object(entry, "data", &data));
    if (r < 0)
        return r;

    if (strcmp(type, "dimm") == 0) {
        uint64_t size;
        r = qmp_json_required(qmp_json_number(data, "size", QMP_SIZE_MAX, &size));
        if (r < 0)
            return r;
        devices->dimm_size = size_add(devices->dimm_size, size);
    } else if (strcmp(type, "virtio-mem") == 0) {
        return virtio_mem_add(data, devices);
    }
    return 0;
}

/* nvdimm, virtio-pmem and SGX are backed by files or by memory of their own: not RAM of the guest
 * (nor does QEMU count them in query-balloon). */
int qmp_answer_memory_devices(
    struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    if (!json_object_is_type(body, json_type_array))
        return -EPROTO;
    size_t count = json_object_array_length(body);
    for (size_t i = 0; i < count; i++) {
        int r = memory_device_add(json_object_array_get_idx(body, i), &reply->memory_devices);
        if (r < 0)
            return r;
    }
    return 0;
}

int qmp_answer_statistics(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    struct qmp_statistics *statistics = &reply->statistics;
    const struct {
        const char *key;
        uint64_t max;
        uint64_t *value;
    } members[] = {
        {"stat-total-memory", QMP_SIZE_MAX, &statistics->total},
        {"stat-free-memory", QMP_SIZE_MAX, &statistics->free},
        {"stat-available-memory", QMP_SIZE_MAX, &statistics->available},
        {"stat-disk-caches", QMP_SIZE_MAX, &statistics->disk_caches},
        {"stat-swap-in", QMP_COUNTER_MAX, &statistics->swap_in},
        {"stat-swap-out", QMP_COUNTER_MAX, &statistics->swap_out},
        {"stat-major-faults", QMP_COUNTER_MAX, &statistics->major_faults},
        {"stat-minor-faults", QMP_COUNTER_MAX, &statistics->minor_faults},
        {"stat-htlb-pgalloc", QMP_COUNTER_MAX, &statistics->hugetlb_allocations},
        {"stat-htlb-pgfail", QMP_COUNTER_MAX, &statistics->hugetlb_failures},
    };

    (void)container;
    struct json_object *stats;
    int r = qmp_json_required(
        qmp_json_number(body, "last-update", QMP_COUNTER_MAX, &statistics->last_update));
    if (r < 0)
        return r;
    r = qmp_json_required(qmp_json_object(body, "stats", &stats));
    if (r < 0)
        return r;
    /* An older QEMU lacks the newer ones: they are unknown, as are those its guest never set. */
    for (size_t i = 0; i < ELEMENTSOF(members); i++) {
        *members[i].value = QMP_UNKNOWN;
        r = qmp_json_optional(
            qmp_json_number(stats, members[i].key, members[i].max, members[i].value));
        if (r < 0)
            return r;
    }
    return 0;
}
