/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records between the guard and plimsoll-virt: what goes out comes in, and nothing else does. */
#include "suite.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/virt.h>
#include <stdlib.h>
#include <string.h>

#define CASES 200000

static const struct virt_record full_domain = {
    .kind = VIRT_RECORD_DOMAIN,
    .domain =
        {
            .asked = 123 * NSEC_PER_SEC,
            .uuid = {1, 2, 3},
            .name = "w\xc3\xbcrfel",
            .id = 7,
            .pid = 4711,
            .state = VIRT_DOMAIN_PAUSED,
            .maximum = 8 * GIB,
            .current = 6 * GIB,
            .hard_limit = 9 * GIB,
            .soft_limit = MEMLOCK_UNLIMITED,
            .hugepages = true,
            .locked = true,
            .allocated = true,
            .encrypted = true,
            .source = VIRT_MEMORY_MEMFD,
            .access = VIRT_ACCESS_SHARED,
            .vfio = 2,
            .vdpa = 1,
            .nvme = 3,
            .viommu = true,
            .can_save = false,
            .balloon = VIRT_BALLOON_VIRTIO,
            .deflates = true,
            .reports = true,
            .resizable_count = 1,
            .resizable_maximum = 4 * GIB,
            .resizable_requested = GIB,
            .resizable_current = 3 * GIB,
            .resizable_block = 2 * MIB,
            .numa_mode = VIRT_NUMA_STRICT,
            .numa_nodes = 5,
            .metadata =
                {
                    .set = VIRT_RULE_ALL,
                    .refused = VIRT_RULE_STRANGE | VIRT_RULE_CLASS,
                    .rules =
                        {
                            .class_name = "gold",
                            .priority = 900,
                            .shares = 2000,
                            .minimum = {AMOUNT_SHARE, 7500},
                            .rungs = RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_PAUSE),
                            .sacrifice = SACRIFICE_NEVER,
                        },
                },
        },
};

static const struct virt_record samples[] = {
    {.kind = VIRT_RECORD_HELLO, .hello = {.libvirt_version = 9000000}},
    {.kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_CONNECTED, 9000000, ""}},
    {.kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_CONNECTED, 0, ""}},
    {.kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_LOST, 0, "end of file"}},
    {.kind = VIRT_RECORD_RESYNC_BEGIN},
    {.kind = VIRT_RECORD_RESYNC_END},
    {.kind = VIRT_RECORD_DOMAIN, .domain = {.uuid = {9}, .name = "small", .id = -1}},
    {.kind = VIRT_RECORD_DOMAIN_GONE, .uuid = {4}},
    {.kind = VIRT_RECORD_DOMAIN_KEPT, .uuid = {5}},
    {.kind = VIRT_RECORD_BALLOON, .balloon = {{4}, 512 * MIB}},
    {.kind = VIRT_RECORD_CALL,
        .call = {7, {4}, 12, VIRT_OPERATION_SET_MEMORY, 512 * MIB, 0, NSEC_PER_SEC}},
    {.kind = VIRT_RECORD_CALL, .call = {8, {4}, VIRT_ID_ANY, UINT8_MAX, 0, 0, NEVER}},
    {.kind = VIRT_RECORD_RESULT, .result = {.number = 7, .result = -VIRT_ERRNO_MAX, .text = "no"}},
    {.kind = VIRT_RECORD_RESULT,
        .result = {.number = 9,
            .looked = true,
            .look = {.run_state = VM_RUN_PAUSED, .actual = GIB, .total = UNKNOWN}}},
    {.kind = VIRT_RECORD_WORKERS, .workers = {VIRT_WORKERS}},
    {.kind = VIRT_RECORD_BEGIN, .begin = {"qemu:///system"}},
};

static void expect_round_trip(const struct virt_record *record)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX], again[VIRT_DATAGRAM_MAX];
    struct virt_record back;
    int length = virt_encode(record, datagram);

    ck_assert_int_gt(length, 0);
    ck_assert_int_eq(virt_decode(datagram, (size_t)length, &back), 0);
    ck_assert_int_eq((int)back.kind, (int)record->kind);
    ck_assert_int_eq(virt_encode(&back, again), length);
    ck_assert_mem_eq(datagram, again, (size_t)length);
}

START_TEST(every_kind_comes_back)
{
    for (size_t i = 0; i < ELEMENTSOF(samples); i++)
        expect_round_trip(&samples[i]);
    expect_round_trip(&full_domain);
}
END_TEST

