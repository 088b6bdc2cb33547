/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains as libvirt describes them, and as somebody may who wishes us ill. */
#include "domain_xml.h"
#include "suite.h"

#include <libxml/parser.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>

#define UUID_TEXT "6d8bd8b8-2a3c-4d53-9f4e-0123456789ab"

static char told[8192];
static unsigned told_count;

static void sink(const char *line, void *userdata)
{
    size_t used = strlen(told);

    ck_assert_ptr_eq(userdata, told);
    (void)snprintf(told + used, sizeof(told) - used, "%s\n", line);
    told_count++;
}

static int read_domain(const char *xml, struct virt_domain *ret_domain)
{
    told[0] = '\0';
    told_count = 0;
    return domain_xml_read(xml, sink, told, ret_domain);
}

/* A running domain called web, with INSIDE between its memory and its end. */
static struct virt_domain read_web(const char *inside)
{
    static char xml[65536];
    struct virt_domain domain;
    int length = snprintf(xml, sizeof(xml),
        "<domain type='kvm' id='3'><name>web</name><uuid>" UUID_TEXT "</uuid>"
        "<memory unit='KiB'>8388608</memory><currentMemory unit='KiB'>6291456</currentMemory>"
        "%s</domain>",
        inside);

    ck_assert_int_lt(length, (int)sizeof(xml));
    ck_assert_msg(read_domain(xml, &domain) == 0, "%s", told);
    return domain;
}

static void expect_said(const char *lines)
{
    ck_assert_str_eq(told, lines);
}

/* What `virsh dumpxml` of libvirt 9.0 shows of a domain with about everything that concerns us. */
static const char valuable[] =
    "<domain type='kvm' id='12' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
    "  <name>database</name>\n"
    "  <uuid>" UUID_TEXT "</uuid>\n"
    "  <title>the orders &amp; invoices</title>\n"
    "  <metadata>\n"
    "    <libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>\n"
    "      <libosinfo:os id='http://debian.org/debian/12'/>\n"
    "    </libosinfo:libosinfo>\n"
    "    <plimsoll:domain xmlns:plimsoll='urn:plimsoll:domain:1' class='gold' priority='900'>\n"
    "      <minimum> 75% </minimum>\n"
    "      <plimsoll:rungs>balloon pause</plimsoll:rungs>\n"
    "      <sacrifice>never</sacrifice>\n"
    "      <shares>2000</shares>\n"
    "    </plimsoll:domain>\n"
    "  </metadata>\n"
    "  <maxMemory slots='16' unit='KiB'>33554432</maxMemory>\n"
    "  <memory unit='KiB'>16777216</memory>\n"
    "  <currentMemory unit='KiB'>12582912</currentMemory>\n"
    "  <memoryBacking>\n"
    "    <hugepages><page size='2048' unit='KiB'/></hugepages>\n"
    "    <locked/>\n"
    "    <allocation mode='immediate'/>\n"
    "    <source type='memfd'/>\n"
    "    <access mode='shared'/>\n"
    "  </memoryBacking>\n"
    "  <memtune>\n"
    "    <hard_limit unit='KiB'>20971520</hard_limit>\n"
    "    <soft_limit unit='KiB'>18874368</soft_limit>\n"
    "  </memtune>\n"
    "  <numatune><memory mode='strict' nodeset='0,2-3'/></numatune>\n"
    "  <devices>\n"
    "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
    "    <disk type='nvme' device='disk'><source type='pci' namespace='1'/></disk>\n"
    "    <interface type='network'><source network='default'/></interface>\n"
    "    <interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>\n"
    "    <hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/></hostdev>\n"
    "    <hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/></hostdev>\n"
    "    <hostdev mode='subsystem' type='usb' managed='yes'/>\n"
    "    <memballoon model='virtio' autodeflate='on'><stats period='5'/></memballoon>\n"
    "    <memory model='virtio-mem' access='shared'><target>\n"
    "      <size unit='KiB'>4194304</size><node>0</node><block unit='KiB'>2048</block>\n"
    "      <requested unit='KiB'>1048576</requested><current unit='KiB'>524288</current>\n"
    "    </target></memory>\n"
    "    <memory model='virtio-mem'><target>\n"
    "      <size unit='KiB'>4194304</size><requested unit='KiB'>0</requested>\n"
    "    </target></memory>\n"
    "    <memory model='dimm'><target><size unit='KiB'>524288</size></target></memory>\n"
    "    <iommu model='intel'><driver caching_mode='on'/></iommu>\n"
    "  </devices>\n"
    "  <launchSecurity type='sev'><cbitpos>47</cbitpos></launchSecurity>\n"
    "</domain>\n";

