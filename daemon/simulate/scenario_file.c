/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the scenario as loaded: its guests, the points of their curves, and the rules by slot. The
 * file is read twice, each time by the configuration's own reader: first for the rules, where the
 * scenario's own sections are passed over, and, if those were without mistake, for the scenario,
 * where the others are.
 */
#include "scenario_file.h"

#include "config_file.h"
#include "scenario_keys.h"
#include "text.h"
#include "trace_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_DEFAULT (60 * NSEC_PER_MINUTE)
/* Between two looks at the edge the guard lets as much time pass. */
#define STEP_DEFAULT (10 * NSEC_PER_MSEC)
#define SEED_DEFAULT 1
/* No more steps than a week of the default. */
#define STEPS_MOST UINT64_C(60480000)
/* One thread, pages of 4 KiB; and a balloon (limits: rates). */
#define TOUCH_RATE_DEFAULT (2 * GIB)
#define BALLOON_RATE_DEFAULT GIB
/* A guest of 384 MiB was seen with 50 MiB (policy/tuning.h). */
#define OVERHEAD_DEFAULT (64 * MIB)
#define CACHE_RATE_DEFAULT (100 * MIB)
#define KERNEL_DEFAULT GIB
#define MISTAKE_MAX 1024

struct scenario_file {
    struct scenario scenario;
    struct rules *rules;
    struct guest_section *sections;
    uint32_t section_count;
    struct scenario_guest *guests; /* one for each of each section */
};

struct scenario_loader {
    struct scenario_file *file;
    const char *path;
    config_sink sink;
    void *userdata;
    unsigned mistakes;
    enum scenario_section section; /* being read */
};

/* ---- mistakes ---- */

static void __attribute__((format(printf, 3, 4)))
mistake(uint32_t line, void *userdata, const char *format, ...)
{
    struct scenario_loader *loader = userdata;
    char text[MISTAKE_MAX];
    va_list arguments;
    int length = line > 0 ? snprintf(text, sizeof(text), "%s:%u: ", loader->path, (unsigned)line)
                          : snprintf(text, sizeof(text), "%s: ", loader->path);

    loader->mistakes++;
    if (length > 0 && (size_t)length < sizeof(text)) {
        va_start(arguments, format);
        int more = vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
        va_end(arguments);
        length = more < 0 ? more : length + more;
    }
    text_finish(text, sizeof(text), length);
    loader->sink(text, loader->userdata);
}

/* ---- sections and keys ---- */

static bool guest_enter(struct scenario_loader *loader, uint32_t line, const char *name)
{
    struct scenario_file *file = loader->file;

    if (strlen(name) >= VM_NAME_MAX) {
        mistake(line, loader, "[guest]: expected a name of at most %d bytes", VM_NAME_MAX - 1);
        return false;
    }
    if (file->section_count == GUESTS_MAX) {
        mistake(line, loader, "more than %d guests", GUESTS_MAX);
        return false;
    }
    struct guest_section *section = &file->sections[file->section_count++];
    *section = (struct guest_section){.line = line, .count = 1, .scale = AMOUNT_SHARE_WHOLE};
    section->guest.touch_rate = TOUCH_RATE_DEFAULT;
    section->guest.balloon_rate = BALLOON_RATE_DEFAULT;
    section->guest.overhead = OVERHEAD_DEFAULT;
    memcpy(section->guest.name, name, strlen(name) + 1);
    return true;
}

static bool item_take(const struct config_item *item, void *userdata)
{
    struct scenario_loader *loader = userdata;
    struct scenario_file *file = loader->file;
    const char *name = NULL;

    if (!item->key) {
        if (!scenario_section_find(item->section, &loader->section, &name))
            return false;
        return loader->section != SCENARIO_GUEST || guest_enter(loader, item->line, name);
    }
    struct guest_section *guest =
        loader->section == SCENARIO_GUEST ? &file->sections[file->section_count - 1] : NULL;
    char *base = guest ? (char *)guest : (char *)&file->scenario;
    const struct scenario_key *key = scenario_key_find(loader->section, item->key);
    if (!key) {
        mistake(item->line, loader, "[%s] has no key %s", item->section, item->key);
        return true;
    }
    const char *expected = key->parser(item->value, base + key->offset);
    if (expected)
        mistake(item->line, loader, "%s=%s: expected %s", item->key, item->value, expected);
    if (guest && strcmp(item->key, "demand") == 0)
        guest->curve_line = item->line;
    return true;
}

