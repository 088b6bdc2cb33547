/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard: owns all state of plimsolld and the one way through it.
 *
 *     sample → snapshot → policy_decide → plan → act → ledger, log → (seen again in the next
 * sample)
 */
#ifndef PLIMSOLL_DAEMON_GUARD_H
#define PLIMSOLL_DAEMON_GUARD_H

#include "roots.h"

#include <stdbool.h>

#include <plimsoll/error.h>

struct guard;

struct guard_options {
    const char *config_path;
    const char *runtime_directory;
    const char *virt_program;    /* plimsoll-virt; NULL: libvirt is not asked */
    const char *virt_run_folder; /* where libvirt's sockets stand; NULL: /run/libvirt */
    const char *record_folder;   /* for traces; NULL: none are kept */
    bool dry_run;                /* whatever the configuration says */
    bool foreground;             /* alerts to stderr, too */
    struct roots roots;          /* all NULL: the host's own /proc and /sys */
};

/* Opens, allocates and rehearses everything, takes over the measures of a guard before us. The
 * configuration's mistakes go to stderr. -EBUSY: another guard runs, the error says which. OPTIONS'
 * strings must outlive the guard. */
int guard_new(
    const struct guard_options *options, struct guard **ret_guard, struct error *ret_error);
struct guard *guard_free(struct guard *guard);

/* Runs until SIGTERM or SIGINT; then keeps the measures or takes them back, as configured. 0, or a
 * negative errno when the loop itself failed. */
int guard_run(struct guard *guard);

#endif