START_TEST(everything_of_a_valuable_domain)
{
    static const uint8_t uuid[UUID_SIZE] = {0x6d, 0x8b, 0xd8, 0xb8, 0x2a, 0x3c, 0x4d, 0x53, 0x9f,
        0x4e, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};
    struct virt_record record = {.kind = VIRT_RECORD_DOMAIN};
    struct virt_domain *domain = &record.domain;
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    ck_assert_int_eq(read_domain(valuable, domain), 0);
    expect_said("");
    ck_assert_str_eq(domain->name, "database");
    ck_assert_mem_eq(domain->uuid, uuid, UUID_SIZE);
    ck_assert_int_eq(domain->id, 12);
    ck_assert_int_eq(domain->pid, 0);
    ck_assert_uint_eq(domain->maximum, 16 * GIB);
    ck_assert_uint_eq(domain->current, 12 * GIB);
    ck_assert_uint_eq(domain->hard_limit, 20 * GIB);
    ck_assert_uint_eq(domain->soft_limit, 18 * GIB);
    ck_assert(domain->hugepages && domain->locked && domain->viommu && !domain->can_save);
    ck_assert(domain->allocated && domain->encrypted && domain->deflates);
    ck_assert_int_eq((int)domain->source, VIRT_MEMORY_MEMFD);
    ck_assert_int_eq((int)domain->access, VIRT_ACCESS_SHARED);
    ck_assert_uint_eq(domain->vfio, 2);
    ck_assert_uint_eq(domain->vdpa, 1);
    ck_assert_uint_eq(domain->nvme, 1);
    ck_assert_int_eq((int)domain->balloon, VIRT_BALLOON_VIRTIO);
    ck_assert_uint_eq(domain->resizable_count, 2);
    ck_assert_uint_eq(domain->resizable_maximum, 8 * GIB);
    ck_assert_uint_eq(domain->resizable_requested, GIB);
    ck_assert_uint_eq(domain->resizable_current, 512 * MIB);
    ck_assert_uint_eq(domain->resizable_block, UNKNOWN); /* of which of the two */
    ck_assert_int_eq((int)domain->numa_mode, VIRT_NUMA_STRICT);
    ck_assert_uint_eq(domain->numa_nodes, 0xd);
    ck_assert_int_gt(virt_encode(&record, datagram), 0);
}
END_TEST

START_TEST(its_rules)
{
    struct virt_domain domain;
    const struct virt_metadata *metadata = &domain.metadata;

    ck_assert_int_eq(read_domain(valuable, &domain), 0);
    ck_assert_uint_eq(metadata->set, VIRT_RULE_ALL);
    ck_assert_uint_eq(metadata->refused, 0);
    ck_assert_str_eq(metadata->rules.class_name, "gold");
    ck_assert_uint_eq(metadata->rules.priority, 900);
    ck_assert_uint_eq(metadata->rules.shares, 2000);
    ck_assert_int_eq((int)metadata->rules.minimum.kind, AMOUNT_SHARE);
    ck_assert_uint_eq(metadata->rules.minimum.value, 7500);
    ck_assert_uint_eq(metadata->rules.rungs, RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_PAUSE));
    ck_assert_int_eq((int)metadata->rules.sacrifice, SACRIFICE_NEVER);
}
END_TEST

