/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cover: which guests to end, and each by which rung, so that enough memory comes back and the
 * least is lost. Knows nothing of guests but figures.
 */
#ifndef PLIMSOLL_POLICY_COVER_H
#define PLIMSOLL_POLICY_COVER_H

#include <stddef.h>

#include <plimsoll/rules.h>
#include <plimsoll/units.h>

/* Save, shutdown and kill: what can end a guest. */
#define COVER_RUNGS 3
/* A deficit is cut into so many units, of COVER_UNIT_LEAST at least: what is known of guests and
 * forecast of a fill is not known to a thousandth. */
#define COVER_UNITS 1024
#define COVER_UNIT_LEAST MIB
/* So many guests times units are looked at; of more guests units are larger (limits, P8: 4,000 VMs
 * in 20 ms). */
#define COVER_STEPS (4096 * COVER_UNITS)
/* Anything beyond this is as much as this, so that a sum over all guests does not wrap: a
 * priority-1000 guest that takes a thousand years to restart, or a PiB. */
#define COVER_AMOUNT_MOST (UINT64_MAX / (MAX_VMS_LIMIT + 1))
/* A higher limit is taken for this, as each costs a layer; none is no limit at all. */
#define COVER_LIMIT_MOST 64
#define COVER_NO_LIMIT UINT32_MAX

struct cover_option {
    uint64_t relief; /* bytes; 0: there is no such option */
    uint64_t loss;
};

#define COVER_ROW_SIZE ((COVER_UNITS + 1 + 3) / 4) /* 2 bits for each cell */
#define COVER_SPARED UINT8_MAX

/* One guest, as the caller fills it in; the rest is cover_choose()'s. */
struct cover_guest {
    struct cover_option options[COVER_RUNGS];
    uint32_t number; /* the caller's own */
    bool free;       /* counts nothing against the limit */
    bool blamed;     /* of equals it goes first */
    uint8_t chosen;  /* out: the option taken, COVER_SPARED: none */

    uint16_t before; /* the cell that this guest last completed to a cover */
    uint16_t units[COVER_RUNGS];
    uint64_t later_gives, later_loss; /* the least loss for what is given from here on */
    uint8_t row[COVER_ROW_SIZE];      /* for each cell the option that brought it about, plus 1 */
};

/* The best that is known of the sets that give so many units. */
struct cover_cell {
    uint64_t loss;    /* UINT64_MAX: no set gives that */
    uint64_t members; /* << 32: how many; and how many of them are not `blamed` */
    uint64_t relief;
};

/* Working space, in which the guests are handed over. */
struct cover {
    struct cover_cell cells[COVER_UNITS + 1];
    struct cover_guest guests[];
};

struct cover_result {
    bool covers;      /* false: nothing is chosen, and only `least` tells anything */
    uint32_t guests;  /* chosen */
    uint32_t limited; /* of these not `free` */
    uint64_t relief;  /* of the chosen, bytes */
    uint64_t loss;
    uint64_t least; /* no set that returns the deficit loses less, by bytes and with no limit;
                     * UINT64_MAX: there is none */
};

static inline size_t cover_size(uint32_t capacity)
{
    return sizeof(struct cover) + (size_t)capacity * sizeof(struct cover_guest);
}

/*
 * Chooses of the first COUNT (at most MAX_VMS_LIMIT) guests a set that returns DEFICIT bytes (0 is
 * taken for 1), at most LIMIT of them not `free`, with the least sum of loss; of equals with fewer
 * guests, then with more that are blamed, then with less relief, then without those that stand
 * last.
 *
 * Exact in units of DEFICIT / COVER_UNITS (with a LIMIT, larger by 1 + LIMIT): what is chosen does
 * cover, and no set loses less that covers with each relief rounded down to units. By how much one
 * could that covers by less than a unit a guest, `loss` - `least` bounds; where these are equal
 * nothing does. Time is bounded by COVER_STEPS, whatever the figures, and shortest when those who
 * lose least stand first, of them those who return most.
 */
void cover_choose(struct cover *cover, uint32_t count, uint64_t deficit, uint32_t limit,
    struct cover_result *ret_result);

#endif
