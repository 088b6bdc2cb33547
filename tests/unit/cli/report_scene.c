/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See report_scene.h. */
#include "report_scene.h"

#include "record_write.h"
#include "scratch.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct scene scene;
static char folder[SCRATCH_FOLDER_MAX];
static struct policy_state *state;
static void *frame_buffer;
static struct record_writer *writer;
static FILE *out;
static bool stretch;
static pid_t last_pid;

static void scene_begin(void)
{
    scene = (struct scene){.snapshot = calloc(1, snapshot_size(SCENE_VMS)),
        .rules = calloc(1, rules_size(SCENE_VMS)),
        .plan = calloc(1, plan_size(SCENE_VMS))};
    state = malloc(policy_state_size(SCENE_VMS));
    frame_buffer = malloc(record_frame_size_max(SCENE_VMS));
    ck_assert(scene.snapshot && scene.rules && scene.plan && state && frame_buffer);
    (void)policy_state_init(state, SCENE_VMS);
    host_rules_default(&scene.rules->host);
    scene.rules->host.mode = MODE_ENFORCE;
    scene.rules->vm_capacity = scene.snapshot->vm_capacity = SCENE_VMS;
    scene.plan->action_capacity = plan_action_capacity(SCENE_VMS);
    scene.snapshot->time = SCENE_TIME;
    scene.snapshot->realtime = SCENE_REALTIME;
    struct host_snapshot *host = &scene.snapshot->host;
    host->total = SCENE_TOTAL;
    host->arc_size = host->arc_minimum = UNKNOWN;
    host->swap_rate = host->fill_rate_most = UNKNOWN;
    last_pid = 1000;
    stretch = true;
    scratch_make("report", folder);
    (void)snprintf(scene.path, sizeof(scene.path), "%s/trace", folder);
    out = fopen(scene.path, "we");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(record_writer_new(SCENE_VMS, &writer), 0);
    ck_assert_int_eq(record_write_head(writer, out), 0);
}

static void scene_end(void)
{
    json_object_put(scene.json);
    free(scene.text);
    free(scene.flat);
    free(scene.html);
    (void)report_free(scene.report);
    (void)events_free(scene.events);
    (void)traces_close(scene.traces);
    if (out)
        (void)fclose(out);
    out = NULL;
    record_writer_free(writer);
    free(frame_buffer);
    free(state);
    free(scene.plan);
    free(scene.rules);
    free(scene.snapshot);
    scratch_remove(folder);
}

/* Each test is a process of its own. */
TCase *scene_case(Suite *suite, const char *name)
{
    TCase *one = tcase_create(name);

    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)setenv("TZ", "UTC", 1);
    tzset();
    tcase_add_checked_fixture(one, scene_begin, scene_end);
    tcase_set_timeout(one, 60);
    suite_add_tcase(suite, one);
    return one;
}

/* ---- what is seen ---- */

struct vm_snapshot *scene_vm(unsigned index)
{
    ck_assert_uint_lt(index, scene.snapshot->vm_count);
    return &scene.snapshot->vms[index];
}

struct vm_snapshot *scene_guest(const char *name, uint64_t rss)
{
    uint32_t index = scene.snapshot->vm_count++;
    uint32_t slot = index > 0 ? scene.snapshot->vms[index - 1].slot + 1 : 0;

    ck_assert_uint_lt(slot, SCENE_VMS);
    struct vm_snapshot *vm = &scene.snapshot->vms[index];
    *vm = (struct vm_snapshot){.identity = {.pid = ++last_pid, .start_time = 7},
        .slot = slot,
        .rss = rss,
        .hugetlb = 0,
        .maximum = 8 * GIB,
        .balloon = {.actual = 8 * GIB},
        .resizable = VM_RESIZABLE_UNKNOWN,
        .measures = {.balloon_target = UNKNOWN, .balloon_before = UNKNOWN}};
    memcpy(vm->name, name, strnlen(name, sizeof(vm->name) - 1));
    vm_rules_default(&scene.rules->vms[slot]);
    scene.rules->vms[slot].mode = MODE_ENFORCE;
    return vm;
}

void scene_gone(unsigned index)
{
    struct vm_snapshot *vm = scene_vm(index);

    memmove(vm, vm + 1, (--scene.snapshot->vm_count - index) * sizeof(*vm));
}

struct action *scene_act(enum action_kind kind, enum reason reason, unsigned index)
{
    struct action *action = &scene.plan->actions[scene.plan->action_count++];
    const struct vm_snapshot *vm = scene_vm(index);

