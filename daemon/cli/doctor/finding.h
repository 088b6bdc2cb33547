/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `plimsoll doctor` says: findings, each of one check. All text is clean to be shown.
 */
#ifndef PLIMSOLL_CLI_DOCTOR_FINDING_H
#define PLIMSOLL_CLI_DOCTOR_FINDING_H

#include <plimsoll/cleanup.h>
#include <plimsoll/snapshot.h>
#include <stdbool.h>
#include <stddef.h>

/* From best to worst: what is not known is worse than a note, for it may be anything. */
enum severity {
    SEVERITY_FINE,
    SEVERITY_NOTE,
    SEVERITY_UNKNOWN,
    SEVERITY_WARNING,
    SEVERITY_ERROR,
    SEVERITY_COUNT
};
/* "fine", "note", …: the words of JSON, never renamed. */
const char *severity_name(enum severity severity);

/* A path of the kernel's and some figures; longer is cut. */
#define FINDING_FOUND_MAX 384
/* A command with a quoted path twice. */
#define FINDING_MEND_MAX 640
/* Some eight for each guest of the largest host (max-vms=4096); what is beyond is counted only. */
#define FINDINGS_MAX 32768

struct finding {
    const char *check;
    enum severity severity;
    char subject[VM_NAME_MAX];     /* a guest; empty: the host */
    char found[FINDING_FOUND_MAX]; /* what is so, with its figure and where it was read */
    const char *why;               /* one sentence; NULL: there is nothing to say */
    char mend[FINDING_MEND_MAX];   /* empty: there is none */
    bool command;                  /* mend is a line for a shell, else it is words */
};

struct findings {
    struct finding *list;
    size_t count, capacity;
    size_t left_out;      /* beyond FINDINGS_MAX */
    bool failed;          /* some were lost for want of memory */
    struct finding spare; /* takes what is left out or lost */
};
void findings_clear(struct findings *findings);

/* Adds one and returns it, valid until the next call; never NULL. WHY and CHECK stay. */
struct finding *findings_add(struct findings *findings, const char *check, enum severity severity,
    const char *why, const char *format, ...) __attribute__((format(printf, 5, 6)));
void finding_set_subject(struct finding *finding, const char *name);
/* A line for a shell: whatever it quotes went through shell_quote() or is no text of others. One
 * that does not fit, or that would have to be cleaned, is left out rather than be another. */
void finding_set_command(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void finding_set_advice(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One word of a shell, in quotes. False: it does not fit, or cannot be shown as it is and so not
 * be pasted either. */
bool shell_quote(const char *text, char *buffer, size_t size);

#endif
