/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML as libvirt gives it, made a record for the guard. */
#ifndef PLIMSOLL_DAEMON_VIRT_DOMAIN_XML_H
#define PLIMSOLL_DAEMON_VIRT_DOMAIN_XML_H

#include "config.h"

#include <plimsoll/virt.h>

/* A domain of hundreds of disks has about 200 KiB. */
#define DOMAIN_XML_MAX ((size_t)1024 * 1024)

/*
 * Fills RET_DOMAIN but for its state, its pid and when it was asked, which the XML does not have.
 * Each value that says nothing sensible goes to SINK as one line that names the domain and the
 * value, and is left unsaid in the record; all others hold. -EINVAL: this is no domain at all;
 * -ENOMEM; SINK was told why.
 */
int domain_xml_read(
    const char *xml, config_sink sink, void *userdata, struct virt_domain *ret_domain);

#endif
