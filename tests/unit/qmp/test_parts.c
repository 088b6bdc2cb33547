/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts below the session: lines, text, output, messages.
 */
#include "frame.h"
#include "message.h"
#include "output.h"
#include "suite.h"
#include "text.h"

#include <plimsoll/cleanup.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Feeds STREAM in pieces of PIECE bytes and joins the lines found with '|'. */
static int lines_of(const char *stream, size_t piece, size_t line_max, char *ret_joined)
{
    struct qmp_frame frame = {.line_max = line_max};
    size_t total = strlen(stream);
    int r = 0;
    for (size_t at = 0; at < total && r >= 0; at += piece) {
        const char *bytes = stream + at;
        size_t length = total - at < piece ? total - at : piece;
        const char *line;
        size_t line_length;
        while ((r = qmp_frame_next(&frame, &bytes, &length, &line, &line_length)) > 0) {
            memcpy(ret_joined, line, line_length);
            ret_joined += line_length;
            *ret_joined++ = '|';
        }
    }
    *ret_joined = '\0';
    qmp_frame_release(&frame);
    return r;
}

START_TEST(frame_finds_lines_however_they_are_cut)
{
    char joined[64];
    for (size_t piece = 1; piece < 20; piece++) {
        ck_assert_int_eq(lines_of("ab\r\n\ncd\n\r\nefgh\r\nrest", piece, 8, joined), 0);
        ck_assert_str_eq(joined, "ab||cd||efgh|");
        ck_assert_int_eq(lines_of("12345678\r\n", piece, 8, joined), 0);
        ck_assert_str_eq(joined, "12345678|");
        ck_assert_int_eq(lines_of("123456789\n", piece, 8, joined), -EMSGSIZE);
        ck_assert_int_eq(lines_of("1234567890123456", piece, 8, joined), -EMSGSIZE);
    }
}
END_TEST

START_TEST(frame_gives_memory_back)
{
    struct qmp_frame frame = {.line_max = 1 << 20};
    size_t huge = 900000;
    char *bytes = malloc(huge + 1);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', huge);
    bytes[huge] = '\n';

    const char *at = bytes, *line;
    size_t length = 1000, line_length;
    ck_assert_int_eq(qmp_frame_next(&frame, &at, &length, &line, &line_length), 0);
    ck_assert_uint_le(frame.capacity, 1024);
    length = huge + 1 - 1000;
    ck_assert_int_eq(qmp_frame_next(&frame, &at, &length, &line, &line_length), 1);
    ck_assert_uint_eq(line_length, huge);
    ck_assert_uint_le(frame.capacity, (1 << 20) + 2);
    ck_assert_int_eq(qmp_frame_next(&frame, &at, &length, &line, &line_length), 0);
    ck_assert_ptr_null(frame.partial);
    ck_assert_uint_eq(frame.capacity, 0);
    free(bytes);
}
END_TEST

START_TEST(text_from_the_peer_is_cleaned)
{
    static const struct {
        const char *from, *to;
        size_t length;
    } cases[] = {
        {"plain", "plain", 5},
        {"a\nb\x1b[31m\x7f", "a?b?[31m?", 9},
        {"nul\0nul", "nul?nul", 7},
        {"caf\xc3\xa9", "caf\xc3\xa9", 5},
        {"csi\xc2\x9b", "csi?", 5},
        {"cut\xe2\x82", "cut??", 5},
        {"over\xc0\xaf", "over??", 6},
        {"sur\xed\xa0\x80", "sur???", 6},
        {"big\xf4\x90\x80\x80", "big????", 7},
        {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7", 4},
        {"", "", 0},
    };
    char to[32];
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        qmp_text_clean(to, sizeof(to), cases[i].from, cases[i].length);
        ck_assert_str_eq(to, cases[i].to);
    }
    /* Cut between characters, never inside of one. */
    qmp_text_clean(to, 6, "abcd\xc3\xa9", 6);
    ck_assert_str_eq(to, "abcd");
    qmp_text_clean(to, 7, "abcd\xc3\xa9", 6);
    ck_assert_str_eq(to, "abcd\xc3\xa9");
    qmp_text_clean(to, 1, "abc", 3);
    ck_assert_str_eq(to, "");
}
END_TEST

START_TEST(text_to_the_peer_is_escaped)
{
    char text[64];
    struct qmp_writer writer = {.text = text, .size = sizeof(text)};
    qmp_writer_string(&writer, "a\"b\\c\n\x7f\xc3\xa9/");
    ck_assert(!writer.bad);
    ck_assert_uint_eq(writer.length, strlen("\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa9/\""));
    ck_assert_mem_eq(text, "\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa9/\"", writer.length);

    qmp_writer_string(&writer, "\xff");
    ck_assert(writer.bad);
    writer = (struct qmp_writer){.text = text, .size = 4};
    qmp_writer_string(&writer, "abc");
    ck_assert(writer.bad);
    ck_assert_uint_le(writer.length, 4);
}
END_TEST

static struct qmp_extent queue(struct qmp_output *output, const char *line)
{
    struct qmp_extent extent;
    struct qmp_writer writer = qmp_output_writer(output);
    qmp_writer_put(&writer, line);
    ck_assert_int_eq(qmp_output_commit(output, &writer, &extent), 0);
    return extent;
}

