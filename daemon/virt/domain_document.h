/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML as a document of libxml2's. */
#ifndef PLIMSOLL_DAEMON_VIRT_DOMAIN_DOCUMENT_H
#define PLIMSOLL_DAEMON_VIRT_DOMAIN_DOCUMENT_H

#include <libxml/tree.h>
#include <stddef.h>

/* LENGTH, of at most DOMAIN_XML_MAX, is that of XML. NULL: it is none that libvirt writes, or there
 * is no memory. */
xmlDoc *domain_document_parse(const char *xml, size_t length);

#endif
