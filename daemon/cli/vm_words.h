/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the status document's words about a guest mean, in a sentence each, without a full stop. */
#ifndef PLIMSOLL_CLI_VM_WORDS_H
#define PLIMSOLL_CLI_VM_WORDS_H

/* NULL for a word that this command does not know: a newer guard's. */
const char *vm_kind_text(const char *kind);
const char *vm_kind_reason_text(const char *reason);
const char *vm_measure_text(const char *measure);

#endif
