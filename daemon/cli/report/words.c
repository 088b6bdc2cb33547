/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the sentences. Each says what the record shows and no more: what was only decided, in dry
 * run, is never said as if it had been done.
 */
#include "words.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/plan.h>

#include "text.h"

/* ---- figures ---- */

const char *words_bytes(int64_t bytes, char *buffer, size_t size)
{
    uint64_t amount = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    char text[TEXT_NUMBER_MAX];

    (void)snprintf(
        buffer, size, "%s%s", bytes < 0 ? "-" : "", text_format_bytes(amount, text, sizeof(text)));
    return buffer;
}

const char *words_clock(const struct report *report, uint64_t time, char *buffer, size_t size)
{
    char moment[TEXT_NUMBER_MAX];

    (void)text_format_moment(timeline_realtime(report->timeline, time), moment, sizeof(moment));
    const char *clock = strchr(moment, ' ');
    (void)snprintf(buffer, size, "%s", clock ? clock + 1 : moment);
    return buffer;
}

const char *words_guest(const struct report *report, uint32_t guest)
{
    return guest == GUEST_NONE ? "host" : report->guests->all[guest].name;
}

/* "12M more", "12M less". */
static const char *moved_format(int64_t bytes, char *buffer, size_t size)
{
    uint64_t amount = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    char text[TEXT_NUMBER_MAX];

    (void)snprintf(buffer, size, "%s %s", text_format_bytes(amount, text, sizeof(text)),
        bytes < 0 ? "less" : "more");
    return buffer;
}

static void __attribute__((format(printf, 2, 3)))
say(struct sentences *sentences, const char *format, ...)
{
    va_list arguments;

    if (sentences->count >= SENTENCES_MAX)
        return;
    char *text = sentences->all[sentences->count++];
    va_start(arguments, format);
    text_finish(text, SENTENCE_MAX, vsnprintf(text, SENTENCE_MAX, format, arguments));
    va_end(arguments);
}

/* ---- the event ---- */

static void say_event(const struct report *report, struct sentences *sentences)
{
    const struct event *event = report->event;
    char begin[TEXT_NUMBER_MAX], end[TEXT_NUMBER_MAX], lasted[TEXT_NUMBER_MAX], pool[64];
    const char *ending = "";

    if (event->ending == EVENT_GOES_ON)
        ending = "; it goes on where the record ends";
    else if (event->ending == EVENT_LOST)
        ending = "; there the record has a gap, and its end is not known";
    say(sentences, "Memory was short from %s%s to %s (%s): of %s, at worst %s%s.",
        text_format_moment(event->begin_realtime, begin, sizeof(begin)),
        event->begun_before ? ", or longer," : "",
        text_format_moment(event->end_realtime, end, sizeof(end)),
        text_format_time(sub_or_zero(event->end, event->begin), lasted, sizeof(lasted)),
        report_pool_words(event, pool, sizeof(pool)), band_name(event->worst), ending);
}

static void say_least(const struct report *report, struct sentences *sentences)
{
    const struct event_least *least = &report->event->least[report->event->pool_index];
    char bytes[TEXT_NUMBER_MAX], clock[TEXT_NUMBER_MAX];

    if (!least->known)
        return;
    if (least->headroom >= 0)
        say(sentences, "At the least %s was left above the floor, at %s: it was not crossed.",
            words_bytes(least->headroom, bytes, sizeof(bytes)),
            words_clock(report, least->time, clock, sizeof(clock)));
    else
        say(sentences, "The floor was crossed: at %s memory was %s below it.",
            words_clock(report, least->time, clock, sizeof(clock)),
            text_format_bytes(0 - (uint64_t)least->headroom, bytes, sizeof(bytes)));
}

static void say_filling(const struct report *report, struct sentences *sentences)
{
    const struct filling *filling = &report->filling;
    char guests[TEXT_NUMBER_MAX], others[TEXT_NUMBER_MAX], what[256] = "";
    char from[TEXT_NUMBER_MAX], to[TEXT_NUMBER_MAX];
    const char *named = filling->process[0] ? filling->process : filling->mount;

    if (!filling->known)
        return;
    if (filling->culprit != CULPRIT_NONE)
        (void)snprintf(what, sizeof(what), "; the guard named %s%s%s",
            culprit_kind_name(filling->culprit), named[0] ? " " : "", named);
    say(sentences, "From %s to %s guests came to hold %s, all else %s%s.",
        words_clock(report, filling->from, from, sizeof(from)),
        words_clock(report, filling->to, to, sizeof(to)),
        moved_format(filling->guests, guests, sizeof(guests)),
        moved_format(filling->others, others, sizeof(others)), what);
}

/* ---- what was done ---- */

static const char *guests_word(uint32_t count)
{
    return count == 1 ? "guest" : "guests";
}

