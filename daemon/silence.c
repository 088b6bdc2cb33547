/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns which silence of a QEMU is worth a line. On a slow host every third answer may be late, and
 * each on its own would be a line every few seconds for each guest; so the beginning is told, and
 * the end only when it lasts. It lasted until the first answer after the last that was late.
 */
#include "silence.h"

#include <plimsoll/units.h>

bool silence_begin(struct silence *silence, uint64_t now, uint64_t waited)
{
    silence->answered = 0;
    if (silence->since != 0)
        return false;
    silence->since = max_u64(sub_or_zero(now, waited), 1);
    return true;
}

uint64_t silence_end(struct silence *silence, uint64_t now)
{
    if (silence->since == 0)
        return 0;
    if (silence->answered == 0)
        silence->answered = max_u64(now, 1);
    if (sub_or_zero(now, silence->answered) < SILENCE_ENDS)
        return 0;
    uint64_t length = sub_or_zero(silence->answered, silence->since);
    silence->since = 0;
    return max_u64(length, 1);
}
