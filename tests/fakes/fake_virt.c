/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns its end of the guard's socket. It blocks where the real one would wait for room. */
#include "fake_virt.h"

#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FAILED 99 /* the fake's own failure: none of what it plays */

static bool datagram_send(const void *datagram, size_t length)
{
    return send(VIRT_FD, datagram, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool record_send(const struct virt_record *record)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    int length = virt_encode(record, datagram);

    if (length < 0)
        _exit(STATUS_FAILED);
    return datagram_send(datagram, (size_t)length);
}

static bool kind_send(enum virt_record_kind kind)
{
    struct virt_record record = {.kind = kind};

    return record_send(&record);
}

static void greet(void)
{
    struct virt_record hello = {.kind = VIRT_RECORD_HELLO, .hello = {9000000, "fake:///"}};
    struct virt_record connection = {
        .kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_CONNECTED, 9000000, ""}};

    (void)record_send(&hello);
    (void)record_send(&connection);
}

static void greet_in_another_version(void)
{
    struct virt_record hello = {.kind = VIRT_RECORD_HELLO};
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    uint16_t version = VIRT_VERSION + 1;
    int length = virt_encode(&hello, datagram);

    if (length < 0)
        _exit(STATUS_FAILED);
    memcpy(datagram, &version, sizeof(version));
    (void)datagram_send(datagram, (size_t)length);
}

static struct virt_record domain_make(int pid, const char *class_name)
{
    struct virt_record record = {
        .kind = VIRT_RECORD_DOMAIN,
        .domain = {.asked = loop_now(),
            .uuid = FAKE_VIRT_UUID,
            .name = "web",
            .id = 1,
            .pid = pid,
            .state = VIRT_DOMAIN_RUNNING,
            .maximum = FAKE_VIRT_MEMORY,
            .current = FAKE_VIRT_MEMORY,
            .hard_limit = MEMLOCK_UNLIMITED,
            .soft_limit = MEMLOCK_UNLIMITED,
            .vfio = 1,
            .balloon = VIRT_BALLOON_VIRTIO,
            .metadata.set = VIRT_RULE_CLASS},
    };

    (void)snprintf(record.domain.metadata.rules.class_name, CLASS_NAME_MAX, "%s", class_name);
    return record;
}

static void lose(void)
{
    struct virt_record connection = {
        .kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_LOST, 0, "gone"}};

    (void)record_send(&connection);
}

static void resync(const struct virt_record *domain)
{
    (void)kind_send(VIRT_RECORD_RESYNC_BEGIN);
    if (domain)
        (void)record_send(domain);
    (void)kind_send(VIRT_RECORD_RESYNC_END);
}

static int listen_on(void)
{
    uint8_t nothing[1];

    while (recv(VIRT_FD, nothing, sizeof(nothing), 0) > 0)
        ;
    return EXIT_SUCCESS;
}

/* ---- calls ---- */

/* The one guest. */
static struct guest {
    pid_t pid;
    bool paused;
    uint64_t actual;
    bool reports; /* its driver was asked to */
} guest = {.actual = FAKE_VIRT_MEMORY};

static struct virt_look guest_look(void)
{
    struct virt_look look = {
        .run_state = guest.paused ? VM_RUN_PAUSED : VM_RUN_RUNNING,
        .migration = VM_MIGRATION_NONE,
        .actual = guest.actual,
        .total = UNKNOWN,
        .free = UNKNOWN,
        .available = UNKNOWN,
        .disk_caches = UNKNOWN,
        .swapped_in = UNKNOWN,
        .swapped_out = UNKNOWN,
        .major_faults = UNKNOWN,
    };

    if (guest.reports) {
        look.total = FAKE_VIRT_MEMORY;
        look.free = look.available = FAKE_VIRT_MEMORY / 2;
        look.reported = (uint64_t)time(NULL);
    }
    return look;
}

static void guest_serve(const struct virt_call *call, struct virt_result *result)
{
    switch (call->operation) {
    case VIRT_OPERATION_SET_MEMORY:
        guest.actual = call->argument;
        break;
    case VIRT_OPERATION_SUSPEND:
        result->result = guest.paused ? -EALREADY : 0;
        guest.paused = true;
        break;
    case VIRT_OPERATION_RESUME:
        result->result = guest.paused ? 0 : -EALREADY;
        guest.paused = false;
        break;
    case VIRT_OPERATION_STATS_PERIOD:
        guest.reports = true;
        break;
    case VIRT_OPERATION_DESTROY:
        (void)kill(guest.pid, SIGTERM);
        break;
    case VIRT_OPERATION_MEMORY_STATS:
        result->looked = true;
        result->look = guest_look();
        break;
    default:
        result->result = -EOPNOTSUPP;
    }
}

