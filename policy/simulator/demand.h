/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest demands at a time. */
#ifndef PLIMSOLL_SIMULATOR_DEMAND_H
#define PLIMSOLL_SIMULATOR_DEMAND_H

#include <plimsoll/simulator.h>

/* Bytes demanded by one that has run for AGE. SEED gives the noise; two guests differ in it. */
uint64_t demand_at(const struct demand *demand, uint64_t age, uint64_t seed);

/* The most that is demanded from AGE on for a TIME of some minutes at most, noise apart. */
uint64_t demand_peak(const struct demand *demand, uint64_t age, uint64_t time);

#endif
