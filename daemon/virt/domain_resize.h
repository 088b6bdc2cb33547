/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-mem device of a domain, as libvirt takes it to be resized. */
#ifndef PLIMSOLL_DAEMON_VIRT_DOMAIN_RESIZE_H
#define PLIMSOLL_DAEMON_VIRT_DOMAIN_RESIZE_H

#include <stdint.h>

/*
 * The only virtio-mem device in XML, which is that of a running domain, with TARGET bytes requested
 * where EXPECTED are, for virDomainUpdateDeviceFlags(). To be freed by free().
 * -ENODEV: there is none, or more than one; -ESTALE: something else is requested of it; -EINVAL:
 * the XML makes no sense, or TARGET is no whole KiB; -ENOMEM.
 */
int domain_resize_xml(const char *xml, uint64_t expected, uint64_t target, char **ret_device);

#endif
