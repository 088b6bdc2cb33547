/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the parsed document of one domain for as long as it is read. One XPath for each fact, all of
 * them absolute, none with a search over the whole: each costs microseconds.
 */
#include "domain_xml.h"

#include <errno.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <string.h>

#include "domain_document.h"
#include "domain_metadata.h"
#include "kernel_file.h"
#include "text.h"

#include <plimsoll/cleanup.h>

/* What libvirt takes for "no limit", in KiB (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED). */
#define LIMIT_NONE_KIB UINT64_C(9007199254740991)
#define MESSAGE_MAX 512
#define NODES_SAID_MAX 64

struct reading {
    xmlDoc *document;
    xmlXPathContext *xpath;
    const char *name; /* of the domain; "?" before it is known */
    config_sink sink;
    void *userdata;
    bool
        *failed; /* there was no memory to look something up, which must not pass for its absence */
};

static void __attribute__((format(printf, 2, 3)))
complain(const struct reading *reading, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    text_about(text, sizeof(text), reading->name, "", format, arguments);
    va_end(arguments);
    reading->sink(text, reading->userdata);
}

/* ---- one fact at a time ---- */

static xmlXPathObject *evaluate(const struct reading *reading, const char *path)
{
    xmlXPathObject *found = xmlXPathEval((const xmlChar *)path, reading->xpath);

    *reading->failed |= !found;
    return found;
}

/* How many nodes PATH names. */
static uint32_t count_at(const struct reading *reading, const char *path)
{
    xmlXPathObject *found = evaluate(reading, path);
    uint32_t count = 0;

    if (found && found->type == XPATH_NODESET && found->nodesetval)
        count = (uint32_t)found->nodesetval->nodeNr;
    xmlXPathFreeObject(found);
    return count;
}

static bool is_at(const struct reading *reading, const char *path)
{
    return count_at(reading, path) > 0;
}

/* The text of the first node that PATH names, cut to SIZE; empty without one. True: it was not
 * cut. */
static bool text_at(const struct reading *reading, const char *path, char *ret_text, size_t size)
{
    xmlXPathObject *found = evaluate(reading, path);
    xmlChar *text = found ? xmlXPathCastToString(found) : NULL;
    int length = snprintf(ret_text, size, "%s", text ? (const char *)text : "");

    *reading->failed |= !text;
    xmlFree(text);
    xmlXPathFreeObject(found);
    return length >= 0 && (size_t)length < size;
}

/* Which of the COUNT WORDS stands at PATH; 0, which has none, where it is another or nothing. */
static unsigned word_at(
    const struct reading *reading, const char *path, const char *const *words, unsigned count)
{
    char text[32];

    if (text_at(reading, path, text, sizeof(text)))
        for (unsigned i = 1; i < count; i++)
            if (strcmp(words[i], text) == 0)
                return i;
    return 0;
}

/* libvirt writes every size of a domain in KiB. */
static uint64_t size_read(const struct reading *reading, xmlNode *node)
{
    xmlChar *text = xmlNodeGetContent(node);
    xmlChar *unit = xmlGetNoNsProp(node, (const xmlChar *)"unit");
    const char *said = text ? (const char *)text : "";
    uint64_t size = UNKNOWN, kib;

    if ((!unit || strcmp((const char *)unit, "KiB") == 0) &&
        text_parse_number(said, 0, LIMIT_NONE_KIB, &kib) == 0)
        size = kib * KIB;
    else
        complain(reading, "<%s unit=\"%s\">%s: expected a size in KiB; taken as unknown",
            (const char *)node->name, unit ? (const char *)unit : "KiB", said);
    xmlFree(unit);
    xmlFree(text);
    return size;
}

/* All elements at PATH together; UNKNOWN where there is none, or one is. */
static uint64_t size_at(const struct reading *reading, const char *path)
{
    xmlXPathObject *found = evaluate(reading, path);
    int count = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    uint64_t sum = count > 0 ? 0 : UNKNOWN;

    for (int i = 0; i < count && known(sum); i++) {
        uint64_t size = size_read(reading, found->nodesetval->nodeTab[i]);
        sum = known(size) ? add_held(sum, size) : UNKNOWN;
    }
    xmlXPathFreeObject(found);
    return sum;
}

/* libvirt writes no element where no limit is set. One that is there and cannot be read is a limit,
 * of which nobody knows how much. */
static uint64_t limit_at(const struct reading *reading, const char *path)
{
    uint64_t limit = is_at(reading, path) ? size_at(reading, path) : LIMIT_NONE_KIB * KIB;

    return limit == LIMIT_NONE_KIB * KIB ? MEMLOCK_UNLIMITED : limit;
}

/* ---- the parts of a domain ---- */

static bool is_nobody(const uint8_t uuid[UUID_SIZE])
{
    static const uint8_t nobody[UUID_SIZE];

    return memcmp(uuid, nobody, UUID_SIZE) == 0;
}

