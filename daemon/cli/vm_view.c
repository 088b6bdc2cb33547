/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what `plimsoll vm` looks like: who it is, in sentences how it stands; then a line for each
 * rule with who says it, and one for each figure with where it is from. What is too long for its
 * line goes on in the next, so that a path can be copied whole; what nobody knows is named together
 * at the end.
 */
#include "vm_view.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "field.h"
#include "text.h"
#include "vm_words.h"

/* Where sentences begin, beside their titles. */
#define INDENT 14
/* Where values, ages and sources begin; what does not fit its line stands WRAPPED columns in. */
#define RULE_WIDTH 14
#define VALUE_WIDTH 20
#define FACT_WIDTH 22
#define NUMBER_WIDTH 10
#define AGE_WIDTH 11
#define WRAPPED 6

/* Whose files are read after CONFIG_FILE_DEFAULT. */
#define DROP_INS CONFIG_FILE_DEFAULT ".d"
/* A longer name is not one that somebody types. */
#define PLAIN_MAX ((size_t)64)

/* Room for a sentence with a name, a path and some figures. */
#define WORDS_MAX (4UL * FIELD_MAX)

/* ---- lists of the reply ---- */

static size_t list_length(struct json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

/* The value of a rule; empty where it is not told. */
static void rule_value(struct json_object *reply, const char *key, char value[FIELD_MAX])
{
    struct json_object *policy = field_get(reply, "policy");

    value[0] = '\0';
    for (size_t i = 0; i < list_length(policy); i++) {
        struct json_object *rule = json_object_array_get_idx(policy, i);
        if (field_is(rule, "key", key))
            (void)field_text(rule, "value", value);
    }
}

static bool is_listed(struct json_object *reply, const char *key, const char *word)
{
    char value[FIELD_MAX], *rest = value, *each;
    bool listed = false;

    rule_value(reply, key, value);
    while (!listed && (each = strsep(&rest, " ")))
        listed = strcmp(each, word) == 0;
    return listed;
}

/* ---- sentences ---- */

static void row_print(const struct style *style, const char *title, const char *words, FILE *out)
{
    fprintf(out, "  %-*s", INDENT - 2, title);
    terminal_wrap(style, words, INDENT, INDENT, out);
}

static void heading_print(struct json_object *vm, const struct style *style, FILE *out)
{
    struct json_object *source = field_get(vm, "source");
    char name[FIELD_MAX], state[FIELD_MAX], uuid[FIELD_MAX], words[WORDS_MAX];
    char sources[FIELD_MAX] = "", pid[FIELD_MAX] = FIELD_UNKNOWN;

    for (size_t i = 0; i < list_length(source); i++) {
        struct json_object *word = json_object_array_get_idx(source, i);
        size_t used = strlen(sources);
        if (json_object_is_type(word, json_type_string) && used < sizeof(sources))
            (void)snprintf(sources + used, sizeof(sources) - used, "%s%.16s", used > 0 ? ", " : "",
                json_object_get_string(word));
    }
    text_clean(sources);
    if (known(field_u64(vm, "pid")))
        (void)snprintf(pid, sizeof(pid), "%" PRIu64, field_u64(vm, "pid"));
    (void)snprintf(words, sizeof(words), "%s: %s", field_text(vm, "name", name),
        field_text(vm, "state", state));
    terminal_wrap(style, words, 0, 2, out);
    (void)snprintf(words, sizeof(words), "pid %s, uuid %s, known by %s", pid,
        field_text(vm, "uuid", uuid), sources[0] != '\0' ? sources : "nobody");
    terminal_wrap(style, words, 0, 2, out);
    fputc('\n', out);
}

static void mode_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *vm = field_get(reply, "vm");
    char own[FIELD_MAX], guards[FIELD_MAX], words[WORDS_MAX];

    if (field_is(vm, "mode", "enforce")) {
        row_print(style, "Mode", "enforce: it is acted on", out);
        return;
    }
    if (field_is(vm, "mode", "held")) {
        bool alone = field_get(vm, "hold") != NULL;
        (void)snprintf(words, sizeof(words),
            "held%s%s: nothing new is taken from it; plimsoll "
            "release ends that",
            alone ? ", for another " : "",
            alone ? field_time(field_get(vm, "hold"), "remaining", own) : "");
        row_print(style, "Mode", words, out);
        return;
    }
    rule_value(reply, "mode", own);
    rule_value(reply, "guard-mode", guards);
    const char *whose = "its own rules say so";
    if (strcmp(own, "enforce") == 0)
        whose = "the guard as a whole is";
    else if (strcmp(guards, "dry-run") == 0)
        whose = "its own rules say so, and the guard as a whole is, too";
    (void)snprintf(
        words, sizeof(words), "dry run: it is decided on, and nothing is done to it; %s", whose);
    row_print(style, "Mode", words, out);
}

