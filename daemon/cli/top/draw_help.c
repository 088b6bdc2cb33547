/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the page of help: the keys, and what the signs mean. Its words are for who has never seen
 * the screen before.
 */
#include <plimsoll/cleanup.h>

#include "draw.h"

static const char *const lines[] = {
    "Up Down k j   choose a guest        PgUp PgDn Home End   by pages, ends",
    "Enter         open it               Esc                  back; clear the filter",
    "s > <         sort by the next, by the column before     r   reverse",
    "/             filter by name: type, then Enter; Esc drops it",
    "Space         pause: nothing is asked, the figures stand still",
    "Ctrl-L        draw the screen anew  h ?   this page      q   quit, or back",
    "",
    "Band: how near the edge the host is. calm: memory is given back; tight: idle",
    "memory is taken by balloon; scarce: guests go down to their minimums and are",
    "slowed; critical: guests are paused, saved, shut down, killed.",
    "Headroom: available less floor, which is never given away. lasts: how long,",
    "at the rate of now. Of several nodes the one that is worst is shown.",
    "Graph: headroom of the pool that makes the band, as a share of what it has",
    "above its floor. Where only the log tells of it: . calm, t tight, s scarce,",
    "C critical.",
    "Bar: full is RSS, what QEMU holds; its end is the guest's maximum; | its",
    "minimum, below which it is not ballooned; ] what its balloon leaves it.",
    "GROWTH is taken over the last 8 answers. MEASURES are those in force.",
    "-: nobody knows.",
};

void draw_help(const struct canvas *canvas, struct viewer *view, unsigned rows)
{
    view->rows = rows > 0 ? rows : 1;
    view->scroll_end = ELEMENTSOF(lines) > rows ? ELEMENTSOF(lines) - rows : 0;
    if (view->scroll > view->scroll_end)
        view->scroll = view->scroll_end;
    for (size_t row = 0; row < rows; row++) {
        frame_row(canvas->frame, 0);
        if (view->scroll + row < ELEMENTSOF(lines))
            frame_put(canvas->frame, (struct look){0}, lines[view->scroll + row]);
    }
}
