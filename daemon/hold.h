/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of a hold: until when the guard watches and takes nothing new. It stands in the runtime
 * directory and outlives the guard, so that one that is restarted or replaced in the middle of
 * somebody's maintenance does not act there. It belongs to one boot: its end is by CLOCK_BOOTTIME,
 * which no change of the time of day moves, and what counts is that and the boot's id.
 */
#ifndef PLIMSOLL_DAEMON_HOLD_H
#define PLIMSOLL_DAEMON_HOLD_H

#include <plimsoll/error.h>
#include <plimsoll/units.h>

#define HOLD_NAME "hold"

/* Longer than most maintenance of one host, and short enough that a guard that was forgotten acts
 * again within the shift. */
#define HOLD_DEFAULT (60 * NSEC_PER_MINUTE)
/* Who needs longer says so again, or sets mode=dry-run, which is seen in the configuration. */
#define HOLD_MOST (UINT64_C(24) * 60 * NSEC_PER_MINUTE)

/* CLOCK_BOOTTIME, ns. */
uint64_t hold_clock(void);

/* Writes that there is a hold until UNTIL, by hold_clock(): all of it or nothing. BOOT_ID is the
 * text of /proc/sys/kernel/random/boot_id. */
int hold_write(const char *folder, const char *boot_id, uint64_t until, struct error *ret_error);
/* 1: there is one until *RET_UNTIL; 0: there is none, or it was over by NOW. -EPERM: the file is
 * somebody else's, or open to others; -EBADMSG: it is damaged, or not a hold's; -ESTALE: it is of
 * another boot. With those the error says which file and why, and there is none. */
int hold_read(const char *folder, const char *boot_id, uint64_t now, uint64_t *ret_until,
    struct error *ret_error);
/* A file that is not there is no failure. */
int hold_remove(const char *folder, struct error *ret_error);

#endif
