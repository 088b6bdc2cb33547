/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard hears of libvirt's domains. The other side is libvirt itself with its test driver,
 * whose domains of test:///default are shared by all connections of a process: one here is the
 * operator's. That driver sends no device and no balloon events, and has no process: those, and the
 * QEMU driver, are for the lab.
 */
#include "due.h"
#include "loop.h"
#include "said.h"
#include "scratch.h"
#include "service.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/virt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define URI_DEFAULT "test:///default"

static struct scene {
    char folder[SCRATCH_FOLDER_MAX], uri[SCRATCH_FOLDER_MAX + 32]; /* threads read both */
    int guard, virt;                                               /* both ends */
    struct service *service;
    virConnectPtr operator;
} scene;

static void on_libvirt_error(void *userdata, virErrorPtr error)
{
    (void)userdata;
    (void)error;
}

static void setup(void)
{
    int pair[2];

    scratch_make("virt", scene.folder);
    xmlInitParser();
    virSetErrorFunc(NULL, on_libvirt_error);
    ck_assert_int_eq(virInitialize(), 0);
    ck_assert_int_eq(virEventRegisterDefaultImpl(), 0);
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    scene.guard = pair[0];
    scene.virt = pair[1];
    scene.operator= virConnectOpen(URI_DEFAULT);
    ck_assert_ptr_nonnull(scene.operator);
}

static void teardown(void)
{
    scene.service = service_free(scene.service);
    (void)virConnectClose(scene.operator);
    if (scene.guard >= 0)
        (void)close(scene.guard);
    (void)close(scene.virt);
    scratch_remove(scene.folder);
}

static void start_with_rounds(const char *uri, int round_msec)
{
    struct service_options options = {uri, scene.folder, scene.virt, round_msec};
    ck_assert_int_eq(service_new(&options, &scene.service), 0);
}

static void start(const char *uri)
{
    start_with_rounds(uri, 0);
}

/* ---- hearing ---- */

static bool hear_now(struct virt_record *ret_record)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1];
    ssize_t length = recv(scene.guard, datagram, sizeof(datagram), MSG_DONTWAIT);

    if (length < 0) {
        ck_assert_int_eq(errno, EAGAIN);
        return false;
    }
    ck_assert_int_gt(length, 0);
    ck_assert_int_eq(virt_decode(datagram, (size_t)length, ret_record), 0);
    return true;
}

/* The next record; turns libvirt's loop until it is there. A heartbeat ends the longest wait. */
static struct virt_record hear(void)
{
    uint64_t limit = loop_now() + PATIENCE;
    struct virt_record record;

    while (!hear_now(&record)) {
        ck_assert_msg(loop_now() < limit, "nothing was said");
        ck_assert_int_eq(virEventRunDefaultImpl(), 0);
    }
    return record;
}

static struct virt_record expect(enum virt_record_kind kind)
{
    struct virt_record record = hear();

    ck_assert_msg(record.kind == kind, "kind %d, expected %d", record.kind, kind);
    return record;
}

static void expect_connection(enum virt_connection_state state)
{
    struct virt_record record = expect(VIRT_RECORD_CONNECTION);

    ck_assert_int_eq((int)record.connection.state, (int)state);
}

/* The next record of KIND, whatever comes before. */
static struct virt_record await(enum virt_record_kind kind)
{
    uint64_t limit = loop_now() + PATIENCE;
    struct virt_record record;

    do {
        record = hear();
        ck_assert_msg(loop_now() < limit, "no record of kind %d", kind);
    } while (record.kind != kind);
    return record;
}

/* The next record of the domain NAME in STATE. */
static struct virt_domain await_domain(const char *name, enum virt_domain_state state)
{
    struct virt_record record;

    do
        record = await(VIRT_RECORD_DOMAIN);
    while (strcmp(record.domain.name, name) != 0 || record.domain.state != state);
    return record.domain;
}

/* A service that has told all there was. */
static void start_and_settle(void)
{
    start(URI_DEFAULT);
    (void)await(VIRT_RECORD_RESYNC_END);
}

/* ---- doing ---- */

static virDomainPtr define(const char *name)
{
    char xml[512];
    (void)snprintf(xml, sizeof(xml),
        "<domain type='test'><name>%s</name><memory unit='KiB'>1048576</memory>"
        "<currentMemory unit='KiB'>524288</currentMemory><os><type>hvm</type></os></domain>",
        name);
    virDomainPtr domain = virDomainDefineXML(scene.operator, xml);

    ck_assert_msg(domain != NULL, "%s", virGetLastErrorMessage());
    return domain;
}

