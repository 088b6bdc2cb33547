/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. A line is known by the words that it begins with, which are the kernel's; the
 * numbers behind a name are found from the line's end, because a name may hold whatever looks like
 * them: up to 15 bytes of the process's choice (those not printable come as \xHH), and a path of
 * cgroups of any length.
 *
 * The first line of the two is missing where the kernel limits its rate (ten in 5 s), and where
 * memory.oom.group takes a whole cgroup: then the second alone tells at least a cgroup's kills from
 * all others.
 */
#include "kernel_kill.h"

#include "kernel_file.h"
#include "process.h"

#include <assert.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <string.h>

/* A record's priority is facility * 8 + level, as syslog(3) has it. */
#define LEVEL_BITS 3

static const char *const constraint_names[] = {
    [KILL_CONSTRAINT_UNKNOWN] = "unknown",
    [KILL_CONSTRAINT_HOST] = "host",
    [KILL_CONSTRAINT_NODE] = "node",
    [KILL_CONSTRAINT_CGROUP] = "cgroup",
};
static_assert(ELEMENTSOF(constraint_names) == KILL_CONSTRAINT_COUNT, "a constraint without name");

/* oom_constraint_text[], mm/oom_kill.c; a word ends in a comma, or with a torn line. */
static const struct {
    const char *word;
    enum kill_constraint constraint;
} constraint_words[] = {
    {"CONSTRAINT_NONE", KILL_CONSTRAINT_HOST},
    {"CONSTRAINT_CPUSET", KILL_CONSTRAINT_NODE},
    {"CONSTRAINT_MEMORY_POLICY", KILL_CONSTRAINT_NODE},
    {"CONSTRAINT_MEMCG", KILL_CONSTRAINT_CGROUP},
};

/* What oom_kill_process() is called with, by out_of_memory(). */
static const struct {
    const char *words;
    bool cgroup;
} kill_words[] = {
    {"Out of memory: Killed process ", false},
    {"Out of memory (oom_kill_allocating_task): Killed process ", false},
    {"Memory cgroup out of memory: Killed process ", true},
};

const char *kill_constraint_name(enum kill_constraint constraint)
{
    return constraint_names[constraint];
}

int kernel_record_parse(char *bytes, size_t length, struct kernel_record *ret_record)
{
    char *end = memchr(bytes, '\n', length);
    const char *cursor = bytes;
    uint64_t priority, sequence;

    /* What follows the first line are properties of a device. */
    if (!end || memchr(bytes, '\0', (size_t)(end - bytes)))
        return -EBADMSG;
    *end = '\0';
    if (!kernel_number_parse(&cursor, &priority) || *cursor++ != ',' ||
        !kernel_number_parse(&cursor, &sequence) || *cursor != ',')
        return -EBADMSG;
    cursor = strchr(cursor, ';');
    if (!cursor || priority >> LEVEL_BITS > UINT32_MAX)
        return -EBADMSG;
    ret_record->facility = (unsigned)(priority >> LEVEL_BITS);
    ret_record->sequence = sequence;
    ret_record->text = cursor + 1;
    return 0;
}

/* Behind WORDS, which TEXT has to begin with; NULL: it does not. */
static const char *skip_words(const char *text, const char *words)
{
    size_t length = strlen(words);

    return strncmp(text, words, length) == 0 ? text + length : NULL;
}

/* The last WORDS in TEXT; NULL: there are none. */
static const char *find_last(const char *text, const char *words)
{
    const char *found = NULL;

    for (const char *at = strstr(text, words); at; at = strstr(at + 1, words))
        found = at;
    return found;
}

static bool pid_parse(const char **cursor, pid_t *ret_pid)
{
    uint64_t number;

    if (**cursor < '0' || **cursor > '9' || !kernel_number_parse(cursor, &number) || number == 0 ||
        number > INT32_MAX)
        return false;
    *ret_pid = (pid_t)number;
    return true;
}

static enum kill_constraint constraint_parse(const char *text)
{
    for (size_t i = 0; i < ELEMENTSOF(constraint_words); i++) {
        const char *end = skip_words(text, constraint_words[i].word);

        if (end && (*end == ',' || *end == '\0'))
            return constraint_words[i].constraint;
    }
    return KILL_CONSTRAINT_UNKNOWN;
}

