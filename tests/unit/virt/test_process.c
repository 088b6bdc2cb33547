/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsoll-virt as a process, started as the guard does: what it says, what it may, how it ends.
 * Its libvirt is the test driver, which lives inside it.
 */
#include "loop.h"
#include "suite.h"
#include "virt_link.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/virt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MSEC 20000

static char program[4096];

static struct process {
    pid_t pid;
    int socket;
    enum virt_domain_state told; /* of its domain, last */
} process;

static void start(char *const arguments[])
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    process.socket = pair[0];
    process.pid = fork();
    ck_assert_int_ge(process.pid, 0);
    if (process.pid == 0) {
        sigset_t all;
        /* As in the guard, whose signals come through a descriptor. */
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
        if (pair[1] == VIRT_FD)
            (void)fcntl(VIRT_FD, F_SETFD, 0);
        else
            (void)dup2(pair[1], VIRT_FD);
        (void)execv(program, arguments);
        _exit(127);
    }
    (void)close(pair[1]);
}

static void say(const struct virt_record *record)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    int length = virt_encode(record, datagram);

    ck_assert_int_gt(length, 0);
    ck_assert_int_eq(send(process.socket, datagram, (size_t)length, 0), length);
}

static void begin_on(const char *uri)
{
    struct virt_record record = {.kind = VIRT_RECORD_BEGIN};

    (void)snprintf(record.begin.uri, sizeof(record.begin.uri), "%s", uri);
    say(&record);
}

static void call(const struct virt_call *asked)
{
    struct virt_record record = {.kind = VIRT_RECORD_CALL, .call = *asked};

    say(&record);
}

static void start_waiting(void)
{
    char *const arguments[] = {program, NULL};

    start(arguments);
}

static void start_on(const char *uri)
{
    start_waiting();
    begin_on(uri);
}

static struct virt_record await(enum virt_record_kind kind)
{
    struct virt_record record;

    do {
        struct pollfd wait = {.fd = process.socket, .events = POLLIN};
        uint8_t datagram[VIRT_DATAGRAM_MAX + 1];
        ck_assert_int_eq(poll(&wait, 1, PATIENCE_MSEC), 1);
        ssize_t length = recv(process.socket, datagram, sizeof(datagram), 0);
        ck_assert_int_gt(length, 0);
        ck_assert_int_eq(virt_decode(datagram, (size_t)length, &record), 0);
        if (record.kind == VIRT_RECORD_DOMAIN)
            process.told = record.domain.state;
    } while (record.kind != kind);
    return record;
}

static int end_status(void)
{
    int status = 0;

    ck_assert_int_eq(waitpid(process.pid, &status, 0), process.pid);
    return status;
}

/* The line of /proc/PID/status that begins with KEY. */
static const char *status_line(const char *key)
{
    static char line[256];
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process.pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    do
        ck_assert_msg(fgets(line, sizeof(line), file) != NULL, "no %s", key);
    while (strncmp(line, key, strlen(key)) != 0);
    (void)fclose(file);
    return line + strlen(key);
}

