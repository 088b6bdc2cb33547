/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the search for one guest. A name is compared as it is shown, cleaned, for that is what
 * people have read; it comes before uuid and pid, for a guest may be called by a number.
 *
 * Near is what holds the other, be it in another case, or differs by one slip of a finger. That is
 * found in one walk along both, since nobody's typing may hold the guard up.
 */
#include "guest_find.h"

#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* So many are named; more would be a list, and there is one. */
#define NAMED_MAX 4
#define NAMED_TEXT_MAX (NAMED_MAX * (VM_NAME_MAX + 2UL))

enum asked_by {
    ASKED_BY_NAME,
    ASKED_BY_UUID,
    ASKED_BY_PID,
    ASKED_BY_COUNT,
};

struct wish {
    char name[VM_NAME_MAX]; /* cleaned */
    uint8_t uuid[UUID_SIZE];
    bool has_uuid;
    uint64_t pid; /* UNKNOWN: it is no number */
};

static bool is_meant(const struct wish *wish, const struct vm_snapshot *vm, enum asked_by by)
{
    char name[VM_NAME_MAX];

    switch (by) {
    case ASKED_BY_NAME:
        (void)snprintf(name, sizeof(name), "%s", vm->name);
        text_clean(name);
        return strcmp(wish->name, name) == 0;
    case ASKED_BY_UUID:
        return wish->has_uuid && memcmp(wish->uuid, vm->identity.uuid, UUID_SIZE) == 0;
    case ASKED_BY_PID:
        return known(wish->pid) && wish->pid == (uint64_t)vm->identity.pid;
    case ASKED_BY_COUNT:
        break;
    }
    return false;
}

/* ---- what is near ---- */

static bool same_character(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static bool same_rest(const char *a, const char *b)
{
    while (*a && same_character(*a, *b)) {
        a++;
        b++;
    }
    return *a == *b;
}

/* One character of A is another, too many, too few, or has changed places with the next. */
static bool is_slip(const char *a, const char *b)
{
    while (*a && same_character(*a, *b)) {
        a++;
        b++;
    }
    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b) <= 1;
    bool swapped = same_character(a[0], b[1]) && same_character(a[1], b[0]) && a[1] && b[1];
    return same_rest(a + 1, b + 1) || same_rest(a + 1, b) || same_rest(a, b + 1) ||
           (swapped && same_rest(a + 2, b + 2));
}

static bool is_near(const char *asked, const char *name)
{
    /* A letter is in many names. */
    bool holds = strlen(asked) > 1 && strlen(name) > 1 &&
                 (strcasestr(name, asked) || strcasestr(asked, name));

    return holds || is_slip(asked, name);
}

static void text_add(char text[NAMED_TEXT_MAX], const char *word)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, NAMED_TEXT_MAX - used, "%s%s", used > 0 ? ", " : "", word);
}

static int unknown_set(
    const struct snapshot *snapshot, const struct wish *wish, struct error *ret_error)
{
    char near[NAMED_TEXT_MAX] = "";
    unsigned count = 0;

    for (uint32_t i = 0; i < snapshot->vm_count && count < NAMED_MAX; i++) {
        if (!is_near(wish->name, snapshot->vms[i].name))
            continue;
        text_add(near, snapshot->vms[i].name);
        count++;
    }
    return error_set(ret_error, -ENOENT, "no guest has the name, uuid or pid “%s”%s%s", wish->name,
        count > 0 ? "; near it: " : "; all are shown by: plimsoll status", near);
}

static int ambiguous_set(const struct snapshot *snapshot, const struct wish *wish, enum asked_by by,
    unsigned meant, struct error *ret_error)
{
    char pids[NAMED_TEXT_MAX] = "", pid[TEXT_NUMBER_MAX];
    unsigned count = 0;

    for (uint32_t i = 0; i < snapshot->vm_count && count < NAMED_MAX; i++) {
        if (!is_meant(wish, &snapshot->vms[i], by))
            continue;
        (void)snprintf(pid, sizeof(pid), "%d", (int)snapshot->vms[i].identity.pid);
        text_add(pids, pid);
        count++;
    }
    return error_set(ret_error, -ENOTUNIQ,
        "“%s” is what %u guests have; say which by its pid: %s%s", wish->name, meant, pids,
        meant > count ? ", …" : "");
}

int guest_find(const struct snapshot *snapshot, const char *asked, uint32_t *ret_position,
    struct error *ret_error)
{
    struct wish wish = {.has_uuid = false, .pid = UNKNOWN};

    (void)snprintf(wish.name, sizeof(wish.name), "%s", asked);
    text_clean(wish.name);
    wish.has_uuid = text_parse_uuid(asked, wish.uuid) == 0;
    (void)text_parse_number(asked, 1, INT_MAX, &wish.pid);
    for (enum asked_by by = ASKED_BY_NAME; by < ASKED_BY_COUNT; by++) {
        unsigned meant = 0;
        for (uint32_t i = 0; i < snapshot->vm_count; i++) {
            if (!is_meant(&wish, &snapshot->vms[i], by))
                continue;
            meant++;
            *ret_position = i;
        }
        if (meant > 1)
            return ambiguous_set(snapshot, &wish, by, meant, ret_error);
        if (meant == 1)
            return 0;
    }
    return unknown_set(snapshot, &wish, ret_error);
}