/* The pid of a line that ends in ",pid=N,uid=N"; 0: it does not. */
static pid_t summary_pid(const char *text)
{
    const char *uid = find_last(text, ",uid=");
    const char *at = NULL;
    pid_t pid;

    for (const char *next = strstr(text, ",pid="); next && uid && next < uid;
         next = strstr(next + 1, ",pid="))
        at = next;
    if (!at)
        return 0;
    at += strlen(",pid=");
    return pid_parse(&at, &pid) && at == uid ? pid : 0;
}

/* Bytes of "KEY:NkB" within TEXT. */
static uint64_t size_field(const char *text, const char *key)
{
    const char *cursor = strstr(text, key);
    uint64_t number;

    if (!cursor)
        return UNKNOWN;
    cursor += strlen(key);
    if (!kernel_number_parse(&cursor, &number) || !skip_words(cursor, "kB") ||
        __builtin_mul_overflow(number, KIB, &number))
        return UNKNOWN;
    return number;
}

static uint64_t rss_parse(const char *figures)
{
    static const char *const keys[] = {" anon-rss:", " file-rss:", " shmem-rss:"};
    uint64_t sum = 0;

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        uint64_t part = size_field(figures, keys[i]);

        if (!known(part) || __builtin_add_overflow(sum, part, &sum))
            return UNKNOWN;
    }
    return sum;
}

static void score_parse(const char *figures, struct kernel_kill *kill)
{
    const char *cursor = strstr(figures, " oom_score_adj:");
    bool negative;
    uint64_t number;

    kill->oom_score_adj = 0;
    kill->oom_score_adj_known = false;
    if (!cursor)
        return;
    cursor += strlen(" oom_score_adj:");
    negative = *cursor == '-';
    cursor += negative;
    if (!kernel_number_parse(&cursor, &number) || *cursor != '\0' || number > PROCESS_SCORE_MAX)
        return;
    kill->oom_score_adj = negative ? -(int32_t)number : (int32_t)number;
    kill->oom_score_adj_known = true;
}

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Takes \xHH back, as msg_add_ext_text() (kernel/printk/printk.c) wrote it. */
static void name_parse(const char *from, const char *end, char name[PROCESS_NAME_MAX])
{
    size_t used = 0;

    while (from < end && used + 1 < PROCESS_NAME_MAX) {
        char byte = *from++;

        if (byte == '\\' && end - from >= 3 && from[0] == 'x' && hex_digit(from[1]) >= 0 &&
            hex_digit(from[2]) >= 0) {
            byte = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            from += 3;
        }
        if (byte == '\0')
            byte = '?';
        name[used++] = byte;
    }
    name[used] = '\0';
}

/* "N (NAME) total-vm:…" */
static bool victim_parse(const char *text, struct kernel_kill *kill)
{
    const char *name, *figures = find_last(text, ") total-vm:");

    if (!pid_parse(&text, &kill->pid))
        return false;
    name = skip_words(text, " (");
    if (!name || !figures || figures < name)
        return false;
    name_parse(name, figures, kill->name);
    kill->rss = rss_parse(figures);
    score_parse(figures, kill);
    return true;
}

/* A summary tells of the kill right behind it, if that is of the same process. */
static enum kill_constraint constraint_take(
    struct kernel_kill_parser *parser, bool cgroup, pid_t pid)
{
    bool applies = parser->pending && (parser->pid == 0 || parser->pid == pid) &&
                   parser->constraint != KILL_CONSTRAINT_CGROUP;

    parser->pending = false;
    if (cgroup)
        return KILL_CONSTRAINT_CGROUP;
    return applies ? parser->constraint : KILL_CONSTRAINT_UNKNOWN;
}

bool kernel_kill_parse(struct kernel_kill_parser *parser, const struct kernel_record *record,
    struct kernel_kill *ret_kill)
{
    struct kernel_kill kill;
    const char *rest;

    if (record->facility != 0)
        return false;
    rest = skip_words(record->text, "oom-kill:constraint=");
    if (rest) {
        parser->pending = true;
        parser->constraint = constraint_parse(rest);
        parser->pid = summary_pid(rest);
        return false;
    }
    for (size_t i = 0; i < ELEMENTSOF(kill_words); i++) {
        rest = skip_words(record->text, kill_words[i].words);
        if (!rest || !victim_parse(rest, &kill))
            continue;
        kill.constraint = constraint_take(parser, kill_words[i].cgroup, kill.pid);
        *ret_kill = kill;
        return true;
    }
    return false;
}
