/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the inventory's halves share: inventory.c knows the guests, inventory_sockets.c finds their
 * QMP sockets. Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_INVENTORY_PRIVATE_H
#define PLIMSOLL_DAEMON_INVENTORY_PRIVATE_H

#include "inventory.h"
#include "monitor.h"
#include "scan.h"

struct inventory {
    struct loop *loop;
    const struct roots *roots;
    struct ledger *ledger;
    uint32_t capacity;
    struct inventory_owner owner;
    struct vm **vms; /* by slot */
    struct cgroup_mounts *mounts;
    struct scan *scan;

    struct monitor **monitors; /* room for capacity */
    unsigned monitor_count;
    struct monitor_owner monitor_owner;
    uint64_t monitors_deadline;

    char *qmp_directory;
    struct socket_index *socket_index; /* inventory_sockets.c's, made anew in each pass */
    struct loop_source notify;         /* inotify on the QMP directory */
    int notify_watch;                  /* -1: the directory is not watched (yet) */
    int loadavg_fd;

    enum band band;
    bool any_gone, scanning;
    bool sockets_due;     /* the QMP directory is to be read */
    bool sockets_changed; /* … because something in it came: do not wait for a back-off */
    uint64_t next_offer;  /* of connections that belong to no guest */
    uint64_t next_step, next_round, last_round, newest_pid;
    struct log_limit watch_said, stranger_said, second_said;
    struct log_limit full_said, scan_said, directory_said;
};

int inventory_open_watches(struct inventory *inventory);
void inventory_close_watches(struct inventory *inventory);
/* Reads the QMP directory: a monitor for each new socket, none for those whose file and connection
 * are both gone. */
void inventory_find_sockets(struct inventory *inventory);
/* The last pid the kernel gave (loadavg's fifth field, fs/proc/loadavg.c); UNKNOWN if unreadable.
 */
uint64_t inventory_newest_pid(const struct inventory *inventory);

/* The COUNT THREADS are VM's vCPUs: opens the files of their groups, to freeze or throttle it one
 * day; of more than VM_FREEZE_FDS_MAX, none. */
void inventory_take_vcpus(
    struct inventory *inventory, struct vm *vm, const pid_t *threads, unsigned count);
/* The same for one without QMP: its threads' names have to tell which are vCPUs; libvirt has QEMU
 * name them. */
void inventory_find_vcpus(struct inventory *inventory, struct vm *vm);

#endif
