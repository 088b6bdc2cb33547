/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the small guest writes into a page: its own number and the count of fillings, then words of
 * a xorshift generator that begins with those. No page is zero, equal to another or compressible,
 * and each tells whether it is still itself.
 */
#ifndef PLIMSOLL_TESTS_GUEST_PAGE_H
#define PLIMSOLL_TESTS_GUEST_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE UINT64_C(4096)
#define PAGE_WORDS (PAGE / sizeof(uint64_t))
/* Below it stands the number, above it the count. */
#define PAGE_NUMBER_BITS 40

void page_fill(uint64_t *page, uint64_t number, uint64_t filling);
/* It is page NUMBER, as some filling left it. */
bool page_is_whole(const uint64_t *page, uint64_t number);

#endif