static int identity_read(struct reading *reading, struct virt_domain *domain)
{
    char text[VIRT_TEXT_MAX + 1];
    uint64_t id;

    if (!text_at(reading, "string(/domain/name)", text, sizeof(text)))
        complain(reading, "a name longer than %d bytes is cut", VIRT_TEXT_MAX - 1);
    text_finish(domain->name, sizeof(domain->name),
        snprintf(domain->name, sizeof(domain->name), "%s", text));
    if (domain->name[0] == '\0') {
        complain(reading, "this XML is not of a domain with a name");
        return -EINVAL;
    }
    reading->name = domain->name;
    if (!text_at(reading, "string(/domain/uuid)", text, sizeof(text)) ||
        text_parse_uuid(text, domain->uuid) < 0 || is_nobody(domain->uuid)) {
        complain(reading, "\"%s\" is no uuid; this domain is passed over", text);
        return -EINVAL;
    }
    (void)text_at(reading, "string(/domain/@id)", text, sizeof(text));
    domain->id = text_parse_number(text, 0, INT32_MAX, &id) == 0 ? (int32_t)id : -1;
    return 0;
}

static void memory_read(const struct reading *reading, struct virt_domain *domain)
{
    static const char *const sources[] = {
        [VIRT_MEMORY_ANONYMOUS] = "anonymous",
        [VIRT_MEMORY_FILE] = "file",
        [VIRT_MEMORY_MEMFD] = "memfd",
    };
    static const char *const accesses[] = {
        [VIRT_ACCESS_SHARED] = "shared",
        [VIRT_ACCESS_PRIVATE] = "private",
    };
    static const char *const balloons[] = {
        [VIRT_BALLOON_VIRTIO] = "virtio",
        [VIRT_BALLOON_OTHER] = "xen",
    };
    _Static_assert(ELEMENTSOF(sources) == VIRT_MEMORY_SOURCE_COUNT, "a word for each");
    _Static_assert(ELEMENTSOF(accesses) == VIRT_ACCESS_COUNT, "a word for each");

    domain->maximum = size_at(reading, "/domain/memory");
    domain->current = size_at(reading, "/domain/currentMemory");
    domain->hard_limit = limit_at(reading, "/domain/memtune/hard_limit");
    domain->soft_limit = limit_at(reading, "/domain/memtune/soft_limit");
    domain->hugepages = is_at(reading, "/domain/memoryBacking/hugepages");
    domain->locked = is_at(reading, "/domain/memoryBacking/locked");
    domain->allocated = is_at(reading, "/domain/memoryBacking/allocation[@mode='immediate']");
    domain->encrypted = is_at(reading, "/domain/launchSecurity");
    domain->source = word_at(
        reading, "string(/domain/memoryBacking/source/@type)", sources, ELEMENTSOF(sources));
    domain->access = word_at(
        reading, "string(/domain/memoryBacking/access/@mode)", accesses, ELEMENTSOF(accesses));
    /* virtio, virtio-transitional and virtio-non-transitional are one device to us. */
    domain->balloon = is_at(reading, "/domain/devices/memballoon[starts-with(@model,'virtio')]")
                          ? VIRT_BALLOON_VIRTIO
                          : word_at(reading, "string(/domain/devices/memballoon/@model)", balloons,
                                ELEMENTSOF(balloons));
    domain->deflates = is_at(reading, "/domain/devices/memballoon[@autodeflate='on']");
    domain->reports = is_at(reading, "/domain/devices/memballoon[@freePageReporting='on']");
    domain->resizable_count = count_at(reading, "/domain/devices/memory[@model='virtio-mem']");
    if (domain->resizable_count == 0)
        return;
    domain->resizable_maximum =
        size_at(reading, "/domain/devices/memory[@model='virtio-mem']/target/size");
    domain->resizable_requested =
        size_at(reading, "/domain/devices/memory[@model='virtio-mem']/target/requested");
    domain->resizable_current =
        size_at(reading, "/domain/devices/memory[@model='virtio-mem']/target/current");
    domain->resizable_block =
        domain->resizable_count > 1
            ? UNKNOWN
            : size_at(reading, "/domain/devices/memory[@model='virtio-mem']/target/block");
}

static void devices_read(const struct reading *reading, struct virt_domain *domain)
{
    /* A port of a pool of virtual functions shows as an interface of type hostdev while it runs. */
    uint32_t ports = count_at(reading, "/domain/devices/interface[@type='hostdev']");

    domain->vfio = ports + count_at(reading, "/domain/devices/hostdev[@mode='subsystem']"
                                             "[@type='pci' or @type='mdev']");
    domain->vdpa = count_at(reading, "/domain/devices/interface[@type='vdpa']") +
                   count_at(reading, "/domain/devices/disk[@type='vhostvdpa']");
    /* virStorageSourceChainHasNVMe() of libvirt: a layer below the first counts, too. */
    domain->nvme =
        count_at(reading, "/domain/devices/disk[@type='nvme' or .//backingStore[@type='nvme']]");
    domain->viommu = is_at(reading, "/domain/devices/iommu");
    /* qemuMigrationSrcIsAllowedHostdev() of libvirt 9.0. A PCI device that libvirt would unplug for
     * a migration (teaming) is counted too: it is there while we look. */
    domain->can_save =
        ports == 0 && !is_at(reading, "/domain/devices/hostdev[not(@type) or @type!='usb']");
}

