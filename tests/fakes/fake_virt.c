/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns its end of the guard's socket. It blocks where the real one would wait for room.
 *
 * The folder of fake_virt_follow() has a list of those that were started and one of those that have
 * begun, of a pid each in lines of equal length: where its own ends tells a process which it is.
 */
#include "fake_virt.h"

#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FAILED 99 /* the fake's own failure: none of what it plays */
#define URI_MAX 256

#define FOLDER_VARIABLE "FAKE_VIRT_FOLDER"
#define SPARE_VARIABLE "FAKE_VIRT_SPARE"
#define LINE_SIZE 11 /* ten digits and the end */
#define PATH_SIZE 256

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
    struct virt_record hello = {.kind = VIRT_RECORD_HELLO, .hello = {9000000}};

    (void)record_send(&hello);
}

static void connect_libvirt(void)
{
    struct virt_record connection = {
        .kind = VIRT_RECORD_CONNECTION, .connection = {VIRT_CONNECTION_CONNECTED, 9000000, ""}};

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
            .metadata = {.set = VIRT_RULE_CLASS, .refused = VIRT_RULE_MINIMUM}},
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

static void undefine(const struct virt_record *domain)
{
    struct virt_record record = {.kind = VIRT_RECORD_DOMAIN_GONE};

    memcpy(record.uuid, domain->domain.uuid, UUID_SIZE);
    (void)record_send(&record);
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
    bool reports;       /* its driver was asked to */
    uint64_t requested; /* of its virtio-mem */
} guest = {.actual = FAKE_VIRT_MEMORY, .requested = FAKE_VIRT_RESIZABLE};

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
    case VIRT_OPERATION_SET_SOFT_LIMIT:
    case VIRT_OPERATION_SET_HARD_LIMIT:
    case VIRT_OPERATION_SET_QUOTA:
        break; /* the cgroup is the test's */
    case VIRT_OPERATION_RESIZE:
        if (call->expected != guest.requested)
            result->result = -ESTALE;
        else
            guest.requested = call->argument;
        break;
    case VIRT_OPERATION_DESTROY:
    case VIRT_OPERATION_SHUTDOWN:
    case VIRT_OPERATION_MANAGED_SAVE:
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
    bool destroys = asked->call.operation == VIRT_OPERATION_DESTROY;

    if (strcmp(behaviour, "drops") == 0)
        return false;
    if (strcmp(behaviour, "stuck") == 0 || (strcmp(behaviour, "sick") == 0 && !destroys))
        return record_send(&stuck);
    if (strcmp(behaviour, "answers-itself") == 0)
        return record_send(asked);
    if (strcmp(behaviour, "blank") == 0)
        return record_send(&record);
    if (strcmp(behaviour, "sick") == 0 ||
        (strcmp(behaviour, "refuses") == 0 &&
            asked->call.operation != VIRT_OPERATION_MEMORY_STATS)) {
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
    if (strcmp(behaviour, "spares") == 0 && asked->call.operation == VIRT_OPERATION_SHUTDOWN)
        return record_send(&record);
    if (strcmp(behaviour, "spares") == 0 &&
        (destroys || asked->call.operation == VIRT_OPERATION_MANAGED_SAVE))
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
        "reluctant", "refuses", "wrong", "blank", "drops", "stuck", "sick", "answers-itself",
        "loses", "undefines", "early"};

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
        greet();
        resync(domain);
        return listen_on();
    }
    connect_libvirt();
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
    if (strcmp(behaviour, "undefines") == 0)
        undefine(domain);
    if (strcmp(behaviour, "hangs") == 0)
        (void)raise(SIGSTOP);
    if (strcmp(behaviour, "dies") == 0)
        return 3;
    while (strcmp(behaviour, "floods") == 0 && record_send(domain))
        ;
    return calls_hear(behaviour);
}

/* ---- before it begins ---- */

static void list_path(const char *folder, const char *list, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%s", folder, list);
}