START_TEST(nothing_said_is_nothing_known)
{
    struct virt_domain domain;

    ck_assert_int_eq(
        read_domain("<domain><name>bare</name><uuid>" UUID_TEXT "</uuid></domain>", &domain), 0);
    expect_said("");
    ck_assert_int_eq(domain.id, -1);
    ck_assert_uint_eq(domain.maximum, UNKNOWN);
    ck_assert_uint_eq(domain.current, UNKNOWN);
    ck_assert_uint_eq(domain.hard_limit, MEMLOCK_UNLIMITED);
    ck_assert_uint_eq(domain.soft_limit, MEMLOCK_UNLIMITED);
    ck_assert(!domain.hugepages && !domain.locked && !domain.viommu && domain.can_save);
    ck_assert(!domain.allocated && !domain.encrypted && !domain.deflates);
    ck_assert_int_eq((int)domain.balloon, VIRT_BALLOON_NONE);
    ck_assert_int_eq((int)domain.numa_mode, VIRT_NUMA_NONE);
    ck_assert_uint_eq(domain.metadata.set, 0);
}
END_TEST

START_TEST(what_cannot_be_saved)
{
    static const struct {
        const char *devices;
        uint32_t vfio;
        bool can_save;
    } cases[] = {
        {"", 0, true},
        {"<hostdev mode='subsystem' type='usb'/>", 0, true},
        {"<hostdev mode='subsystem' type='scsi'/>", 0, false},
        {"<hostdev mode='capabilities' type='misc'/>", 0, false},
        {"<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>", 1, false},
        {"<interface type='hostdev' managed='yes'/>", 1, false},
        {"<interface type='hostdev'/><hostdev mode='subsystem' type='pci'/>", 2, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char inside[256];
        (void)snprintf(inside, sizeof(inside), "<devices>%s</devices>", cases[i].devices);
        struct virt_domain domain = read_web(inside);
        ck_assert_msg(domain.vfio == cases[i].vfio, "case %zu: %u", i, domain.vfio);
        ck_assert_msg(domain.can_save == cases[i].can_save, "case %zu", i);
    }
}
END_TEST

START_TEST(balloons)
{
    static const struct {
        const char *model;
        enum virt_balloon_model balloon;
    } cases[] = {
        {"virtio", VIRT_BALLOON_VIRTIO},
        {"virtio-non-transitional", VIRT_BALLOON_VIRTIO},
        {"none", VIRT_BALLOON_NONE},
        {"xen", VIRT_BALLOON_OTHER},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char inside[128];
        (void)snprintf(
            inside, sizeof(inside), "<devices><memballoon model='%s'/></devices>", cases[i].model);
        ck_assert_int_eq((int)read_web(inside).balloon, (int)cases[i].balloon);
    }
}
END_TEST

/* Each alone, and said to be otherwise. */
START_TEST(what_keeps_memory)
{
    struct virt_domain domain =
        read_web("<memoryBacking><allocation mode='immediate' threads='8'/></memoryBacking>");

    ck_assert(domain.allocated && !domain.encrypted && !domain.deflates);
    domain = read_web("<memoryBacking><allocation mode='ondemand'/></memoryBacking>");
    ck_assert(!domain.allocated);
    domain = read_web("<launchSecurity type='sev-snp'/>");
    ck_assert(!domain.allocated && domain.encrypted && !domain.deflates);
    domain = read_web("<devices><memballoon model='virtio' autodeflate='on'/></devices>");
    ck_assert(!domain.allocated && !domain.encrypted && domain.deflates && !domain.reports);
    domain = read_web("<devices><memballoon model='virtio' autodeflate='off' "
                      "freePageReporting='on'/></devices>");
    ck_assert(!domain.deflates && domain.reports);
}
END_TEST

START_TEST(nodes)
{
    static const struct {
        const char *inside;
        enum virt_numa_mode mode;
        uint64_t nodes;
    } cases[] = {
        {"<numatune><memory mode='strict' nodeset='1'/></numatune>", VIRT_NUMA_STRICT, 2},
        {"<numatune><memory mode='restrictive' nodeset='0-1'/></numatune>", VIRT_NUMA_RESTRICTIVE,
            3},
        {"<numatune><memory mode='strict' placement='auto'/></numatune>", VIRT_NUMA_STRICT, 0},
        {"<numatune><memory mode='interleave' nodeset='0,63'/></numatune>", VIRT_NUMA_INTERLEAVE,
            UINT64_C(1) << 63 | 1},
        /* Cells with nodes of their own: the loosest mode, all of the nodes. */
        {"<numatune><memory mode='strict' nodeset='0'/>"
         "<memnode cellid='1' mode='preferred' nodeset='2'/></numatune>",
            VIRT_NUMA_PREFERRED, 5},
        {"<cpu><numa><cell id='0'/><cell id='1'/></numa></cpu><numatune>"
         "<memnode cellid='0' mode='strict' nodeset='0'/>"
         "<memnode cellid='1' mode='strict' nodeset='1'/></numatune>",
            VIRT_NUMA_STRICT, 3},
        {"<cpu><numa><cell id='0'/><cell id='1'/></numa></cpu><numatune>"
         "<memnode cellid='0' mode='strict' nodeset='0'/></numatune>",
            VIRT_NUMA_NONE, 0},
        {"<numatune><memory mode='firmly' nodeset='0'/></numatune>", VIRT_NUMA_NONE, 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct virt_domain domain = read_web(cases[i].inside);
        ck_assert_msg(domain.numa_mode == cases[i].mode, "case %zu: %d", i, domain.numa_mode);
        ck_assert_msg(domain.numa_nodes == cases[i].nodes, "case %zu: %llx", i,
            (unsigned long long)domain.numa_nodes);
    }
}
END_TEST

START_TEST(hostile_nodes)
{
    static const char *const cases[] = {
        "64", "0-99999999999999999999", "3-1", "1,", "a", "-1", "0-4294967295"};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char inside[256], expected[256];
        (void)snprintf(inside, sizeof(inside),
            "<numatune><memory mode='strict' nodeset='%s'/></numatune>", cases[i]);
        struct virt_domain domain = read_web(inside);
        (void)snprintf(expected, sizeof(expected),
            "web: numatune: nodes \"%s\" cannot be told apart here; taken as unknown\n", cases[i]);
        expect_said(expected);
        ck_assert_uint_eq(domain.numa_nodes, 0);
    }
}
END_TEST

START_TEST(hostile_sizes)
{
    static const char *const cases[] = {
        "-1", "99999999999999999999", "9007199254740992", "1e9", "", " ", "0x10", "1 2"};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char inside[256], expected[256];
        (void)snprintf(inside, sizeof(inside),
            "<memtune><hard_limit unit='KiB'>%s</hard_limit></memtune>", cases[i]);
        struct virt_domain domain = read_web(inside);
        (void)snprintf(expected, sizeof(expected),
            "web: <hard_limit unit=\"KiB\">%s: expected a size in KiB; taken as unknown\n",
            cases[i]);
        expect_said(expected);
        ck_assert_uint_eq(domain.hard_limit, UNKNOWN);
        ck_assert_uint_eq(domain.maximum, 8 * GIB);
    }
    ck_assert_uint_eq(
        read_web("<memtune><hard_limit unit='bytes'>1</hard_limit></memtune>").hard_limit, UNKNOWN);
    ck_assert_uint_eq(told_count, 1);
    ck_assert_uint_eq(
        read_web("<memtune><hard_limit>9007199254740991</hard_limit></memtune>").hard_limit,
        MEMLOCK_UNLIMITED);
    expect_said("");
}
END_TEST

