/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What command lines say, and that hostile ones say nothing. */
#include "scan_cmdline.h"
#include "scan_name.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <string.h>

/* Arguments are written with '|' for the NUL between them. */
static struct cmdline_facts parse(const char *arguments, bool cut)
{
    struct cmdline_facts facts;
    char text[2048];
    size_t length = strlen(arguments);

    ck_assert_uint_lt(length, sizeof(text));
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(arguments[i] == '|' ? '\0' : arguments[i]);
    text[length] = '\0';
    cmdline_parse(text, length + 1, cut, &facts);
    return facts;
}

static const struct {
    const char *arguments, *name;
} names[] = {
    {"qemu|-name|web", "web"},
    {"qemu|--name|web", "web"},
    {"qemu|-name|guest=web,debug-threads=on", "web"},
    {"qemu|-name|debug-threads=on,guest=a,,b", "a,b"},
    {"qemu|-name|web,process=x", "web"},
    {"qemu|-name|process=x", ""},
    {"qemu|-append|-name", ""},
    {"qemu|-name", ""},
    {"qemu|-name|", ""},
    {"qemu|-name|tab\there\x1b[2J", "tab?here?[2J"},
    {"qemu|-name|\xc3\xa4\xff\xc3", "\xc3\xa4??"},
};

START_TEST(name)
{
    ck_assert_str_eq(parse(names[_i].arguments, false).name, names[_i].name);
}
END_TEST

static const struct {
    const char *arguments;
    uint64_t memory;
} memories[] = {
    {"qemu|-m|512", 512 * MIB},
    {"qemu|-m|4G", 4 * GIB},
    {"qemu|-m|1.5g", GIB + 512 * MIB},
    {"qemu|-m|size=1048576k,slots=4,maxmem=8G", GIB},
    {"qemu|-m|slots=4,size=512M", 512 * MIB},
    {"qemu|--m|2t", 2 * TIB},
    {"qemu|-m|4096b", 4096},
    {"qemu", UNKNOWN},
    {"qemu|-m", UNKNOWN},
    {"qemu|-m|", UNKNOWN},
    {"qemu|-m|-5", UNKNOWN},
    {"qemu|-m|12Q", UNKNOWN},
    {"qemu|-m|12MM", UNKNOWN},
    {"qemu|-m|99999999999999999999", UNKNOWN},
    {"qemu|-m|18446744073709551615G", UNKNOWN},
    {"qemu|-m|slots=4", UNKNOWN},
};

START_TEST(memory)
{
    ck_assert_uint_eq(parse(memories[_i].arguments, false).memory, memories[_i].memory);
}
END_TEST

START_TEST(incoming)
{
    ck_assert(parse("qemu|-incoming|defer|-m|1G", false).incoming);
    ck_assert(parse("qemu|-S|--incoming|tcp:[::]:49152", false).incoming);
    ck_assert(!parse("qemu|-incoming", false).incoming);
    ck_assert(!parse("qemu|-m|1G", false).incoming);
}
END_TEST

START_TEST(uuid)
{
    static const uint8_t expected[UUID_SIZE] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    static const uint8_t none[UUID_SIZE];
    static const char *const malformed[] = {"qemu|-uuid|01234567-89ab-cdef-0123-456789abcde",
        "qemu|-uuid|01234567-89ab-cdef-0123-456789abcdef0", "qemu|-uuid|0123456789abcdef",
        "qemu|-uuid|0123456x-89ab-cdef-0123-456789abcdef", "qemu|-uuid|", "qemu|-uuid"};

    struct cmdline_facts facts = parse("qemu|-uuid|01234567-89AB-cdef-0123-456789abcdef", false);
    ck_assert_mem_eq(facts.uuid, expected, UUID_SIZE);
    for (unsigned i = 0; i < ELEMENTSOF(malformed); i++) {
        facts = parse(malformed[i], false);
        ck_assert_mem_eq(facts.uuid, none, UUID_SIZE);
    }
}
END_TEST

