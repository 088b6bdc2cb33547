/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Admission: whether a guest that is about to start fits with what others are promised already, and
 * with what is free now or can be had by balloon while the asker waits. Pure, as all of libpolicy.
 *
 * A guest is promised what it may come to hold of the host: its maximum and QEMU's own part, or,
 * where the guard can take memory back from it by balloon and its class says so, its minimum and
 * that. One whose balloon has not answered yet is promised its maximum.
 */
#ifndef PLIMSOLL_ADMISSION_H
#define PLIMSOLL_ADMISSION_H

#include <plimsoll/policy.h>

struct admission_request {
    uint8_t uuid[UUID_SIZE];
    uint64_t maximum; /* guest memory it begins with, bytes */
    bool pinned;      /* locked, or mapped for a device: all of it from the start */
    bool allocated;   /* taken whole at the start */
    bool hugepages;   /* out of the pool of huge pages */
    bool balloon;     /* the guest has one that returns what it takes */
    /* Bit i: host.nodes[i]; it can allocate on these alone. 0: on all. */
    uint32_t nodes;
    uint64_t patience; /* ns that the asker goes on waiting */
};

enum admission_verdict {
    ADMISSION_ALLOW,
    ADMISSION_WAIT, /* room is to be made: keep it reserved, and ask again */
    ADMISSION_REFUSE,
    ADMISSION_VERDICT_COUNT,
};

/* What the start is short of. */
enum admission_lack {
    ADMISSION_LACK_NONE,      /* of nothing, or of a place among those that start */
    ADMISSION_LACK_FIGURES,   /* the host cannot be measured */
    ADMISSION_LACK_PROMISE,   /* of a pool, less is left than was promised with this one */
    ADMISSION_LACK_ROOM,      /* … less is free now, or can be made in time */
    ADMISSION_LACK_HUGEPAGES, /* … of its huge pages */
    ADMISSION_LACK_PINNED,    /* more of it would be pinned than pinned-limit allows */
    ADMISSION_LACK_COUNT,
};

struct admission_answer {
    enum admission_verdict verdict;
    enum admission_lack lack;
    enum pool_kind pool; /* POOL_NODE: those that it can allocate on, together */
    /* Bytes, with ALLOW of the host: what it needs of that pool, and what there was for it. */
    uint64_t needed, left;
    /* What is to be reserved for it, unless it is refused. */
    struct reservation reservation;
};

/*
 * Judges REQUEST, of a guest for which OWN holds, by the SNAPSHOT that was decided last with this
 * STATE, which stays as that decision left it. Reservations in the snapshot count but for one of
 * the same guest. Cannot fail: what it cannot know is no room.
 */
void admission_decide(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_state *state, struct policy_scratch *scratch,
    const struct admission_request *request, const struct vm_rules *own,
    struct admission_answer *ret_answer);

/*
 * What is kept for the guest at POSITION of the snapshot once it has been saved, when it held HELD
 * bytes (UNKNOWN: as many as it can): nothing of what is free, but what it was promised. When it
 * comes back, which libvirt's hook asks for like any start, this is its own and counts against
 * nobody but others. Huge pages are not promised to it: they stay in their pool.
 */
void admission_saved(const struct snapshot *snapshot, const struct rules *rules, uint32_t position,
    uint64_t held, struct reservation *ret_reservation);

const char *admission_verdict_name(enum admission_verdict verdict);

#endif
