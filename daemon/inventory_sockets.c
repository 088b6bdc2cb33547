/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP directory. Its entries are names somebody else chose: a socket is connected to, whatever
 * it is called, and everything else is passed over. How many are looked at is bounded by the room
 * for monitors, so that a folder filled with sockets costs no more than a host full of guests.
 *
 * A pass reads the folder once and finds each name's monitor by a hash of its path; the file system
 * is asked only for what it left out of the listing. Only when there are sockets that no monitor
 * has is the folder read again, after monitors of sockets that went have made room. So a pass that
 * finds nothing new costs little more than the listing and allocates nothing: it may come at the
 * edge.
 */
#include <dirent.h>
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

/* Open addressing, at most half full. */
struct socket_slot {
    uint32_t hash;
    uint32_t number; /* of the monitor, from 1; 0: free */
};

struct socket_index {
    uint32_t slot_count; /* a power of two */
    bool *seen;          /* by number, in this pass */
    struct socket_slot slots[];
};

static struct socket_index *socket_index_free(struct socket_index *index)
{
    if (!index)
        return NULL;
    free(index->seen);
    free(index);
    return NULL;
}
DEFINE_CLEANUP(struct socket_index *, socket_index_free);

static int socket_index_new(uint32_t capacity, struct socket_index **ret_index)
{
    CLEANUP(socket_index_free_at) struct socket_index *index = NULL;
    uint32_t slot_count = 2;

    while (slot_count < 2 * capacity)
        slot_count *= 2;
    index = calloc(1, sizeof *index + slot_count * sizeof index->slots[0]);
    if (!index)
        return -ENOMEM;
    index->slot_count = slot_count;
    index->seen = calloc(capacity + 1, sizeof *index->seen);
    if (!index->seen)
        return -ENOMEM;
    *ret_index = STEAL(index);
    return 0;
}

/* FNV-1a (draft-eastlake-fnv). */
static uint32_t path_hash(const char *path)
{
    uint32_t hash = 2166136261;

    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 16777619;
    return hash;
}

static void socket_index_fill(struct inventory *inventory)
{
    struct socket_index *index = inventory->socket_index;

    memset(index->slots, 0, index->slot_count * sizeof index->slots[0]);
    memset(index->seen, 0, (inventory->capacity + 1) * sizeof *index->seen);
    for (uint32_t i = 0; i < inventory->monitor_count; i++) {
        uint32_t hash = path_hash(monitor_path(inventory->monitors[i]));
        uint32_t slot = hash & (index->slot_count - 1);

        while (index->slots[slot].number != 0)
            slot = (slot + 1) & (index->slot_count - 1);
        index->slots[slot] = (struct socket_slot){.hash = hash, .number = i + 1};
    }
}

/* The number of the monitor of PATH, from 1; 0: it has none. */
static uint32_t socket_index_find(const struct inventory *inventory, const char *path)
{
    const struct socket_index *index = inventory->socket_index;
    uint32_t hash = path_hash(path);

    for (uint32_t i = hash;; i++) {
        const struct socket_slot *slot = &index->slots[i & (index->slot_count - 1)];

        if (slot->number == 0)
            return 0;
        if (slot->hash == hash &&
            strcmp(monitor_path(inventory->monitors[slot->number - 1]), path) == 0)
            return slot->number;
    }
}

