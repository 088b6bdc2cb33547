/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's alerts: one line for each thing a person or a script must know, with stable keys.
 *
 *   event=start|stop|reload|vm-appeared|vm-ended|band|action|alert|resumed|resumed-by-other|
 *         save-failed|shutdown-failed|kernel-kill|kernel-log-lost|admission
 *   vm= uuid= band= action= reason= bytes= …
 */
#ifndef PLIMSOLL_DAEMON_ANNOUNCE_H
#define PLIMSOLL_DAEMON_ANNOUNCE_H

#include "kernel_kill.h"
#include "vm.h"

#include <plimsoll/admission.h>
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
void announce_vm(int level, const char *event, const struct vm *vm);
/* A save, or a shutdown, that was not done; WHY is for people. */
void announce_end_failed(const struct vm *vm, bool saved, const char *why);
/* CAUSE: who ended it, where that is known; NULL: it is not. */
void announce_vm_ended(const char *name, const struct vm_identity *identity, const char *cause);

/* ---- announce_admission.c ---- */

/* Room for admission_words(). */
#define ADMISSION_WORDS_MAX 384
/* The answer as one line for whoever starts the guest: what it needs, what there is, and of a
 * refusal what would make it fit. */
void admission_words(const struct admission_answer *answer, char ret_words[ADMISSION_WORDS_MAX]);
/* ACTS: it is followed, and not only told. SUPPRESSED: so many refusals of this guest were not said
 * since the last that was. */
void announce_admission(const char *name, const uint8_t uuid[UUID_SIZE],
    const struct admission_answer *answer, bool acts, uint32_t suppressed, const char *words);
/* Nobody has come since with whose line they could be said. */
void announce_admission_suppressed(
    const char *name, const uint8_t uuid[UUID_SIZE], bool acts, uint32_t suppressed);

/* It was saved, and what it was promised is kept for it. */
void announce_admission_kept(const char *name, const struct reservation *reservation);
/* Nothing is kept for it any more, for the reason that WORDS give. */
void announce_admission_ended(const char *name, const uint8_t uuid[UUID_SIZE], const char *words);

/* ---- announce_kernel.c ---- */

/* IDENTITY NULL: the process was no guest, and NAME is not used. */
void announce_kernel_kill(
    const struct kernel_kill *kill, const char *name, const struct vm_identity *identity);
/* COUNT kills that are not said one by one; UNSEEN: because only the kernel's counter tells. */
void announce_kernel_kills(uint64_t count, bool unseen);
void announce_kernel_log_lost(uint64_t lines);

#endif
