/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's calls that plimsoll-virt has not answered yet: who is told of which answer, and what
 * becomes of those that never come. Fixed memory; nothing here waits or speaks.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_CALLS_H
#define PLIMSOLL_DAEMON_VIRT_CALLS_H

#include <plimsoll/virt.h>

/* Of these, so many may be looks (MEMORY_STATS, STATS_PERIOD), and so many sizes of guests
 * (SET_MEMORY, RESIZE): what pauses, resumes or ends a guest always finds room. */
#define VIRT_LOOKS_MAX 8
#define VIRT_TARGETS_MAX 40
/* So much later than its deadline a call is given up here: plimsoll-virt, which knows whether it
 * was begun, has its say first. */
#define VIRT_ANSWER_LAG (100 * NSEC_PER_MSEC)
/* Domains that a lost process hung in, remembered for the next one. */
#define VIRT_SICK_MAX 16
/* libvirt gives up waiting for a domain's job after 30 s; what hangs in it then does so on. */
#define VIRT_SICK_TIME (60 * NSEC_PER_SEC)

/* Called once for each call that was taken, with plimsoll-virt's answer, or -ETIMEDOUT when its
 * deadline has passed, or -ECONNRESET when the process has ended. RESULT.look is there if LOOKED.
 */
typedef void (*virt_call_handler)(const struct virt_result *result, void *userdata);

struct virt_calls {
    struct virt_calls_entry {
        struct virt_call call;
        uint64_t begun;
        virt_call_handler handler; /* NULL: free */
        void *userdata;
    } entries[VIRT_CALLS_MAX];
    struct virt_calls_sick {
        uint8_t uuid[UUID_SIZE];
        bool sick;      /* its last call has timed out */
        uint64_t until; /* not called before; 0: not since a process was lost */
    } sick[VIRT_SICK_MAX];
    unsigned sick_next;
    uint64_t answered; /* when anything last was */
    uint64_t number;   /* of the last call */
};

/*
 * Room for CALL, whose number is given here, and HANDLER. -EAGAIN: there is none; -EBUSY: its
 * domain is one that an earlier process hung in (never for DESTROY).
 */
int virt_calls_add(struct virt_calls *calls, struct virt_call *call, virt_call_handler handler,
    void *userdata, uint64_t now);
/* It was not sent after all; its handler is not called. */
void virt_calls_drop(struct virt_calls *calls, uint64_t number);

/* An answer of whatever number. */
void virt_calls_take(struct virt_calls *calls, const struct virt_result *result, uint64_t now);
void virt_calls_expire(struct virt_calls *calls, uint64_t now);
/* The process has ended: nothing is answered any more. */
void virt_calls_fail(struct virt_calls *calls, uint64_t now);
/* Nobody with USERDATA is told anything any more. */
void virt_calls_forget(struct virt_calls *calls, const void *userdata);

/* When virt_calls_expire() has to be called; NEVER: nothing is outstanding. */
uint64_t virt_calls_deadline(const struct virt_calls *calls);

#endif
