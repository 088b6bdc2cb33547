/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "page.h"

/* Marsaglia, "Xorshift RNGs", 2003: 64 bits, shifts 13, 7, 17; never 0 but after 0. */
static uint64_t xorshift(uint64_t x)
{
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

void page_fill(uint64_t *page, uint64_t number, uint64_t filling)
{
    page[0] = filling << PAGE_NUMBER_BITS | number;
    for (unsigned i = 1; i < PAGE_WORDS; i++)
        page[i] = xorshift(page[i - 1]);
}

bool page_is_whole(const uint64_t *page, uint64_t number)
{
    /* A page of zeros would follow from itself. */
    bool whole = page[0] >> PAGE_NUMBER_BITS != 0 &&
                 (page[0] & ((UINT64_C(1) << PAGE_NUMBER_BITS) - 1)) == number;
    for (unsigned i = 1; i < PAGE_WORDS; i++)
        whole = whole && page[i] == xorshift(page[i - 1]);
    return whole;
}
