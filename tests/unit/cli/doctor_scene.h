/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host on which `plimsoll doctor` finds nothing, to put one fault into it: a folder of fakes with
 * one guest, "web", and what the guard says of it. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_DOCTOR_SCENE_H
#define PLIMSOLL_TESTS_DOCTOR_SCENE_H

#include "doctor.h"
#include "fake_tree.h"

#include <sys/stat.h>

/* The guest's. */
#define UUID "11111111-2222-3333-4444-555555555555"
#define SCOPE "unified/machine.slice/machine-qemu.scope"
/* Below the tree's folder. */
#define HOOK "files" DOCTOR_HOOK_SCRIPT
#define PROGRAM "files" DOCTOR_HOOK_PROGRAM
#define MEMINFO(total, swap, free, limit, committed)                                    \
    "MemTotal: " total " kB\nMemFree: 1 kB\nMemAvailable: 1048576 kB\nSwapTotal: " swap \
    " kB\nSwapFree: " free " kB\nCommitLimit: " limit " kB\nCommitted_AS: " committed " kB\n"

extern struct fake_tree *scene_tree;
extern char scene_files[SCRATCH_FOLDER_MAX + 16]; /* of what is not the kernel's */
extern struct findings scene_findings;            /* of the last audit */

void scene_begin(void);
void scene_end(void);
/* A process of root's. */
void scene_process(pid_t pid, const char *name, int score);
void scene_program(const char *path, mode_t mode);

/* The guard's status; fields of CHANGED, "KEY":VALUE, stand for the guest's of the same name. */
struct json_object *scene_status(const char *changed);
/* STATUS is taken over; NULL: the guard does not answer. */
void scene_audit(struct json_object *status);
/* The worst finding of CHECK. */
const struct finding *scene_finding(const char *check);

struct expected {
    const char *check;
    enum severity severity;
    const char *found, *mend; /* parts; NULL: none is asked for */
};
/* NAME is the case's. */
void scene_assert_found(const char *name, const struct expected *expected);
/* Nothing is said but of CHECK. */
void scene_assert_nothing_else(const char *name, const char *check);

#endif
