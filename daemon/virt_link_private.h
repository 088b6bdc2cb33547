/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the link's two halves share: virt_link.c starts, ends and asks, virt_link_hear.c hears.
 * Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_LINK_PRIVATE_H
#define PLIMSOLL_DAEMON_VIRT_LINK_PRIVATE_H

#include "config_parse.h"
#include "log.h"
#include "virt_link.h"
#include "virt_process.h"

#define VIRT_LINK_PROCESSES 2
#define VIRT_LINK_RETRY_LAST (60 * NSEC_PER_SEC)

/* When the next one may be tried, and how much later the one after it. */
struct virt_link_pace {
    uint64_t next, wait;
};

struct virt_link {
    struct virt_link_options options;
    struct loop *loop;
    struct virt_table *table;
    struct virt_calls calls;
    char libvirt[CONFIG_TEXT_MAX]; /* as configured */

    struct virt_process processes[VIRT_LINK_PROCESSES];
    struct virt_process *acting; /* was told to begin; NULL: none */
    struct virt_process *spare;  /* waits for that; NULL: none */
    struct virt_link_pace beginnings, spares;

    /* Of the acting one. */
    uint64_t began;
    bool told;            /* it has told all domains there are */
    bool stuck;           /* all its workers hang in their calls … */
    uint64_t stuck_since; /* … since then */
    uint64_t asked;       /* when it asked libvirt for what was told of a domain last */

    uint64_t second; /* when the present one began */
    uint32_t heard_in_second;
    bool held;      /* too many in this second; the socket is not read until the next */
    enum band band; /* of the last advance */

    enum virt_connection_state state;
    uint32_t libvirt_version; /* of the one reached last */
    bool absent_said;
    struct log_limit ended_said, spare_said, full_said, nobody_said;
};

/* Once it is not connected any more, what is known may change unheard. */
void virt_link_state(struct virt_link *link, enum virt_connection_state state);
/* Who follows the acting process, as a clause for the log. */
const char *virt_link_successor(const struct virt_link *link);

/* Hangs up on the acting process, if that is not done: what is open is answered as open. */
void virt_link_hang_up(struct virt_link *link);
/* Ends the acting process, or the spare. WHY is said, unless it is NULL. */
void virt_link_end_acting(struct virt_link *link, const char *why, uint64_t now);
void virt_link_end_spare(struct virt_link *link, const char *why, uint64_t now);
/* It has ended, and its place is free. */
void virt_link_leave_acting(struct virt_link *link, uint64_t now);
void virt_link_leave_spare(struct virt_link *link, uint64_t started, uint64_t now);

/* The handlers of a process's sources. */
void virt_link_heard(struct loop_source *source, uint32_t events);
void virt_link_exited(struct loop_source *source, uint32_t events);

#endif