/* ---- metadata ---- */

static struct virt_metadata read_rules(const char *element)
{
    char inside[16384];
    int length = snprintf(inside, sizeof(inside), "<metadata>%s</metadata>", element);

    ck_assert_int_lt(length, (int)sizeof(inside));
    return read_web(inside).metadata;
}

START_TEST(a_bad_rule_leaves_the_others)
{
    struct virt_metadata metadata =
        read_rules("<p:d xmlns:p='urn:plimsoll:domain:1' class='no such' priority='9999'"
                   " shares='500' minimum='lots' rungs='balloon jump' sacrifice='maybe'/>");

    expect_said(
        "web: metadata: class=no such: expected a class name of at most 31 of the "
        "characters A-Z a-z 0-9 . _ -\n"
        "web: metadata: priority=9999: expected a number from 1 to 1000\n"
        "web: metadata: minimum=lots: expected a size such as 4G, or a share such as 50%, "
        "at most 100%\n"
        "web: metadata: rungs=balloon jump: expected some of balloon resize reclaim brake pause "
        "save shutdown kill\n"
        "web: metadata: sacrifice=maybe: expected \"normal\", \"last\" or \"never\"\n");
    ck_assert_uint_eq(metadata.set, VIRT_RULE_SHARES);
    ck_assert_uint_eq(metadata.refused, VIRT_RULE_ALL & ~VIRT_RULE_SHARES);
    ck_assert_uint_eq(metadata.rules.shares, 500);
}
END_TEST

