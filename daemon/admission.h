/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room that is kept for guests that start: from the answer to libvirt's hook until the guest has
 * taken it, or its balloon has answered, or it is clear that nobody comes. And the promise to those
 * that the guard had saved, until they are back.
 */
#ifndef PLIMSOLL_DAEMON_ADMISSION_H
#define PLIMSOLL_DAEMON_ADMISSION_H

#include <stdbool.h>

#include <plimsoll/admission.h>

/* From the hook's end to a QEMU that is found: libvirt prepares disks, networks and cgroups. A
 * start that failed is known by nothing else. */
#define ADMISSION_APPEAR (20 * NSEC_PER_SEC)
/* From there to a balloon's first answer: a guest that boots slowly, or has no driver for one. */
#define ADMISSION_BOOT (2 * NSEC_PER_MINUTE)
/* A hook that waits asks again within this. */
#define ADMISSION_ASKS NSEC_PER_SEC

struct admission_start {
    struct reservation reservation; /* as it was granted */
    char name[VM_NAME_MAX];
    enum admission_verdict verdict; /* ALLOW or WAIT */
    uint64_t told;                  /* when that was said */
    uint64_t seen;                  /* when its QEMU was found; 0: not yet */
};

/* A promise is not kept for ever: what was saved may have been moved to another host, unheard while
 * libvirt was away. Longer than it takes until somebody looks: a holiday. */
#define ADMISSION_SAVED (UINT64_C(7) * 24 * 60 * NSEC_PER_MINUTE)
/* Beyond them the oldest is forgotten. */
#define ADMISSION_SAVED_MAX 32

struct admission_saved {
    struct reservation reservation;
    char name[VM_NAME_MAX];
    uint64_t time;
};

/* Plain data; zeroed: nobody starts, and nobody was saved. */
struct admission {
    uint32_t count;
    struct admission_start starts[RESERVATIONS_MAX];
    uint32_t saved_count;
    struct admission_saved saved[ADMISSION_SAVED_MAX]; /* oldest first */
};

/* Keeps what the answer says for the guest NAME, in place of what was kept for it before. False:
 * there is no place for one more. */
bool admission_keep(struct admission *admission, const struct admission_answer *answer,
    const char *name, uint64_t now);
/* Nothing is kept for it any more. */
void admission_drop(struct admission *admission, const uint8_t uuid[UUID_SIZE]);
/* The start of that guest; NULL: nothing is kept for it. Good until the table changes. */
struct admission_start *admission_find(struct admission *admission, const uint8_t uuid[UUID_SIZE]);

/* The guest NAME has been saved: RESERVATION is of admission_saved(). */
void admission_keep_saved(struct admission *admission, const struct reservation *reservation,
    const char *name, uint64_t now);
/* It will not be back. */
void admission_drop_saved(struct admission *admission, const uint8_t uuid[UUID_SIZE]);

/* Puts into SNAPSHOT, whose guests must be there, what is still to be kept, and forgets what is
 * not; a start that came to nothing is said. */
void admission_show(struct admission *admission, struct snapshot *snapshot, uint64_t now);

#endif
