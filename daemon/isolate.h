/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's own safety: it must still run when nothing else can. Each part that this process has
 * no right to is said once, with what it means, and the guard works on without it.
 */
#ifndef PLIMSOLL_DAEMON_ISOLATE_H
#define PLIMSOLL_DAEMON_ISOLATE_H

#include <stdbool.h>

/* Exempts us from the kernel's OOM killer (oom_score_adj -1000) and raises the descriptor limit for
 * MAX_VMS guests. Before anything is opened. False: the kernel refuses scores below 0 (no
 * CAP_SYS_RESOURCE), ours and those of guests. */
bool isolate_process(unsigned max_vms);

/* Grows heap and stack to what the guard will need, and locks what it touches into memory. After
 * everything is allocated and opened. */
void isolate_memory(void);

#endif
