/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of a hold: until when the guard watches and takes nothing new, of the host or of one
 * guest. It stands in the runtime directory and outlives the guard, so that one that is restarted
 * or replaced in the middle of somebody's maintenance does not act there. It belongs to one boot:
 * its end is by CLOCK_BOOTTIME, which no change of the time of day moves, and what counts is that
 * and the boot's id.
 */
#ifndef PLIMSOLL_DAEMON_HOLD_H
#define PLIMSOLL_DAEMON_HOLD_H

#include <plimsoll/error.h>
#include <plimsoll/snapshot.h>
#include <plimsoll/units.h>

/* The host's; that of a guest is hold_guest_name(). */
#define HOLD_NAME "hold"
/* Room for it, a pid and a start time. */
#define HOLD_NAME_MAX 48

/* Longer than most maintenance of one host, and short enough that a guard that was forgotten acts
 * again within the shift. */
#define HOLD_DEFAULT (60 * NSEC_PER_MINUTE)
/* After an undo: time to save one's work, or to see to the host; the guest may well be the one that
 * the host has no room for. */
#define HOLD_GUEST_DEFAULT (10 * NSEC_PER_MINUTE)
/* Who needs longer says so again, or sets mode=dry-run, which is seen in the configuration. */
#define HOLD_MOST (UINT64_C(24) * 60 * NSEC_PER_MINUTE)

/* CLOCK_BOOTTIME, ns. */
uint64_t hold_clock(void);

/* Room for "2026-11-23T10:30:00Z", and for years to come. */
#define HOLD_MOMENT_MAX 32
/* The moment after LEFT, ns since 1970; and in UTC, which returns BUFFER. */
uint64_t hold_realtime(uint64_t left);
const char *hold_moment(uint64_t left, char buffer[HOLD_MOMENT_MAX]);

struct hold_file {
    const char *folder;
    const char *name;    /* within it */
    const char *boot_id; /* the text of /proc/sys/kernel/random/boot_id */
};

/* Of one process, so that a guest that is started anew has none. Returns BUFFER. */
const char *hold_guest_name(const struct vm_identity *identity, char buffer[HOLD_NAME_MAX]);

/* Writes that there is a hold until UNTIL, by hold_clock(): all of it or nothing. */
int hold_write(const struct hold_file *file, uint64_t until, struct error *ret_error);
/* 1: there is one until *RET_UNTIL; 0: there is none, or it was over by NOW. -EPERM: the file is
 * somebody else's, or open to others; -EBADMSG: it is damaged, or not a hold's; -ESTALE: it is of
 * another boot. With those the error says which file and why, and there is none. */
int hold_read(
    const struct hold_file *file, uint64_t now, uint64_t *ret_until, struct error *ret_error);
/* A file that is not there is no failure. */
int hold_remove(const struct hold_file *file, struct error *ret_error);

#endif