/* ---- curves ---- */

static void curve_scale(struct demand_point *points, uint32_t count, uint64_t scale)
{
    for (uint32_t i = 0; i < count; i++)
        points[i].bytes =
            min_u64(scale_u64(points[i].bytes, scale, AMOUNT_SHARE_WHOLE), TRACE_BYTES_MAX);
}

/* Where the trace of SECTION lies; false: no such name can exist. */
static bool trace_path(const struct scenario_loader *loader, const struct guest_section *section,
    const char *folder, char *path, size_t size)
{
    const char *slash = strrchr(loader->path, '/');
    int length;

    if (section->curve.trace[0] == '/')
        length = snprintf(path, size, "%s", section->curve.trace);
    else if (folder)
        length = snprintf(path, size, "%s/%s", folder, section->curve.trace);
    else
        length = snprintf(path, size, "%.*s%s", slash ? (int)(slash - loader->path) + 1 : 0,
            loader->path, section->curve.trace);
    return length >= 0 && (size_t)length < size;
}

static void curve_finish(
    struct scenario_loader *loader, struct guest_section *section, const char *folder)
{
    struct demand *demand = &section->guest.demand;
    struct curve *curve = &section->curve;
    struct error error = {0};
    char path[PATH_MAX];

    if (curve->count == 0) {
        if (!trace_path(loader, section, folder, path, sizeof(path)))
            mistake(section->curve_line, loader, "trace: the path is too long");
        else if (trace_file_read(path, &section->trace, &section->trace_count, &error) < 0)
            mistake(section->curve_line, loader, "%s", error.text);
        demand->points = section->trace;
        demand->count = section->trace_count;
    } else {
        demand->points = curve->points;
        demand->count = curve->count;
    }
    demand->stepwise = curve->stepwise;
    if (demand->repeat == 0)
        demand->repeat = curve->period;
    curve_scale(curve->count > 0 ? curve->points : section->trace, demand->count, section->scale);
}

/* ---- what concerns several keys ---- */

static void guest_check(
    struct scenario_loader *loader, struct guest_section *section, const char *folder)
{
    if (section->guest.maximum == 0)
        mistake(section->line, loader, "[guest %s] needs a maximum=", section->guest.name);
    if (section->curve_line == 0)
        mistake(section->line, loader, "[guest %s] needs a demand=", section->guest.name);
    else if (section->curve.count > 0 || section->curve.trace[0] != '\0')
        curve_finish(loader, section, folder);
}

static void host_check(struct scenario_loader *loader)
{
    const struct scenario *scenario = &loader->file->scenario;
    uint64_t taken = scenario->host.kernel + scenario->host.process;

    for (uint32_t i = 0; i < scenario->guest_count; i++) {
        const struct scenario_guest *guest = &scenario->guests[i];
        if (guest->start > 0)
            continue;
        uint64_t first = guest->demand.points[0].bytes + guest->demand.noise;
        taken +=
            guest->overhead + (guest->pinned ? guest->maximum : min_u64(first, guest->maximum));
    }
    if (scenario->host.total == 0)
        mistake(0, loader, "[host] needs a total=");
    else if (taken > scenario->host.total)
        mistake(0, loader, "total= is less than kernel=, process= and the guests of the beginning");
    if (scenario->duration < scenario->step)
        mistake(0, loader, "duration= is less than step=");
    if (scenario->duration / scenario->step > STEPS_MOST)
        mistake(
            0, loader, "duration= is more than %llu times step=", (unsigned long long)STEPS_MOST);
}

/* Of one with count= the guests are NAME-1, NAME-2 …. */
static void guest_name(
    struct scenario_guest *guest, const struct guest_section *section, unsigned i)
{
    int length;

    if (section->count == 1)
        return;
    length = snprintf(
        guest->name, sizeof(guest->name), "%.*s-%u", VM_NAME_MAX - 8, section->guest.name, i + 1);
    text_finish(guest->name, sizeof(guest->name), length);
}