static void monitor_begin(struct inventory *inventory, const char *path)
{
    struct monitor *monitor;
    int result;

    if (inventory->monitor_count == inventory->capacity) {
        log_limited(&inventory->directory_said, loop_now(), LOG_ERR,
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
static bool is_stale(const struct inventory *inventory, unsigned number)
{
    struct monitor *monitor = inventory->monitors[number - 1];

    if (inventory->socket_index->seen[number])
        return false;
    if (monitor_vm(monitor) && qmp_session_state(monitor_session(monitor)) != QMP_STATE_DEAD)
        return false;
    return access(monitor_path(monitor), F_OK) < 0 && errno == ENOENT;
}

static void drop_stale(struct inventory *inventory)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        struct monitor *monitor = inventory->monitors[i];

        if (is_stale(inventory, i + 1))
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

/* Whether there was one more entry within the bound, of which COUNT have been read. */
static bool entry_next(
    struct kernel_directory *directory, unsigned *count, struct kernel_entry *ret_entry)
{
    return (*count)++ < DIRECTORY_ENTRIES_MAX && kernel_directory_next(directory, ret_entry) > 0;
}

static bool is_socket(const struct kernel_directory *directory, const struct kernel_entry *entry)
{
    struct stat status;

    if (entry->type != DT_UNKNOWN) /* not every file system tells */
        return entry->type == DT_SOCK;
    return fstatat(directory->fd, entry->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(status.st_mode);
}

/* False: PATH has no room for it. */
static bool path_make(
    const struct inventory *inventory, const char *name, char path[LEDGER_MONITOR_MAX])
{
    size_t directory = strlen(inventory->qmp_directory), length = strlen(name);

    if (directory + 1 + length >= LEDGER_MONITOR_MAX)
        return false;
    memcpy(path, inventory->qmp_directory, directory);
    path[directory] = '/';
    memcpy(path + directory + 1, name, length + 1);
    return true;
}

/* Marks the monitors whose sockets are there. True: there are sockets that no monitor has. */
static bool sockets_match(struct inventory *inventory, struct kernel_directory *directory)
{
    char path[LEDGER_MONITOR_MAX];
    struct kernel_entry entry;
    unsigned count = 0;
    bool fresh = false;

    while (entry_next(directory, &count, &entry)) {
        uint32_t number;

        if (!is_socket(directory, &entry))
            continue;
        number = path_make(inventory, entry.name, path) ? socket_index_find(inventory, path) : 0;
        inventory->socket_index->seen[number] = true;
        fresh = fresh || number == 0;
        if (number > 0 && inventory->sockets_changed)
            monitor_retry(inventory->monitors[number - 1]);
    }
    return fresh;
}

/* Makes the monitors of sockets that have none. */
static void sockets_begin(struct inventory *inventory, struct kernel_directory *directory)
{
    char path[LEDGER_MONITOR_MAX];
    struct kernel_entry entry;
    unsigned count = 0;

    while (entry_next(directory, &count, &entry)) {
        if (!is_socket(directory, &entry))
            continue;
        if (path_make(inventory, entry.name, path)) {
            if (socket_index_find(inventory, path) == 0)
                monitor_begin(inventory, path);
        } else {
            log_limited(&inventory->directory_said, loop_now(), LOG_WARNING,
                "a socket in %s is not used: its path is longer than the %zu "
                "bytes of a socket address",
                inventory->qmp_directory, sizeof path - 1);
        }
    }
}

void inventory_find_sockets(struct inventory *inventory)
{
    CLEANUP(kernel_file_close_at) int folder = -1;
    struct kernel_directory directory;
    bool fresh = false;

    inventory->sockets_due = false;
    directory_watch(inventory);
    socket_index_fill(inventory);
    folder = kernel_file_open(AT_FDCWD, inventory->qmp_directory);
    if (folder >= 0) {
        kernel_directory_begin(&directory, folder);
        fresh = sockets_match(inventory, &directory);
    } else if (folder != -ENOENT) {
        log_limited(&inventory->directory_said, loop_now(), LOG_WARNING,
            "%s cannot be read: %s; guests are reached by signals only", inventory->qmp_directory,
            strerror(-folder));
    }
    drop_stale(inventory);
    if (folder < 0)
        return;
    if (fresh && kernel_directory_rewind(&directory) == 0) {
        socket_index_fill(inventory); /* the numbers have moved */
        sockets_begin(inventory, &directory);
    }
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

    result = socket_index_new(inventory->capacity, &inventory->socket_index);
    if (result < 0)
        return result;
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
    inventory->socket_index = socket_index_free(inventory->socket_index);
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