START_TEST(a_domain_comes_back_whole)
{
    const struct virt_domain *sent = &full_domain.domain;
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct virt_record record;
    int length = virt_encode(&full_domain, datagram);

    ck_assert_int_gt(length, 0);
    memset(&record, 0xff, sizeof(record));
    ck_assert_int_eq(virt_decode(datagram, (size_t)length, &record), 0);
    const struct virt_domain *got = &record.domain;
    ck_assert_uint_eq(got->asked, 123 * NSEC_PER_SEC);
    ck_assert_mem_eq(got->uuid, sent->uuid, UUID_SIZE);
    ck_assert_str_eq(got->name, sent->name);
    ck_assert_int_eq(got->id, 7);
    ck_assert_int_eq(got->pid, 4711);
    ck_assert_int_eq((int)got->state, VIRT_DOMAIN_PAUSED);
    ck_assert_uint_eq(got->maximum, 8 * GIB);
    ck_assert_uint_eq(got->current, 6 * GIB);
    ck_assert_uint_eq(got->hard_limit, 9 * GIB);
    ck_assert_uint_eq(got->soft_limit, MEMLOCK_UNLIMITED);
    ck_assert(got->hugepages && got->locked && got->viommu && !got->can_save);
    ck_assert(got->allocated && got->encrypted && got->deflates && got->reports);
    ck_assert_int_eq((int)got->source, VIRT_MEMORY_MEMFD);
    ck_assert_int_eq((int)got->access, VIRT_ACCESS_SHARED);
    ck_assert_uint_eq(got->vfio, 2);
    ck_assert_uint_eq(got->vdpa, 1);
    ck_assert_uint_eq(got->nvme, 3);
    ck_assert_int_eq((int)got->balloon, VIRT_BALLOON_VIRTIO);
    ck_assert_uint_eq(got->resizable_count, 1);
    ck_assert_uint_eq(got->resizable_maximum, 4 * GIB);
    ck_assert_uint_eq(got->resizable_requested, GIB);
    ck_assert_uint_eq(got->resizable_current, 3 * GIB);
    ck_assert_uint_eq(got->resizable_block, 2 * MIB);
    ck_assert_int_eq((int)got->numa_mode, VIRT_NUMA_STRICT);
    ck_assert_uint_eq(got->numa_nodes, 5);
    ck_assert_mem_eq(&got->metadata, &sent->metadata, sizeof(got->metadata));
}
END_TEST

/* The largest record there can be still is one datagram. */
START_TEST(the_longest_texts_fit)
{
    struct virt_record record = full_domain;
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    memset(record.domain.name, 'n', VIRT_TEXT_MAX - 1);
    memset(record.domain.metadata.rules.class_name, 'c', CLASS_NAME_MAX - 1);
    expect_round_trip(&record);
    record.domain.name[VIRT_TEXT_MAX - 1] = 'n';
    ck_assert_int_eq(virt_encode(&record, datagram), -EINVAL);
}
END_TEST

/* ---- what is refused ---- */

/* A record spoilt in one place must not leave, whoever made it. */
START_TEST(a_wrong_value_is_not_sent)
{
    struct virt_record wrong[25];
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct vm_rules *rules;

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
        wrong[i] = full_domain;
    memset(wrong[0].domain.uuid, 0, UUID_SIZE);
    wrong[1].domain.name[0] = '\0';
    wrong[2].domain.name[1] = '\x1b';
    wrong[3].domain.name[1] = '\xff';
    wrong[4].domain.id = -2;
    wrong[5].domain.pid = -1;
    wrong[6].domain.state = VIRT_DOMAIN_STATE_COUNT;
    wrong[7].domain.source = VIRT_MEMORY_SOURCE_COUNT;
    wrong[8].domain.access = VIRT_ACCESS_COUNT;
    wrong[9].domain.balloon = VIRT_BALLOON_MODEL_COUNT;
    wrong[10].domain.numa_mode = VIRT_NUMA_MODE_COUNT;
    wrong[11].domain.metadata.set = VIRT_RULE_ALL + 1;
    rules = &wrong[12].domain.metadata.rules;
    memcpy(rules->class_name, "a b", 4);
    rules = &wrong[13].domain.metadata.rules;
    rules->priority = PRIORITY_MAX + 1;
    rules = &wrong[14].domain.metadata.rules;
    rules->shares = 0;
    rules = &wrong[15].domain.metadata.rules;
    rules->minimum = (struct amount){AMOUNT_SHARE, AMOUNT_SHARE_WHOLE + 1};
    rules = &wrong[16].domain.metadata.rules;
    rules->rungs = RUNG_ALL + 1;
    rules = &wrong[17].domain.metadata.rules;
    rules->sacrifice = SACRIFICE_COUNT;
    wrong[18].domain.asked = UNKNOWN;
    wrong[19].domain.vfio = VIRT_DEVICES_MAX + 1;
    wrong[20].domain.vdpa = COUNT_UNKNOWN;
    wrong[21].domain.nvme = COUNT_UNKNOWN;
    wrong[22].domain.resizable_count = VIRT_DEVICES_MAX + 1;
    /* Who is not connected has no version of what it is connected to. */
    wrong[23] = samples[3];
    wrong[23].connection.libvirt_version = 9000000;
    wrong[24].domain.metadata.refused = VIRT_RULE_STRANGE << 1;
    for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
        ck_assert_msg(virt_encode(&wrong[i], datagram) == -EINVAL, "case %zu left", i);
}
END_TEST

