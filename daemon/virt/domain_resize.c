/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. libvirt finds the device by all that its XML says of it, its address and alias
 * included, and lets nothing else of it be changed (qemuDomainChangeMemoryLive() of libvirt 9.0),
 * so the device is given back as it was read, but for its <requested>. This is what `virsh
 * update-memory-device --requested-size` does; libvirt's own XML agrees then, and stays right when
 * the domain is migrated or saved.
 */
#include "domain_resize.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_document.h"
#include "domain_xml.h"
#include "text.h"

#define DEVICE_PATH "/domain/devices/memory[@model='virtio-mem']"

static xmlNode *child_named(xmlNode *node, const char *name)
{
    for (xmlNode *child = node ? node->children : NULL; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return child;
    return NULL;
}

/* libvirt writes every size of a domain in KiB. */
static int kib_read(xmlNode *node, uint64_t *ret_kib)
{
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    xmlChar *unit = node ? xmlGetNoNsProp(node, (const xmlChar *)"unit") : NULL;
    bool good = text && (!unit || strcmp((const char *)unit, "KiB") == 0) &&
                text_parse_number((const char *)text, 0, UINT64_MAX / KIB, ret_kib) == 0;

    xmlFree(unit);
    xmlFree(text);
    return good ? 0 : -EINVAL;
}

static int device_print(xmlDoc *document, xmlNode *device, char **ret_device)
{
    xmlBuffer *buffer = xmlBufferCreate();
    int length = buffer ? xmlNodeDump(buffer, document, device, 0, 0) : -1;

    *ret_device = length > 0 ? strdup((const char *)xmlBufferContent(buffer)) : NULL;
    xmlBufferFree(buffer);
    return *ret_device ? 0 : -ENOMEM;
}

static int device_edit(
    xmlDoc *document, xmlNode *device, uint64_t expected, uint64_t target, char **ret_device)
{
    xmlNode *requested = child_named(child_named(device, "target"), "requested");
    char text[24]; /* 20 digits */
    char *printed = NULL;
    uint64_t kib = 0;

    int result = kib_read(requested, &kib);
    if (result < 0)
        return result;
    if (kib != expected / KIB)
        return -ESTALE;
    (void)snprintf(text, sizeof(text), "%" PRIu64, target / KIB);
    xmlNodeSetContent(requested, (const xmlChar *)text);
    result = device_print(document, device, &printed);
    if (result == 0)
        *ret_device = printed;
    return result;
}

int domain_resize_xml(const char *xml, uint64_t expected, uint64_t target, char **ret_device)
{
    size_t length = strnlen(xml, DOMAIN_XML_MAX + 1);
    int result = -EINVAL;

    if (length > DOMAIN_XML_MAX || !known(expected) || !known(target) || target % KIB != 0)
        return -EINVAL;
    xmlDoc *document = domain_document_parse(xml, length);
    xmlXPathContext *xpath = document ? xmlXPathNewContext(document) : NULL;
    xmlXPathObject *found = xpath ? xmlXPathEval((const xmlChar *)DEVICE_PATH, xpath) : NULL;
    if (found && found->nodesetval && found->nodesetval->nodeNr == 1)
        result = device_edit(document, found->nodesetval->nodeTab[0], expected, target, ret_device);
    else if (found)
        result = -ENODEV;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(xpath);
    xmlFreeDoc(document);
    return result;
}
