/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host of 32 GiB on which guests ask to be started: 2 GiB are others', its floor is 0.9 GiB, and
 * critical begins 0.9 GiB above that. QEMU's own part is 128 MiB beside 2 GiB and 192 beside 4.
 */
#ifndef PLIMSOLL_TESTS_ADMISSION_SCENE_H
#define PLIMSOLL_TESTS_ADMISSION_SCENE_H

#include <plimsoll/admission.h>

#include "story.h"

#define SEC NSEC_PER_SEC
#define MS NSEC_PER_MSEC

struct story *host_new(void);
/* So many guests of 4 GiB that use GIB each; by default they are promised their minimum, which is
 * half. */
void guests(struct story *story, unsigned count);

/* A guest of 4 GiB with a balloon that waits for two seconds. */
extern const struct admission_request plain;
struct admission_answer ask(struct story *story, const struct admission_request *request);
struct admission_answer ask_as(
    struct story *story, const struct admission_request *request, const struct vm_rules *own);
void reserve(struct story *story, const struct reservation *reservation);
/* It was refused for LACK, and for good reason. */
void refused(const struct admission_answer *answer, enum admission_lack lack);

#endif