    *action = (struct action){.kind = kind,
        .reason = reason,
        .slot = vm->slot,
        .identity = vm->identity,
        .target = UNKNOWN,
        .mode = MODE_ENFORCE,
        .choice = {.rival = {.slot = ACTION_SLOT_HOST}}};
    return action;
}

static void look_assess(enum band band, uint64_t available)
{
    struct assessment *assessment = &scene.plan->assessment;
    uint64_t held = 0;

    for (uint32_t i = 0; i < scene.snapshot->vm_count; i++) {
        scene.snapshot->vms[i].sampled = scene.snapshot->time;
        held += known_or(vm_held(&scene.snapshot->vms[i]), 0);
    }
    assessment->band = band;
    assessment->worst = POOL_HOST;
    assessment->pool_count = POOL_HOST + 1;
    assessment->guests_held = held;
    assessment->pools[POOL_HOST] = (struct pool_view){.kind = POOL_HOST,
        .total = SCENE_TOTAL,
        .available = available,
        .floor = SCENE_FLOOR,
        .headroom = diff_i64(available, SCENE_FLOOR),
        .band = band,
        .time_to_exhaustion = NEVER};
    scene.plan->time = scene.snapshot->time;
}

void scene_looks(unsigned count, enum band band, uint64_t available)
{
    while (count-- > 0) {
        scene.snapshot->host.available = scene.snapshot->host.free = available;
        scene.snapshot->sequence++;
        look_assess(band, available);
        struct record_frame *frame =
            record_frame_begin(frame_buffer, scene.snapshot, scene.rules, stretch ? state : NULL);
        record_frame_end(frame, scene.plan);
        ck_assert_int_eq(record_write_frame(writer, frame, out), 0);
        stretch = false;
        scene.plan->action_count = 0;
        scene.snapshot->time += NSEC_PER_SEC;
        scene.snapshot->realtime += NSEC_PER_SEC;
    }
}

void scene_calm_before(void)
{
    scene_looks(20, BAND_CALM, 8 * GIB);
}

void scene_calm_after(void)
{
    scene_looks(130, BAND_CALM, 8 * GIB);
}

void scene_gap(uint64_t time)
{
    scene.snapshot->time += time;
    scene.snapshot->realtime += time;
    scene.snapshot->sequence = 0;
    stretch = true;
}

/* ---- what is said ---- */

static char *page_take(int (*printer)(const struct report *report, FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *page = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(page);
    ck_assert_int_eq(printer(scene.report, page), 0);
    ck_assert_int_eq(fclose(page), 0);
    return text;
}

static char *text_flatten(const char *text)
{
    char *flat = strdup(text), *to = flat;

    ck_assert_ptr_nonnull(flat);
    for (const char *from = flat; *from; from++) {
        bool blank = *from == '\n' || *from == ' ';
        if (!blank)
            *to++ = *from;
        else if (to > flat && to[-1] != ' ')
            *to++ = ' ';
    }
    *to = '\0';
    return flat;
}

void scene_report(unsigned number)
{
    struct error error = {0};

    ck_assert_int_eq(fclose(out), 0);
    out = NULL;
    ck_assert_int_eq(traces_open(scene.path, &scene.traces, &error), 0);
    ck_assert_int_eq(events_new(&scene.events), 0);
    int result = events_find(scene.events, scene.traces, NULL, &error);
    ck_assert_msg(result == 0, "%s", error.text);
    ck_assert_str_eq(scene.traces->files[0].fault, "");
    if (number == 0)
        return;
    ck_assert_uint_ge(scene.events->count, number);
    result = report_new(
        scene.traces, scene.events, scene.events->count - number, NULL, &scene.report, &error);
    ck_assert_msg(result == 0, "%s", error.text);
    scene.text = page_take(page_text_print);
    scene.flat = text_flatten(scene.text);
    scene.html = page_take(page_html_print);
    scene.json = page_json(scene.events, scene.report);
    ck_assert_ptr_nonnull(scene.json);
}

void scene_says(const char *words)
{
    ck_assert_msg(strstr(scene.flat, words), "no \"%s\" in\n%s", words, scene.text);
}

void scene_says_not(const char *words)
{
    ck_assert_msg(!strstr(scene.flat, words), "\"%s\" in\n%s", words, scene.text);
}

struct json_object *scene_member(
    const char *array, const char *key, const char *value, const char *member)
{
    struct json_object *list = json_object_object_get(scene.json, array);

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *is = json_object_get_string(json_object_object_get(one, key));
        if (is && strcmp(is, value) == 0)
            return json_object_object_get(one, member);
    }
    ck_abort_msg("no %s with %s=%s", array, key, value);
    return NULL;
}