static void counts_format(const uint32_t counts[ACTION_KIND_COUNT], char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (unsigned kind = 0; kind < ACTION_KIND_COUNT && used < size; kind++) {
        if (counts[kind] == 0 || kind == ACTION_ALERT)
            continue;
        used += (size_t)snprintf(buffer + used, size - used, "%s%" PRIu32 " × %s",
            used > 0 ? ", " : "", counts[kind], action_kind_name((enum action_kind)kind));
    }
}

static void say_done(const struct report *report, struct sentences *sentences)
{
    const struct loss *loss = &report->event->loss;
    char counts[512], from[TEXT_NUMBER_MAX], to[TEXT_NUMBER_MAX];

    counts_format(loss->counts[MODE_ENFORCE], counts, sizeof(counts));
    if (counts[0] != '\0')
        say(sentences, "The guard decided for %" PRIu32 " %s: %s.", loss->acted_on,
            guests_word(loss->acted_on), counts);
    else
        say(sentences, "The guard did nothing to any guest.");
    counts_format(loss->counts[MODE_DRY_RUN], counts, sizeof(counts));
    if (counts[0] != '\0')
        say(sentences, "In dry run, so that it was NOT done, for %" PRIu32 " %s: %s.",
            loss->acted_dry, guests_word(loss->acted_dry), counts);
    if (known(report->hold_from))
        say(sentences, "Between %s and %s there was a hold.",
            words_clock(report, report->hold_from, from, sizeof(from)),
            words_clock(report, report->hold_to, to, sizeof(to)));
}

static void say_lost(const struct report *report, struct sentences *sentences)
{
    const struct loss *loss = &report->event->loss;
    const uint32_t *fates = loss->fates;

    if (fates[FATE_KILLED] + fates[FATE_SAVED] + fates[FATE_SHUT_DOWN] == 0)
        say(sentences, "The guard ended no guest.");
    else
        say(sentences,
            "Of guests the guard killed %" PRIu32 ", saved %" PRIu32 " and shut down %" PRIu32 ".",
            fates[FATE_KILLED], fates[FATE_SAVED], fates[FATE_SHUT_DOWN]);
    if (fates[FATE_ENDED] > 0)
        say(sentences, "The record has no decision of the guard for the end of %" PRIu32 " %s.",
            fates[FATE_ENDED], guests_word(fates[FATE_ENDED]));
    if (loss->kernel_kills > 0)
        say(sentences, "The kernel killed %" PRIu32 " %s for want of memory.", loss->kernel_kills,
            loss->kernel_kills == 1 ? "process" : "processes");
}

static void say_cost(const struct report *report, struct sentences *sentences)
{
    const struct loss *loss = &report->event->loss;
    char paused[TEXT_NUMBER_MAX], taken[TEXT_NUMBER_MAX], returned[TEXT_NUMBER_MAX];
    char braked[TEXT_NUMBER_MAX];

    if (loss->paused_guests > 0)
        say(sentences, "Guests that stood still: %" PRIu32 ", for %s together.",
            loss->paused_guests, text_format_time(loss->paused, paused, sizeof(paused)));
    if (loss->braked_guests > 0)
        say(sentences, "Guests that were slowed down: %" PRIu32 ", for %s together.",
            loss->braked_guests, text_format_time(loss->braked, braked, sizeof(braked)));
    if (loss->taken > 0 || loss->returned > 0)
        say(sentences, "Balloons took %s from guests and gave %s back.",
            text_format_bytes(loss->taken, taken, sizeof(taken)),
            text_format_bytes(loss->returned, returned, sizeof(returned)));
    if (loss->still_paused > 0)
        say(sentences, "At the end %" PRIu32 " %s still stood paused.", loss->still_paused,
            guests_word(loss->still_paused));
    if (loss->still_held > 0)
        say(sentences, "At the end something was still held by balloon of %" PRIu32 " %s.",
            loss->still_held, guests_word(loss->still_held));
}

void words_summary(const struct report *report, struct sentences *ret_sentences)
{
    ret_sentences->count = 0;
    say_event(report, ret_sentences);
    say_least(report, ret_sentences);
    say_filling(report, ret_sentences);
    say_done(report, ret_sentences);
    say_lost(report, ret_sentences);
    say_cost(report, ret_sentences);
}

/* ---- without ---- */

static const char *const why_words[] = {
    [WITHOUT_WHY_NONE] = "",
    [WITHOUT_WHY_UNMEASURED] = "the host's memory was not measured",
    [WITHOUT_WHY_GAP] = "the record has a gap",
    [WITHOUT_WHY_BEFORE] = "guests were held back already before it began",
    [WITHOUT_WHY_MEMORY] = "there was no memory for reckoning",
};
_Static_assert(ELEMENTSOF(why_words) == WITHOUT_WHY_COUNT, "a reason has no words");