static void kind_print(struct json_object *vm, const struct style *style, FILE *out)
{
    char kind[FIELD_MAX], reason[FIELD_MAX], words[WORDS_MAX];
    const char *kind_text = vm_kind_text(field_text(vm, "kind", kind));
    const char *reason_text = vm_kind_reason_text(field_text(vm, "kind_reason", reason));

    (void)snprintf(words, sizeof(words), "%s%s%s%s%s", kind, kind_text ? ": " : "",
        kind_text ? kind_text : "", reason_text ? "; " : "", reason_text ? reason_text : "");
    row_print(style, "Kind", words, out);
}

static void memory_print(struct json_object *vm, const struct style *style, FILE *out)
{
    struct json_object *balloon = field_get(vm, "balloon");
    char rss[FIELD_MAX], maximum[FIELD_MAX], minimum[FIELD_MAX], actual[FIELD_MAX];
    char words[WORDS_MAX];
    size_t used;

    used = (size_t)snprintf(words, sizeof(words), "holds %s of %s", field_bytes(vm, "rss", rss),
        field_bytes(vm, "maximum", maximum));
    if (known(field_u64(balloon, "actual")))
        used += (size_t)snprintf(words + used, sizeof(words) - used, "; %s by its balloon",
            field_bytes(balloon, "actual", actual));
    if (known(field_u64(vm, "minimum")))
        (void)snprintf(words + used, sizeof(words) - used, "; is not ballooned below %s",
            field_bytes(vm, "minimum", minimum));
    row_print(style, "Memory", words, out);
}

static void statistics_print(struct json_object *vm, const struct style *style, FILE *out)
{
    const char *words = "whether it says what it uses is not known";

    if (field_is_true(vm, "statistics"))
        words = "it says what it uses";
    else if (json_object_is_type(field_get(vm, "statistics"), json_type_boolean))
        words = "it does not say what it uses, so it counts as using all that it has";
    row_print(style, "Statistics", words, out);
}

/* A balloon has figures of its own. */
static void measure_print(
    struct json_object *vm, const char *measure, bool first, const struct style *style, FILE *out)
{
    struct json_object *balloon = field_get(vm, "balloon");
    const char *text = vm_measure_text(measure);
    char target[FIELD_MAX], before[FIELD_MAX], words[WORDS_MAX];

    if (strcmp(measure, "balloon") == 0 && known(field_u64(balloon, "target")))
        (void)snprintf(words, sizeof(words), "balloon: it is asked to have %s; it had %s",
            field_bytes(balloon, "target", target), field_bytes(balloon, "before", before));
    else
        (void)snprintf(words, sizeof(words), "%s%s%s", measure, text ? ": " : "", text ? text : "");
    row_print(style, first ? "In force" : "", words, out);
}

static void measures_print(struct json_object *vm, const struct style *style, FILE *out)
{
    struct json_object *measures = field_get(vm, "measures");
    char measure[FIELD_MAX];
    bool first = true;

    for (size_t i = 0; i < list_length(measures); i++) {
        struct json_object *word = json_object_array_get_idx(measures, i);
        if (!json_object_is_type(word, json_type_string))
            continue;
        text_finish(measure, sizeof(measure),
            snprintf(measure, sizeof(measure), "%s", json_object_get_string(word)));
        measure_print(vm, measure, first, style, out);
        first = false;
    }
    if (first)
        row_print(style, "In force", "nothing", out);
}

