/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words for scores. The table fits 80 columns: the host's scores one to a line, then a row
 * for each guest.
 */
#include "simulate_view.h"

#include "json_writer.h"
#include "text.h"
#include "view_table.h"

#include <errno.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH_MIN 12

enum {
    COLUMN_NAME,
    COLUMN_PRIORITY,
    COLUMN_RECEIVED,
    COLUMN_DENIED,
    COLUMN_STOPPED,
    COLUMN_MOVED,
    COLUMN_TURNS,
    COLUMN_LOSS,
    COLUMN_END,
    COLUMN_COUNT,
};

static const struct view_column columns[COLUMN_COUNT] = {
    [COLUMN_NAME] = {"NAME", .cut = true},
    [COLUMN_PRIORITY] = {"PRIORITY", .right = true},
    [COLUMN_RECEIVED] = {"RECEIVED", .right = true},
    [COLUMN_DENIED] = {"DENIED", .right = true},
    [COLUMN_STOPPED] = {"STOPPED", .right = true},
    [COLUMN_MOVED] = {"MOVED", .right = true},
    [COLUMN_TURNS] = {"TURNS", .right = true},
    [COLUMN_LOSS] = {"LOSS", .right = true},
    [COLUMN_END] = {.title = "END"},
};
_Static_assert(COLUMN_COUNT <= VIEW_COLUMNS_MAX, "the table has room for all");
/* What to give up first on a narrow terminal. */
static const unsigned expendable[] = {COLUMN_TURNS, COLUMN_MOVED, COLUMN_PRIORITY};

/* ---- text ---- */

/* Thousandths as a number with its point. */
static void thousandths_format(uint64_t value, char *cell)
{
    (void)snprintf(cell, FIELD_MAX, "%" PRIu64 ".%03u", value / 1000, (unsigned)(value % 1000));
}

static void byte_seconds_format(uint64_t value, char *cell)
{
    char bytes[TEXT_NUMBER_MAX];

    (void)snprintf(cell, FIELD_MAX, "%s%s", text_format_bytes(value, bytes, sizeof(bytes)),
        value > 0 ? " s" : "");
}

static void score_print(const struct score *score, FILE *out)
{
    char bytes[TEXT_NUMBER_MAX], cell[FIELD_MAX];
    uint64_t least = score->headroom_least < 0 ? (uint64_t)-score->headroom_least
                                               : (uint64_t)score->headroom_least;

    fprintf(out, "killed by the kernel  %" PRIu32 " guests, %" PRIu32 " processes outside\n",
        score->kernel_kills, score->process_kills);
    fprintf(out,
        "ended by the guard    %" PRIu32 " killed, %" PRIu32 " saved, %" PRIu32
        " shut down; %" PRIu32 " pauses\n",
        score->kills, score->saves, score->shutdowns, score->pauses);
    thousandths_format(score->loss, cell);
    fprintf(out, "loss                  %s (priority x minutes stopped or lost)\n", cell);
    thousandths_format(score->cost, cell);
    fprintf(
        out, "cost                  %s (loss, and priority x minutes by the part denied)\n", cell);
    byte_seconds_format(score->below, cell);
    fprintf(out, "below the floor       %" PRIu32 " times, %s; least headroom %s%s\n",
        score->crossings, cell, score->headroom_least < 0 ? "-" : "",
        text_format_bytes(least, bytes, sizeof(bytes)));
    byte_seconds_format(score->denied, cell);
    fprintf(out, "denied                %s (demanded by guests that ran, and not there)\n", cell);
    fprintf(out, "freed beyond need     %s\n",
        text_format_bytes(score->overkill, bytes, sizeof(bytes)));
    fprintf(out, "balloons              %s moved, %" PRIu32 " turns\n",
        text_format_bytes(score->moved, bytes, sizeof(bytes)), score->turns);
    thousandths_format(score->fairness, cell);
    fprintf(out, "fairness              %s (Jain's index)\n", cell);
    fprintf(out, "looks                 %" PRIu64 "\n", score->looks);
}

static int guest_add(struct view_table *table, const struct simulation *simulation, uint32_t index)
{
    const struct scenario_guest *guest = &simulation->scenario->guests[index];
    char cells[COLUMN_COUNT][FIELD_MAX];
    struct guest_score score;

    simulator_guest_score(simulation->simulator, index, &score);
    (void)snprintf(cells[COLUMN_NAME], FIELD_MAX, "%s", guest->name);
    (void)snprintf(
        cells[COLUMN_PRIORITY], FIELD_MAX, "%" PRIu32, simulation->rules->vms[index].priority);
    uint64_t received = score.demanded > 0 ? scale_u64(score.received, 1000, score.demanded) : 1000;
    (void)snprintf(cells[COLUMN_RECEIVED], FIELD_MAX, "%u.%u%%", (unsigned)(received / 10),
        (unsigned)(received % 10));
    byte_seconds_format(score.denied, cells[COLUMN_DENIED]);
    (void)text_format_time(score.stopped, cells[COLUMN_STOPPED], FIELD_MAX);
    (void)text_format_bytes(score.moved, cells[COLUMN_MOVED], FIELD_MAX);
    (void)snprintf(cells[COLUMN_TURNS], FIELD_MAX, "%" PRIu32, score.turns);
    thousandths_format(score.loss, cells[COLUMN_LOSS]);
    (void)snprintf(cells[COLUMN_END], FIELD_MAX, "%s", guest_end_name(score.end));
    return view_table_add(table, cells);
}

