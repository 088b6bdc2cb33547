/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words about starts: the line that the guard logs, and the one that whoever started the
 * guest reads. What is lacking is rounded up and what there is down, so that neither promises too
 * much.
 */
#include <inttypes.h>
#include <stdio.h>

#include "announce.h"
#include "text.h"

#include <plimsoll/cleanup.h>

/* " suppressed=" and 10 digits. */
#define SUPPRESSED_SIZE 32

static const char *pool_what(enum pool_kind pool)
{
    switch (pool) {
    case POOL_HOST:
    case POOL_KIND_COUNT:
        break;
    case POOL_BUDGET:
        return "what guests may hold together (vm-budget)";
    case POOL_NODE:
        return "the NUMA nodes it is bound to";
    }
    return "the host";
}

/* BYTES as text_format_bytes() has them, but up to the next tenth, and in whole MiB. */
static const char *bytes_up(uint64_t bytes, char buffer[TEXT_NUMBER_MAX])
{
    uint64_t unit = MIB, whole = add_held(bytes, MIB - 1) / MIB * MIB;

    while (unit < TIB && whole / KIB >= unit)
        unit *= KIB;
    return text_format_bytes(
        unit == MIB ? whole : add_held(whole, unit / 10), buffer, TEXT_NUMBER_MAX);
}

static int refusal_words(const struct admission_answer *answer, char buffer[ADMISSION_WORDS_MAX])
{
    char needed[TEXT_NUMBER_MAX], left[TEXT_NUMBER_MAX], lacking[TEXT_NUMBER_MAX];
    const char *pool = pool_what(answer->pool);

    (void)bytes_up(answer->needed, needed);
    (void)text_format_bytes(answer->left, left, sizeof left);
    (void)bytes_up(sub_or_zero(answer->needed, answer->left), lacking);
    switch (answer->lack) {
    case ADMISSION_LACK_NONE:
    case ADMISSION_LACK_COUNT:
        break;
    case ADMISSION_LACK_FIGURES:
        return snprintf(
            buffer, ADMISSION_WORDS_MAX, "needs %s of %s, which cannot be measured", needed, pool);
    case ADMISSION_LACK_PROMISE:
        return snprintf(buffer, ADMISSION_WORDS_MAX,
            "has to be promised %s of %s, of which %s is promised to nobody; it would fit with %s "
            "less, or after guests that are promised so much have ended",
            needed, pool, left, lacking);
    case ADMISSION_LACK_ROOM:
        return snprintf(buffer, ADMISSION_WORDS_MAX,
            "takes %s of %s at once, of which %s is free, and balloons do not bring %s in time; it "
            "would fit as soon as that is free",
            needed, pool, left, lacking);
    case ADMISSION_LACK_HUGEPAGES:
        return snprintf(buffer, ADMISSION_WORDS_MAX,
            "needs %s of huge pages of %s, of which %s is promised to nobody; it would fit with %s "
            "more in their pool",
            needed, pool, left, lacking);
    case ADMISSION_LACK_PINNED:
        return snprintf(buffer, ADMISSION_WORDS_MAX,
            "pins %s of %s, and pinned-limit leaves %s for that; it would fit with %s less, or "
            "without a device of the host's",
            needed, pool, left, lacking);
    }
    return snprintf(buffer, ADMISSION_WORDS_MAX,
        "comes while more guests start than the guard can keep room for; try again in a minute");
}

void admission_words(const struct admission_answer *answer, char ret_words[ADMISSION_WORDS_MAX])
{
    char needed[TEXT_NUMBER_MAX], left[TEXT_NUMBER_MAX];
    int length = 0;

    switch (answer->verdict) {
    case ADMISSION_ALLOW:
    case ADMISSION_VERDICT_COUNT:
        length = snprintf(ret_words, ADMISSION_WORDS_MAX,
            "has to be promised %s of the host, of which %s is promised to nobody",
            bytes_up(answer->needed, needed), text_format_bytes(answer->left, left, sizeof left));
        break;
    case ADMISSION_WAIT:
        length = snprintf(ret_words, ADMISSION_WORDS_MAX,
            "takes %s of %s at once, of which %s is free; balloons make room",
            bytes_up(answer->needed, needed), pool_what(answer->pool),
            text_format_bytes(answer->left, left, sizeof left));
        break;
    case ADMISSION_REFUSE:
        length = refusal_words(answer, ret_words);
        break;
    }
    text_finish(ret_words, ADMISSION_WORDS_MAX, length);
}

void announce_admission(const char *name, const uint8_t uuid[UUID_SIZE],
    const struct admission_answer *answer, bool acts, uint32_t suppressed, const char *words)
{
    char quoted[2 * VM_NAME_MAX + 8], id[UUID_TEXT_SIZE], held[SUPPRESSED_SIZE] = "";
    bool refused = answer->verdict == ADMISSION_REFUSE;
    bool would = !acts && answer->verdict != ADMISSION_ALLOW;

    if (suppressed > 0)
        (void)snprintf(held, sizeof held, " suppressed=%" PRIu32, suppressed);
    log_alert(refused && acts ? LOG_WARNING : (refused ? LOG_NOTICE : LOG_INFO),
        "event=admission vm=%s uuid=%s result=%s%s%s text=\"%s\"",
        log_quote(name, quoted, sizeof quoted), uuid_text(uuid, id), would ? "would-" : "",
        admission_verdict_name(answer->verdict), held, words);
}

void announce_admission_suppressed(
    const char *name, const uint8_t uuid[UUID_SIZE], bool acts, uint32_t suppressed)
{
    const struct admission_answer answer = {.verdict = ADMISSION_REFUSE};

    announce_admission(name, uuid, &answer, acts, suppressed,
        "so often more since that was last said, and not again");
}

void announce_admission_kept(const char *name, const struct reservation *reservation)
{
    char quoted[2 * VM_NAME_MAX + 8], id[UUID_TEXT_SIZE], promised[TEXT_NUMBER_MAX];

    log_alert(LOG_NOTICE,
        "event=admission vm=%s uuid=%s result=kept text=\"%s stay promised to it, which was saved, "
        "until it is started again or undefined, for a week at most\"",
        log_quote(name, quoted, sizeof quoted), uuid_text(reservation->uuid, id),
        bytes_up(reservation->promised, promised));
}

void announce_admission_ended(const char *name, const uint8_t uuid[UUID_SIZE], const char *words)
{
    char quoted[2 * VM_NAME_MAX + 8], id[UUID_TEXT_SIZE];

    log_alert(LOG_NOTICE, "event=admission vm=%s uuid=%s result=ended text=\"%s\"",
        log_quote(name, quoted, sizeof quoted), uuid_text(uuid, id), words);
}