static void say_victim(const struct report *report, struct sentences *sentences)
{
    const struct without *without = &report->without;
    const char *name =
        without->victim == WITHOUT_GUEST ? words_guest(report, without->guest) : without->process;
    char rival[VM_NAME_MAX + 64] = "";

    if (without->victim == WITHOUT_NOBODY_KNOWN) {
        say(sentences, "Whom the kernel would have killed cannot be told.");
        return;
    }
    if (without->close)
        (void)snprintf(rival, sizeof(rival), ", or %s, which has nearly as many points",
            without->rival == GUEST_NONE ? "the largest process beside the guests"
                                         : words_guest(report, without->rival));
    say(sentences, "The kernel would then have killed %s%s%s.%s",
        without->victim == WITHOUT_PROCESS ? "the process " : "", name, rival,
        without->scores_assumed ? " (Some guests' oom_score_adj is taken to be 0.)" : "");
}

void words_without(const struct report *report, struct sentences *ret_sentences)
{
    const struct without *without = &report->without;
    char bytes[TEXT_NUMBER_MAX], clock[TEXT_NUMBER_MAX];

    ret_sentences->count = 0;
    switch (without->outcome) {
    case WITHOUT_SAME:
        say(ret_sentences, "No look shows anything held back from a guest: by the record it would "
                           "have been the same.");
        return;
    case WITHOUT_UNKNOWN:
    case WITHOUT_OUTCOME_COUNT:
        say(ret_sentences, "That cannot be told: %s.", why_words[without->why]);
        return;
    case WITHOUT_LASTS:
        say(ret_sentences,
            "Memory would have lasted: at the least, at %s, %s would have been left.",
            words_clock(report, without->time, clock, sizeof(clock)),
            text_format_bytes(without->least, bytes, sizeof(bytes)));
        break;
    case WITHOUT_OUT:
        if (without->more == 0) {
            say(ret_sentences, "The host was out of memory at %s, with the guard as without.",
                words_clock(report, without->time, clock, sizeof(clock)));
            say_victim(report, ret_sentences);
            break;
        }
        say(ret_sentences,
            "The host would have been out of memory at %s, when the guests would have held %s more "
            "than they did.",
            words_clock(report, without->time, clock, sizeof(clock)),
            text_format_bytes(without->more, bytes, sizeof(bytes)));
        say_victim(report, ret_sentences);
        break;
    }
    say(ret_sentences,
        "Reckoned from the record: who was stopped goes on as it did once it ran again, or else as "
        "it grew before, for a minute at most and up to its own memory; what balloons and "
        "virtio-mem "
        "took stays with the guests; all else is as recorded.");
}

/* ---- notes ---- */

void words_notes(const struct report *report, struct sentences *ret_sentences)
{
    const struct timeline *timeline = report->timeline;
    char time[TEXT_NUMBER_MAX];
    uint32_t faults = 0;

    ret_sentences->count = 0;
    if (timeline->gap_count > 0)
        say(ret_sentences, "The record has %" PRIu32 " %s%s; lines are broken there.",
            timeline->gap_count, timeline->gap_count == 1 ? "gap, of " : "gaps, together of ",
            text_format_time(timeline->gap_time, time, sizeof(time)));
    for (uint32_t i = 0; i < report->traces->count; i++) {
        const struct trace_file *file = &report->traces->files[i];
        if (file->fault[0] == '\0')
            continue;
        if (faults++ == 0)
            say(ret_sentences, "%s cannot be read to its end: %s.", file->path, file->fault);
    }
    if (faults > 1)
        say(ret_sentences, "So cannot %" PRIu32 " more.", faults - 1);
    if (report->traces->left_out)
        say(ret_sentences, "There are more than %d traces; the oldest were not read.", TRACES_MAX);
    if (report->guests->left_out)
        say(ret_sentences, "There were more than %zu guests; those beyond are left out.",
            GUESTS_MAX);
    if (report->deeds->left_out > 0)
        say(ret_sentences, "Left out of the table are %" PRIu32 " actions.",
            report->deeds->left_out);
    say(ret_sentences, "Made from %" PRIu64 " looks of the guard's record %s.", report->looks,
        report->traces->path);
}

/* ---- deeds ---- */

void words_deed(const struct deed *deed, char *buffer, size_t size)
{
    char target[TEXT_NUMBER_MAX], times[32] = "";
    bool sized =
        deed->kind == ACTION_BALLOON || deed->kind == ACTION_RESIZE || deed->kind == ACTION_RECLAIM;

    if (deed->times > 1)
        (void)snprintf(times, sizeof(times), " (%" PRIu32 " times)", deed->times);
    (void)snprintf(buffer, size, "%s%s%s%s%s%s",
        deed->kind == ACTION_ALERT ? reason_name(deed->reason) : action_kind_name(deed->kind),
        sized && known(deed->target) ? (deed->kind == ACTION_RECLAIM ? " of " : " to ") : "",
        sized && known(deed->target) ? text_format_bytes(deed->target, target, sizeof(target)) : "",
        times, deed->seen == DEED_NOT_DONE ? " (dry run: not done)" : "",
        deed->seen == DEED_NOT_SEEN ? " (not seen to be done)" : "");
}