/* What is in store for it, as far as that is known: the order that the kernel is armed with. */
static void order_print(struct json_object *reply, const struct style *style, FILE *out)
{
    uint64_t place = field_u64(field_get(reply, "vm"), "victim_order");
    uint64_t victims = field_u64(reply, "victims");
    char sacrifice[FIELD_MAX], words[WORDS_MAX];

    rule_value(reply, "sacrifice", sacrifice);
    if (place == 1 && victims == 1)
        (void)snprintf(words, sizeof(words), "it is the only guest that may be killed");
    else if (place == 1)
        (void)snprintf(words, sizeof(words),
            "if one has to be killed it goes first, of %" PRIu64 " that may be", victims);
    else if (known(place) && known(victims))
        (void)snprintf(words, sizeof(words),
            "if guests have to be killed it is number %" PRIu64 " of %" PRIu64 " that may be",
            place, victims);
    else if (strcmp(sacrifice, "never") == 0)
        (void)snprintf(words, sizeof(words), "it is never killed: its rules say sacrifice=never");
    else if (sacrifice[0] != '\0' && !is_listed(reply, "rungs", "kill"))
        (void)snprintf(words, sizeof(words), "it is not killed: its rungs= have no kill");
    else
        return;
    row_print(style, "Next", words, out);
}

/* A name that may stand in a command and in a pattern as it is. */
static bool is_plain(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= PLAIN_MAX && name[0] != '-' && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               length;
}

/* The lines that spare it, to be copied whole, so they are not wrapped. The last file counts: a
 * section behind it that names a class would set all anew. */
static void protect_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *vm = field_get(reply, "vm");
    char name[FIELD_MAX];

    if (!known(field_u64(vm, "victim_order")))
        return;
    if (!is_plain(field_text(vm, "name", name))) {
        row_print(style, "Protect",
            "a [vm …] section in " CONFIG_FILE_DEFAULT " that matches it and says sacrifice=never, "
            "and a reload (systemctl reload plimsolld): then it is never paused, saved, shut down "
            "or killed",
            out);
        return;
    }
    row_print(
        style, "Protect", "so that it is never paused, saved, shut down or killed, as root:", out);
    fprintf(out,
        "      mkdir -p " DROP_INS "\n"
        "      printf '[vm keep-%s]\\nmatch=%s\\nsacrifice=never\\n' \\\n"
        "        >" DROP_INS "/zz-keep-%s.conf\n"
        "      systemctl reload plimsolld\n"
        "      plimsoll vm %s\n",
        name, name, name, name);
}

static void refused_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *refused = field_get(reply, "refused");
    char rule[FIELD_MAX], text[FIELD_MAX], words[WORDS_MAX];

    for (size_t i = 0; i < list_length(refused); i++) {
        struct json_object *refusal = json_object_array_get_idx(refused, i);
        bool named = field_get(refusal, "rule") != NULL;
        (void)snprintf(words, sizeof(words), "%s%sin its metadata does not hold: %s",
            named ? field_text(refusal, "rule", rule) : "something", named ? "= " : " ",
            field_text(refusal, "text", text));
        row_print(style, "Refused", words, out);
    }
}

/* ---- rules and figures ---- */

struct cell {
    const char *text;
    unsigned width; /* it is filled up to that; one blank at least stands behind it */
};

/* CELLS, and behind them END, or in a line of its own where it does not fit. */
static void line_print(
    const struct style *style, const struct cell *cells, size_t count, const char *end, FILE *out)
{
    unsigned used = 2, blanks = 2;

    for (size_t i = 0; i < count; i++) {
        unsigned columns = terminal_columns(cells[i].text);
        fprintf(out, "%*s%s", (int)blanks, "", cells[i].text);
        blanks = columns < cells[i].width ? cells[i].width - columns : 1;
        used += columns + blanks;
    }
    if (style->width > 0 && used + terminal_columns(end) > style->width) {
        fputc('\n', out);
        used = blanks = WRAPPED;
    }
    fprintf(out, "%*s", (int)blanks, "");
    terminal_wrap(style, end, used, WRAPPED, out);
}

