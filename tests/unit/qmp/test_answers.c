/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed replies, right and wrong, through a whole session: a wrong one costs its request, nothing
 * else.
 */
#include "harness.h"
#include "suite.h"

#include <plimsoll/cleanup.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void ask_any(struct harness *h, enum qmp_command command)
{
    uint64_t time = 5 * SECOND;
    int r;
    if (command == QMP_COMMAND_BALLOON)
        r = qmp_execute_balloon(h->session, 1 << 28, h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_LIST_DEVICES)
        r = qmp_execute_list_devices(
            h->session, "/machine/peripheral", h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_GET_STATISTICS)
        r = qmp_execute_get_statistics(h->session, "/b", h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_GET_BOOLEAN)
        r = qmp_execute_get_boolean(h->session, "/b", "p", h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_QUERY_VIRTIO_STATUS)
        r = qmp_execute_virtio_status(h->session, "/b", h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_SET_STATISTICS_INTERVAL)
        r = qmp_execute_set_statistics_interval(
            h->session, "/b", 1, h->now, time, harness_on_reply, h);
    else if (command == QMP_COMMAND_SET_REQUESTED_SIZE)
        r = qmp_execute_set_requested_size(h->session, "v", 1, h->now, time, harness_on_reply, h);
    else
        r = qmp_execute(h->session, command, h->now, time, harness_on_reply, h);
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(fake_qemu_hear(&h->fake), 0);
}

static const struct qmp_reply *answer(struct harness *h, enum qmp_command command, const char *body)
{
    unsigned before = h->replies;
    ask_any(h, command);
    ck_assert_int_eq(fake_qemu_reply(&h->fake, h->fake.id, body), 0);
    ck_assert_msg(harness_settle(h) == 0, "%s", body);
    ck_assert_uint_eq(h->replies, before + 1);
    ck_assert_int_eq(h->reply.command, command);
    return &h->reply;
}

#define FIFTY "01234567890123456789012345678901234567890123456789"

