/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A record written look by look through the project's own writer, and what is reported of it. The
 * host has 16 GiB without swap and a floor of 1 GiB; a look is a second after the one before. Every
 * function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_REPORT_SCENE_H
#define PLIMSOLL_TESTS_REPORT_SCENE_H

#include "page_html.h"
#include "page_json.h"
#include "page_text.h"

#include <check.h>
#include <plimsoll/policy.h>

#define SCENE_VMS 8
#define SCENE_TOTAL (16 * GIB)
#define SCENE_FLOOR GIB
/* When the first look is, on both clocks: 2026-01-01 12:00:00 UTC. */
#define SCENE_TIME (1000 * NSEC_PER_SEC)
#define SCENE_REALTIME (UINT64_C(1767268800) * NSEC_PER_SEC)

struct scene {
    struct snapshot *snapshot; /* as the next look is to see it */
    struct rules *rules;
    struct plan *plan;
    char path[96]; /* of the trace */
    /* Of scene_report(): */
    struct traces *traces;
    struct events *events;
    struct report *report;
    char *text, *html; /* the pages; line ends and indents of TEXT as one blank in FLAT */
    char *flat;
    struct json_object *json;
};
extern struct scene scene;

/* A case of SUITE's, each of whose tests has a record of its own; times of day are UTC. */
TCase *scene_case(Suite *suite, const char *name);

/* Another guest that holds RSS of 8 GiB. Valid until one is taken away. */
struct vm_snapshot *scene_guest(const char *name, uint64_t rss);
struct vm_snapshot *scene_vm(unsigned index);
/* It is gone from the next look on. */
void scene_gone(unsigned index);
/* Decided in the next look. The action can be changed until then. */
struct action *scene_act(enum action_kind kind, enum reason reason, unsigned index);

/* Writes COUNT looks, a second apart; what was decided is in the first of them. AVAILABLE is the
 * host's. */
void scene_looks(unsigned count, enum band band, uint64_t available);
/* Nothing is short: 20 s of it; and for long enough for the event to be over. */
void scene_calm_before(void);
void scene_calm_after(void);
/* Nothing is recorded for so long; the guard goes on as one that was started anew. */
void scene_gap(uint64_t time);

/* Ends the trace; finds the events, and reports number NUMBER, counted from the last, in all forms;
 * 0: finds them alone. */
void scene_report(unsigned number);

void scene_says(const char *words);
void scene_says_not(const char *words);
/* Of the first element of the JSON's array ARRAY whose member KEY is VALUE. */
struct json_object *scene_member(
    const char *array, const char *key, const char *value, const char *member);

#endif
