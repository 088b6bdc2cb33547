/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room that is kept for guests that start: from the answer to libvirt's hook until the guest has
 * taken it, or its balloon has answered, or it is clear that nobody comes.
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

/* Plain data; zeroed: nobody starts. */
struct admission {
    uint32_t count;
    struct admission_start starts[RESERVATIONS_MAX];
};

/* Keeps what the answer says for the guest NAME, in place of what was kept for it before. False:
 * there is no place for one more. */
bool admission_keep(struct admission *admission, const struct admission_answer *answer,
    const char *name, uint64_t now);
/* Nothing is kept for it any more. */
void admission_drop(struct admission *admission, const uint8_t uuid[UUID_SIZE]);
/* The start of that guest; NULL: nothing is kept for it. Good until the table changes. */
struct admission_start *admission_find(struct admission *admission, const uint8_t uuid[UUID_SIZE]);

/* Puts into SNAPSHOT, whose guests must be there, what is still to be kept, and forgets what is
 * not; a start that came to nothing is said. */
void admission_show(struct admission *admission, struct snapshot *snapshot, uint64_t now);

#endif
