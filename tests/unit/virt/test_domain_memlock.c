/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a domain's XML to the limit on locked memory that libvirt would set for it. */
#include "domain_xml.h"
#include "suite.h"

#include <libxml/parser.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>
#include <stdio.h>

#define MEMORY (8 * GIB)
#define VFIO "<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/></hostdev>"
#define MDEV "<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>"
#define PORT "<interface type='hostdev' managed='yes'><driver name='vfio'/></interface>"
#define USB "<hostdev mode='subsystem' type='usb' managed='yes'/>"
#define VDPA "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>"
#define VDPA_DISK "<disk type='vhostvdpa' device='disk'/>"
#define NVME "<disk type='nvme' device='disk'><source type='pci'/></disk>"
#define OVER_NVME                                                                            \
    "<disk type='file'><backingStore type='file'><backingStore type='nvme'/></backingStore>" \
    "</disk>"
#define IOMMU "<iommu model='intel'/>"
#define DEVICES(...) "<devices>" __VA_ARGS__ "</devices>"
#define HARD_LIMIT(kib) "<memtune><hard_limit unit='KiB'>" kib "</hard_limit></memtune>"

static const struct {
    const char *inside;
    uint64_t formula;
} limits[] = {
    {"", 0},
    {DEVICES(USB), 0},
    {DEVICES(VFIO), MEMORY + GIB},
    {DEVICES(MDEV), MEMORY + GIB},
    {DEVICES(PORT), MEMORY + GIB},
    {DEVICES(VFIO VFIO MDEV PORT), MEMORY + GIB},
    {DEVICES(VFIO IOMMU), MEMORY + GIB},
    {DEVICES(VFIO VFIO PORT IOMMU), 3 * MEMORY + GIB},
    {DEVICES(VDPA VDPA), 2 * MEMORY + GIB},
    {DEVICES(VDPA_DISK), MEMORY + GIB},
    {DEVICES(VFIO VFIO VDPA), 2 * MEMORY + GIB},
    {DEVICES(NVME), MEMORY + GIB},
    {DEVICES(OVER_NVME), MEMORY + GIB},
    {DEVICES(VFIO NVME NVME), 3 * MEMORY + GIB},
    {DEVICES(IOMMU), 0},
    {HARD_LIMIT("20971520"), 20 * GIB},
    {HARD_LIMIT("20971520") "<memoryBacking><locked/></memoryBacking>" DEVICES(VFIO), 20 * GIB},
    {HARD_LIMIT("9007199254740991") DEVICES(VFIO), MEMORY + GIB},
    {"<memoryBacking><locked/></memoryBacking>", MEMLOCK_UNLIMITED},
    {"<memoryBacking><locked/></memoryBacking>" DEVICES(VFIO VDPA), MEMLOCK_UNLIMITED},
    /* <memory> is all there is, whatever may be plugged later. */
    {"<maxMemory slots='16' unit='KiB'>33554432</maxMemory>" DEVICES(VFIO), MEMORY + GIB},
    {DEVICES(VFIO "<memory model='dimm'><target><size unit='KiB'>524288</size></target></memory>"),
        MEMORY + GIB},
    /* What nobody can read is no permission. */
    {HARD_LIMIT("lots") DEVICES(VFIO), UNKNOWN},
    {HARD_LIMIT("-1") "<memoryBacking><locked/></memoryBacking>", UNKNOWN},
    {HARD_LIMIT(""), UNKNOWN},
};

static void sink(const char *line, void *userdata)
{
    (void)line;
    (void)userdata;
}

/* A running domain with INSIDE between its memory and its end. */
static struct virt_domain read_domain(const char *inside)
{
    char xml[4096];
    struct virt_domain domain;
    int length = snprintf(xml, sizeof(xml),
        "<domain type='kvm' id='3'><name>web</name>"
        "<uuid>6d8bd8b8-2a3c-4d53-9f4e-0123456789ab</uuid>"
        "<memory unit='KiB'>8388608</memory>%s</domain>",
        inside);

    ck_assert_int_lt(length, (int)sizeof(xml));
    ck_assert_int_eq(domain_xml_read(xml, sink, NULL, &domain), 0);
    return domain;
}

START_TEST(what_libvirt_would_let_it_lock)
{
    struct virt_domain domain = read_domain(limits[_i].inside);
    /* As the guard joins it (guard_virt.c), with descriptors that agree. */
    struct vm_snapshot vm = {.sources = VM_SOURCE_LIBVIRT,
        .definition = {.memory = domain.maximum,
            .hard_limit = domain.hard_limit,
            .locked = domain.locked ? TRISTATE_YES : TRISTATE_NO,
            .viommu = domain.viommu ? TRISTATE_YES : TRISTATE_NO,
            .vfio_devices = domain.vfio,
            .vdpa_devices = domain.vdpa,
            .nvme_disks = domain.nvme,
            .version = 11003000}};
    uint64_t formula = memlock_formula(&vm);

    ck_assert_msg(
        formula == limits[_i].formula, "%s: %llu", limits[_i].inside, (unsigned long long)formula);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_domain_memlock");
    TCase *tests = tcase_create("memlock");

    xmlInitParser();
    tcase_add_loop_test(tests, what_libvirt_would_let_it_lock, 0, (int)ELEMENTSOF(limits));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