static void set_metadata(virDomainPtr domain, const char *element)
{
    int result = virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, element, "plimsoll",
        "urn:plimsoll:domain:1", VIR_DOMAIN_AFFECT_CONFIG);

    ck_assert_msg(result == 0, "%s", virGetLastErrorMessage());
}

/* ---- tests ---- */

START_TEST(it_says_all_there_is)
{
    static const uint8_t uuid[UUID_SIZE] = {0x66, 0x95, 0xeb, 0x01, 0xf6, 0xa4, 0x83, 0x04, 0x79,
        0xaa, 0x97, 0xf2, 0x50, 0x2e, 0x19, 0x3f};
    uint64_t begin = loop_now();
    struct virt_record record;

    start(URI_DEFAULT);
    expect_connection(VIRT_CONNECTION_CONNECTING);
    record = expect(VIRT_RECORD_CONNECTION);
    ck_assert_int_eq((int)record.connection.state, VIRT_CONNECTION_CONNECTED);
    ck_assert_uint_ge(record.connection.libvirt_version, 8000000);
    (void)expect(VIRT_RECORD_RESYNC_BEGIN);
    record = expect(VIRT_RECORD_DOMAIN);
    ck_assert_str_eq(record.domain.name, "test");
    ck_assert_uint_ge(record.domain.asked, begin);
    ck_assert_uint_le(record.domain.asked, loop_now());
    ck_assert_mem_eq(record.domain.uuid, uuid, UUID_SIZE);
    ck_assert_int_eq(record.domain.id, 1);
    ck_assert_int_eq((int)record.domain.state, VIRT_DOMAIN_RUNNING);
    ck_assert_uint_eq(record.domain.maximum, 8 * GIB);
    ck_assert_uint_eq(record.domain.current, 2 * GIB);
    (void)expect(VIRT_RECORD_RESYNC_END);
}
END_TEST

START_TEST(a_domain_comes_and_goes)
{
    uint8_t uuid[UUID_SIZE];

    start_and_settle();
    virDomainPtr domain = define("web");
    ck_assert_int_eq(virDomainGetUUID(domain, uuid), 0);
    struct virt_domain told = await_domain("web", VIRT_DOMAIN_SHUTOFF);
    ck_assert_mem_eq(told.uuid, uuid, UUID_SIZE);
    ck_assert_int_eq(told.id, -1);
    ck_assert_uint_eq(told.maximum, GIB);
    ck_assert_int_eq(virDomainCreate(domain), 0);
    ck_assert_int_gt(await_domain("web", VIRT_DOMAIN_RUNNING).id, 1);
    ck_assert_int_eq(virDomainSuspend(domain), 0);
    (void)await_domain("web", VIRT_DOMAIN_PAUSED);
    ck_assert_int_eq(virDomainResume(domain), 0);
    (void)await_domain("web", VIRT_DOMAIN_RUNNING);
    ck_assert_int_eq(virDomainDestroy(domain), 0);
    ck_assert_int_eq(await_domain("web", VIRT_DOMAIN_SHUTOFF).id, -1);
    ck_assert_int_eq(virDomainUndefine(domain), 0);
    ck_assert_mem_eq(await(VIRT_RECORD_DOMAIN_GONE).uuid, uuid, UUID_SIZE);
    (void)virDomainFree(domain);
}
END_TEST

/* Nothing happens to it, and it is told of anew; nobody else's state is. */
START_TEST(a_round_confirms_who_runs)
{
    start_with_rounds(URI_DEFAULT, 2);
    (void)await(VIRT_RECORD_RESYNC_END);
    virDomainPtr domain = define("web");
    (void)await_domain("web", VIRT_DOMAIN_SHUTOFF);
    uint64_t asked = await_domain("test", VIRT_DOMAIN_RUNNING).asked;
    for (int i = 0; i < 5; i++) {
        struct virt_record record = await(VIRT_RECORD_DOMAIN);
        ck_assert_str_eq(record.domain.name, "test");
        ck_assert_uint_gt(record.domain.asked, asked);
        asked = record.domain.asked;
    }
    /* A round takes in who has started since. */
    ck_assert_int_eq(virDomainCreate(domain), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert(await_domain("web", VIRT_DOMAIN_RUNNING).can_save);
        (void)await_domain("test", VIRT_DOMAIN_RUNNING);
    }
    /* Of a transient one nothing would be left to start again. */
    ck_assert_int_eq(virDomainUndefine(domain), 0);
    while (await_domain("web", VIRT_DOMAIN_RUNNING).can_save)
        ;
    (void)virDomainFree(domain);
}
END_TEST

