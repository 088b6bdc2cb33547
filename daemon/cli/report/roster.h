/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who was there: each QEMU process that a stretch of the record shows, by its identity, so that a
 * slot that is used anew is another guest.
 */
#ifndef PLIMSOLL_REPORT_ROSTER_H
#define PLIMSOLL_REPORT_ROSTER_H

#include <plimsoll/cleanup.h>

#include "record_read.h"

/* Processes of one event: four times as many as max-vms= is by default. */
#define GUESTS_MAX ((size_t)4 * MAX_VMS_DEFAULT)
#define GUEST_NONE UINT32_MAX

struct guest {
    struct vm_identity identity;
    char name[VM_NAME_MAX]; /* clean */
    char class_name[CLASS_NAME_MAX];
    uint32_t priority;
    bool present;        /* in the last look */
    uint64_t maximum;    /* what it can come to hold; UNKNOWN */
    bool score_known;    /* the next is: it was seen while none of ours was in force */
    int32_t score_found; /* its oom_score_adj without the guard */
};

struct roster {
    struct guest *all;
    uint32_t count;
    bool left_out;              /* there were more than GUESTS_MAX */
    uint32_t *at;               /* of the last look, by position: index into all[], or GUEST_NONE */
    uint32_t *gone, gone_count; /* who was in the look before, and is not in the last */
    uint32_t *by_slot;
};

/* -ENOMEM. */
int roster_new(struct roster **ret_guests);
struct roster *roster_free(struct roster *guests);
DEFINE_CLEANUP(struct roster *, roster_free);

/* Forgets all. */
void roster_clear(struct roster *guests);
void roster_look(struct roster *guests, const struct record_seen *seen);
/* GUEST_NONE: it is not known. */
uint32_t roster_find(const struct roster *guests, const struct vm_identity *identity);

#endif
