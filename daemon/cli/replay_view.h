/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a replayed trace came to, as text and as one JSON object; printed as it is found. */
#ifndef PLIMSOLL_CLI_REPLAY_VIEW_H
#define PLIMSOLL_CLI_REPLAY_VIEW_H

#include "replay.h"

struct replay_view {
    FILE *out;
    bool json;
    bool any; /* something has been printed */
};

/* For replay_run(), USERDATA being a struct replay_view. */
void replay_view_difference(const struct replay_difference *difference, void *userdata);
/* ERROR: what made the trace unusable from there on; NULL: nothing did. */
void replay_view_end(
    struct replay_view *view, const struct replay_score *score, const struct error *error);

#endif
