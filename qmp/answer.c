/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: typed replies about the machine (qapi/run-state.json, machine.json, migration.json,
 * qom.json, misc-target.json, error.json). Members that QEMU's schema marks optional may be
 * missing; enumerations may have values newer than this library, which is not an error.
 */
#include "answer.h"

#include "json.h"
#include "text.h"

#include <plimsoll/cleanup.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const run_states[] = {
    [QMP_RUN_DEBUG] = "debug",
    [QMP_RUN_INMIGRATE] = "inmigrate",
    [QMP_RUN_INTERNAL_ERROR] = "internal-error",
    [QMP_RUN_IO_ERROR] = "io-error",
    [QMP_RUN_PAUSED] = "paused",
    [QMP_RUN_POSTMIGRATE] = "postmigrate",
    [QMP_RUN_PRELAUNCH] = "prelaunch",
    [QMP_RUN_FINISH_MIGRATE] = "finish-migrate",
    [QMP_RUN_RESTORE_VM] = "restore-vm",
    [QMP_RUN_RUNNING] = "running",
    [QMP_RUN_SAVE_VM] = "save-vm",
    [QMP_RUN_SHUTDOWN] = "shutdown",
    [QMP_RUN_SUSPENDED] = "suspended",
    [QMP_RUN_WATCHDOG] = "watchdog",
    [QMP_RUN_GUEST_PANICKED] = "guest-panicked",
    [QMP_RUN_COLO] = "colo",
    [QMP_RUN_OTHER] = "other",
};
static_assert(ELEMENTSOF(run_states) == QMP_RUN_COUNT, "one name for each run state");

const char *qmp_run_state_name(enum qmp_run_state state)
{
    return run_states[state];
}

int qmp_answer_empty(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    (void)reply;
    return json_object_is_type(body, json_type_object) ? 0 : -EPROTO;
}

int qmp_answer_status(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    const char *status;
    int r = qmp_json_required(qmp_json_string(body, "status", &status));
    if (r < 0)
        return r;
    enum qmp_run_state state = 0;
    while (state < QMP_RUN_OTHER && strcmp(run_states[state], status) != 0)
        state++;
    reply->status.run_state = state;
    return qmp_json_required(qmp_json_boolean(body, "running", &reply->status.running));
}

int qmp_answer_name(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    if (!json_object_is_type(body, json_type_object))
        return -EPROTO;
    const char *name = "";
    int r = qmp_json_optional(qmp_json_string(body, "name", &name));
    if (r < 0)
        return r;
    qmp_text_clean(reply->name, sizeof(reply->name), name, strlen(name));
    return 0;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit | 0x20) : NULL;
    return found ? (int)(found - digits) : -1;
}

