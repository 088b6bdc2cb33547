/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is passed over for a domain: documents that are none, or none of a domain, or without end.
 */
#include "domain_xml.h"
#include "suite.h"

#include <errno.h>
#include <libxml/parser.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID_TEXT "6d8bd8b8-2a3c-4d53-9f4e-0123456789ab"

static char told[1024];

static void sink(const char *line, void *userdata)
{
    size_t used = strlen(told);

    ck_assert_ptr_eq(userdata, told);
    (void)snprintf(told + used, sizeof(told) - used, "%s\n", line);
}

static int read_domain(const char *xml, struct virt_domain *ret_domain)
{
    told[0] = '\0';
    return domain_xml_read(xml, sink, told, ret_domain);
}

static void expect_said(const char *lines)
{
    ck_assert_str_eq(told, lines);
}

START_TEST(refused_documents)
{
    static const struct {
        const char *xml, *said;
    } cases[] = {
        {"", "a domain: its XML cannot be parsed; passed over\n"},
        {"<domain><name>x</name>", "a domain: its XML cannot be parsed; passed over\n"},
        {"<domain/>", "a domain: this XML is not of a domain with a name\n"},
        {"<network><name>x</name></network>",
            "a domain: this XML is not of a domain with a name\n"},
        {"<domain><name>x</name><uuid>nonsense</uuid></domain>",
            "x: \"nonsense\" is no uuid; this domain is passed over\n"},
        {"<domain><name>x</name><uuid>00000000-0000-0000-0000-000000000000</uuid></domain>",
            "x: \"00000000-0000-0000-0000-000000000000\" is no uuid; this domain is passed over\n"},
        {"<!DOCTYPE domain [<!ENTITY a 'web'>]><domain><name>&a;</name><uuid>" UUID_TEXT
         "</uuid></domain>",
            "a domain: its XML cannot be parsed; passed over\n"},
        {"<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain><name>x</name><uuid>" UUID_TEXT
         "</uuid></domain>",
            "a domain: its XML cannot be parsed; passed over\n"},
    };
    struct virt_domain domain, before;

    memset(&domain, 0x5a, sizeof(domain));
    before = domain;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        ck_assert_int_eq(read_domain(cases[i].xml, &domain), -EINVAL);
        expect_said(cases[i].said);
    }
    ck_assert_mem_eq(&domain, &before, sizeof(domain));
}
END_TEST

START_TEST(a_document_without_end)
{
    char *xml = malloc(DOMAIN_XML_MAX + 2);
    struct virt_domain domain;

    ck_assert_ptr_nonnull(xml);
    memset(xml, ' ', DOMAIN_XML_MAX + 1);
    xml[DOMAIN_XML_MAX + 1] = '\0';
    ck_assert_int_eq(read_domain(xml, &domain), -EINVAL);
    expect_said("a domain: its XML is longer than 1048576 bytes; passed over\n");
    /* libxml2's own bound on depth, which XML_PARSE_HUGE would lift. */
    for (size_t at = 0; at + 3 <= DOMAIN_XML_MAX; at += 3)
        memcpy(xml + at, "<a>", 3);
    xml[DOMAIN_XML_MAX - 1] = '\0';
    ck_assert_int_eq(read_domain(xml, &domain), -EINVAL);
    expect_said("a domain: its XML cannot be parsed; passed over\n");
    free(xml);
}
END_TEST

START_TEST(a_long_name_is_cut)
{
    char xml[1024], name[400];
    struct virt_domain domain;

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(
        xml, sizeof(xml), "<domain><name>%s</name><uuid>" UUID_TEXT "</uuid></domain>", name);
    ck_assert_int_eq(read_domain(xml, &domain), 0);
    ck_assert_uint_eq(strlen(domain.name), VIRT_TEXT_MAX - 1);
    expect_said("a domain: a name longer than 255 bytes is cut\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_domain_documents");
    TCase *tests = tcase_create("documents");

    xmlInitParser();
    tcase_add_test(tests, refused_documents);
    tcase_add_test(tests, a_document_without_end);
    tcase_add_test(tests, a_long_name_is_cut);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
