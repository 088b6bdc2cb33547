/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every typed command against a real QEMU, and what a QEMU that was stopped looks like.
 *
 * The guest is an empty machine held before its first instruction, so nothing depends on what runs
 * inside. Only where no QEMU is installed is the test skipped (exit code 77).
 */
#include "harness.h"
#include "suite.h"

#include <plimsoll/cleanup.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE (60 * SECOND) /* a machine under load, valgrind, TCG */

static char folder[64];
static char path[96];
static pid_t qemu = -1;
static struct harness h;

static uint64_t clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void qemu_exec(void)
{
    char monitor[128];
    (void)snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", path);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu",
        "qemu64", "-m", "64,slots=2,maxmem=256M", "-smp", "2", "-display", "none", "-nodefaults",
        "-S", "-name", "first light", "-uuid", "12345678-9abc-def0-1234-56789abcdef0", "-object",
        "memory-backend-ram,id=m0,size=32M", "-device", "pc-dimm,id=d0,memdev=m0", "-object",
        "memory-backend-ram,id=m1,size=64M,share=on", "-device",
        "virtio-mem-pci,id=v0,memdev=m1,requested-size=16M", "-device",
        "virtio-balloon-pci,id=balloon0,deflate-on-oom=on", "-qmp", monitor, NULL);
    _exit(127);
}

/* Waits for what the session waits for, and lets it work; until CONDITION or the end of patience.
 */