int qmp_answer_uuid(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    const char *text;
    int r = qmp_json_required(qmp_json_string(body, "UUID", &text));
    if (r < 0)
        return r;
    if (strlen(text) != 36)
        return -EPROTO;
    for (size_t i = 0, filled = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-')
                return -EPROTO;
            continue;
        }
        int high = hex_value(text[i]);
        int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return -EPROTO;
        reply->uuid[filled++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return 0;
}

/* What the incoming side listens at, and only that side (fill_destination_migration_info(),
 * migration/migration.c): a peer sends what comes there, not a file. */
static bool has_listened(struct json_object *body)
{
    struct json_object *addresses = NULL;
    return json_object_object_get_ex(body, "socket-address", &addresses) &&
           json_object_is_type(addresses, json_type_array) &&
           json_object_array_length(addresses) > 0;
}

/* MigrationStatus. What is not listed and is no kind of post-copy is "other": newer than we are,
 * and to be treated as active. */
int qmp_answer_migration(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    static const struct {
        const char *status;
        enum qmp_migration migration;
    } statuses[] = {
        {"none", QMP_MIGRATION_NONE},
        {"completed", QMP_MIGRATION_NONE},
        {"failed", QMP_MIGRATION_NONE},
        {"cancelled", QMP_MIGRATION_NONE},
        {"setup", QMP_MIGRATION_ACTIVE},
        {"cancelling", QMP_MIGRATION_ACTIVE},
        {"active", QMP_MIGRATION_ACTIVE},
        {"pre-switchover", QMP_MIGRATION_ACTIVE},
        {"device", QMP_MIGRATION_ACTIVE},
        {"wait-unplug", QMP_MIGRATION_ACTIVE},
        {"colo", QMP_MIGRATION_ACTIVE},
        {"postcopy-active", QMP_MIGRATION_POSTCOPY},
        {"postcopy-paused", QMP_MIGRATION_POSTCOPY},
        {"postcopy-recover", QMP_MIGRATION_POSTCOPY},
        {"postcopy-recover-setup", QMP_MIGRATION_POSTCOPY},
    };

    (void)container;
    if (!json_object_is_type(body, json_type_object))
        return -EPROTO;
    const char *status = "none";
    int r = qmp_json_optional(qmp_json_string(body, "status", &status));
    if (r < 0)
        return r;
    reply->migration = QMP_MIGRATION_OTHER;
    for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
        if (strcmp(statuses[i].status, status) == 0)
            reply->migration = statuses[i].migration;
    bool is_early = strcmp(status, "none") == 0 || reply->migration == QMP_MIGRATION_ACTIVE;
    if (is_early && has_listened(body))
        reply->migration = QMP_MIGRATION_INCOMING;
    return 0;
}

int qmp_answer_sev(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    return qmp_json_required(qmp_json_boolean(body, "enabled", &reply->sev_enabled));
}

int qmp_answer_boolean(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    if (!json_object_is_type(body, json_type_boolean))
        return -EPROTO;
    reply->boolean = json_object_get_boolean(body);
    return 0;
}

/* status.statuses lists the bits that are set, each as its name, a colon and an explanation. */
int qmp_answer_virtio(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    static const char driver_ok[] = "VIRTIO_CONFIG_S_DRIVER_OK";
    struct json_object *status, *statuses;

    (void)container;
    int r = qmp_json_required(qmp_json_object(body, "status", &status));
    if (r < 0)
        return r;
    if (!json_object_object_get_ex(status, "statuses", &statuses) ||
        !json_object_is_type(statuses, json_type_array))
        return -EPROTO;
    reply->virtio_driver = false;
    for (size_t i = 0; i < json_object_array_length(statuses); i++) {
        struct json_object *name = json_object_array_get_idx(statuses, i);
        if (!json_object_is_type(name, json_type_string))
            return -EPROTO;
        if (strncmp(json_object_get_string(name), driver_ok, strlen(driver_ok)) == 0)
            reply->virtio_driver = true;
    }
    return 0;
}

int qmp_answer_cpus(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    (void)container;
    if (!json_object_is_type(body, json_type_array))
        return -EPROTO;
    size_t count = json_object_array_length(body);
    for (size_t i = 0; i < count; i++) {
        uint64_t thread;
        int r = qmp_json_required(
            qmp_json_number(json_object_array_get_idx(body, i), "thread-id", INT32_MAX, &thread));
        if (r < 0)
            return r;
        /* A thread to be frozen or throttled: a number that cannot be one is not passed on. */
        if (thread == 0 || thread == QMP_UNKNOWN)
            return -EPROTO;
        if (i < QMP_DEVICES_MAX)
            reply->cpus.threads[i] = (pid_t)thread;
    }
    reply->cpus.count = (uint32_t)count;
    return 0;
}

int qmp_answer_devices(struct json_object *body, const char *container, struct qmp_reply *reply)
{
    static const char balloon[] = "child<virtio-balloon-";
    static const char vfio[] = "child<vfio-";
    struct qmp_device_list *devices = &reply->devices;

    if (!json_object_is_type(body, json_type_array))
        return -EPROTO;
    size_t count = json_object_array_length(body);
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(body, i);
        const char *name, *type;
        int r = qmp_json_required(qmp_json_string(entry, "name", &name));
        if (r < 0)
            return r;
        r = qmp_json_required(qmp_json_string(entry, "type", &type));
        if (r < 0)
            return r;
        if (strncmp(type, vfio, sizeof(vfio) - 1) == 0)
            devices->vfio_count++;
        if (strncmp(type, balloon, sizeof(balloon) - 1) != 0 || devices->balloon[0])
            continue;
        /* The path will be sent back, so it must be whole: one that is cut names nothing. */
        char path[QMP_NAME_MAX];
        int length = snprintf(path, sizeof(path), "%s/%s", container, name);
        if (length < 0 || (size_t)length >= sizeof(path))
            return -EPROTO;
        memcpy(devices->balloon, path, (size_t)length + 1);
    }
    return 0;
}

int qmp_answer_error(
    struct json_object *body, char *text, size_t size, enum qmp_error_class *ret_class)
{
    static const char *const classes[] = {
        [QMP_ERROR_NONE] = "",
        [QMP_ERROR_GENERIC] = "GenericError",
        [QMP_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [QMP_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [QMP_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [QMP_ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
    };
    static_assert(ELEMENTSOF(classes) == QMP_ERROR_OTHER, "one name for each known class");

    const char *name, *description;
    int r = qmp_json_required(qmp_json_string(body, "class", &name));
    if (r < 0)
        return r;
    r = qmp_json_required(qmp_json_string(body, "desc", &description));
    if (r < 0)
        return r;
    enum qmp_error_class class = QMP_ERROR_GENERIC;
    while (class < QMP_ERROR_OTHER && strcmp(classes[class], name) != 0)
        class ++;
    qmp_text_clean(text, size, description, strlen(description));
    *ret_class = class;
    return 0;
}
