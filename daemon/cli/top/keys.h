/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a terminal sends, as keys. Sequences may come in pieces; what is none of the keys below is
 * swallowed whole, so that no part of it is taken for one.
 */
#ifndef PLIMSOLL_CLI_TOP_KEYS_H
#define PLIMSOLL_CLI_TOP_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* A character of UTF-8 with its NUL. */
#define KEY_TEXT_MAX 5
/* ns after which an escape character that nothing followed was the key: more than the pieces of a
 * sequence are apart over a slow line, less than a person notices. */
#define KEYS_ESCAPE_WAIT 250000000

enum key_kind {
    KEY_TEXT, /* a character, in `text` */
    KEY_ENTER,
    KEY_ESCAPE,
    KEY_BACKSPACE,
    KEY_ERASE,  /* Ctrl-U */
    KEY_REDRAW, /* Ctrl-L */
    KEY_UP,
    KEY_DOWN,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_HOME,
    KEY_END,
};

struct key {
    enum key_kind kind;
    char text[KEY_TEXT_MAX];
};

/* Begins zeroed. */
struct keys {
    char pending[KEY_TEXT_MAX]; /* the beginning of a sequence, or of a character */
    size_t used;
    bool swallowing; /* a sequence longer than any of ours */
};

/* Takes BYTE in; true: it completes *RET_KEY. */
bool keys_take(struct keys *keys, char byte, struct key *ret_key);
/* Whether an escape character waits for what follows. */
bool keys_wait(const struct keys *keys);
/* Nothing followed: true where that was the key. */
bool keys_expire(struct keys *keys, struct key *ret_key);

#endif
