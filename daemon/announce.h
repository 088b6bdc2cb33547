/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's alerts: one line for each thing a person or a script must know, with stable keys.
 *
 *   event=start|stop|reload|vm-appeared|vm-ended|band|action|alert|resumed|resumed-by-other
 *   vm= uuid= band= action= reason= bytes= …
 */
#ifndef PLIMSOLL_DAEMON_ANNOUNCE_H
#define PLIMSOLL_DAEMON_ANNOUNCE_H

#include "vm.h"

#include <plimsoll/plan.h>

/* Room for "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and its NUL. */
#define UUID_TEXT_SIZE 37
const char *uuid_text(const uint8_t uuid[UUID_SIZE], char buffer[UUID_TEXT_SIZE]);

/* An action that was carried out, was only decided (dry run), or failed with RESULT. VM is NULL for
 * an alert about the host. */
void announce_action(const struct plan *plan, const struct action *action, const struct vm *vm,
    const struct snapshot *snapshot, int result);
void announce_band(
    const struct assessment *assessment, const struct snapshot *snapshot, enum band before);
void announce_vm(const char *event, const struct vm *vm);

#endif