/* Which this process is of those on LIST, from 0; 0 where nobody follows. */
static unsigned list_join(const char *list)
{
    const char *folder = getenv(FOLDER_VARIABLE);
    char path[PATH_SIZE], line[LINE_SIZE + 1];

    if (!folder)
        return 0;
    list_path(folder, list, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)snprintf(line, sizeof(line), "%010d\n", (int)getpid());
    if (fd < 0 || write(fd, line, LINE_SIZE) != LINE_SIZE)
        _exit(STATUS_FAILED);
    off_t end = lseek(fd, 0, SEEK_CUR);
    (void)close(fd);
    return (unsigned)(end / LINE_SIZE) - 1;
}

/* As the last one or, where there is another way for spares, as that says. */
static void greet_as(unsigned started)
{
    const char *way = started > 0 ? getenv(SPARE_VARIABLE) : NULL;

    if (way && strcmp(way, "silent") == 0)
        return;
    if (way && strcmp(way, "version") == 0) {
        greet_in_another_version();
        return;
    }
    greet();
    if (way && strcmp(way, "eager") == 0)
        connect_libvirt();
}

static bool begin_await(char uri[URI_MAX])
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    struct virt_record record;
    ssize_t length = recv(VIRT_FD, datagram, sizeof(datagram), 0);

    if (length <= 0)
        return false;
    if (virt_decode(datagram, (size_t)length, &record) < 0 || record.kind != VIRT_RECORD_BEGIN)
        _exit(STATUS_FAILED);
    memcpy(uri, record.begin.uri, sizeof(record.begin.uri));
    return true;
}

/* Of BEHAVIOURS, parted by commas, the one for the process that has BEGUN as such. */
static const char *behaviour_of(char *behaviours, unsigned begun)
{
    char *rest = NULL, *behaviour = strtok_r(behaviours, ",", &rest), *next;

    for (unsigned i = 0; i < begun && (next = strtok_r(NULL, ",", &rest)); i++)
        behaviour = next;
    return behaviour;
}

bool fake_virt_main(int argc, char *argv[], int *ret_status)
{
    char uri[URI_MAX], *rest = NULL;

    if (argc != 1 || strcmp(argv[0], FAKE_VIRT_PROGRAM) != 0)
        return false;
    int flags = fcntl(VIRT_FD, F_GETFL);
    (void)fcntl(VIRT_FD, F_SETFL, flags & ~O_NONBLOCK);
    greet_as(list_join("started"));
    *ret_status = EXIT_SUCCESS;
    if (!begin_await(uri))
        return true;
    char *scheme = strtok_r(uri, "/", &rest), *behaviours = strtok_r(NULL, "/", &rest);
    const char *pid = strtok_r(NULL, "/", &rest), *class_name = strtok_r(NULL, "/", &rest);
    bool told = scheme && strcmp(scheme, "fake:") == 0 && class_name;
    struct virt_record domain =
        domain_make(told ? (int)strtol(pid, NULL, 10) : 0, told ? class_name : "default");
    guest.pid = domain.domain.pid;
    unsigned begun = list_join("begun");
    *ret_status = behave(told ? behaviour_of(behaviours, begun) : "empty", &domain);
    return true;
}

/* ---- for those who follow ---- */

void fake_virt_follow(const char *folder, const char *spares)
{
    (void)setenv(FOLDER_VARIABLE, folder, 1);
    if (spares)
        (void)setenv(SPARE_VARIABLE, spares, 1);
    else
        (void)unsetenv(SPARE_VARIABLE);
}

unsigned fake_virt_count(const char *folder, const char *list)
{
    char path[PATH_SIZE];
    struct stat status;

    list_path(folder, list, path);
    return stat(path, &status) < 0 ? 0 : (unsigned)(status.st_size / LINE_SIZE);
}

pid_t fake_virt_pid(const char *folder, const char *list, unsigned place)
{
    char path[PATH_SIZE], line[LINE_SIZE + 1] = "";

    list_path(folder, list, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, line, LINE_SIZE, (off_t)place * LINE_SIZE) != LINE_SIZE)
        return -1;
    (void)close(fd);
    return (pid_t)strtol(line, NULL, 10);
}
