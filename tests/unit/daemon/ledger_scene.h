/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder for one ledger, and entries all of whose bytes follow from a number, so that what is
 * read back can be told whole from torn. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_LEDGER_SCENE_H
#define PLIMSOLL_TESTS_LEDGER_SCENE_H

#include "ledger.h"
#include "scratch.h"

#include <stdint.h>

#define BOOT "01234567-89ab-cdef-0123-456789abcdef\n"
#define OTHER_BOOT "11111111-89ab-cdef-0123-456789abcdef\n"
#define SLOTS 8

struct ledger_scene {
    char folder[SCRATCH_FOLDER_MAX];
    char path[SCRATCH_FOLDER_MAX + 16];  /* the ledger */
    char aside[SCRATCH_FOLDER_MAX + 32]; /* where a damaged one is put */
};
extern struct ledger_scene scene;

/* Checked fixture. */
void ledger_scene_setup(void);
void ledger_scene_teardown(void);

/* Opens scene.path, about which there must be nothing to say. */
struct ledger *ledger_open_good(const char *boot, uint32_t capacity);
struct ledger_entry ledger_entry_of(uint64_t number);
struct ledger_destruction ledger_destruction_of(uint64_t number);
void ledger_expect_entry(const struct ledger_entry *entry, uint64_t number);

#endif