START_TEST(edited_rules_follow)
{
    start_and_settle();
    virDomainPtr domain = define("web");
    ck_assert_uint_eq(await_domain("web", VIRT_DOMAIN_SHUTOFF).metadata.set, 0);
    set_metadata(domain, "<domain class='gold'><minimum>1G</minimum></domain>");
    struct virt_domain told = await_domain("web", VIRT_DOMAIN_SHUTOFF);
    ck_assert_uint_eq(told.metadata.set, VIRT_RULE_CLASS | VIRT_RULE_MINIMUM);
    ck_assert_str_eq(told.metadata.rules.class_name, "gold");
    ck_assert_uint_eq(told.metadata.rules.minimum.value, GIB);
    set_metadata(domain, NULL);
    ck_assert_uint_eq(await_domain("web", VIRT_DOMAIN_SHUTOFF).metadata.set, 0);
    (void)virDomainFree(domain);
}
END_TEST

START_TEST(a_bad_rule_is_said_once_an_edit)
{
    static const char said[] =
        "<4>libvirt: web: metadata: priority=0: expected a number from 1 to 1000";

    said_begin();
    start_and_settle();
    virDomainPtr domain = define("web");
    set_metadata(domain, "<domain priority='0' shares='5'/>");
    struct virt_domain told;
    do
        told = await_domain("web", VIRT_DOMAIN_SHUTOFF);
    while (told.metadata.set != VIRT_RULE_SHARES);
    said_expect(said);
    /* A start is news again, a pause is none. */
    ck_assert_int_eq(virDomainCreate(domain), 0);
    (void)await_domain("web", VIRT_DOMAIN_RUNNING);
    said_expect(said);
    ck_assert_int_eq(virDomainSuspend(domain), 0);
    (void)await_domain("web", VIRT_DOMAIN_PAUSED);
    ck_assert(!said_within(0));
    (void)virDomainFree(domain);
    said_end();
}
END_TEST

START_TEST(its_process)
{
    static const struct {
        const char *text;
        pid_t pid;
    } cases[] = {
        {"4711", 4711}, {"4712\n", 4712}, {"", 0}, {"x", 0}, {"99999999999", 0}, {"12 13", 0}};
    virDomainPtr domain = virDomainLookupByName(scene.operator, "test");
    char path[SCRATCH_FOLDER_MAX + 16];

    ck_assert_ptr_nonnull(domain);
    (void)snprintf(path, sizeof(path), "%s/test.pid", scene.folder);
    start_and_settle();
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        scratch_write(path, cases[i].text);
        ck_assert_int_eq(virDomainSuspend(domain), 0);
        ck_assert_int_eq(await_domain("test", VIRT_DOMAIN_PAUSED).pid, cases[i].pid);
        ck_assert_int_eq(virDomainResume(domain), 0);
        ck_assert_int_eq(await_domain("test", VIRT_DOMAIN_RUNNING).pid, cases[i].pid);
    }
    /* Of one that does not run, whatever is left lying there is not its process. */
    ck_assert_int_eq(virDomainDestroy(domain), 0);
    ck_assert_int_eq(await_domain("test", VIRT_DOMAIN_SHUTOFF).pid, 0);
    (void)virDomainFree(domain);
}
END_TEST

START_TEST(it_ends_with_the_guard)
{
    uint64_t limit = loop_now() + PATIENCE;

    start_and_settle();
    ck_assert(!service_ended(scene.service));
    (void)close(scene.guard);
    scene.guard = -1;
    while (!service_ended(scene.service)) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(virEventRunDefaultImpl(), 0);
    }
}
END_TEST

START_TEST(it_ends_when_it_does_not_understand)
{
    uint64_t limit = loop_now() + PATIENCE;

    start_and_settle();
    said_begin();
    ck_assert_int_eq(send(scene.guard, "?", 1, 0), 1);
    while (!service_ended(scene.service)) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(virEventRunDefaultImpl(), 0);
    }
    said_expect("<3>libvirt: the guard says what this version does not know; ended");
    said_end();
}
END_TEST

/* ---- a guard that does not listen ---- */

/* Turns until the socket takes nothing more, or COUNT times. */
static void turn(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(virEventRunDefaultImpl(), 0);
}

