/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ledger in a folder of its own, the process that it speaks of, and what undoing it said. Every
 * function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_UNDO_SCENE_H
#define PLIMSOLL_TESTS_UNDO_SCENE_H

#include "ledger.h"
#include "scratch.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct undo_scene {
    char folder[SCRATCH_FOLDER_MAX];
    char ledger_path[SCRATCH_FOLDER_MAX + 16];
    char socket_path[SCRATCH_FOLDER_MAX + 16]; /* the monitor that the ledger names */
    char proc[SCRATCH_FOLDER_MAX + 16];        /* "/proc" until a test makes its own */
    struct ledger *ledger;
    pid_t child;     /* 0: none */
    char said[8192]; /* a line a measure: guest, measure, "ok" or "no", text */
};
extern struct undo_scene scene;

/* Checked fixture: an empty ledger; all of it removed, the child killed. */
void undo_scene_setup(void);
void undo_scene_teardown(void);

/* Runs ARGUMENTS as scene.child, or a process that only waits where they are NULL. */
void undo_child_start(char *const *arguments);

/* Puts a guest NAME, which is scene.child, into the ledger. */
void undo_put(uint32_t slot, const char *name, struct vm_measures measures);

/* Undoes guest NAME, or all of them where it is NULL; returns how many measures stayed. */
unsigned undo_run(const char *name);
void undo_assert_said(const char *text);
/* The measures of SLOT that the ledger still holds. */
uint32_t undo_in_force(uint32_t slot);

#endif
