/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns its end of the guard's socket. It blocks where the real one would wait for room. */
#include "fake_virt.h"

#include "loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
    bool there = strcmp(behaviour, "good") == 0 || strcmp(behaviour, "hangs") == 0 ||
                 strcmp(behaviour, "dies") == 0 || strcmp(behaviour, "floods") == 0 ||
                 strcmp(behaviour, "loses") == 0 || strcmp(behaviour, "early") == 0;
    resync(there ? domain : NULL);
    if (strcmp(behaviour, "loses") == 0)
        lose();
    if (strcmp(behaviour, "hangs") == 0)
        (void)raise(SIGSTOP);
    if (strcmp(behaviour, "dies") == 0)
        return 3;
    while (strcmp(behaviour, "floods") == 0 && record_send(domain))
        ;
    return listen_on();
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
    *ret_status = behave(told ? behaviour : "empty", &domain);
    return true;
}