static void fill(int fd)
{
    struct virt_record record = {.kind = VIRT_RECORD_RESYNC_END};
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    int length = virt_encode(&record, datagram);

    ck_assert_int_gt(length, 0);
    while (send(fd, datagram, (size_t)length, MSG_DONTWAIT) >= 0)
        ;
    ck_assert_int_eq(errno, EAGAIN);
}

static void drain(void)
{
    struct virt_record record;

    while (hear_now(&record))
        ;
}

START_TEST(what_did_not_fit_is_said_as_it_is_then)
{
    start_and_settle();
    virDomainPtr domain = define("web");
    (void)await_domain("web", VIRT_DOMAIN_SHUTOFF);
    fill(scene.virt);
    set_metadata(domain, "<domain class='early'/>");
    turn(3);
    set_metadata(domain, "<domain class='late'/>");
    drain();
    struct virt_domain told = await_domain("web", VIRT_DOMAIN_SHUTOFF);
    ck_assert_str_eq(told.metadata.rules.class_name, "late");
    (void)virDomainFree(domain);
}
END_TEST

START_TEST(a_large_inventory_goes_through_a_small_socket)
{
    enum {
        DOMAINS = 100
    };
    int size = 4096; /* two or three records at a time */
    bool seen[DOMAINS] = {false};
    unsigned count = 0;

    for (int i = 0; i < DOMAINS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "d%d", i);
        (void)virDomainFree(define(name));
    }
    ck_assert_int_eq(setsockopt(scene.virt, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    start(URI_DEFAULT);
    (void)await(VIRT_RECORD_RESYNC_BEGIN);
    for (;;) {
        struct virt_record record = hear();
        if (record.kind == VIRT_RECORD_RESYNC_END)
            break;
        ck_assert_int_ne((int)record.kind, VIRT_RECORD_RESYNC_BEGIN);
        if (record.kind != VIRT_RECORD_DOMAIN || strcmp(record.domain.name, "test") == 0)
            continue;
        long number = strtol(record.domain.name + 1, NULL, 10);
        ck_assert(number >= 0 && number < DOMAINS && !seen[number]);
        seen[number] = true;
        count++;
    }
    ck_assert_uint_eq(count, DOMAINS);
}
END_TEST

START_TEST(too_many_changes_are_a_resync)
{
    start_and_settle();
    fill(scene.virt);
    for (int i = 0; i <= DUE_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "d%d", i);
        (void)virDomainFree(define(name));
    }
    turn(3);
    drain();
    (void)await(VIRT_RECORD_RESYNC_BEGIN);
    struct virt_record record;
    unsigned count = 0;
    while ((record = hear()).kind != VIRT_RECORD_RESYNC_END)
        count += record.kind == VIRT_RECORD_DOMAIN;
    ck_assert_uint_eq(count, DUE_MAX + 2);
}
END_TEST

/* ---- a libvirt that is not there ---- */

START_TEST(it_connects_when_it_can)
{
    char path[SCRATCH_FOLDER_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/node.xml", scene.folder);
    (void)snprintf(scene.uri, sizeof(scene.uri), "test://%s", path);
    start(scene.uri);
    expect_connection(VIRT_CONNECTION_CONNECTING);
    struct virt_record lost = expect(VIRT_RECORD_CONNECTION);
    ck_assert_int_eq((int)lost.connection.state, VIRT_CONNECTION_LOST);
    ck_assert_msg(strstr(lost.connection.text, "node.xml"), "%s", lost.connection.text);
    scratch_write(path, "<node><domain type='test'><name>late</name><memory>1024</memory>"
                        "<os><type>hvm</type></os></domain></node>");
    (void)await_domain("late", VIRT_DOMAIN_RUNNING);
    (void)expect(VIRT_RECORD_RESYNC_END);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_service");
    TCase *tests = tcase_create("service");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_says_all_there_is);
    tcase_add_test(tests, a_domain_comes_and_goes);
    tcase_add_test(tests, a_round_confirms_who_runs);
    tcase_add_test(tests, edited_rules_follow);
    tcase_add_test(tests, a_bad_rule_is_said_once_an_edit);
    tcase_add_test(tests, its_process);
    tcase_add_test(tests, it_ends_with_the_guard);
    tcase_add_test(tests, it_ends_when_it_does_not_understand);
    tcase_add_test(tests, what_did_not_fit_is_said_as_it_is_then);
    tcase_add_test(tests, a_large_inventory_goes_through_a_small_socket);
    tcase_add_test(tests, too_many_changes_are_a_resync);
    tcase_add_test(tests, it_connects_when_it_can);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