/* False: enough of it. */
static bool answer(const char *behaviour, const struct virt_record *asked)
{
    struct virt_record record = {.kind = VIRT_RECORD_RESULT, .result.number = asked->call.number};
    static bool refused[VIRT_OPERATION_COUNT];
    struct virt_record stuck = {.kind = VIRT_RECORD_WORKERS, .workers.hung = VIRT_WORKERS};

    if (strcmp(behaviour, "drops") == 0)
        return false;
    if (strcmp(behaviour, "stuck") == 0)
        return record_send(&stuck);
    if (strcmp(behaviour, "answers-itself") == 0)
        return record_send(asked);
    if (strcmp(behaviour, "blank") == 0)
        return record_send(&record);
    if (strcmp(behaviour, "refuses") == 0 && asked->call.operation != VIRT_OPERATION_MEMORY_STATS) {
        record.result.result = -EREMOTEIO;
        (void)snprintf(record.result.text, sizeof(record.result.text), "no");
        return record_send(&record);
    }
    if (strcmp(behaviour, "wrong") == 0) {
        static const uint64_t others[] = {0, UINT64_MAX, UINT64_C(1) << 63};
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            record.result.number = others[i];
            (void)record_send(&record);
        }
        record.result.number = asked->call.number;
        (void)record_send(&record);
        return record_send(&record);
    }
    if (strcmp(behaviour, "reluctant") == 0 && !refused[asked->call.operation] &&
        asked->call.operation != VIRT_OPERATION_MEMORY_STATS) {
        refused[asked->call.operation] = true;
        record.result.result = -EAGAIN;
        return record_send(&record);
    }
    if (strcmp(behaviour, "spares") == 0 && asked->call.operation == VIRT_OPERATION_DESTROY)
        return true;
    if (strcmp(behaviour, "serves") == 0 || strcmp(behaviour, "spares") == 0 ||
        strcmp(behaviour, "reluctant") == 0 || strcmp(behaviour, "refuses") == 0) {
        guest_serve(&asked->call, &record.result);
        return record_send(&record);
    }
    return true;
}

static int calls_hear(const char *behaviour)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct virt_record record;
    ssize_t length;

    while ((length = recv(VIRT_FD, datagram, sizeof(datagram), 0)) > 0) {
        if (virt_decode(datagram, (size_t)length, &record) < 0 || record.kind != VIRT_RECORD_CALL)
            return STATUS_FAILED;
        if (!answer(behaviour, &record))
            return 3;
    }
    return EXIT_SUCCESS;
}

/* What it says of its domain. */
static bool tells(const char *behaviour)
{
    static const char *const telling[] = {"good", "hangs", "dies", "floods", "serves", "spares",
        "reluctant", "refuses", "wrong", "blank", "drops", "stuck", "answers-itself", "loses",
        "early"};

    for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++)
        if (strcmp(behaviour, telling[i]) == 0)
            return true;
    return false;
}

static int behave(const char *behaviour, struct virt_record *domain)
{
    if (strcmp(behaviour, "early") == 0)
        domain->domain.asked += NSEC_PER_MINUTE;
    if (strcmp(behaviour, "mute") == 0)
        return listen_on();
    if (strcmp(behaviour, "version") == 0) {
        greet_in_another_version();
        return listen_on();
    }
    if (strcmp(behaviour, "rude") == 0) {
        resync(domain);
        return listen_on();
    }
    greet();
    if (strcmp(behaviour, "nonsense") == 0) {
        struct {
            uint16_t version;
            uint8_t kind, more;
        } nonsense = {VIRT_VERSION, UINT8_MAX, 0};
        (void)datagram_send(&nonsense, sizeof(nonsense));
        return listen_on();
    }
    if (strcmp(behaviour, "broken") == 0) {
        (void)kind_send(VIRT_RECORD_RESYNC_BEGIN);
        return 3;
    }
    resync(tells(behaviour) ? domain : NULL);
    if (strcmp(behaviour, "loses") == 0)
        lose();
    if (strcmp(behaviour, "hangs") == 0)
        (void)raise(SIGSTOP);
    if (strcmp(behaviour, "dies") == 0)
        return 3;
    while (strcmp(behaviour, "floods") == 0 && record_send(domain))
        ;
    return calls_hear(behaviour);
}

bool fake_virt_main(int argc, char *argv[], int *ret_status)
{
    char uri[256], *rest = NULL;

    if (argc != 3 || strcmp(argv[1], "--uri") != 0)
        return false;
    int flags = fcntl(VIRT_FD, F_GETFL);
    (void)fcntl(VIRT_FD, F_SETFL, flags & ~O_NONBLOCK);
    (void)snprintf(uri, sizeof(uri), "%s", argv[2]);
    const char *scheme = strtok_r(uri, "/", &rest), *behaviour = strtok_r(NULL, "/", &rest);
    const char *pid = strtok_r(NULL, "/", &rest), *class_name = strtok_r(NULL, "/", &rest);
    bool told = scheme && strcmp(scheme, "fake:") == 0 && class_name;
    struct virt_record domain =
        domain_make(told ? (int)strtol(pid, NULL, 10) : 0, told ? class_name : "default");
    guest.pid = domain.domain.pid;
    *ret_status = behave(told ? behaviour : "empty", &domain);
    return true;
}
