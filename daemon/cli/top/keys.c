/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from bytes to keys (ECMA-48: CSI is ESC [ parameters final, SS3 is ESC O final). A
 * byte is taken at a time and kept until it is a key with those before it, so that it makes no
 * difference in how many reads a sequence arrives. What is longer than any that we know is
 * swallowed up to its final byte.
 */
#include "keys.h"

#include <string.h>

#include <plimsoll/cleanup.h>

#include "text.h"

#define ESCAPE '\x1b'

/* What stands behind ESC [ or ESC O. */
static const struct {
    const char *sequence;
    enum key_kind kind;
} sequences[] = {
    {"A", KEY_UP},
    {"B", KEY_DOWN},
    {"H", KEY_HOME},
    {"F", KEY_END},
    {"M", KEY_ENTER}, /* SS3: of the keypad */
    {"1~", KEY_HOME},
    {"7~", KEY_HOME},
    {"4~", KEY_END},
    {"8~", KEY_END},
    {"5~", KEY_PAGE_UP},
    {"6~", KEY_PAGE_DOWN},
};

static bool key_is(struct keys *keys, enum key_kind kind, struct key *ret_key)
{
    keys->used = 0;
    keys->swallowing = false;
    *ret_key = (struct key){.kind = kind};
    return true;
}

static bool control_take(struct keys *keys, char byte, struct key *ret_key)
{
    switch (byte) {
    case '\r':
    case '\n':
        return key_is(keys, KEY_ENTER, ret_key);
    case '\x7f':
    case '\b':
        return key_is(keys, KEY_BACKSPACE, ret_key);
    case '\x15':
        return key_is(keys, KEY_ERASE, ret_key);
    case '\x0c':
        return key_is(keys, KEY_REDRAW, ret_key);
    case '\x10': /* Ctrl-P, Ctrl-N, as in a shell */
        return key_is(keys, KEY_UP, ret_key);
    case '\x0e':
        return key_is(keys, KEY_DOWN, ret_key);
    default:
        return false;
    }
}

/* BYTE is no first one of a sequence. */
static bool sequence_take(struct keys *keys, char byte, struct key *ret_key)
{
    bool first = keys->used == 1, final = byte >= '@' && byte <= '~';

    if (first && byte != '[' && byte != 'O') {
        /* With Alt: not of ours. A second escape begins anew. */
        keys->used = byte == ESCAPE ? 1 : 0;
        return byte == ESCAPE ? (*ret_key = (struct key){.kind = KEY_ESCAPE}, true) : false;
    }
    if (byte == ESCAPE) { /* broken off */
        keys->used = 1;
        keys->swallowing = false;
        return false;
    }
    if (keys->used + 1 < sizeof(keys->pending))
        keys->pending[keys->used++] = byte;
    else
        keys->swallowing = true;
    if (first || !final)
        return false;
    keys->pending[keys->used] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(sequences) && !keys->swallowing; i++)
        if (strcmp(keys->pending + 2, sequences[i].sequence) == 0)
            return key_is(keys, sequences[i].kind, ret_key);
    keys->used = 0;
    keys->swallowing = false;
    return false;
}

/* How many bytes the character that begins with FIRST has; 0: none begins so. */
static size_t character_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool text_take(struct keys *keys, char byte, struct key *ret_key)
{
    bool goes_on = ((unsigned char)byte & 0xc0) == 0x80;

    if (keys->used > 0 && !goes_on)
        keys->used = 0; /* the last one was broken off */
    keys->pending[keys->used++] = byte;
    size_t length = character_length((unsigned char)keys->pending[0]);
    if (length == 0 || keys->used < length) {
        if (length == 0)
            keys->used = 0;
        return false;
    }
    keys->used = 0;
    if (text_character(keys->pending, length) != length)
        return false;
    *ret_key = (struct key){.kind = KEY_TEXT};
    memcpy(ret_key->text, keys->pending, length);
    return true;
}

bool keys_take(struct keys *keys, char byte, struct key *ret_key)
{
    if (keys->used > 0 && keys->pending[0] == ESCAPE)
        return sequence_take(keys, byte, ret_key);
    if (byte == ESCAPE) {
        keys->pending[0] = byte;
        keys->used = 1;
        return false;
    }
    if ((unsigned char)byte < 0x20 || byte == '\x7f') {
        keys->used = 0;
        return control_take(keys, byte, ret_key);
    }
    return text_take(keys, byte, ret_key);
}

bool keys_wait(const struct keys *keys)
{
    return keys->used > 0 && keys->pending[0] == ESCAPE;
}

bool keys_expire(struct keys *keys, struct key *ret_key)
{
    bool alone = keys->used == 1 && keys->pending[0] == ESCAPE;

    if (alone)
        return key_is(keys, KEY_ESCAPE, ret_key);
    /* A sequence whose end never came. */
    if (keys_wait(keys))
        *keys = (struct keys){0};
    return false;
}