/* For each command, values of "return" that QEMU's schema does not allow. */
static const struct {
    enum qmp_command command;
    const char *bodies[16];
} wrong[] = {
    {QMP_COMMAND_QUERY_STATUS,
        {"{}", "{\"status\": 5, \"running\": true}", "{\"status\": \"running\"}",
            "{\"status\": \"running\", \"running\": 1}", "{\"running\": true}",
            "{\"status\": \"run\\u0000\", \"running\": true}"}},
    {QMP_COMMAND_QUERY_NAME, {"{\"name\": 5}", "{\"name\": null}", "{\"name\": {}}"}},
    {QMP_COMMAND_QUERY_UUID, {"{}", "{\"UUID\": 5}", "{\"UUID\": \"\"}",
                                 "{\"UUID\": \"12345678-9abc-def0-1234-56789abcdef\"}",
                                 "{\"UUID\": \"12345678-9abc-def0-1234-56789abcdefg\"}",
                                 "{\"UUID\": \"1234567889abc-def0-1234-56789abcdef0\"}",
                                 "{\"UUID\": \"12345678-9abc-def0-1234-56789abcdef00\"}"}},
    {QMP_COMMAND_QUERY_BALLOON, {"{}", "{\"actual\": \"5\"}", "{\"actual\": 5.5}",
                                    "{\"actual\": null}", "{\"actual\": [5]}"}},
    {QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY,
        {"{}", "{\"base-memory\": \"5\"}", "{\"base-memory\": 5, \"plugged-memory\": \"6\"}"}},
    {QMP_COMMAND_QUERY_MEMDEV,
        {"{}", "[5]", "[null]", "[{}]", "[{\"size\": \"1\", \"prealloc\": true}]",
            "[{\"size\": 1}]", "[{\"size\": 1, \"prealloc\": 1}]",
            "[{\"size\": 1, \"prealloc\": true, \"share\": 1}]"}},
    {QMP_COMMAND_QUERY_MEMORY_DEVICES,
        {"{}", "[5]", "[{}]", "[{\"type\": 5, \"data\": {}}]", "[{\"type\": \"dimm\"}]",
            "[{\"type\": \"dimm\", \"data\": []}]", "[{\"type\": \"dimm\", \"data\": {}}]",
            "[{\"type\": \"dimm\", \"data\": {\"size\": \"1\"}}]",
            "[{\"type\": \"virtio-mem\", \"data\": {\"size\": 1, \"max-size\": 1}}]",
            "[{\"type\": \"virtio-mem\", \"data\": {\"requested-size\": 1, \"max-size\": 1}}]",
            "[{\"type\": \"virtio-mem\", \"data\": {\"size\": 1, \"requested-size\": 1}}]",
            ("[{\"type\": \"virtio-mem\", \"data\": {\"size\": 1, \"requested-size\": 1, "
             "\"max-size\": 1, \"id\": 5}}]")}},
    {QMP_COMMAND_QUERY_MIGRATE, {"{\"status\": 5}", "{\"status\": null}"}},
    {QMP_COMMAND_QUERY_SEV, {"{}", "{\"enabled\": 1}", "{\"enabled\": \"true\"}"}},
    {QMP_COMMAND_QUERY_CPUS_FAST,
        {"{}", "[5]", "[{}]", "[{\"thread-id\": \"5\"}]", "[{\"thread-id\": 0}]",
            "[{\"thread-id\": -1}]", "[{\"thread-id\": 4294967297}]"}},
    {QMP_COMMAND_LIST_DEVICES,
        {"{}", "[5]", "[{}]", "[{\"name\": \"a\"}]", "[{\"type\": \"a\"}]",
            "[{\"name\": 5, \"type\": \"a\"}]", "[{\"name\": \"a\", \"type\": 5}]",
            "[{\"name\": \"a\\u0000\", \"type\": \"child<virtio-balloon-pci>\"}]",
            /* A path that would have to be cut. */
            "[{\"name\": \"" FIFTY FIFTY FIFTY "\", \"type\": \"child<virtio-balloon-pci>\"}]"}},
    {QMP_COMMAND_GET_STATISTICS,
        {"{}", "{\"stats\": {}}", "{\"last-update\": 1}", "{\"stats\": [], \"last-update\": 1}",
            "{\"stats\": {}, \"last-update\": \"1\"}",
            "{\"stats\": {\"stat-free-memory\": \"1\"}, \"last-update\": 1}",
            "{\"stats\": {\"stat-free-memory\": 1.5}, \"last-update\": 1}",
            "{\"stats\": {\"stat-htlb-pgfail\": null}, \"last-update\": 1}"}},
    {QMP_COMMAND_GET_BOOLEAN, {"{}", "1", "0"}},
    {QMP_COMMAND_QUERY_VIRTIO_STATUS,
        {"[]", "{}", "{\"status\":[]}", "{\"status\":{}}", "{\"status\":{\"statuses\":{}}}",
            "{\"status\":{\"statuses\":[1]}}"}},
    {QMP_COMMAND_BALLOON, {"true"}},
    {QMP_COMMAND_STOP, {"true"}},
    {QMP_COMMAND_CONT, {"true"}},
    {QMP_COMMAND_SYSTEM_POWERDOWN, {"true"}},
    {QMP_COMMAND_QUIT, {"true"}},
    {QMP_COMMAND_SET_STATISTICS_INTERVAL, {"true"}},
    {QMP_COMMAND_SET_REQUESTED_SIZE, {"true"}},
};

