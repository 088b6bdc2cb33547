/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks libvirt about one domain. */
#ifndef PLIMSOLL_DAEMON_VIRT_DOMAIN_ASK_H
#define PLIMSOLL_DAEMON_VIRT_DOMAIN_ASK_H

#include <libvirt/libvirt.h>

#include "config.h"

#include <plimsoll/virt.h>

/*
 * What is to be said of DOMAIN, as a record: DOMAIN, or DOMAIN_GONE, or DOMAIN_KEPT where libvirt
 * or the XML has no sensible answer. Two calls, none of which takes libvirt's job of the domain, so
 * that a guest whose monitor hangs is asked about like all others. PID_FOLDER is where libvirt
 * writes NAME.pid. Mistakes in its definition go to SINK; NULL: they were told before.
 */
void domain_ask(virDomainPtr domain, const char *pid_folder, config_sink sink, void *userdata,
    struct virt_record *ret_record);

#endif
