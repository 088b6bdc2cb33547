/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the reading of one file. libeconf gives the values; this file makes sure that it was given
 * nothing it would misread, because of what libeconf 0.5.1 was seen to do:
 *
 *   - a key given twice: the first wins, silently; sections given twice are merged
 *   - econf_getKeys() leaves out a key whose name is that of the entry before it, also when that
 *     one stands in another section: of [vm a] class=x, [vm b] class=y the second is not listed
 *   - a section without keys is not listed
 *   - a line without '=' after a key is taken as the continuation of its value, whatever its indent
 *   - a line of 8192 bytes or more is read as several; what follows a NUL is dropped
 *   - a byte order mark makes the first section a key; '#' ends a value also within a word or
 *     quotes; ';' begins no comment
 *   - the first error of form ends the reading
 *
 * So the file is read once into memory and outlined line by line: heads, keys and where they stand.
 * Lines with a mistake are reported and emptied, the rest goes to libeconf through a memfd, line
 * for line, so that one pass finds every mistake and libeconf reads exactly what was checked. Each
 * value is then asked for by section and key, and must come from the line that the outline knows.
 */
#include "config_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <libeconf.h>
#include <libeconf_ext.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLANKS " \t"
#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

struct outline_item {
    uint32_t line;
    uint32_t section; /* offset of its name in `names` */
    uint32_t key;     /* likewise; 0: a head */
};

struct outline {
    const struct config_handlers *handlers;
    void *userdata;
    char *names; /* NUL-terminated, one after the other; offset 0 is the empty name */
    size_t names_used;
    struct outline_item *items;
    uint32_t count;
    uint32_t head; /* index of the section's head; UINT32_MAX before the first */
    bool skip;     /* in a section whose head was a mistake */
    bool full;
};

#define MISTAKE(outline, line, ...) \
    (outline)->handlers->mistake((line), (outline)->userdata, __VA_ARGS__)

