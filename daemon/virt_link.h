/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's side of plimsoll-virt: starts it and a spare, hears it, and has the spare take over
 * when it has died, hung or talked nonsense. Whatever it does, the guard waits for none of it: what
 * it says is taken in in bounded pieces, and what it said last holds while there is none.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_LINK_H
#define PLIMSOLL_DAEMON_VIRT_LINK_H

#include "loop.h"
#include "virt_calls.h"
#include "virt_table.h"

#include <plimsoll/rules.h>

struct virt_link;

struct virt_link_options {
    const char *program;    /* plimsoll-virt */
    const char *run_folder; /* where libvirt's sockets stand, for libvirt=auto */
    uint32_t capacity;      /* running domains */
    virt_table_handler changed;
    /* Called when virt_link_connected() ends; may be NULL. */
    void (*lost)(void *userdata);
    /* Called when no domain UUID is defined any more, be it that it did not run; may be NULL. */
    virt_table_handler undefined;
    void *userdata;
};

/* So many are taken in at one wake of the loop. Each is looked up among all guests: microseconds
 * with a few, by estimate up to two hundred with a thousand … */
#define VIRT_LINK_RECORDS_PER_WAKE 32
/* … and in a second: an inventory of a thousand comes in one. */
#define VIRT_LINK_RECORDS_PER_SECOND 8192
/* It says something each VIRT_HEARTBEAT and ends itself after VIRT_CALL_LIMIT: silent for longer,
 * it is stopped, or starved. */
#define VIRT_LINK_SILENCE (VIRT_CALL_LIMIT + 3 * VIRT_HEARTBEAT)
/* All its workers have outlived their calls' deadlines, and for so long none has returned: they are
 * not late, they hang. Meanwhile nobody can be acted on through libvirt, so it is short. */
#define VIRT_LINK_STUCK (3 * NSEC_PER_SEC)

/* OPTIONS' strings must outlive the link. Nothing is started yet. */
int virt_link_new(
    struct loop *loop, const struct virt_link_options *options, struct virt_link **ret_link);
/* Ends the processes; what is open is answered so. */
struct virt_link *virt_link_free(struct virt_link *link);

/* LIBVIRT as in the configuration: "auto", "off" or a URI. Another than before ends what there is;
 * with "off" what it said is forgotten. */
void virt_link_set(struct virt_link *link, const char *libvirt);

/* Ends a process that is silent or stuck, and has its spare take over, whatever the band; starts
 * what is missing: the spare in good times only, one that acts never at the edge. */
void virt_link_advance(struct virt_link *link, enum band band, uint64_t now);
uint64_t virt_link_deadline(const struct virt_link *link);

/* Nothing more is to be waited for: all domains were told once, or nobody is there to tell them. */
bool virt_link_settled(const struct virt_link *link);

/* Changes are told: what libvirt said of a domain holds until the next word on it. */
bool virt_link_connected(const struct virt_link *link);
/* Of the libvirt reached last: major * 1000000 + minor * 1000 + release; 0: unknown. */
uint32_t virt_link_libvirt_version(const struct virt_link *link);

/*
 * What libvirt says of the domain UUID that is the process PID; NULL: nothing. libvirt's word on
 * the process is asked for as well: a uuid stands on a command line that anybody may write, and
 * must not make a process a valuable guest.
 */
const struct virt_domain *virt_link_domain(
    const struct virt_link *link, const uint8_t uuid[UUID_SIZE], pid_t pid);

/*
 * Has libvirt do something: uuid, operation, argument and deadline of CALL count. Sends and returns
 * at once; HANDLER is called with the answer, never from within this call, and in any case by the
 * deadline (virt_link_advance). -ENOTCONN: libvirt is not there; -EAGAIN: too many calls, or no
 * room to send one; -EBUSY: nobody is left to carry it out, or its domain is one that hung for
 * long. Then HANDLER is not called.
 */
int virt_link_call(struct virt_link *link, const struct virt_call *call, virt_call_handler handler,
    void *userdata);
/* Nobody with USERDATA is told anything any more. */
void virt_link_forget(struct virt_link *link, const void *userdata);

#endif
