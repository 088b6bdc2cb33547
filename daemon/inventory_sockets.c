/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP directory. Its entries are names somebody else chose: a socket is connected to, whatever
 * it is called, and everything else is passed over. How many are looked at is bounded by the room
 * for monitors, so that a folder filled with sockets costs no more than a host full of guests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inventory_private.h"
#include "kernel_directory.h"
#include "kernel_file.h"

#include <plimsoll/cleanup.h>

/* Entries read in one round. Guests have one socket each; the rest is somebody's litter. */
#define DIRECTORY_ENTRIES_MAX (2 * MAX_VMS_LIMIT)

static struct monitor *find_path(const struct inventory *inventory, const char *path)
{
    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        if (strcmp(monitor_path(inventory->monitors[i]), path) == 0)
            return inventory->monitors[i];
    }
    return NULL;
}

static void monitor_begin(struct inventory *inventory, const char *path)
{
    struct monitor *monitor;
    int result;

    if (inventory->monitor_count == inventory->capacity) {
        if (log_permit(&inventory->directory_said, loop_now()))
            log_message(LOG_ERR,
                "%s is not used: %u QMP sockets are connected already, as many as "
                "max-vms= allows",
                path, inventory->monitor_count);
        return;
    }
    result = monitor_new(path, &inventory->monitor_owner, &monitor);
    if (result < 0) {
        log_message(LOG_ERR, "%s cannot be used: %s", path, strerror(-result));
        return;
    }
    inventory->monitors[inventory->monitor_count++] = monitor;
}

/* A monitor whose socket is no longer there, and that has no connection either, has nothing to wait
 * for; nor has one without a VM. */
static void drop_stale(struct inventory *inventory)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        struct monitor *monitor = inventory->monitors[i];

        bool idle =
            !monitor_vm(monitor) || qmp_session_state(monitor_session(monitor)) == QMP_STATE_DEAD;

        if (idle && access(monitor_path(monitor), F_OK) < 0 && errno == ENOENT)
            monitor_free(monitor);
        else
            inventory->monitors[kept++] = monitor;
    }
    inventory->monitor_count = kept;
}

static void directory_watch(struct inventory *inventory)
{
    if (inventory->notify.fd < 0 || inventory->notify_watch >= 0)
        return;
    inventory->notify_watch = inotify_add_watch(inventory->notify.fd, inventory->qmp_directory,
        IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

/* One entry of the directory, open as FOLDER. */
static void socket_consider(struct inventory *inventory, int folder, const char *name)
{
    char path[LEDGER_MONITOR_MAX];
    struct stat status;
    int length;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(status.st_mode))
        return;
    length = snprintf(path, sizeof path, "%s/%s", inventory->qmp_directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        if (log_permit(&inventory->directory_said, loop_now()))
            log_message(LOG_WARNING,
                "a socket in %s is not used: its path is longer than the %zu "
                "bytes of a socket address",
                inventory->qmp_directory, sizeof path - 1);
    } else {
        struct monitor *monitor = find_path(inventory, path);

        if (!monitor)
            monitor_begin(inventory, path);
        else if (inventory->sockets_changed)
            monitor_retry(monitor);
    }
}

void inventory_find_sockets(struct inventory *inventory)
{
    CLEANUP(kernel_file_close_at) int folder = -1;
    struct kernel_directory directory;
    const char *name;

    inventory->sockets_due = false;
    drop_stale(inventory);
    directory_watch(inventory);
    folder = kernel_file_open(AT_FDCWD, inventory->qmp_directory);
    if (folder < 0) {
        if (folder != -ENOENT && log_permit(&inventory->directory_said, loop_now()))
            log_message(LOG_WARNING, "%s cannot be read: %s; guests are reached by signals only",
                inventory->qmp_directory, strerror(-folder));
        return;
    }
    kernel_directory_begin(&directory, folder);
    for (unsigned i = 0; i < DIRECTORY_ENTRIES_MAX && kernel_directory_next(&directory, &name) > 0;
         i++)
        socket_consider(inventory, folder, name);
    inventory->sockets_changed = false;
}

int inventory_set_qmp_directory(struct inventory *inventory, const char *qmp_directory)
{
    char *copy = strdup(qmp_directory);

    if (!copy)
        return -ENOMEM;
    if (inventory->notify_watch >= 0)
        (void)inotify_rm_watch(inventory->notify.fd, inventory->notify_watch);
    inventory->notify_watch = -1;
    free(inventory->qmp_directory);
    inventory->qmp_directory = copy;
    inventory->sockets_due = true;
    return 0;
}

static void on_notify(struct loop_source *source, uint32_t events)
{
    struct inventory *inventory = container_of(source, struct inventory, notify);
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t length;

    (void)events;
    /* What happened does not matter: the directory is read anew. A watch the kernel dropped,
     * because the directory went, is set again at the next look. */
    while ((length = read(source->fd, buffer, sizeof buffer)) > 0) {
        for (char *at = buffer; at < buffer + length;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;

            if (event->mask & IN_IGNORED && event->wd == inventory->notify_watch)
                inventory->notify_watch = -1;
            at += sizeof *event + event->len;
        }
    }
    inventory->sockets_due = true;
    inventory->sockets_changed = true;
}

int inventory_open_watches(struct inventory *inventory)
{
    char path[256];
    int fd, result;

    (void)snprintf(path, sizeof path, "%s/loadavg", inventory->roots->proc);
    inventory->loadavg_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) {
        log_message(LOG_NOTICE,
            "inotify is not to be had (%s): new QMP sockets are found at the next "
            "round only",
            strerror(errno));
        return 0;
    }
    result = loop_add(inventory->loop, &inventory->notify, fd, EPOLLIN, on_notify);
    if (result < 0)
        close(fd);
    return result;
}

void inventory_close_watches(struct inventory *inventory)
{
    int fd = inventory->notify.fd;

    loop_remove(inventory->loop, &inventory->notify);
    if (fd >= 0)
        close(fd);
    if (inventory->loadavg_fd >= 0)
        close(inventory->loadavg_fd);
}

uint64_t inventory_newest_pid(const struct inventory *inventory)
{
    char text[128];
    ssize_t length;
    const char *last;

    if (inventory->loadavg_fd < 0)
        return UNKNOWN;
    length = pread(inventory->loadavg_fd, text, sizeof text - 1, 0);
    if (length <= 0)
        return UNKNOWN;
    text[length] = '\0';
    last = strrchr(text, ' ');
    return last ? strtoull(last + 1, NULL, 10) : UNKNOWN;
}