START_TEST(it_serves_until_the_guard_is_gone)
{
    char uri[] = "test:///default";

    start_on(uri);
    ck_assert_uint_ge(await(VIRT_RECORD_HELLO).hello.libvirt_version, 8000000);
    ck_assert_str_eq(await(VIRT_RECORD_DOMAIN).domain.name, "test");
    (void)await(VIRT_RECORD_RESYNC_END);
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

START_TEST(it_keeps_no_rights)
{
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
    char uri[] = "test:///default";

    start_on(uri);
    (void)await(VIRT_RECORD_HELLO);
    for (size_t i = 0; i < ELEMENTSOF(sets); i++)
        ck_assert_str_eq(status_line(sets[i]), "\t0000000000000000\n");
    ck_assert_str_eq(status_line("NoNewPrivs:"), "\t1\n");
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

/* The guard blocks it for itself. */
START_TEST(it_ends_by_a_signal)
{
    char uri[] = "test:///default";

    start_on(uri);
    (void)await(VIRT_RECORD_RESYNC_END);
    ck_assert_int_eq(kill(process.pid, SIGTERM), 0);
    int status = end_status();
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    (void)close(process.socket);
}
END_TEST

/* The alarm is wound up by seconds; here it rings at once. */
START_TEST(it_ends_when_a_call_hangs)
{
    char uri[] = "test:///default";

    start_on(uri);
    (void)await(VIRT_RECORD_RESYNC_END);
    ck_assert_int_eq(kill(process.pid, SIGALRM), 0);
    int status = end_status();
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    (void)close(process.socket);
}
END_TEST

START_TEST(it_says_what_it_cannot_reach)
{
    char uri[] = "test:///nonexistent/node.xml";
    struct virt_record record;

    start_on(uri);
    do
        record = await(VIRT_RECORD_CONNECTION);
    while (record.connection.state != VIRT_CONNECTION_LOST);
    ck_assert_msg(strstr(record.connection.text, "nonexistent"), "%s", record.connection.text);
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

/* ---- a spare ---- */

/* It sleeps, with one thread, and no socket but the guard's: nobody is asked for anything. */
static void await_idle(void)
{
    uint64_t limit = loop_now() + PATIENCE_MSEC * NSEC_PER_MSEC;
    char path[64], target[64];
    unsigned sockets = 0;

    while (!strstr(status_line("State:"), "sleeping"))
        ck_assert(loop_now() < limit);
    ck_assert_str_eq(status_line("Threads:"), "\t1\n");
    for (int fd = 0; fd < 64; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)process.pid, fd);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        sockets += length > 0 && fd > STDERR_FILENO && strncmp(target, "socket:", 7) == 0;
    }
    ck_assert_uint_eq(sockets, 1);
}

START_TEST(it_begins_when_it_is_told)
{
    uint8_t nothing[1];

    start_waiting();
    (void)await(VIRT_RECORD_HELLO);
    await_idle();
    ck_assert_int_eq((int)recv(process.socket, nothing, sizeof(nothing), MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
    begin_on("test:///default");
    ck_assert_str_eq(await(VIRT_RECORD_DOMAIN).domain.name, "test");
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

START_TEST(it_ends_with_a_guard_that_never_needed_it)
{
    start_waiting();
    if (_i == 0)
        (void)await(VIRT_RECORD_HELLO);
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

/* A call before it has begun, or to begin twice. */
START_TEST(it_hears_nothing_else_before_and_after)
{
    struct virt_call asked = {.uuid = {1}, .operation = VIRT_OPERATION_SUSPEND};

    start_waiting();
    if (_i == 0) {
        call(&asked);
    } else {
        begin_on("test:///default");
        (void)await(VIRT_RECORD_RESYNC_END);
        begin_on("test:///default");
    }
    int status = end_status();
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == (_i == 0 ? 1 : 0));
    (void)close(process.socket);
}
END_TEST

static struct virt_result have_done(
    const uint8_t uuid[UUID_SIZE], unsigned operation, uint64_t argument)
{
    static uint64_t number;
    struct virt_call asked = {.number = ++number,
        .operation = (uint8_t)operation,
        .argument = argument,
        .deadline = loop_now() + PATIENCE_MSEC * NSEC_PER_MSEC};

    memcpy(asked.uuid, uuid, UUID_SIZE);
    call(&asked);
    struct virt_result result = await(VIRT_RECORD_RESULT).result;
    ck_assert_uint_eq(result.number, number);
    return result;
}

/* The event may come before the answer to what has caused it, or after. */
static void await_state(enum virt_domain_state state)
{
    while (process.told != state)
        (void)await(VIRT_RECORD_DOMAIN);
}

START_TEST(it_does_what_it_is_called_for)
{
    char uri[] = "test:///default";
    uint8_t uuid[UUID_SIZE];

    start_on(uri);
    memcpy(uuid, await(VIRT_RECORD_DOMAIN).domain.uuid, UUID_SIZE);
    ck_assert_int_eq(have_done(uuid, VIRT_OPERATION_SET_MEMORY, GIB).result, 0);
    struct virt_result looked = have_done(uuid, VIRT_OPERATION_MEMORY_STATS, 0);
    ck_assert(looked.looked);
    ck_assert_uint_eq(looked.look.actual, GIB);
    ck_assert_int_eq(have_done(uuid, VIRT_OPERATION_SUSPEND, 0).result, 0);
    await_state(VIRT_DOMAIN_PAUSED);
    ck_assert_int_eq(have_done(uuid, VIRT_OPERATION_RESUME, 0).result, 0);
    await_state(VIRT_DOMAIN_RUNNING);
    ck_assert_int_eq(have_done(uuid, UINT8_MAX, 0).result, -EOPNOTSUPP);
    ck_assert_int_eq(have_done(uuid, VIRT_OPERATION_DESTROY, 0).result, 0);
    await_state(VIRT_DOMAIN_SHUTOFF);
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

/* More calls than it has room for, each answered once, and the last word is as true as the first.
 */
START_TEST(a_guard_that_asks_too_much)
{
    enum {
        CALLS = 4 * VIRT_CALLS_MAX
    };
    bool answered[CALLS] = {false};
    char uri[] = "test:///default";
    struct virt_call asked = {.operation = VIRT_OPERATION_MEMORY_STATS, .deadline = NEVER};

    start_on(uri);
    memcpy(asked.uuid, await(VIRT_RECORD_DOMAIN).domain.uuid, UUID_SIZE);
    for (asked.number = 0; asked.number < CALLS; asked.number++)
        call(&asked);
    for (unsigned i = 0; i < CALLS; i++) {
        struct virt_result result = await(VIRT_RECORD_RESULT).result;
        ck_assert(result.result == 0 || result.result == -EAGAIN);
        ck_assert(result.number < CALLS && !answered[result.number]);
        answered[result.number] = true;
    }
    (void)close(process.socket);
    ck_assert_int_eq(end_status(), 0);
}
END_TEST

/* ---- both ends, as they are ---- */

static void on_changed(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    unsigned *changes = userdata;

    (void)uuid;
    (*changes)++;
}

static void on_result(const struct virt_result *result, void *userdata)
{
    *(struct virt_result *)userdata = *result;
}

START_TEST(the_guard_understands_it)
{
    struct virt_call look = {
        .operation = VIRT_OPERATION_MEMORY_STATS,
        .uuid = {0x66, 0x95, 0xeb, 0x01, 0xf6, 0xa4, 0x83, 0x04, 0x79, 0xaa, 0x97, 0xf2, 0x50, 0x2e,
            0x19, 0x3f}, /* of the test driver's only domain */
    };
    struct virt_result result = {.result = 1};
    uint64_t limit = loop_now() + PATIENCE_MSEC * NSEC_PER_MSEC;
    unsigned changes = 0;
    struct virt_link_options options = {
        .program = program,
        .run_folder = "/nonexistent",
        .capacity = 4,
        .changed = on_changed,
        .userdata = &changes,
    };
    struct virt_link *link = NULL;
    struct loop *loop = NULL;

    ck_assert_int_eq(loop_new(&loop), 0);
    ck_assert_int_eq(virt_link_new(loop, &options, &link), 0);
    virt_link_set(link, "test:///default");
    virt_link_advance(link, BAND_CALM, loop_now());
    while (!virt_link_settled(link)) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(loop_wait(loop, limit), 0);
    }
    ck_assert_uint_eq(changes, 1);
    look.deadline = limit;
    ck_assert_int_eq(virt_link_call(link, &look, on_result, &result), 0);
    while (result.result > 0) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(loop_wait(loop, limit), 0);
    }
    ck_assert_int_eq(result.result, 0);
    ck_assert(result.looked);
    ck_assert_uint_eq(result.look.actual, 2 * GIB);
    link = virt_link_free(link);
    loop = loop_free(loop);
}
END_TEST

START_TEST(wrong_options)
{
    char option[] = "--nonsense";
    char *const arguments[] = {program, option, NULL};

    start(arguments);
    int status = end_status();
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    (void)close(process.socket);
}
END_TEST

int main(int argc, char *argv[])
{
    if (argc != 2) {
        (void)fprintf(stderr, "Usage: %s PLIMSOLL-VIRT\n", argv[0]);
        return EXIT_FAILURE;
    }
    (void)snprintf(program, sizeof(program), "%s", argv[1]);
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_process");
    TCase *tests = tcase_create("process");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_serves_until_the_guard_is_gone);
    tcase_add_test(tests, it_keeps_no_rights);
    tcase_add_test(tests, it_ends_by_a_signal);
    tcase_add_test(tests, it_ends_when_a_call_hangs);
    tcase_add_test(tests, it_says_what_it_cannot_reach);
    tcase_add_test(tests, it_begins_when_it_is_told);
    tcase_add_loop_test(tests, it_ends_with_a_guard_that_never_needed_it, 0, 2);
    tcase_add_loop_test(tests, it_hears_nothing_else_before_and_after, 0, 2);
    tcase_add_test(tests, it_does_what_it_is_called_for);
    tcase_add_test(tests, a_guard_that_asks_too_much);
    tcase_add_test(tests, the_guard_understands_it);
    tcase_add_test(tests, wrong_options);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
