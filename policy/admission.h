/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room that is kept for guests that start. */
#ifndef PLIMSOLL_POLICY_ADMISSION_H
#define PLIMSOLL_POLICY_ADMISSION_H

#include <plimsoll/admission.h>

#include "state.h"

/* Bytes of POOL that nobody else is given, for its `reserved`: what guests that start will still
 * take of it. */
uint64_t admission_reserved(const struct decision *d, const struct pool_view *pool);

/* What POOL has too little for them to take that and critical not to begin; 0: nothing. */
uint64_t admission_lacking(const struct decision *d, const struct pool_view *pool);

#endif