/* ---- NUMA ---- */

/* "0-1,4" as bits. False: malformed, or a node beyond 63. */
static bool nodes_parse(const char *text, uint64_t *ret_nodes)
{
    uint64_t nodes = 0, first, last;

    for (;; text++) {
        if (!kernel_number_parse(&text, &first))
            return false;
        last = first;
        if (*text == '-') {
            text++;
            if (!kernel_number_parse(&text, &last))
                return false;
        }
        if (last < first || last >= NODES_SAID_MAX)
            return false;
        for (uint64_t node = first; node <= last; node++)
            nodes |= UINT64_C(1) << node;
        if (*text != ',')
            break;
    }
    *ret_nodes = nodes;
    return *text == '\0';
}

/* One <memory> or <memnode> of numatune: its nodes are added, the looser mode stays. */
static void numa_part_read(
    const struct reading *reading, xmlNode *part, struct virt_domain *domain, bool *lost)
{
    static const char *const modes[] = {
        [VIRT_NUMA_PREFERRED] = "preferred",
        [VIRT_NUMA_INTERLEAVE] = "interleave",
        [VIRT_NUMA_RESTRICTIVE] = "restrictive",
        [VIRT_NUMA_STRICT] = "strict",
    };
    _Static_assert(ELEMENTSOF(modes) == VIRT_NUMA_MODE_COUNT, "a word for each");
    xmlChar *mode = xmlGetNoNsProp(part, (const xmlChar *)"mode");
    xmlChar *set = xmlGetNoNsProp(part, (const xmlChar *)"nodeset");
    enum virt_numa_mode found = VIRT_NUMA_NONE;
    uint64_t nodes = 0;

    for (unsigned i = 1; mode && i < ELEMENTSOF(modes); i++)
        if (strcmp(modes[i], (const char *)mode) == 0)
            found = i;
    if (found < domain->numa_mode)
        domain->numa_mode = found;
    if (set && !nodes_parse((const char *)set, &nodes))
        complain(reading, "numatune: nodes \"%s\" cannot be told apart here; taken as unknown",
            (const char *)set);
    *lost |= nodes == 0;
    domain->numa_nodes |= nodes;
    xmlFree(mode);
    xmlFree(set);
}

static void numa_read(const struct reading *reading, struct virt_domain *domain)
{
    xmlXPathObject *found = evaluate(reading, "/domain/numatune/memory | /domain/numatune/memnode");
    int parts = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    bool lost = false;

    domain->numa_mode = parts > 0 ? VIRT_NUMA_STRICT : VIRT_NUMA_NONE;
    for (int i = 0; i < parts; i++)
        numa_part_read(reading, found->nodesetval->nodeTab[i], domain, &lost);
    xmlXPathFreeObject(found);
    /* Cells that no memnode names follow <memory>, and without one lie anywhere. */
    if (!is_at(reading, "/domain/numatune/memory") &&
        count_at(reading, "/domain/cpu/numa/cell") > (uint32_t)parts)
        domain->numa_mode = VIRT_NUMA_NONE;
    if (lost || domain->numa_mode == VIRT_NUMA_NONE)
        domain->numa_nodes = 0;
}

/* ---- the whole ---- */

static void metadata_read(const struct reading *reading, struct virt_domain *domain)
{
    xmlXPathObject *found =
        evaluate(reading, "/domain/metadata/*[namespace-uri()='" DOMAIN_METADATA_NAMESPACE "'][1]");

    if (found && found->nodesetval && found->nodesetval->nodeNr > 0)
        domain_metadata_read(found->nodesetval->nodeTab[0], domain->name, reading->sink,
            reading->userdata, &domain->metadata);
    xmlXPathFreeObject(found);
}

int domain_xml_read(
    const char *xml, config_sink sink, void *userdata, struct virt_domain *ret_domain)
{
    bool failed = false;
    struct reading reading = {
        .name = "a domain", .sink = sink, .userdata = userdata, .failed = &failed};
    struct virt_domain domain = {0};
    size_t length = strnlen(xml, DOMAIN_XML_MAX + 1);
    int result = -EINVAL;

    if (length > DOMAIN_XML_MAX) {
        complain(&reading, "its XML is longer than %zu bytes; passed over", DOMAIN_XML_MAX);
        return -EINVAL;
    }
    reading.document = domain_document_parse(xml, length);
    reading.xpath = reading.document ? xmlXPathNewContext(reading.document) : NULL;
    if (!reading.xpath)
        complain(&reading, "its XML cannot be parsed; passed over");
    else
        result = identity_read(&reading, &domain);
    if (result == 0) {
        memory_read(&reading, &domain);
        devices_read(&reading, &domain);
        numa_read(&reading, &domain);
        metadata_read(&reading, &domain);
        if (failed) {
            complain(&reading, "there is no memory to read its XML with; passed over for now");
            result = -ENOMEM;
        } else {
            *ret_domain = domain;
        }
    }
    xmlXPathFreeContext(reading.xpath);
    xmlFreeDoc(reading.document);
    return result;
}