START_TEST(output_withdraws_only_what_has_not_begun_to_leave)
{
    struct qmp_output output = {0};
    struct qmp_extent first = queue(&output, "first\n");
    struct qmp_extent second = queue(&output, "second\n");
    struct qmp_extent third = queue(&output, "third\n");
    output.begin += 2; /* "fi" has left */
    output.position += 2;
    ck_assert(!qmp_output_withdraw(&output, &first));
    ck_assert(qmp_output_withdraw(&output, &second));
    ck_assert_uint_eq(output.end - output.begin, strlen("rst\nthird\n"));
    ck_assert_mem_eq(output.bytes + output.begin, "rst\nthird\n", strlen("rst\nthird\n"));
    third.start -= second.length;
    queue(&output, "fourth\n"); /* moves the bytes to the front */
    ck_assert(qmp_output_withdraw(&output, &third));
    ck_assert_uint_eq(output.end - output.begin, strlen("rst\nfourth\n"));
    ck_assert_mem_eq(output.bytes + output.begin, "rst\nfourth\n", strlen("rst\nfourth\n"));
}
END_TEST

START_TEST(output_is_bounded)
{
    struct qmp_output output = {0};
    struct qmp_extent extent;
    char line[128];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < QMP_OUTPUT_MAX / 127; i++)
        queue(&output, line);
    size_t queued = output.end;
    struct qmp_writer writer = qmp_output_writer(&output);
    qmp_writer_put(&writer, line);
    ck_assert_int_eq(qmp_output_commit(&output, &writer, &extent), -ENOBUFS);
    ck_assert_uint_eq(output.end, queued);
}
END_TEST

static int parse(struct qmp_parser *parser, const char *line, size_t length)
{
    struct qmp_message message;
    int r = qmp_message_parse(parser, line, length, &message);
    if (r == 0)
        qmp_message_release(&message);
    return r;
}

START_TEST(messages_are_told_apart)
{
    static const struct {
        const char *line;
        int result;
    } cases[] = {
        {"{\"return\": {}, \"id\": 1}", 0},
        {"{\"return\": null, \"id\": 1}", 0},
        {"{\"error\": {}, \"id\": 1}", 0},
        {"{\"event\": \"STOP\"}", 0},
        {"{\"QMP\": {}}", 0},
        {" {\"QMP\":\t{}}", 0},
        {"{\"return\": {}}", -EPROTO},
        {"{\"error\": {}}", -EPROTO},
        {"{\"return\": {}, \"id\": \"1\"}", -EPROTO},
        {"{\"return\": {}, \"id\": -1}", -EPROTO},
        {"{\"return\": {}, \"id\": 1.0}", -EPROTO},
        {"{\"return\": {}, \"id\": null}", -EPROTO},
        {"{\"event\": 5}", -EPROTO},
        {"{\"QMP\": []}", -EPROTO},
        {"{}", -EPROTO},
        {"[]", -EPROTO},
        {"null", -EPROTO},
        {"5", -EPROTO},
        {"\"QMP\"", -EPROTO},
        {"{\"QMP\": {}", -EPROTO},
        {"{\"QMP\": {}} x", -EPROTO},
        {"{\"QMP\": {}}{\"QMP\": {}}", -EPROTO},
        {"{\"QMP\": {\"a\": \"\xff\"}}", -EPROTO},
        {"{\"QMP\": {\"a\": \"\x01\"}}", -EPROTO},
    };
    struct qmp_parser parser = {.depth_max = 32, .tree_max = 1 << 20};
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        ck_assert_msg(parse(&parser, cases[i].line, strlen(cases[i].line)) == cases[i].result, "%s",
            cases[i].line);
    static const char with_nul[] = "{\"QMP\": {}}\0";
    ck_assert_int_eq(parse(&parser, with_nul, sizeof(with_nul) - 1), -EPROTO);
    qmp_parser_release(&parser);
}
END_TEST

START_TEST(message_trees_are_bounded)
{
    struct qmp_parser parser = {.depth_max = 32, .tree_max = 1 << 20};
    static const char *const items[] = {"{},", "[],", "0,"};
    for (size_t i = 0; i < ELEMENTSOF(items); i++) {
        char line[65536] = "{\"event\":\"X\",\"data\":[";
        size_t length = strlen(line), item = strlen(items[i]);
        while (length + item < sizeof(line) - 4) {
            memcpy(line + length, items[i], item);
            length += item;
        }
        memcpy(line + length, "0]}", 4);
        ck_assert_int_eq(parse(&parser, line, length + 3), -EMSGSIZE);
        parser.tree_max = 1 << 27;
        ck_assert_int_eq(parse(&parser, line, length + 3), 0);
        parser.tree_max = 1 << 20;
        /* After a long line the tokener's scratch memory is not kept. */
        ck_assert_ptr_null(parser.tokener);
    }
    qmp_parser_release(&parser);
}
END_TEST

START_TEST(message_depth_is_bounded)
{
    struct qmp_parser parser = {.depth_max = 32, .tree_max = 1 << 24};
    char line[30000] = "{\"event\":\"X\",\"data\":";
    size_t length = strlen(line);
    memset(line + length, '[', 10000);
    memset(line + length + 10000, ']', 10000);
    line[length + 20000] = '}';
    ck_assert_int_eq(parse(&parser, line, length + 20001), -EMSGSIZE);
    /* And the same tokener goes on. */
    ck_assert_int_eq(parse(&parser, "{\"event\":\"X\"}", 13), 0);
    qmp_parser_release(&parser);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-parts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, frame_finds_lines_however_they_are_cut);
    tcase_add_test(parts, frame_gives_memory_back);
    tcase_add_test(parts, text_from_the_peer_is_cleaned);
    tcase_add_test(parts, text_to_the_peer_is_escaped);
    tcase_add_test(parts, output_withdraws_only_what_has_not_begun_to_leave);
    tcase_add_test(parts, output_is_bounded);
    tcase_add_test(parts, messages_are_told_apart);
    tcase_add_test(parts, message_trees_are_bounded);
    tcase_add_test(parts, message_depth_is_bounded);
    suite_add_tcase(suite, parts);
    return suite_run(suite);
}
