/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is to be known of a domain to act on it, asked of libvirt anew. Everything here may block;
 * returns 0, or -1 with libvirt's last error.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_LOOK_H
#define PLIMSOLL_DAEMON_VIRT_LOOK_H

#include <libvirt/libvirt.h>

#include <plimsoll/virt.h>

/* As far as it goes without libvirt's job of the domain: RET_MIGRATION is POSTCOPY or NONE. */
int look_state(virDomainPtr domain, enum vm_run_state *ret_state, enum vm_migration *ret_migration);
/* UNKNOWN: libvirt does not say. Takes the job. */
enum vm_migration look_migration(virDomainPtr domain);

/* All of it. A balloon that is not there has no figures, which is no failure. */
int look_at(virDomainPtr domain, struct virt_look *ret_look);

#endif
