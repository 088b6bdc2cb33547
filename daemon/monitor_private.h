/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the monitor's two halves share: monitor.c asks and lives, monitor_reply.c understands.
 * Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_MONITOR_PRIVATE_H
#define PLIMSOLL_DAEMON_MONITOR_PRIVATE_H

#include "monitor.h"
#include "vm.h"

/* In the order in which a fresh connection asks them. */
enum question {
    ASK_NAME,
    ASK_UUID,
    ASK_STATUS,
    ASK_MIGRATE,
    ASK_MEMORY_SIZE,
    ASK_MEMORY_DEVICES,
    ASK_MEMDEV,
    ASK_SEV,
    ASK_CPUS,
    ASK_PERIPHERAL,
    ASK_PERIPHERAL_ANON,
    ASK_DEFLATE_ON_OOM,
    ASK_FREE_PAGE_REPORTING,
    ASK_INTERVAL,
    ASK_DRIVER,
    ASK_BALLOON,
    ASK_STATISTICS,
    QUESTION_COUNT,
};
#define QUESTION_BIT(question) (UINT32_C(1) << (question))
#define ASK_ALL (QUESTION_BIT(QUESTION_COUNT) - 1)
#define ASK_OF_BALLOON_DEVICE                                                   \
    (QUESTION_BIT(ASK_DEFLATE_ON_OOM) | QUESTION_BIT(ASK_FREE_PAGE_REPORTING) | \
        QUESTION_BIT(ASK_INTERVAL) | QUESTION_BIT(ASK_DRIVER) | QUESTION_BIT(ASK_STATISTICS))

struct monitor {
    struct monitor_owner owner;
    struct qmp_session *session;
    struct loop_source source;
    struct vm *vm;
    uint32_t due;
    bool in_flight;
    enum question asked;
    enum band band;
    uint64_t now; /* of the call we are in; handlers have no clock of their own */
    uint64_t next_state, next_statistics, next_devices;
    uint64_t running_since; /* UNKNOWN while it does not run */
    uint32_t interval;      /* seconds; what guest-stats-polling-interval was set to, 0: not yet */
    bool driver_by_reports; /* QEMU does not tell; see judge_driver() */
    uint64_t base_memory;
    uint64_t memory_devices_asked; /* when they last were */
    char balloon[QMP_NAME_MAX];    /* QOM path; empty: none found */
};

/* Takes what QEMU answered to monitor->asked into the VM's figures. */
void monitor_take_reply(struct monitor *monitor, const struct qmp_reply *reply);
/* QEMU said no: for most questions that is an answer, too. */
void monitor_take_refusal(struct monitor *monitor);
void monitor_take_run_state(struct monitor *monitor, enum qmp_run_state state);
/* By the last that QEMU said of its run state. */
bool monitor_vm_arrives(const struct monitor *monitor);
/* BALLOON_CHANGE and query-balloon. A balloon that moved has a driver. */
void monitor_take_balloon(struct monitor *monitor, uint64_t actual);

#endif