static void descriptor_close_at(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* ---- the outline ---- */

/* Adds an item; false when there are too many, which is said once. */
static bool outline_add(
    struct outline *outline, uint32_t line, const char *name, size_t length, bool is_head)
{
    if (outline->count == CONFIG_ITEMS_MAX) {
        if (!outline->full)
            MISTAKE(outline, line, "more than %d sections and keys", CONFIG_ITEMS_MAX);
        outline->full = true;
        return false;
    }
    uint32_t at = (uint32_t)outline->names_used;
    memcpy(outline->names + at, name, length);
    outline->names[at + length] = '\0';
    outline->names_used += length + 1;
    struct outline_item *item = &outline->items[outline->count];
    *item = (struct outline_item){.line = line, .section = at};
    if (is_head) {
        outline->head = outline->count;
    } else {
        item->section = outline->items[outline->head].section;
        item->key = at;
    }
    outline->count++;
    return true;
}

static bool name_is(const struct outline *outline, uint32_t at, const char *name, size_t length)
{
    const char *stored = outline->names + at;

    return strlen(stored) == length && memcmp(stored, name, length) == 0;
}

static bool head_outline(struct outline *outline, uint32_t line, const char *text)
{
    size_t length = strcspn(text, "#");

    outline->skip = true;
    while (length > 0 && strchr(BLANKS, text[length - 1]))
        length--;
    if (length < 2 || text[length - 1] != ']') {
        MISTAKE(outline, line, "expected a section's name in brackets");
        return false;
    }
    const char *name = text + 1;
    length -= 2;
    if (length == 0 || strchr(BLANKS, name[0]) || strchr(BLANKS, name[length - 1])) {
        MISTAKE(
            outline, line, "expected a section's name in the brackets, without blanks around it");
        return false;
    }
    for (uint32_t i = 0; i < outline->count; i++) {
        const struct outline_item *item = &outline->items[i];
        if (item->key == 0 && name_is(outline, item->section, name, length)) {
            MISTAKE(outline, line, "section [%.*s] stands already at line %u", (int)length, name,
                (unsigned)item->line);
            return false;
        }
    }
    outline->skip = !outline_add(outline, line, name, length, true);
    return !outline->skip;
}

/* What libeconf would cut or strip in VALUE without a word. */
static bool value_check(
    struct outline *outline, uint32_t line, const char *key, size_t length, const char *value)
{
    const char *comment = strchr(value, '#');
    size_t value_length = comment ? (size_t)(comment - value) : strlen(value);

    if (value[strspn(value, BLANKS)] == '\0' || value + strspn(value, BLANKS) == comment)
        MISTAKE(outline, line, "%.*s= has no value", (int)length, key);
    else if (comment && !strchr(BLANKS, comment[-1]))
        MISTAKE(outline, line,
            "%.*s=: a '#' within a value begins a comment; write a blank before "
            "it, or in a pattern '?' for it",
            (int)length, key);
    else if (memchr(value, '"', value_length))
        MISTAKE(outline, line, "%.*s=: values stand without quotes", (int)length, key);
    else
        return true;
    return false;
}

static bool key_outline(struct outline *outline, uint32_t line, const char *text)
{
    size_t length = strspn(text, KEY_CHARACTERS);
    const char *delimiter = text + length + strspn(text + length, BLANKS);

    if (length == 0 || *delimiter != '=') {
        MISTAKE(outline, line, "expected key=value or [section]");
        return false;
    }
    if (outline->head == UINT32_MAX) {
        MISTAKE(outline, line, "%.*s= stands before any section", (int)length, text);
        return false;
    }
    for (uint32_t i = outline->head + 1; i < outline->count; i++) {
        if (name_is(outline, outline->items[i].key, text, length)) {
            MISTAKE(outline, line, "%.*s= stands already at line %u", (int)length, text,
                (unsigned)outline->items[i].line);
            return false;
        }
    }
    return value_check(outline, line, text, length, delimiter + 1) &&
           outline_add(outline, line, text, length, false);
}

/* Whether LENGTH bytes are text that libeconf and people read alike. */
static bool line_is_text(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = text[at] == '\t' ? 1 : text_character(text + at, length - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

/* One line without its end, NUL-terminated. True: libeconf shall read it. */
static bool line_outline(struct outline *outline, uint32_t line, const char *text, size_t length)
{
    if (length > CONFIG_LINE_MAX) {
        MISTAKE(outline, line, "longer than %d bytes", CONFIG_LINE_MAX);
        return false;
    }
    if (!line_is_text(text, length)) {
        MISTAKE(outline, line, "has control characters or is not UTF-8");
        return false;
    }
    text += strspn(text, BLANKS);
    if (*text == '\0' || *text == '#' || *text == ';')
        return false;
    if (*text == '[')
        return head_outline(outline, line, text);
    /* Under a head that is a mistake a key has no meaning to check. */
    if (outline->skip)
        return false;
    return key_outline(outline, line, text);
}

/* Outlines TEXT and empties the lines that libeconf shall not read. Returns the new length. */
static size_t text_outline(struct outline *outline, char *text, size_t length)
{
    size_t kept = 0;
    uint32_t number = 0;

    for (size_t at = 0; at < length;) {
        char *line = text + at;
        char *end = memchr(line, '\n', length - at);
        size_t line_length = end ? (size_t)(end - line) : length - at;
        at += line_length + 1;
        if (line_length > 0 && line[line_length - 1] == '\r')
            line_length--;
        line[line_length] = '\0';
        if (line_outline(outline, ++number, line, line_length)) {
            memmove(text + kept, line, line_length);
            kept += line_length;
        }
        text[kept++] = '\n';
    }
    return kept;
}

/* ---- the values ---- */

/* Gives LENGTH bytes of TEXT to libeconf. NULL: reported. */
static econf_file *text_parse(struct outline *outline, const char *text, size_t length)
{
    int fd CLEANUP(descriptor_close_at) = memfd_create("plimsoll-config", MFD_CLOEXEC);
    econf_file *file = NULL;
    char path[64];

    if (fd < 0 || write(fd, text, length) != (ssize_t)length) {
        MISTAKE(outline, 0, "cannot be handed to libeconf: %s", strerror(errno));
        return NULL;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    econf_err error = econf_readFile(&file, path, "=", "#");
    if (error != ECONF_SUCCESS) {
        char *name = NULL;
        uint64_t line = 0;
        econf_errLocation(&name, &line);
        free(name);
        MISTAKE(outline, (uint32_t)line, "libeconf: %s", econf_errString(error));
        econf_freeFile(file);
        return NULL;
    }
    return file;
}

/* Hands one key with its value to the handler. */
static void item_deliver(
    const struct outline *outline, econf_file *file, const struct outline_item *item)
{
    const char *section = outline->names + item->section, *key = outline->names + item->key;
    econf_ext_value *value = NULL;

    econf_err error = econf_getExtValue(file, section, key, &value);
    if (error != ECONF_SUCCESS || !value || value->line_number != item->line || !value->values ||
        !value->values[0] || value->values[1])
        MISTAKE(outline, item->line, "%s=: libeconf reads it otherwise: %s", key,
            error != ECONF_SUCCESS ? econf_errString(error) : "another line or several values");
    else
        (void)outline->handlers->item(
            &(struct config_item){item->line, section, key, value->values[0]}, outline->userdata);
    if (value)
        econf_freeExtValue(value);
}

static void items_deliver(const struct outline *outline, econf_file *file)
{
    bool wanted = false;

    for (uint32_t i = 0; i < outline->count; i++) {
        const struct outline_item *item = &outline->items[i];
        if (item->key == 0)
            wanted = outline->handlers->item(
                &(struct config_item){item->line, outline->names + item->section, NULL, NULL},
                outline->userdata);
        else if (wanted)
            item_deliver(outline, file, item);
    }
}

/* TEXT has room for two bytes behind LENGTH. */
static int text_deliver(
    const struct config_handlers *handlers, void *userdata, char *text, size_t length)
{
    struct outline outline = {
        .handlers = handlers,
        .userdata = userdata,
        /* A name is followed in the text by '=' or ']', whose place its NUL takes. */
        .names = calloc(1, length + 1),
        .names_used = 1,
        .items = calloc(CONFIG_ITEMS_MAX, sizeof(struct outline_item)),
        .head = UINT32_MAX,
    };
    econf_file *file = NULL;
    int result = -ENOMEM;

    if (!outline.names || !outline.items) {
        MISTAKE(&outline, 0, "out of memory");
        goto out;
    }
    length = text_outline(&outline, text, length);
    file = text_parse(&outline, text, length);
    result = file ? 0 : -EIO;
    if (file)
        items_deliver(&outline, file);
out:
    econf_freeFile(file);
    free(outline.items);
    free(outline.names);
    return result;
}

/* ---- the file ---- */

/* Words for what is wrong with the file itself, or NULL. */
static const char *status_mistake(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (status->st_size > CONFIG_FILE_MAX)
        return "is larger than 1 MiB";
    if (geteuid() != 0)
        return NULL;
    if (status->st_uid != 0)
        return "does not belong to root, for whom it decides what is killed";
    if (status->st_mode & S_IWOTH)
        return "may be written by everybody; mend with: chmod o-w";
    return NULL;
}

/* Reads up to SIZE bytes to the file's end. */
static ssize_t descriptor_read(int fd, char *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t step = read(fd, buffer + length, size - length);
        if (step < 0 && errno != EINTR)
            return -errno;
        if (step == 0)
            break;
        length += step > 0 ? (size_t)step : 0;
    }
    return (ssize_t)length;
}

int config_file_read(const char *path, const struct config_handlers *handlers, void *userdata)
{
    int fd CLEANUP(descriptor_close_at) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 || fstat(fd, &status) < 0) {
        int result = -errno;
        handlers->mistake(0, userdata, "cannot be opened: %s", strerror(-result));
        return result;
    }
    const char *mistake = status_mistake(&status);
    if (mistake) {
        handlers->mistake(0, userdata, "%s", mistake);
        return 0;
    }
    /* One byte more than allowed shows a file that grew meanwhile; two for text_outline(). */
    char *text = malloc(CONFIG_FILE_MAX + 1 + 2);
    ssize_t length = text ? descriptor_read(fd, text, CONFIG_FILE_MAX + 1) : -ENOMEM;
    int result = length < 0 ? (int)length : 0;
    if (length < 0)
        handlers->mistake(0, userdata, "cannot be read: %s", strerror(-result));
    else if (length > CONFIG_FILE_MAX)
        handlers->mistake(0, userdata, "is larger than 1 MiB");
    else
        result = text_deliver(handlers, userdata, text, (size_t)length);
    free(text);
    return result;
}