START_TEST(rules_that_are_none)
{
    struct virt_metadata metadata =
        read_rules("<p:d xmlns:p='urn:plimsoll:domain:1' xmlns:o='urn:other' mode='enforce' "
                   "o:priority='1' class=''><class>gold</class><priority>5</priority>"
                   "<priority>6</priority><o:shares>1</o:shares></p:d>");

    expect_said("web: metadata: there is no rule mode; known here are class, priority, shares, "
                "minimum, rungs and sacrifice\n"
                "web: metadata: class=: expected a value\n"
                "web: metadata: priority is given twice; the first holds\n");
    ck_assert_uint_eq(metadata.set, VIRT_RULE_CLASS | VIRT_RULE_PRIORITY);
    ck_assert_uint_eq(metadata.refused, VIRT_RULE_CLASS | VIRT_RULE_PRIORITY | VIRT_RULE_STRANGE);
    ck_assert_str_eq(metadata.rules.class_name, "gold");
    ck_assert_uint_eq(metadata.rules.priority, 5);
    ck_assert_uint_eq(metadata.rules.shares, 0);
}
END_TEST

START_TEST(other_metadata_is_not_ours)
{
    ck_assert_uint_eq(read_rules("<p:d xmlns:p='urn:plimsoll:domain:2' class='gold'/>").set, 0);
    ck_assert_uint_eq(read_rules("<domain class='gold'/>").set, 0);
    expect_said("");
}
END_TEST

START_TEST(hostile_metadata)
{
    char element[16384], value[8192];

    memset(value, 'G', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    (void)snprintf(
        element, sizeof(element), "<p:d xmlns:p='urn:plimsoll:domain:1' minimum='%s'/>", value);
    ck_assert_uint_eq(read_rules(element).set, 0);
    ck_assert_uint_eq(read_rules(element).refused, VIRT_RULE_MINIMUM);
    expect_said("web: metadata: minimum has a value of 8191 bytes; at most 255 are taken\n");

    size_t used = (size_t)snprintf(
        element, sizeof(element), "<p:d xmlns:p='urn:plimsoll:domain:1' shares='7'>");
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(element + used, sizeof(element) - used, "<x%d/>", i);
    (void)snprintf(element + used, sizeof(element) - used, "</p:d>");
    ck_assert_uint_eq(read_rules(element).set, VIRT_RULE_SHARES);
    ck_assert_uint_eq(told_count, 8);

    /* What turns a log line around must not reach the log. */
    (void)read_rules("<p:d xmlns:p='urn:plimsoll:domain:1' class='&#x202e;&#10;x'/>");
    expect_said("web: metadata: class=?\?x: expected a class name of at most 31 of the characters "
                "A-Z a-z 0-9 . _ -\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_domain_xml");
    TCase *tests = tcase_create("xml");

    xmlInitParser();
    tcase_add_test(tests, everything_of_a_valuable_domain);
    tcase_add_test(tests, its_rules);
    tcase_add_test(tests, nothing_said_is_nothing_known);
    tcase_add_test(tests, what_cannot_be_saved);
    tcase_add_test(tests, balloons);
    tcase_add_test(tests, what_keeps_memory);
    tcase_add_test(tests, nodes);
    tcase_add_test(tests, hostile_nodes);
    tcase_add_test(tests, hostile_sizes);
    tcase_add_test(tests, a_bad_rule_leaves_the_others);
    tcase_add_test(tests, rules_that_are_none);
    tcase_add_test(tests, other_metadata_is_not_ours);
    tcase_add_test(tests, hostile_metadata);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