int simulate_view_print(const struct simulation *simulation, const struct style *style, FILE *out)
{
    CLEANUP(view_table_free_at) struct view_table *table = NULL;
    const struct scenario *scenario = simulation->scenario;
    char total[TEXT_NUMBER_MAX], duration[TEXT_NUMBER_MAX];
    struct score score;
    int result = view_table_new(columns, COLUMN_COUNT, &table);

    simulator_score(simulation->simulator, &score);
    fprintf(out, "%s: %" PRIu32 " guests on %s, %s\n\n", simulation->path, scenario->guest_count,
        text_format_bytes(scenario->host.total, total, sizeof(total)),
        text_format_time(scenario->duration, duration, sizeof(duration)));
    score_print(&score, out);
    fputc('\n', out);
    for (uint32_t i = 0; i < scenario->guest_count && result == 0; i++)
        result = guest_add(table, simulation, i);
    if (result < 0)
        return result;
    if (style->width > 0)
        view_table_fit(table, style->width, NAME_WIDTH_MIN, expendable, ELEMENTSOF(expendable));
    result = view_table_print(table, style, out);
    if (result == 0 && (fflush(out) != 0 || ferror(out)))
        result = -EIO;
    return result;
}

void simulate_view_plan(const struct plan *plan, uint64_t since_start, void *userdata)
{
    const struct simulation *simulation = userdata;
    const struct scenario *scenario = simulation->scenario;
    char time[TEXT_NUMBER_MAX], target[TEXT_NUMBER_MAX];

    for (uint32_t i = 0; i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        bool balloon = action->kind == ACTION_BALLOON || action->kind == ACTION_RECLAIM;
        if (action->kind == ACTION_OOM_SCORE)
            continue;
        printf("%10s  %-8s  %s: %s%s%s (%s)\n", text_format_time(since_start, time, sizeof(time)),
            band_name(plan->assessment.band),
            action->slot < scenario->guest_count ? scenario->guests[action->slot].name : "host",
            action_kind_name(action->kind), balloon ? " " : "",
            balloon ? text_format_bytes(action->target, target, sizeof(target)) : "",
            reason_text(action->reason));
    }
}

/* ---- JSON ---- */

static struct json_object *guest_json(const struct simulation *simulation, uint32_t index)
{
    struct guest_score score;
    struct json_writer writer;

    simulator_guest_score(simulation->simulator, index, &score);
    json_writer_begin(&writer);
    json_writer_text(&writer, "name", simulation->scenario->guests[index].name);
    json_writer_u64(&writer, "priority", simulation->rules->vms[index].priority);
    json_writer_u64(&writer, "demanded", score.demanded);
    json_writer_u64(&writer, "received", score.received);
    json_writer_u64(&writer, "denied", score.denied);
    json_writer_u64(&writer, "without", score.without);
    json_writer_u64(&writer, "stopped", score.stopped);
    json_writer_u64(&writer, "moved", score.moved);
    json_writer_u64(&writer, "turns", score.turns);
    json_writer_u64(&writer, "loss", score.loss);
    json_writer_text(&writer, "end", guest_end_name(score.end));
    json_writer_u64(&writer, "ended", score.end == GUEST_NOT_ENDED ? UNKNOWN : score.ended);
    return json_writer_end(&writer);
}

static struct json_object *guests_json(const struct simulation *simulation)
{
    struct json_object *guests = json_object_new_array();

    for (uint32_t i = 0; i < simulation->scenario->guest_count; i++) {
        if (!json_array_append(guests, guest_json(simulation, i))) {
            json_object_put(guests);
            return NULL;
        }
    }
    return guests;
}

struct json_object *simulate_view_json(const struct simulation *simulation)
{
    struct json_writer writer;
    struct score score;

    simulator_score(simulation->simulator, &score);
    json_writer_begin(&writer);
    json_writer_u64(&writer, "kernel_kills", score.kernel_kills);
    json_writer_u64(&writer, "process_kills", score.process_kills);
    json_writer_u64(&writer, "kills", score.kills);
    json_writer_u64(&writer, "saves", score.saves);
    json_writer_u64(&writer, "shutdowns", score.shutdowns);
    json_writer_u64(&writer, "pauses", score.pauses);
    json_writer_u64(&writer, "loss", score.loss);
    json_writer_u64(&writer, "cost", score.cost);
    json_writer_u64(&writer, "crossings", score.crossings);
    json_writer_u64(&writer, "below", score.below);
    json_writer_i64(&writer, "headroom_least", score.headroom_least);
    json_writer_u64(&writer, "denied", score.denied);
    json_writer_u64(&writer, "overkill", score.overkill);
    json_writer_u64(&writer, "moved", score.moved);
    json_writer_u64(&writer, "turns", score.turns);
    json_writer_u64(&writer, "fairness", score.fairness);
    json_writer_u64(&writer, "looks", score.looks);
    json_writer_child(&writer, "vms", guests_json(simulation));
    return json_writer_end(&writer);
}