static const struct {
    const char *arguments;
    bool probe;
    enum tristate encrypted, shared;
} kinds[] = {
    {"qemu|-machine|none,accel=kvm:tcg", true, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-M|none", true, TRISTATE_NO, TRISTATE_NO},
    {"qemu|--machine|type=none", true, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-machine|q35,memory-backend=none", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-machine|q35,confidential-guest-support=lsec0", false, TRISTATE_YES, TRISTATE_NO},
    {"qemu|-machine|q35,memory-encryption=sev0", false, TRISTATE_YES, TRISTATE_NO},
    {"qemu|-object|sev-guest,id=lsec0,policy=1", false, TRISTATE_YES, TRISTATE_NO},
    {"qemu|-object|{\"qom-type\":\"tdx-guest\",\"id\":\"l\"}", false, TRISTATE_YES, TRISTATE_NO},
    {"qemu|-object|memory-backend-file,id=m,mem-path=/x,share=on", false, TRISTATE_NO,
        TRISTATE_YES},
    {"qemu|-object|memory-backend-file,id=m,mem-path=/x", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|memory-backend-memfd,id=m", false, TRISTATE_NO, TRISTATE_YES},
    {"qemu|-object|memory-backend-memfd,id=m,share=off", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|{\"qom-type\":\"memory-backend-memfd\",\"share\":true}", false, TRISTATE_NO,
        TRISTATE_YES},
    {"qemu|-object|{\"qom-type\":\"memory-backend-ram\",\"share\":false}", false, TRISTATE_NO,
        TRISTATE_NO},
    {"qemu|-object|{\"qom-type\":{\"a\":[[[[[[[[[1]]]]]]]]]}}", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|{\"qom-type\"", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|{}", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|[1]", false, TRISTATE_NO, TRISTATE_NO},
    {"qemu|-object|rng-random,share=on,id=tdx-guest", false, TRISTATE_NO, TRISTATE_NO},
};

START_TEST(kind)
{
    struct cmdline_facts facts = parse(kinds[_i].arguments, false);

    ck_assert_int_eq(facts.probe, kinds[_i].probe);
    ck_assert_int_eq(facts.encrypted, kinds[_i].encrypted);
    ck_assert_int_eq(facts.shared, kinds[_i].shared);
}
END_TEST

#define RAM "qemu|-object|memory-backend-ram,id=m,size=1G,"
#define JSON_RAM "qemu|-object|{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\","

static const struct {
    const char *arguments;
    uint64_t nodes;
} bindings[] = {
    /* as libvirt 9.0 writes it for numatune strict */
    {JSON_RAM "\"size\":1073741824,\"host-nodes\":[0],\"policy\":\"bind\"}", 1},
    {JSON_RAM "\"host-nodes\":[1,3],\"policy\":\"bind\"}", 10},
    {JSON_RAM "\"host-nodes\":[0],\"policy\":\"preferred\"}", 0},
    {JSON_RAM "\"host-nodes\":[0]}", 0},
    {JSON_RAM "\"host-nodes\":[64],\"policy\":\"bind\"}", 0},
    {JSON_RAM "\"host-nodes\":[0,-1],\"policy\":\"bind\"}", 0},
    {JSON_RAM "\"host-nodes\":[\"0\"],\"policy\":\"bind\"}", 0},
    {JSON_RAM "\"host-nodes\":0,\"policy\":\"bind\"}", 0},
    {JSON_RAM "\"host-nodes\":[0],\"policy\":[1]}", 0},
    {RAM "host-nodes=0,policy=bind", 1},
    {RAM "policy=bind,host-nodes=1-2", 6},
    {RAM "policy=bind,host-nodes=0,host-nodes=63", UINT64_C(1) << 63 | 1},
    {RAM "host-nodes=0-64,policy=bind", 0},
    {RAM "host-nodes=0-99999999999999,policy=bind", 0},
    {RAM "host-nodes=2-1,policy=bind", 0},
    {RAM "host-nodes=0x,policy=bind", 0},
    {RAM "host-nodes=,policy=bind", 0},
    {RAM "policy=bind", 0},
    {RAM "host-nodes=0,policy=interleave", 0},
    {RAM "host-nodes=0,policy=bind|-object|memory-backend-ram,id=n,host-nodes=1,policy=bind", 3},
    {RAM "host-nodes=0,policy=bind|-object|memory-backend-ram,id=n", 0},
    {RAM "host-nodes=0,policy=bind|-object|rng-random,id=r", 1},
    {"qemu|-m|1G", 0},
};

START_TEST(binding)
{
    ck_assert_uint_eq(parse(bindings[_i].arguments, false).backend_nodes, bindings[_i].nodes);
    ck_assert_uint_eq(parse(bindings[_i].arguments, true).backend_nodes, 0);
}
END_TEST

START_TEST(what_was_cut_off_is_unknown)
{
    struct cmdline_facts facts = parse("qemu|-m|5", true);

    ck_assert_int_eq(facts.encrypted, TRISTATE_UNKNOWN);
    ck_assert_int_eq(facts.shared, TRISTATE_UNKNOWN);
    /* An argument without its NUL was cut in the middle. */
    cmdline_parse("qemu\0-m\0004096", 12, true, &facts);
    ck_assert(!known(facts.memory));
    cmdline_parse("", 0, false, &facts);
    ck_assert_int_eq(facts.encrypted, TRISTATE_UNKNOWN);
    cmdline_parse("qemu", 4, false, &facts);
    ck_assert(!known(facts.memory));
}
END_TEST

/* Any bytes at all: the parser stays within them (seen by the sanitizers) and the name is clean. */
START_TEST(noise)
{
    static const char alphabet[] = "-namemuidobjctMhsz=,{}\":[]\0\0\0\xff\xc3.09GT";
    struct cmdline_facts facts;
    uint64_t seed = 1;

    for (unsigned round = 0; round < 20000; round++) {
        size_t length = round % 97;
        char *text = malloc(length + 1);
        ck_assert_ptr_nonnull(text);
        for (size_t i = 0; i < length; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            text[i] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
        }
        text[length] = '\0'; /* as kernel_file_read() leaves it */
        cmdline_parse(text, length, round & 1, &facts);
        ck_assert_ptr_nonnull(memchr(facts.name, '\0', sizeof(facts.name)));
        ck_assert_ptr_null(strchr(facts.name, '\xff'));
        free(text);
    }
}
END_TEST

static const struct {
    const char *from, *to;
} cleaned[] = {
    {"plain", "plain"}, {"a\x7f\x01z", "a??z"}, {"\xe2\x82\xac", "\xe2\x82\xac"}, /* euro sign */
    {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7"},                                     /* penguin */
    {"\xc0\x80", "??"},                                                           /* overlong NUL */
    {"\xe0\x80\xaf", "???"},      /* overlong slash */
    {"\xed\xa0\x80", "???"},      /* surrogate */
    {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
    {"\xc2\x9b", "??"},           /* C1: CSI */
    {"\xe2\x82", "??"},           /* cut */
};

START_TEST(clean)
{
    char buffer[32];

    name_clean(cleaned[_i].from, strlen(cleaned[_i].from), buffer, sizeof(buffer));
    ck_assert_str_eq(buffer, cleaned[_i].to);
}
END_TEST

START_TEST(clean_cuts_between_characters)
{
    char buffer[6];

    name_clean("abc\xe2\x82\xac", 6, buffer, sizeof(buffer));
    ck_assert_str_eq(buffer, "abc");
    name_clean("ab\xe2\x82\xacz", 6, buffer, sizeof(buffer));
    ck_assert_str_eq(buffer, "ab\xe2\x82\xac");
    name_clean("a", 1, buffer, 1);
    ck_assert_str_eq(buffer, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan_cmdline");
    TCase *tests = tcase_create("scan_cmdline");

    tcase_add_loop_test(tests, name, 0, (int)ELEMENTSOF(names));
    tcase_add_loop_test(tests, memory, 0, (int)ELEMENTSOF(memories));
    tcase_add_test(tests, incoming);
    tcase_add_test(tests, uuid);
    tcase_add_loop_test(tests, kind, 0, (int)ELEMENTSOF(kinds));
    tcase_add_loop_test(tests, binding, 0, (int)ELEMENTSOF(bindings));
    tcase_add_test(tests, what_was_cut_off_is_unknown);
    tcase_add_test(tests, noise);
    tcase_add_loop_test(tests, clean, 0, (int)ELEMENTSOF(cleaned));
    tcase_add_test(tests, clean_cuts_between_characters);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
