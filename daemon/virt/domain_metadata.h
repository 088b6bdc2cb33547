/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules that a domain carries itself, in its <metadata>:
 *
 *     <plimsoll:domain xmlns:plimsoll="urn:plimsoll:domain:1" class="gold" minimum="1G"/>
 *
 * A rule is an attribute, or a child element of its name with the value as text. Rules and values
 * are the configuration's: class, priority, shares, minimum, rungs, sacrifice. To set them live:
 *
 *     virsh metadata web urn:plimsoll:domain:1 --key plimsoll --set '<domain class="gold"/>'
 */
#ifndef PLIMSOLL_DAEMON_VIRT_DOMAIN_METADATA_H
#define PLIMSOLL_DAEMON_VIRT_DOMAIN_METADATA_H

#include <libxml/tree.h>

#include "config.h"

#include <plimsoll/virt.h>

#define DOMAIN_METADATA_NAMESPACE "urn:plimsoll:domain:1"

/* Fills RET_METADATA from ELEMENT. A rule that is unknown, given twice or of a bad value goes to
 * SINK as one line that begins with NAME, the domain's, is marked as refused and passed over; all
 * others hold. */
void domain_metadata_read(const xmlNode *element, const char *name, config_sink sink,
    void *userdata, struct virt_metadata *ret_metadata);

#endif
