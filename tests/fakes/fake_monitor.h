/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's side of one guest without a guard: a VM whose process is a real child, its monitor,
 * its place in a ledger, and the QEMU it talks to, all in the test's own thread. What QEMU says is
 * there to be read at once, and a deadline passes because the monitor is told a later time: nothing
 * is ever waited for. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_FAKE_MONITOR_H
#define PLIMSOLL_TESTS_FAKE_MONITOR_H

#include "fake_host.h"
#include "fake_qemu.h"
#include "vm.h"

/* The guest's RAM, all of which it has at first. */
#define FAKE_MONITOR_RAM GIB

struct fake_monitor {
    struct fake_host host; /* without a guard */
    struct fake_qemu fake;
    struct cgroup_mounts *mounts;
    struct ledger *ledger;
    struct loop *loop;
    struct monitor *monitor;
    struct vm *vm;
    pid_t child;
    bool touching;                  /* what may_touch says */
    const char *status, *migration; /* what QEMU says instead of the fake's own; NULL: nothing */
    /* A letter for each request heard: (s)top, (c)ont, query-status (q), query-(m)igrate, the
     * statistics' (i)nterval, others '.'. */
    char heard[512];
};

/* A running guest, and all that its monitor wants to know at first answered. */
void fake_monitor_begin(struct fake_monitor *bench, bool may_touch);
void fake_monitor_end(struct fake_monitor *bench);

/* Lets the guard's side take what was said. */
void fake_monitor_look(struct fake_monitor *bench);
/* Answers everything until nothing more is asked. */
void fake_monitor_settle(struct fake_monitor *bench);
/* Hears COMMAND and leaves it unanswered; its id is returned. What comes before is answered. */
uint64_t fake_monitor_hold(struct fake_monitor *bench, const char *command);
void fake_monitor_say_event(struct fake_monitor *bench, const char *event);
/* The monitor is told that DELAY ns have passed. */
void fake_monitor_pass(struct fake_monitor *bench, uint64_t delay);

/* How often LETTER was heard. */
unsigned fake_monitor_count(const struct fake_monitor *bench, char letter);
/* MEASURES are in force, the ledger says so, too, and nothing else is. */
void fake_monitor_expect(const struct fake_monitor *bench, uint32_t measures);

#endif
