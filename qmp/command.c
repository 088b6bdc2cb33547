/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the table of commands: wire name, writer of the arguments (none for the plain ones), parser
 * of the reply. A new command is one line here, a value of the enum, and its two functions.
 */
#include "command.h"

#include "answer.h"

#include <plimsoll/cleanup.h>

#include <assert.h>
#include <inttypes.h>

typedef void (*arguments_writer)(struct qmp_writer *writer, const struct qmp_arguments *arguments);

static void write_value(struct qmp_writer *writer, const struct qmp_arguments *arguments)
{
    qmp_writer_printf(writer, "\"value\":%" PRIu64, arguments->value);
}

static void write_path(struct qmp_writer *writer, const struct qmp_arguments *arguments)
{
    qmp_writer_put(writer, "\"path\":");
    qmp_writer_string(writer, arguments->path);
}

static void write_property(struct qmp_writer *writer, const struct qmp_arguments *arguments)
{
    write_path(writer, arguments);
    qmp_writer_put(writer, ",\"property\":");
    qmp_writer_string(writer, arguments->property);
}

static void write_property_value(struct qmp_writer *writer, const struct qmp_arguments *arguments)
{
    write_property(writer, arguments);
    qmp_writer_put(writer, ",");
    write_value(writer, arguments);
}

static const struct {
    const char *wire;
    arguments_writer arguments;
    qmp_answer_parser parse;
} commands[] = {
    [QMP_COMMAND_CAPABILITIES] = {"qmp_capabilities", NULL, qmp_answer_empty},
    [QMP_COMMAND_QUERY_STATUS] = {"query-status", NULL, qmp_answer_status},
    [QMP_COMMAND_QUERY_NAME] = {"query-name", NULL, qmp_answer_name},
    [QMP_COMMAND_QUERY_UUID] = {"query-uuid", NULL, qmp_answer_uuid},
    [QMP_COMMAND_QUERY_BALLOON] = {"query-balloon", NULL, qmp_answer_balloon},
    [QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY] = {"query-memory-size-summary", NULL,
        qmp_answer_memory_size},
    [QMP_COMMAND_QUERY_MEMDEV] = {"query-memdev", NULL, qmp_answer_memdev},
    [QMP_COMMAND_QUERY_MEMORY_DEVICES] = {"query-memory-devices", NULL, qmp_answer_memory_devices},
    [QMP_COMMAND_QUERY_MIGRATE] = {"query-migrate", NULL, qmp_answer_migration},
    [QMP_COMMAND_QUERY_SEV] = {"query-sev", NULL, qmp_answer_sev},
    [QMP_COMMAND_QUERY_CPUS_FAST] = {"query-cpus-fast", NULL, qmp_answer_cpus},
    [QMP_COMMAND_BALLOON] = {"balloon", write_value, qmp_answer_empty},
    [QMP_COMMAND_STOP] = {"stop", NULL, qmp_answer_empty},
    [QMP_COMMAND_CONT] = {"cont", NULL, qmp_answer_empty},
    [QMP_COMMAND_SYSTEM_POWERDOWN] = {"system_powerdown", NULL, qmp_answer_empty},
    [QMP_COMMAND_QUIT] = {"quit", NULL, qmp_answer_empty},
    [QMP_COMMAND_LIST_DEVICES] = {"qom-list", write_path, qmp_answer_devices},
    [QMP_COMMAND_GET_STATISTICS] = {"qom-get", write_property, qmp_answer_statistics},
    [QMP_COMMAND_GET_BOOLEAN] = {"qom-get", write_property, qmp_answer_boolean},
    [QMP_COMMAND_QUERY_VIRTIO_STATUS] = {"x-query-virtio-status", write_path, qmp_answer_virtio},
    [QMP_COMMAND_SET_STATISTICS_INTERVAL] = {"qom-set", write_property_value, qmp_answer_empty},
    [QMP_COMMAND_SET_REQUESTED_SIZE] = {"qom-set", write_property_value, qmp_answer_empty},
};
static_assert(ELEMENTSOF(commands) == QMP_COMMAND_COUNT, "one line for each command");

void qmp_command_write(struct qmp_writer *writer, enum qmp_command command,
    const struct qmp_arguments *arguments, uint64_t id)
{
    qmp_writer_put(writer, "{\"execute\":\"");
    qmp_writer_put(writer, commands[command].wire);
    qmp_writer_put(writer, "\",");
    if (commands[command].arguments) {
        qmp_writer_put(writer, "\"arguments\":{");
        commands[command].arguments(writer, arguments);
        qmp_writer_put(writer, "},");
    }
    qmp_writer_printf(writer, "\"id\":%" PRIu64 "}\r\n", id);
}

int qmp_command_parse(enum qmp_command command, struct json_object *body, const char *container,
    struct qmp_reply *reply)
{
    return commands[command].parse(body, container, reply);
}

bool qmp_command_is_plain(enum qmp_command command)
{
    return (unsigned)command < QMP_COMMAND_COUNT && command != QMP_COMMAND_CAPABILITIES &&
           !commands[command].arguments;
}

const char *qmp_command_name(enum qmp_command command)
{
    return commands[command].wire;
}