static int guests_spread(struct scenario_loader *loader)
{
    struct scenario_file *file = loader->file;
    uint32_t count = 0, at = 0;

    for (uint32_t i = 0; i < file->section_count; i++)
        count += file->sections[i].count;
    if (count == 0 || count > GUESTS_MAX) {
        mistake(0, loader, "expected from 1 to %d guests", GUESTS_MAX);
        return -EINVAL;
    }
    file->guests = calloc(count, sizeof(*file->guests));
    if (!file->guests) {
        mistake(0, loader, "out of memory");
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < file->section_count; i++) {
        for (uint32_t n = 0; n < file->sections[i].count; n++) {
            file->guests[at] = file->sections[i].guest;
            guest_name(&file->guests[at++], &file->sections[i], n);
        }
    }
    file->scenario.guests = file->guests;
    file->scenario.guest_count = count;
    return 0;
}

/* ---- rules ---- */

static int rules_make(struct scenario_loader *loader, const struct config *config)
{
    struct scenario_file *file = loader->file;
    uint32_t count = file->scenario.guest_count;

    file->rules = calloc(1, rules_size(count));
    if (!file->rules) {
        mistake(0, loader, "out of memory");
        return -ENOMEM;
    }
    file->rules->host = *config_host_rules(config);
    file->rules->host.mode = MODE_ENFORCE;
    file->rules->vm_capacity = count;
    for (uint32_t i = 0; i < count; i++) {
        config_vm_rules(config, file->guests[i].name, &file->rules->vms[i]);
        file->rules->vms[i].mode = MODE_ENFORCE;
    }
    return 0;
}

/* ---- the file ---- */

static bool section_is_ours(const char *head)
{
    enum scenario_section section;
    const char *name;

    return scenario_section_find(head, &section, &name);
}

static int scenario_read(struct scenario_loader *loader, const struct scenario_options *options)
{
    static const struct config_handlers handlers = {item_take, mistake};
    struct scenario_file *file = loader->file;
    int result = config_file_read(loader->path, &handlers, loader);

    if (result == -ENOENT)
        mistake(0, loader, "is gone");
    if (result < 0)
        return result;
    for (uint32_t i = 0; i < file->section_count; i++)
        guest_check(loader, &file->sections[i], options->traces);
    if (loader->mistakes > 0)
        return -EINVAL;
    result = guests_spread(loader);
    if (result < 0)
        return result;
    host_check(loader);
    return loader->mistakes > 0 ? -EINVAL : 0;
}

static struct scenario_file *file_new(void)
{
    struct scenario_file *file = calloc(1, sizeof(*file));

    if (!file)
        return NULL;
    file->sections = calloc(GUESTS_MAX, sizeof(*file->sections));
    if (!file->sections)
        return scenario_file_free(file);
    file->scenario = (struct scenario){
        .duration = DURATION_DEFAULT,
        .step = STEP_DEFAULT,
        .seed = SEED_DEFAULT,
        .host = {.kernel = KERNEL_DEFAULT, .cache_rate = CACHE_RATE_DEFAULT},
    };
    return file;
}

static void config_free_at(struct config **config)
{
    (void)config_free(*config);
}

int scenario_file_load(const char *path, const struct scenario_options *options, config_sink sink,
    void *userdata, struct scenario_file **ret_file)
{
    struct scenario_file *file CLEANUP(scenario_file_free_at) = file_new();
    struct scenario_loader loader = {
        .file = file, .path = path, .sink = sink, .userdata = userdata};
    struct config *config CLEANUP(config_free_at) = NULL;
    int result;

    if (!file) {
        sink("out of memory", userdata);
        return -ENOMEM;
    }
    /* Always, for it also finds sections that nobody knows. */
    result = config_load_beside(path, section_is_ours, sink, userdata, &config);
    if (result == 0)
        result = scenario_read(&loader, options);
    if (result == 0 && options->config) {
        config = config_free(config);
        result = config_load(options->config, sink, userdata, &config);
    }
    if (result == 0)
        result = rules_make(&loader, config);
    if (result == 0)
        *ret_file = STEAL(file);
    return result;
}

struct scenario_file *scenario_file_free(struct scenario_file *file)
{
    if (!file)
        return NULL;
    for (uint32_t i = 0; i < file->section_count; i++)
        free(file->sections[i].trace);
    free(file->sections);
    free(file->guests);
    free(file->rules);
    free(file);
    return NULL;
}

const struct scenario *scenario_file_scenario(const struct scenario_file *file)
{
    return &file->scenario;
}

const struct rules *scenario_file_rules(const struct scenario_file *file)
{
    return file->rules;
}