static void origin_format(struct json_object *rule, char words[WORDS_MAX])
{
    char file[FIELD_MAX], section[FIELD_MAX], origin[FIELD_MAX];
    uint64_t line = field_u64(rule, "line");

    if (field_is(rule, "origin", "built-in"))
        (void)snprintf(words, WORDS_MAX, "nobody: built in");
    else if (field_is(rule, "origin", "metadata"))
        (void)snprintf(words, WORDS_MAX, "the domain's metadata");
    else if (field_is(rule, "origin", "command-line"))
        (void)snprintf(words, WORDS_MAX, "plimsolld --dry-run");
    else if (field_is(rule, "origin", "file") && known(line))
        (void)snprintf(words, WORDS_MAX, "%s:%" PRIu64 " [%s]", field_text(rule, "file", file),
            line, field_text(rule, "section", section));
    else
        (void)snprintf(words, WORDS_MAX, "%s", field_text(rule, "origin", origin));
}

static void rules_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *policy = field_get(reply, "policy");
    char key[FIELD_MAX], value[FIELD_MAX], words[WORDS_MAX];

    if (list_length(policy) == 0)
        return;
    fputs("\nWhat holds for it, and who says so:\n", out);
    for (size_t i = 0; i < list_length(policy); i++) {
        struct json_object *rule = json_object_array_get_idx(policy, i);
        origin_format(rule, words);
        const struct cell cells[] = {{field_text(rule, "key", key), RULE_WIDTH},
            {field_text(rule, "value", value), VALUE_WIDTH}};
        line_print(style, cells, ELEMENTSOF(cells), words, out);
    }
}

static bool fact_is_known(struct json_object *fact)
{
    return field_get(fact, "word") || json_object_is_type(field_get(fact, "value"), json_type_int);
}

static void fact_value(struct json_object *fact, char value[FIELD_MAX])
{
    if (field_get(fact, "word"))
        (void)field_text(fact, "word", value);
    else if (field_is(fact, "unit", "bytes"))
        (void)field_bytes(fact, "value", value);
    else if (field_is(fact, "unit", "nanoseconds"))
        (void)field_time(fact, "value", value);
    else
        (void)snprintf(
            value, FIELD_MAX, "%" PRId64, json_object_get_int64(field_get(fact, "value")));
}

static void fact_print(struct json_object *fact, const struct style *style, FILE *out)
{
    char name[FIELD_MAX], value[FIELD_MAX], age[FIELD_MAX], source[FIELD_MAX];
    bool aged = known(field_u64(fact, "age"));

    fact_value(fact, value);
    if (aged)
        (void)field_time(fact, "age", age);
    const struct cell cells[] = {{field_text(fact, "name", name), FACT_WIDTH},
        {value, NUMBER_WIDTH}, {aged ? age : FIELD_UNKNOWN, AGE_WIDTH}};
    line_print(style, cells, ELEMENTSOF(cells), field_text(fact, "source", source), out);
}

static void facts_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *facts = field_get(reply, "facts");
    char name[FIELD_MAX], unknown[8 * FIELD_MAX] = "Not known:";
    size_t used = strlen(unknown);
    bool any = false;

    if (list_length(facts) == 0)
        return;
    fputs("\nFigures, their age, and where they are from:\n", out);
    for (size_t i = 0; i < list_length(facts); i++) {
        struct json_object *fact = json_object_array_get_idx(facts, i);
        if (fact_is_known(fact)) {
            fact_print(fact, style, out);
        } else if (used < sizeof(unknown)) {
            used += (size_t)snprintf(unknown + used, sizeof(unknown) - used, "%s %s",
                any ? "," : "", field_text(fact, "name", name));
            any = true;
        }
    }
    if (!any)
        return;
    text_clean(unknown); /* a list that was too long may end within a character */
    fputs("  ", out);
    terminal_wrap(style, unknown, 2, WRAPPED, out);
}

void vm_view_print(struct json_object *reply, const struct style *style, FILE *out)
{
    struct json_object *vm = field_get(reply, "vm");

    heading_print(vm, style, out);
    mode_print(reply, style, out);
    kind_print(vm, style, out);
    memory_print(vm, style, out);
    statistics_print(vm, style, out);
    measures_print(vm, style, out);
    order_print(reply, style, out);
    protect_print(reply, style, out);
    if (field_is_true(vm, "unmatched"))
        row_print(style, "Unmatched",
            "no [vm …] section fits it and its metadata says nothing, so it has what class "
            "default says",
            out);
    refused_print(reply, style, out);
    rules_print(reply, style, out);
    facts_print(reply, style, out);
}