#define WAIT_UNTIL(condition)                                    \
    do {                                                         \
        uint64_t end_ = clock_now() + PATIENCE;                  \
        while (!(condition)) {                                   \
            ck_assert_msg(clock_now() < end_, "%s", #condition); \
            session_wait();                                      \
        }                                                        \
    } while (0)

static void session_wait(void)
{
    struct pollfd wanted = {
        .fd = qmp_session_fd(h.session),
        .events = (short)qmp_session_events(h.session), /* EPOLLIN is POLLIN, EPOLLOUT POLLOUT */
    };
    uint64_t now = clock_now();
    uint64_t deadline = min_u64(qmp_session_deadline(h.session), now + SECOND);
    int milliseconds = (int)(sub_or_zero(deadline, now) / NSEC_PER_MSEC) + 1;
    (void)poll(&wanted, 1, milliseconds);
    h.now = clock_now();
    (void)qmp_session_dispatch(h.session, (uint32_t)wanted.revents, h.now);
}

static void on_event(
    struct qmp_session *session, const struct qmp_event_record *event, void *userdata)
{
    unsigned *seen = userdata;
    (void)session;
    seen[event->event]++;
}

static unsigned events_seen[QMP_EVENT_COUNT];

static void machine_start(void)
{
    memset(&h, 0, sizeof(h));
    memset(events_seen, 0, sizeof(events_seen));
    (void)snprintf(folder, sizeof(folder), "/tmp/plimsoll-qmp-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/monitor", folder);
    qemu = fork();
    ck_assert_int_ge(qemu, 0);
    if (qemu == 0)
        qemu_exec();

    struct qmp_options options = {
        .greeting_timeout = PATIENCE,
        .backoff_min = 50 * NSEC_PER_MSEC,
        .backoff_max = 50 * NSEC_PER_MSEC,
        .on_event = on_event,
        .userdata = events_seen,
    };
    ck_assert_int_eq(qmp_session_new(path, &options, &h.session), 0);
    ck_assert_int_eq(qmp_session_connect(h.session, clock_now()), 0);
    WAIT_UNTIL(qmp_session_state(h.session) == QMP_STATE_READY);
}

static void machine_stop(void)
{
    h.session = qmp_session_free(h.session);
    if (qemu > 0) {
        (void)kill(qemu, SIGKILL);
        (void)waitpid(qemu, NULL, 0);
    }
    qemu = -1;
    (void)unlink(path);
    (void)rmdir(folder);
}

/* Waits for the reply to the request whose submission returned R. */
static const struct qmp_reply *replied(int r)
{
    ck_assert_int_eq(r, 0);
    unsigned before = h.replies;
    WAIT_UNTIL(h.replies == before + 1);
    return &h.reply;
}

static const struct qmp_reply *ask(enum qmp_command command)
{
    const struct qmp_reply *reply =
        replied(qmp_execute(h.session, command, clock_now(), PATIENCE, harness_on_reply, &h));
    ck_assert_int_eq(reply->command, command);
    return reply;
}

#define ASK_OF(function, ...) \
    replied(function(h.session, __VA_ARGS__, clock_now(), PATIENCE, harness_on_reply, &h))

START_TEST(every_command)
{
    static const uint8_t uuid[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34,
        0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
    const struct qmp_reply *reply = &h.reply;
    ck_assert_int_eq(qmp_session_peer(h.session), qemu);

    ask(QMP_COMMAND_QUERY_STATUS);
    ck_assert_int_eq(reply->result, 0);
    ck_assert_int_eq(reply->status.run_state, QMP_RUN_PRELAUNCH);
    ck_assert(!reply->status.running);
    ck_assert_str_eq(ask(QMP_COMMAND_QUERY_NAME)->name, "first light");
    ck_assert_mem_eq(ask(QMP_COMMAND_QUERY_UUID)->uuid, uuid, sizeof(uuid));
    ck_assert_uint_eq(ask(QMP_COMMAND_QUERY_BALLOON)->balloon_actual, 96 * MIB);
    ask(QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY);
    ck_assert_uint_eq(reply->memory_size.base, 64 * MIB);
    ask(QMP_COMMAND_QUERY_MEMDEV);
    ck_assert_int_eq(reply->result, 0);
    ck_assert_uint_eq(reply->memdev.count, 3);
    ck_assert_uint_eq(reply->memdev.size, 160 * MIB);
    ck_assert(reply->memdev.any_shared && !reply->memdev.any_prealloc);
    ask(QMP_COMMAND_QUERY_MEMORY_DEVICES);
    ck_assert_int_eq(reply->result, 0);
    ck_assert_uint_eq(reply->memory_devices.dimm_size, 32 * MIB);
    ck_assert_uint_eq(reply->memory_devices.virtio_mem_count, 1);
    ck_assert_uint_eq(reply->memory_devices.virtio_mem_size, 0);
    ck_assert_uint_eq(reply->memory_devices.virtio_mem_requested, 16 * MIB);
    ck_assert_uint_eq(reply->memory_devices.virtio_mem_maximum, 64 * MIB);
    ck_assert_int_eq(ask(QMP_COMMAND_QUERY_MIGRATE)->migration, QMP_MIGRATION_NONE);
    ck_assert_int_eq(reply->result, 0);
    ck_assert(!ask(QMP_COMMAND_QUERY_SEV)->sev_enabled);
    ask(QMP_COMMAND_QUERY_CPUS_FAST);
    ck_assert_uint_eq(reply->cpus.count, 2);
    for (int i = 0; i < 2; i++) {
        char task[64];
        (void)snprintf(task, sizeof(task), "/proc/%d/task/%d", qemu, reply->cpus.threads[i]);
        ck_assert_int_eq(access(task, F_OK), 0);
    }
}
END_TEST

START_TEST(balloon_and_statistics)
{
    char balloon[QMP_NAME_MAX];
    const struct qmp_reply *reply = &h.reply;
    ASK_OF(qmp_execute_list_devices, "/machine/peripheral-anon");
    ck_assert_int_eq(reply->result, 0);
    ck_assert_str_eq(reply->devices.balloon, "");
    ASK_OF(qmp_execute_list_devices, "/machine/peripheral");
    ck_assert_int_eq(reply->result, 0);
    ck_assert_str_eq(reply->devices.balloon, "/machine/peripheral/balloon0");
    ck_assert_uint_eq(reply->devices.vfio_count, 0);
    (void)snprintf(balloon, sizeof(balloon), "%s", reply->devices.balloon);

    ASK_OF(qmp_execute_get_boolean, balloon, "deflate-on-oom");
    ck_assert_int_eq(reply->result, 0);
    ck_assert(reply->boolean);
    ASK_OF(qmp_execute_get_boolean, balloon, "free-page-reporting");
    ck_assert_int_eq(reply->result, 0);
    ck_assert(!reply->boolean);
    ASK_OF(qmp_execute_get_boolean, balloon, "no-such \"thing\"\\");
    ck_assert_int_eq(reply->result, -EREMOTEIO);
    ck_assert_int_eq(reply->error_class, QMP_ERROR_GENERIC);
    ck_assert_ptr_nonnull(strstr(h.text, "no-such \"thing\"\\"));
    ASK_OF(qmp_execute_get_boolean, "/machine/no\xc3\xa9", "x");
    ck_assert_int_eq(reply->error_class, QMP_ERROR_DEVICE_NOT_FOUND);
    ASK_OF(qmp_execute_get_boolean, balloon, "guest-stats-polling-interval");
    ck_assert_int_eq(reply->result, -EPROTO); /* a number where a boolean was asked for */

    ASK_OF(qmp_execute_virtio_status, balloon);
    ck_assert_int_eq(reply->result, 0);
    ck_assert(!reply->virtio_driver); /* firmware has no balloon driver */

    ASK_OF(qmp_execute_set_statistics_interval, balloon, 2);
    ck_assert_int_eq(reply->result, 0);
    ASK_OF(qmp_execute_get_statistics, balloon);
    ck_assert_int_eq(reply->result, 0);
    ck_assert_uint_eq(reply->statistics.last_update, 0);
    ck_assert_uint_eq(reply->statistics.total, QMP_UNKNOWN);
    ck_assert_uint_eq(reply->statistics.hugetlb_failures, QMP_UNKNOWN);
    ASK_OF(qmp_execute_balloon, 48 * MIB);
    ck_assert_int_eq(reply->result, 0);
}
END_TEST

START_TEST(run_state)
{
    const struct qmp_reply *reply = &h.reply;
    ck_assert_int_eq(ask(QMP_COMMAND_CONT)->result, 0);
    WAIT_UNTIL(events_seen[QMP_EVENT_RESUME] == 1);
    ask(QMP_COMMAND_QUERY_STATUS);
    ck_assert_int_eq(reply->status.run_state, QMP_RUN_RUNNING);
    ck_assert(reply->status.running);
    ck_assert_int_eq(ask(QMP_COMMAND_STOP)->result, 0);
    WAIT_UNTIL(events_seen[QMP_EVENT_STOP] == 1);
    ck_assert_int_eq(ask(QMP_COMMAND_QUERY_STATUS)->status.run_state, QMP_RUN_PAUSED);
    ck_assert_int_eq(ask(QMP_COMMAND_SYSTEM_POWERDOWN)->result, 0);
    ck_assert_int_eq(ask(QMP_COMMAND_QUIT)->result, 0);
    WAIT_UNTIL(qmp_session_state(h.session) == QMP_STATE_DEAD);
    ck_assert_uint_eq(events_seen[QMP_EVENT_SHUTDOWN], 1);
    int status;
    ck_assert_int_eq(waitpid(qemu, &status, 0), qemu);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    qemu = -1;
}
END_TEST

START_TEST(stopped_qemu_times_out_and_comes_back)
{
    ck_assert_int_eq(kill(qemu, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(qemu, NULL, WUNTRACED), qemu);
    uint64_t asked = clock_now();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(qmp_execute(h.session, QMP_COMMAND_QUERY_STATUS, asked,
                             200 * NSEC_PER_MSEC, harness_on_reply, &h),
            0);
    WAIT_UNTIL(h.replies == 3);
    ck_assert_int_eq(h.reply.result, -ETIMEDOUT);
    ck_assert_uint_ge(clock_now() - asked, 200 * NSEC_PER_MSEC);
    ck_assert_int_eq(qmp_session_state(h.session), QMP_STATE_READY);
    ck_assert(qmp_session_overdue(h.session));

    ck_assert_int_eq(kill(qemu, SIGCONT), 0);
    WAIT_UNTIL(!qmp_session_overdue(h.session));
    ck_assert_uint_eq(h.replies, 3); /* the late ones are dropped */
    ask(QMP_COMMAND_QUERY_STATUS);
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_int_eq(h.reply.status.run_state, QMP_RUN_PRELAUNCH);
}
END_TEST

START_TEST(killed_qemu_answers_all)
{
    ck_assert_int_eq(kill(qemu, SIGSTOP), 0);
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_STOP, clock_now(), PATIENCE, harness_on_reply, &h), 0);
    ck_assert_int_eq(kill(qemu, SIGKILL), 0);
    WAIT_UNTIL(h.replies == 1);
    ck_assert_int_eq(h.reply.result, -ECONNRESET);
    ck_assert_int_eq(qmp_session_state(h.session), QMP_STATE_DEAD);
}
END_TEST

int main(void)
{
    if (system("command -v qemu-system-x86_64 >/dev/null 2>&1") != 0) { /* NOLINT(cert-env33-c) */
        return suite_skip("qemu-system-x86_64 is not installed, so no real QEMU was talked to");
    }
    Suite *suite = suite_create("qmp-real");
    TCase *real = tcase_create("real");
    tcase_set_timeout(real, 100);
    tcase_add_checked_fixture(real, machine_start, machine_stop);
    tcase_add_test(real, every_command);
    tcase_add_test(real, balloon_and_statistics);
    tcase_add_test(real, run_state);
    tcase_add_test(real, stopped_qemu_times_out_and_comes_back);
    tcase_add_test(real, killed_qemu_answers_all);
    suite_add_tcase(suite, real);
    return suite_run(suite);
}
