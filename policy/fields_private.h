/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table that others are built of. */
#ifndef PLIMSOLL_POLICY_FIELDS_PRIVATE_H
#define PLIMSOLL_POLICY_FIELDS_PRIVATE_H

#include <plimsoll/fields.h>

extern const struct field_table fields_vm_identity;

#endif
