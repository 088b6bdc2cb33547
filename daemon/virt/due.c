/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns nothing: a short list in the caller's memory, searched from its beginning. */
#include "due.h"

#include <string.h>

bool due_add(struct due *due, const uint8_t uuid[UUID_SIZE], bool edited)
{
    for (unsigned i = 0; i < due->count; i++) {
        if (memcmp(due->domains[i].uuid, uuid, UUID_SIZE) == 0) {
            due->domains[i].edited |= edited;
            return true;
        }
    }
    if (due->count == DUE_MAX)
        return false;
    memcpy(due->domains[due->count].uuid, uuid, UUID_SIZE);
    due->domains[due->count].edited = edited;
    due->count++;
    return true;
}

void due_remove_first(struct due *due)
{
    if (due->count == 0)
        return;
    due->count--;
    memmove(due->domains, due->domains + 1, due->count * sizeof(due->domains[0]));
}
