/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device that is handed to libvirt: all of it as it was, but for the size that is requested,
 * and only where that is what was expected. The XML is what libvirt 9.0 wrote of a running domain.
 */
#include "domain_resize.h"
#include "domain_xml.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#define DEVICE(requested)                                                       \
    "<memory model=\"virtio-mem\">\n"                                           \
    "      <target>\n"                                                          \
    "        <size unit=\"KiB\">786432</size>\n"                                \
    "        <node>0</node>\n"                                                  \
    "        <block unit=\"KiB\">2048</block>\n"                                \
    "        <requested unit=\"KiB\">" requested "</requested>\n"               \
    "        <current unit=\"KiB\">786432</current>\n"                          \
    "      </target>\n"                                                         \
    "      <alias name=\"virtiomem0\"/>\n"                                      \
    "      <address type=\"pci\" domain=\"0x0000\" bus=\"0x00\" slot=\"0x04\" " \
    "function=\"0x0\"/>\n"                                                      \
    "    </memory>"
#define DOMAIN(devices)                                                                  \
    "<domain type='kvm'>\n  <name>web</name>\n  <memory unit='KiB'>1310720</memory>\n  " \
    "<devices>\n    " devices "\n  </devices>\n</domain>\n"

START_TEST(only_what_is_requested_changes)
{
    static const char *const text[] = {"786432", "262144", "0"};
    static const uint64_t sizes[] = {768 * MIB, 256 * MIB, 0};
    static const char *const devices[] = {DEVICE("786432"), DEVICE("262144"), DEVICE("0")};
    static const char *const domains[] = {
        DOMAIN(DEVICE("786432")), DOMAIN(DEVICE("262144")), DOMAIN(DEVICE("0"))};

    for (size_t from = 0; from < ELEMENTSOF(text); from++) {
        for (size_t to = 0; to < ELEMENTSOF(text); to++) {
            char *device = NULL;
            ck_assert_int_eq(domain_resize_xml(domains[from], sizes[from], sizes[to], &device), 0);
            ck_assert_str_eq(device, devices[to]);
            free(device);
        }
    }
}
END_TEST

static const struct {
    const char *xml;
    uint64_t expected, target;
    int result;
} refused[] = {
    {DOMAIN(DEVICE("786432")), 512 * MIB, 256 * MIB, -ESTALE},
    {DOMAIN(""), 768 * MIB, 0, -ENODEV},
    {DOMAIN("<memory model='dimm'><target><requested>786432</requested></target></memory>"),
        768 * MIB, 0, -ENODEV},
    {DOMAIN(DEVICE("786432") DEVICE("0")), 768 * MIB, 0, -ENODEV},
    {DOMAIN("<disk>" DEVICE("786432") "</disk>"), 768 * MIB, 0, -ENODEV},
    {DOMAIN(DEVICE("much")), 768 * MIB, 0, -EINVAL},
    {DOMAIN(DEVICE("-786432")), 768 * MIB, 0, -EINVAL},
    {DOMAIN(DEVICE("18446744073709551615")), 768 * MIB, 0, -EINVAL},
    {DOMAIN("<memory model='virtio-mem'/>"), 768 * MIB, 0, -EINVAL},
    {DOMAIN("<memory model='virtio-mem'><target><requested unit='MiB'>768</requested></target>"
            "</memory>"),
        768 * MIB, 0, -EINVAL},
    {DOMAIN(DEVICE("786432")), 768 * MIB, 1, -EINVAL},
    {DOMAIN(DEVICE("786432")), 768 * MIB, UNKNOWN, -EINVAL},
    {DOMAIN(DEVICE("786432")), UNKNOWN, 0, -EINVAL},
    {"", 768 * MIB, 0, -EINVAL},
    {"<domain", 768 * MIB, 0, -EINVAL},
    {"<!DOCTYPE domain [<!ENTITY x \"1\">]>" DOMAIN(DEVICE("786432")), 768 * MIB, 0, -EINVAL},
};

START_TEST(what_is_not_as_it_should_be_is_refused)
{
    char kept[] = "kept", *device = kept;

    ck_assert_int_eq(
        domain_resize_xml(refused[_i].xml, refused[_i].expected, refused[_i].target, &device),
        refused[_i].result);
    ck_assert_ptr_eq(device, kept);
}
END_TEST

START_TEST(too_long_a_text)
{
    char *device = NULL, *xml = malloc(DOMAIN_XML_MAX + 2);

    ck_assert_ptr_nonnull(xml);
    memset(xml, ' ', DOMAIN_XML_MAX + 1);
    xml[DOMAIN_XML_MAX + 1] = '\0';
    memcpy(xml, DOMAIN(DEVICE("786432")), sizeof(DOMAIN(DEVICE("786432"))) - 1);
    ck_assert_int_eq(domain_resize_xml(xml, 768 * MIB, 0, &device), -EINVAL);
    xml[DOMAIN_XML_MAX] = '\0';
    ck_assert_int_eq(domain_resize_xml(xml, 768 * MIB, 0, &device), 0);
    free(device);
    free(xml);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("domain resize");
    TCase *tests = tcase_create("device");

    tcase_add_test(tests, only_what_is_requested_changes);
    tcase_add_loop_test(tests, what_is_not_as_it_should_be_is_refused, 0, ELEMENTSOF(refused));
    tcase_add_test(tests, too_long_a_text);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
