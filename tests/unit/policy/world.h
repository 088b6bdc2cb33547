/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random worlds for properties: hostile guests, figures that jump, fields that nobody knows. */
#ifndef PLIMSOLL_TESTS_WORLD_H
#define PLIMSOLL_TESTS_WORLD_H

#include <plimsoll/policy.h>

struct world {
    struct snapshot *snapshot;
    struct rules *rules;
    void *state, *copy;
    struct policy_scratch *scratch;
    struct plan *plan, *again;
};

/* Everything empty, for CAPACITY guests. */
struct world world_new(uint32_t capacity);
void world_free(struct world *world);

/* Begins the stream of random numbers; SEED is not 0. */
void draw_seed(uint64_t seed);
/* The one in PLIMSOLL_TEST_SEED, else USUAL; says which. */
void draw_seed_asked(uint64_t usual);
uint64_t draw_below(uint64_t bound);

void draw_rules(struct rules *rules, uint64_t total);
/* The next snapshot, some time later; ANEW: with other guests. */
void draw_snapshot(struct snapshot *snapshot, uint64_t total, bool anew);

#endif
