/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The places where a guest that starts has to fit, and what they have for it. */
#ifndef PLIMSOLL_POLICY_PLACE_H
#define PLIMSOLL_POLICY_PLACE_H

#include <plimsoll/admission.h>

#include "state.h"

struct asking {
    const struct decision *d;
    const struct admission_request *request;
    const struct vm_rules *own;
    uint32_t nodes;     /* that it is bound to; 0: to none */
    uint64_t needed;    /* of ordinary memory, for as long as it runs */
    uint64_t taken;     /* … at once */
    uint64_t hugepages; /* beside that */
};

/* A pool, or the nodes that the guest is bound to as if they were one. */
struct place {
    enum pool_kind kind;
    uint32_t first, end; /* of the assessment's pools … */
    uint32_t nodes;      /* … those of these nodes; 0: not by node */
};

/* Host, budget if there is one, and the guest's nodes if it is bound to some. */
#define PLACES_MAX 3

/* The guest is promised its minimum alone, if its balloon returns memory. */
bool rules_promise_minimum(const struct rules *rules, const struct vm_rules *own);

static inline bool uuid_equal(const uint8_t a[UUID_SIZE], const uint8_t b[UUID_SIZE])
{
    return __builtin_memcmp(a, b, UUID_SIZE) == 0;
}

/* It is on huge pages, be it that it has not touched any yet. */
bool vm_has_hugepages(const struct decision *d, const struct vm_snapshot *vm);

uint32_t reservations(const struct decision *d);
/* What is kept for the guest of that uuid; NULL: nothing. */
const struct reservation *reservation_of(const struct decision *d, const uint8_t uuid[UUID_SIZE]);
/* What of RESERVATION is owed by a pool of KIND, of nodes by those WANTED. */
uint64_t reservation_on(
    const struct reservation *reservation, enum pool_kind kind, uint32_t wanted);

/* Returns how many. */
uint32_t places_find(const struct asking *asking, struct place ret_places[PLACES_MAX]);

/* What the guest needs of it for as long as it runs, and at once. */
uint64_t place_needed(const struct asking *asking, const struct place *place);
uint64_t place_taken(const struct asking *asking, const struct place *place);

bool place_is_measured(const struct asking *asking, const struct place *place);
/* Some of it is critical: what comes back there is for those who are stopped for want of it. */
bool place_is_critical(const struct asking *asking, const struct place *place);
/* What is promised to nobody; what is free now and kept for nobody; what balloons can bring while
 * the asker waits; what may still be pinned. */
uint64_t place_unpromised(const struct asking *asking, const struct place *place);
uint64_t place_room(const struct asking *asking, const struct place *place);
uint64_t place_gain(const struct asking *asking, const struct place *place);
uint64_t place_unpinned(const struct asking *asking, const struct place *place);
/* Of huge pages, where the guest may have them. */
uint64_t place_hugepages_left(const struct asking *asking);

#endif
