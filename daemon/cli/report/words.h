/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a report says in sentences, the same in every form. */
#ifndef PLIMSOLL_REPORT_WORDS_H
#define PLIMSOLL_REPORT_WORDS_H

#include "report.h"

/* Room for a sentence with a path and some figures. */
#define SENTENCE_MAX 1024
#define SENTENCES_MAX 12

struct sentences {
    char all[SENTENCES_MAX][SENTENCE_MAX];
    unsigned count;
};

/* What was short and what of it was done and lost; what would have been without; what the reader
 * should know of the record. Clean text; each begins RET_SENTENCES anew. */
void words_summary(const struct report *report, struct sentences *ret_sentences);
void words_without(const struct report *report, struct sentences *ret_sentences);
void words_notes(const struct report *report, struct sentences *ret_sentences);

/* "pause", "balloon to 300M (3 times)", "kill (dry run: not done)". */
void words_deed(const struct deed *deed, char *buffer, size_t size);
/* Its name, or "host". */
const char *words_guest(const struct report *report, uint32_t guest);
/* TIME, of the guard's clock, as a time of day; with SIZE of TEXT_NUMBER_MAX. */
const char *words_clock(const struct report *report, uint64_t time, char *buffer, size_t size);
/* SIGNED bytes, "-12M" below 0. */
const char *words_bytes(int64_t bytes, char *buffer, size_t size);

#endif