START_TEST(wrong_types_cost_only_their_request)
{
    /* What fits no command at all. */
    static const char *const never[] = {
        "null", "5", "-1", "1.5", "\"text\"", "[[]]", "[{\"a\":1}]"};
    struct harness h;
    harness_start_ready(&h, NULL);
    ck_assert_uint_eq(ELEMENTSOF(wrong), QMP_COMMAND_COUNT - 1);
    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        for (size_t j = 0; j < ELEMENTSOF(never); j++)
            ck_assert_msg(answer(&h, wrong[i].command, never[j])->result == -EPROTO, "%s: %s",
                qmp_command_name(wrong[i].command), never[j]);
        for (size_t j = 0; wrong[i].bodies[j]; j++)
            ck_assert_msg(answer(&h, wrong[i].command, wrong[i].bodies[j])->result == -EPROTO,
                "%s: %s", qmp_command_name(wrong[i].command), wrong[i].bodies[j]);
    }
    ck_assert_int_eq(answer(&h, QMP_COMMAND_STOP, "{}")->result, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(numbers_that_cannot_be_are_unknown)
{
    static const char *const bodies[] = {"{\"actual\": -1}", "{\"actual\": 18446744073709551615}",
        "{\"actual\": 9223372036854775807}", "{\"actual\": 99999999999999999999999999}",
        "{\"actual\": -99999999999999999999999999}", "{\"actual\": 4503599627370497}"};
    struct harness h;
    harness_start_ready(&h, NULL);
    for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
        const struct qmp_reply *reply = answer(&h, QMP_COMMAND_QUERY_BALLOON, bodies[i]);
        ck_assert_int_eq(reply->result, 0);
        ck_assert_msg(reply->balloon_actual == QMP_UNKNOWN, "%s", bodies[i]);
    }
    ck_assert_uint_eq(
        answer(&h, QMP_COMMAND_QUERY_BALLOON, "{\"actual\": 4503599627370496}")->balloon_actual,
        UINT64_C(1) << 52);
    ck_assert_uint_eq(answer(&h, QMP_COMMAND_QUERY_BALLOON, "{\"actual\": 0}")->balloon_actual, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(statistics_unset_or_missing_are_unknown)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    const struct qmp_statistics *s = &answer(&h, QMP_COMMAND_GET_STATISTICS,
        "{\"stats\": {\"stat-htlb-pgalloc\": 7, \"stat-swap-out\": 18446744073709551615, "
        "\"stat-available-memory\": 3, \"stat-free-memory\": -5, \"stat-minor-faults\": 9, "
        "\"stat-major-faults\": 10, \"stat-total-memory\": 11, \"stat-swap-in\": 0, "
        "\"stat-from-the-future\": \"x\"}, \"last-update\": 1700000000}")
                                          ->statistics;
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_uint_eq(s->last_update, 1700000000);
    ck_assert_uint_eq(s->total, 11);
    ck_assert_uint_eq(s->free, QMP_UNKNOWN);
    ck_assert_uint_eq(s->available, 3);
    ck_assert_uint_eq(s->disk_caches, QMP_UNKNOWN);
    ck_assert_uint_eq(s->swap_in, 0);
    ck_assert_uint_eq(s->swap_out, QMP_UNKNOWN);
    ck_assert_uint_eq(s->major_faults, 10);
    ck_assert_uint_eq(s->minor_faults, 9);
    ck_assert_uint_eq(s->hugetlb_allocations, 7);
    ck_assert_uint_eq(s->hugetlb_failures, QMP_UNKNOWN);
    harness_stop(&h);
}
END_TEST

START_TEST(machine_replies)
{
    static const uint8_t uuid[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34,
        0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
    struct harness h;
    harness_start_ready(&h, NULL);
    const struct qmp_reply *reply = &h.reply;

    for (enum qmp_run_state state = 0; state < QMP_RUN_OTHER; state++) {
        char body[128];
        (void)snprintf(body, sizeof(body), "{\"status\": \"%s\", \"running\": false}",
            qmp_run_state_name(state));
        ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_STATUS, body)->status.run_state, state);
        ck_assert(!reply->status.running);
    }
    answer(&h, QMP_COMMAND_QUERY_STATUS, "{\"status\": \"new\", \"running\": true}");
    ck_assert_int_eq(reply->status.run_state, QMP_RUN_OTHER);
    ck_assert(reply->status.running);

    ck_assert_str_eq(answer(&h, QMP_COMMAND_QUERY_NAME, "{}")->name, "");
    ck_assert_str_eq(answer(&h, QMP_COMMAND_QUERY_NAME, "{\"name\": \"a\\u001bb\"}")->name, "a?b");
    answer(&h, QMP_COMMAND_QUERY_UUID, "{\"UUID\": \"12345678-9ABC-def0-1234-56789abcdef0\"}");
    ck_assert_int_eq(reply->result, 0);
    ck_assert_mem_eq(reply->uuid, uuid, sizeof(uuid));

    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{}")->migration, QMP_MIGRATION_NONE);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"status\": \"failed\"}")->migration,
        QMP_MIGRATION_NONE);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"status\": \"setup\"}")->migration,
        QMP_MIGRATION_ACTIVE);
    ck_assert_int_eq(
        answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"status\": \"postcopy-paused\"}")->migration,
        QMP_MIGRATION_POSTCOPY);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"status\": \"novel\"}")->migration,
        QMP_MIGRATION_OTHER);
    ck_assert_int_eq(
        answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"socket-address\": [{\"type\": \"inet\"}]}")
            ->migration,
        QMP_MIGRATION_INCOMING);
    ck_assert_int_eq(
        answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"status\": \"active\", \"socket-address\": [{}]}")
            ->migration,
        QMP_MIGRATION_INCOMING);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE,
                         "{\"status\": \"postcopy-active\", \"socket-address\": [{}]}")
                         ->migration,
        QMP_MIGRATION_POSTCOPY);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE,
                         "{\"status\": \"completed\", \"socket-address\": [{}]}")
                         ->migration,
        QMP_MIGRATION_NONE);
    ck_assert_int_eq(answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"socket-address\": []}")->migration,
        QMP_MIGRATION_NONE);
    ck_assert_int_eq(
        answer(&h, QMP_COMMAND_QUERY_MIGRATE, "{\"socket-address\": \"tcp\"}")->migration,
        QMP_MIGRATION_NONE);
    ck_assert(answer(&h, QMP_COMMAND_QUERY_SEV, "{\"enabled\": true}")->sev_enabled);
    ck_assert(answer(&h, QMP_COMMAND_GET_BOOLEAN, "true")->boolean);
    ck_assert(!answer(&h, QMP_COMMAND_GET_BOOLEAN, "false")->boolean);
    ck_assert(!answer(&h, QMP_COMMAND_QUERY_VIRTIO_STATUS,
        "{\"status\":{\"statuses\":[\"VIRTIO_CONFIG_S_DRIVER: x\"]}}")
                   ->virtio_driver);
    ck_assert(answer(&h, QMP_COMMAND_QUERY_VIRTIO_STATUS,
        "{\"status\":{\"statuses\":[\"VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready\"]}}")
                  ->virtio_driver);
    ck_assert_int_eq(reply->result, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(device_replies)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    const struct qmp_device_list *devices = &h.reply.devices;
    answer(&h, QMP_COMMAND_LIST_DEVICES,
        "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"v0\", \"type\": "
        "\"child<vfio-pci>\"}, {\"name\": \"b0\", \"type\": \"child<virtio-balloon-pci>\"}, "
        "{\"name\": \"b1\", \"type\": \"child<virtio-balloon-ccw>\"}, {\"name\": \"v1\", "
        "\"type\": \"child<vfio-pci-nohotplug>\"}, {\"name\": \"n\", \"type\": "
        "\"link<vfio-pci>\"}]");
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_str_eq(devices->balloon, "/machine/peripheral/b0");
    ck_assert_uint_eq(devices->vfio_count, 2);

    /* More vCPUs than are kept: all are counted. */
    char body[8192] = "[";
    for (int i = 1; i <= 100; i++)
        (void)snprintf(body + strlen(body), sizeof(body) - strlen(body), "{\"thread-id\": %d}%s",
            1000 + i, i == 100 ? "]" : ",");
    answer(&h, QMP_COMMAND_QUERY_CPUS_FAST, body);
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_uint_eq(h.reply.cpus.count, 100);
    ck_assert_int_eq(h.reply.cpus.threads[0], 1001);
    ck_assert_int_eq(h.reply.cpus.threads[QMP_DEVICES_MAX - 1], 1000 + QMP_DEVICES_MAX);
    harness_stop(&h);
}
END_TEST

