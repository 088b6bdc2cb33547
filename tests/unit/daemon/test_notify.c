/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notification protocol against a real socket that plays the service manager. */
#include "notify.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[SCRATCH_FOLDER_MAX];

static void setup(void)
{
    scratch_make("notify", folder);
}

static void teardown(void)
{
    scratch_remove(folder);
}

/* Binds the manager's socket and names it in the environment; ABSTRACT or a path. */
static int manager_open(bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[sizeof(address.sun_path) + 1];

    if (abstract)
        snprintf(name, sizeof(name), "@plimsoll-test-%d", (int)getpid());
    else
        snprintf(name, sizeof(name), "%s/notify", folder);
    memcpy(address.sun_path, name, strlen(name));
    if (abstract)
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    ck_assert_int_eq(bind(fd, (void *)&address, length), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void expect(int fd, const char *text)
{
    char buffer[1024];
    ssize_t length = recv(fd, buffer, sizeof(buffer) - 1, MSG_DONTWAIT);

    ck_assert_msg(length >= 0, "nothing came, expected %s", text);
    buffer[length] = '\0';
    ck_assert_str_eq(buffer, text);
}

static void expect_nothing(int fd)
{
    char byte;

    ck_assert_int_eq((int)recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(every_message)
{
    struct notify *notify;
    int fd = manager_open(_i == 1);

    ck_assert_int_eq(notify_new(&notify), 0);
    ck_assert_int_eq(notify_ready(notify), 0);
    expect(fd, "READY=1");
    ck_assert_int_eq(notify_status(notify, "watching %d guests", 3), 0);
    expect(fd, "STATUS=watching 3 guests");
    ck_assert_int_eq(notify_watchdog(notify), 0);
    expect(fd, "WATCHDOG=1");
    ck_assert_int_eq(notify_reloading(notify, 1234567890), 0);
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=1234567");
    ck_assert_int_eq(notify_ready(notify), 0);
    expect(fd, "READY=1");
    ck_assert_int_eq(notify_stopping(notify), 0);
    expect(fd, "STOPPING=1");
    expect_nothing(fd);
    ck_assert_ptr_null(notify_free(notify));
    close(fd);
}
END_TEST

START_TEST(status_injects_nothing)
{
    struct notify *notify;
    int fd = manager_open(true);
    char buffer[1024];
    char filler[NOTIFY_STATUS_MAX * 2];

    ck_assert_int_eq(notify_new(&notify), 0);
    ck_assert_int_eq(notify_status(notify, "%s", "vm\nSTOPPING=1"), 0);
    expect(fd, "STATUS=vm?STOPPING=1");
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    ck_assert_int_eq(notify_status(notify, "%s", filler), 0);
    ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    ck_assert_int_eq((int)length, (int)strlen("STATUS=") + NOTIFY_STATUS_MAX - 1);
    ck_assert_mem_eq(buffer + length - 3, "\xe2\x80\xa6", 3);
    notify_free(notify);
    close(fd);
}
END_TEST

/* A manager that does not read: nothing blocks, what matters comes when it reads again, in order,
 * and what does not matter any more does not. */
START_TEST(stalled_manager)
{
    struct notify *notify;
    int fd = manager_open(true), result = 0, sent = 0;
    char buffer[256];

    ck_assert_int_eq(notify_new(&notify), 0);
    for (; sent < 100000 && result == 0; sent++)
        result = notify_status(notify, "filler");
    ck_assert_int_eq(result, -EAGAIN);
    ck_assert_int_eq(notify_reloading(notify, NSEC_PER_SEC), -EAGAIN);
    ck_assert_int_eq(notify_ready(notify), -EAGAIN);
    ck_assert_int_eq(notify_status(notify, "lost"), -EAGAIN);
    for (int i = 0; i < sent - 1; i++)
        expect(fd, "STATUS=filler");
    expect_nothing(fd);
    ck_assert_int_eq(notify_watchdog(notify), 0);
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=1000000");
    expect(fd, "READY=1");
    expect(fd, "WATCHDOG=1");
    ck_assert_int_eq((int)recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
    notify_free(notify);
    close(fd);
}
END_TEST

/* A manager that executes itself anew binds its socket anew. */
START_TEST(manager_returns)
{
    struct notify *notify;
    int fd = manager_open(true);

    ck_assert_int_eq(notify_new(&notify), 0);
    close(fd);
    ck_assert_int_eq(notify_ready(notify), -ECONNREFUSED);
    fd = manager_open(true);
    ck_assert_int_eq(notify_watchdog(notify), 0);
    expect(fd, "READY=1");
    expect(fd, "WATCHDOG=1");
    notify_free(notify);
    close(fd);
}
END_TEST

START_TEST(no_manager)
{
    struct notify *notify;
    char path[200];

    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(notify_new(&notify), 0);
    ck_assert_int_eq(notify_ready(notify), 0);
    ck_assert_int_eq(notify_status(notify, "x"), 0);
    ck_assert_int_eq(notify_watchdog(notify), 0);
    notify_free(notify);
    ck_assert_ptr_null(notify_free(NULL));

    notify = (void *)path;
    setenv("NOTIFY_SOCKET", "relative/path", 1);
    ck_assert_int_eq(notify_new(&notify), -EINVAL);
    setenv("NOTIFY_SOCKET", "/", 1);
    ck_assert_int_eq(notify_new(&notify), -EINVAL);
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    ck_assert_int_eq(notify_new(&notify), -ENAMETOOLONG);
    ck_assert_ptr_eq(notify, path);
}
END_TEST

START_TEST(watchdog_interval)
{
    uint64_t interval = 1;
    char pid[16];

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    ck_assert_int_eq(notify_watchdog_interval(&interval), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    ck_assert_int_eq(notify_watchdog_interval(&interval), 1);
    ck_assert_uint_eq(interval, 30 * NSEC_PER_SEC);
    setenv("WATCHDOG_PID", "1", 1);
    interval = 1;
    ck_assert_int_eq(notify_watchdog_interval(&interval), 0);
    ck_assert_uint_eq(interval, 1);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert_int_eq(notify_watchdog_interval(&interval), 1);
    setenv("WATCHDOG_USEC", "18446744073709551615", 1);
    ck_assert_int_eq(notify_watchdog_interval(&interval), -EINVAL);
    setenv("WATCHDOG_USEC", "soon", 1);
    ck_assert_int_eq(notify_watchdog_interval(&interval), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("notify");

    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_message, 0, 2);
    tcase_add_test(tests, status_injects_nothing);
    tcase_add_test(tests, stalled_manager);
    tcase_add_test(tests, manager_returns);
    tcase_add_test(tests, no_manager);
    tcase_add_test(tests, watchdog_interval);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