START_TEST(a_wrong_call_or_answer_is_not_sent)
{
    struct virt_record wrong[] = {
        {.kind = VIRT_RECORD_CALL, .call = {.number = 1}}, /* to nobody */
        {.kind = VIRT_RECORD_RESULT, .result = {.result = 1}},
        {.kind = VIRT_RECORD_RESULT, .result = {.result = -VIRT_ERRNO_MAX - 1}},
        {.kind = VIRT_RECORD_RESULT, .result = {.result = -EBUSY, .looked = true}},
        {.kind = VIRT_RECORD_RESULT,
            .result = {.looked = true, .look.run_state = VM_RUN_STATE_COUNT}},
        {.kind = VIRT_RECORD_RESULT,
            .result = {.looked = true, .look.migration = VM_MIGRATION_COUNT}},
        {.kind = VIRT_RECORD_RESULT, .result = {.text = "\x1b[2J"}},
        {.kind = VIRT_RECORD_WORKERS, .workers = {VIRT_WORKERS + 1}},
        {.kind = VIRT_RECORD_BEGIN}, /* nowhere */
        {.kind = VIRT_RECORD_BEGIN, .begin = {"qemu:///\n"}},
    };
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
        ck_assert_msg(virt_encode(&wrong[i], datagram) == -EINVAL, "case %zu left", i);
}
END_TEST

START_TEST(another_version_is_told_from_nonsense)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct virt_record record;
    int length = virt_encode(&samples[0], datagram);
    uint16_t version = VIRT_VERSION + 1;

    ck_assert_int_gt(length, 0);
    memcpy(datagram, &version, sizeof(version));
    ck_assert_int_eq(virt_decode(datagram, (size_t)length, &record), -EPROTO);
    ck_assert_int_eq(virt_decode(datagram, 1, &record), -EBADMSG);
    ck_assert_int_eq(virt_decode(datagram, 0, &record), -EBADMSG);
}
END_TEST

START_TEST(every_other_length_is_refused)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1] = {0};
    struct virt_record record, before;
    int length = virt_encode(&full_domain, datagram);

    ck_assert_int_gt(length, 0);
    memset(&record, 0x5a, sizeof(record));
    before = record;
    for (size_t i = 0; i <= VIRT_DATAGRAM_MAX; i++) {
        if (i != (size_t)length)
            ck_assert_msg(virt_decode(datagram, i, &record) == -EBADMSG, "%zu bytes", i);
    }
    ck_assert_mem_eq(&record, &before, sizeof(record));
}
END_TEST

/* ---- properties ---- */

/* Refused, or the same bytes again. Returns whether it was taken. */
static bool expect_canonical(const uint8_t *datagram, size_t length)
{
    uint8_t again[VIRT_DATAGRAM_MAX];
    struct virt_record record;
    int result = virt_decode(datagram, length, &record);

    if (result < 0)
        return false;
    ck_assert_int_eq(virt_encode(&record, again), (int)length);
    ck_assert_mem_eq(datagram, again, length);
    return true;
}

static size_t below(size_t bound)
{
    return (size_t)random() % bound;
}

static uint8_t random_byte(void)
{
    static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xff};

    return below(2) ? edges[below(ELEMENTSOF(edges))] : (uint8_t)below(256);
}

START_TEST(mutated_records)
{
    uint64_t cases = suite_cases(CASES), taken = 0;

    srandom(1);
    for (uint64_t i = 0; i < cases; i++) {
        const struct virt_record *sample =
            below(2) ? &full_domain : &samples[below(ELEMENTSOF(samples))];
        uint8_t datagram[VIRT_DATAGRAM_MAX];
        int encoded = virt_encode(sample, datagram);
        size_t length = (size_t)encoded, changes = 1 + below(3);

        for (size_t change = 0; change < changes; change++)
            datagram[below(length)] = random_byte();
        if (below(8) == 0)
            length = below(length + 1);
        taken += expect_canonical(datagram, length);
    }
    /* Otherwise this has tested refusals only. */
    ck_assert_uint_gt(taken, cases / 100);
    ck_assert_uint_lt(taken, cases);
}
END_TEST

START_TEST(random_bytes)
{
    uint64_t cases = suite_cases(CASES);
    uint16_t version = VIRT_VERSION;

    srandom(2);
    for (uint64_t i = 0; i < cases; i++) {
        uint8_t datagram[64];
        size_t length = below(sizeof(datagram) + 1);

        for (size_t at = 0; at < length; at++)
            datagram[at] = random_byte();
        if (length > 2) {
            memcpy(datagram, &version, sizeof(version));
            datagram[2] %= VIRT_RECORD_KIND_COUNT;
        }
        (void)expect_canonical(datagram, length);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_wire");
    TCase *tests = tcase_create("wire");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_kind_comes_back);
    tcase_add_test(tests, a_domain_comes_back_whole);
    tcase_add_test(tests, the_longest_texts_fit);
    tcase_add_test(tests, a_wrong_value_is_not_sent);
    tcase_add_test(tests, a_wrong_call_or_answer_is_not_sent);
    tcase_add_test(tests, another_version_is_told_from_nonsense);
    tcase_add_test(tests, every_other_length_is_refused);
    tcase_add_test(tests, mutated_records);
    tcase_add_test(tests, random_bytes);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