START_TEST(memory_replies)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    const struct qmp_memory_devices *devices = &h.reply.memory_devices;
    answer(&h, QMP_COMMAND_QUERY_MEMORY_DEVICES,
        "[{\"type\": \"dimm\", \"data\": {\"size\": 100, \"id\": \"d\"}}, {\"type\": \"dimm\", "
        "\"data\": {\"size\": 11}}, {\"type\": \"nvdimm\", \"data\": {\"size\": 1000}}, {\"type\": "
        "\"virtio-mem\", \"data\": {\"size\": 1, \"requested-size\": 2, \"max-size\": 3}}, "
        "{\"type\": \"virtio-mem\", \"data\": {\"size\": 10, \"requested-size\": 20, "
        "\"max-size\": 30}}, {\"type\": \"new\", \"data\": {}}]");
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_uint_eq(devices->dimm_size, 111);
    ck_assert_uint_eq(devices->virtio_mem_count, 2);
    ck_assert_uint_eq(devices->virtio_mem_size, 11);
    ck_assert_uint_eq(devices->virtio_mem_requested, 22);
    ck_assert_uint_eq(devices->virtio_mem_maximum, 33);
    ck_assert_str_eq(devices->virtio_mem_id, "");
    ck_assert_uint_eq(devices->virtio_mem_block, QMP_UNKNOWN);
    answer(&h, QMP_COMMAND_QUERY_MEMORY_DEVICES,
        "[{\"type\": \"virtio-mem\", \"data\": {\"size\": 1, \"requested-size\": 2, \"max-size\": "
        "3, "
        "\"block-size\": 4, \"id\": \"v0\"}}, {\"type\": \"virtio-mem\", \"data\": {\"size\": 1, "
        "\"requested-size\": 2, \"max-size\": 3, \"block-size\": 5, \"id\": \"v1\"}}]");
    ck_assert_str_eq(devices->virtio_mem_id, "v0");
    ck_assert_uint_eq(devices->virtio_mem_block, 4);
    /* One part unknown: so is the sum. */
    answer(&h, QMP_COMMAND_QUERY_MEMORY_DEVICES,
        "[{\"type\": \"dimm\", \"data\": {\"size\": -1}}, {\"type\": \"dimm\", \"data\": "
        "{\"size\": 11}}]");
    ck_assert_uint_eq(devices->dimm_size, QMP_UNKNOWN);

    answer(&h, QMP_COMMAND_QUERY_MEMDEV,
        "[{\"size\": 1, \"prealloc\": false, \"share\": true}, {\"size\": 2, \"prealloc\": true}]");
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_uint_eq(h.reply.memdev.count, 2);
    ck_assert_uint_eq(h.reply.memdev.size, 3);
    ck_assert(h.reply.memdev.any_shared && h.reply.memdev.any_prealloc);

    answer(&h, QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY, "{\"base-memory\": 5}");
    ck_assert_uint_eq(h.reply.memory_size.base, 5);
    ck_assert_uint_eq(h.reply.memory_size.plugged, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(errors_of_the_peer)
{
    static const struct {
        const char *error;
        int result;
        enum qmp_error_class class;
        const char *text;
    } cases[] = {
        {"{\"class\": \"GenericError\", \"desc\": \"a\\u001b\\nb\"}", -EREMOTEIO, QMP_ERROR_GENERIC,
            "a??b"},
        {"{\"class\": \"CommandNotFound\", \"desc\": \"c\"}", -EREMOTEIO,
            QMP_ERROR_COMMAND_NOT_FOUND, "c"},
        {"{\"class\": \"DeviceNotActive\", \"desc\": \"c\"}", -EREMOTEIO,
            QMP_ERROR_DEVICE_NOT_ACTIVE, "c"},
        {"{\"class\": \"DeviceNotFound\", \"desc\": \"c\"}", -EREMOTEIO, QMP_ERROR_DEVICE_NOT_FOUND,
            "c"},
        {"{\"class\": \"KVMMissingCap\", \"desc\": \"c\"}", -EREMOTEIO, QMP_ERROR_KVM_MISSING_CAP,
            "c"},
        {"{\"class\": \"Novel\", \"desc\": \"\"}", -EREMOTEIO, QMP_ERROR_OTHER, ""},
        {"{\"class\": \"\", \"desc\": \"\"}", -EREMOTEIO, QMP_ERROR_OTHER, ""},
        {"{\"class\": 5, \"desc\": \"c\"}", -EPROTO, QMP_ERROR_NONE, ""},
        {"{\"class\": \"GenericError\"}", -EPROTO, QMP_ERROR_NONE, ""},
        {"null", -EPROTO, QMP_ERROR_NONE, ""},
        {"[]", -EPROTO, QMP_ERROR_NONE, ""},
    };
    struct harness h;
    harness_start_ready(&h, NULL);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        ask_any(&h, QMP_COMMAND_QUERY_BALLOON);
        fake_qemu_say(&h.fake, "{\"id\": %u, \"error\": %s}", (unsigned)h.fake.id, cases[i].error);
        ck_assert_int_eq(harness_settle(&h), 0);
        ck_assert_uint_eq(h.replies, i + 1);
        ck_assert_int_eq(h.reply.result, cases[i].result);
        ck_assert_int_eq(h.reply.error_class, cases[i].class);
        ck_assert_str_eq(h.text, cases[i].text);
    }
    harness_stop(&h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-answers");
    TCase *answers = tcase_create("answers");
    tcase_add_test(answers, wrong_types_cost_only_their_request);
    tcase_add_test(answers, numbers_that_cannot_be_are_unknown);
    tcase_add_test(answers, statistics_unset_or_missing_are_unknown);
    tcase_add_test(answers, machine_replies);
    tcase_add_test(answers, device_replies);
    tcase_add_test(answers, memory_replies);
    tcase_add_test(answers, errors_of_the_peer);
    suite_add_tcase(suite, answers);
    return suite_run(suite);
}
