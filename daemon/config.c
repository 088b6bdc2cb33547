/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the configuration as loaded: [guard] with its defaults, the classes, and the [vm] sections
 * in the order in which their names first appear.
 *
 * Loading reads the main file and then the drop-ins into one configuration, each key replacing what
 * an earlier file said. Mistakes are reported as they are found and counted; what concerns several
 * keys (an unknown class, bands out of order) is checked at the end. Only a configuration without
 * any mistake leaves this file. Where each key stands is kept, for whoever asks later why a guest
 * is treated as it is (config_rules.c).
 */
#include "config.h"
#include "config_file.h"
#include "config_private.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/plan.h>
#include <plimsoll/policy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of each kind, over all files: one for each VM of the largest host that names them one by one. */
#define SECTIONS_MAX 4096
/* A file that is no configuration at all would fill the journal. */
#define MISTAKES_MAX 100
#define MISTAKE_TEXT_MAX 1024

DEFINE_CLEANUP(struct config *, config_free);

struct loader {
    struct config *config;
    config_sink sink;
    void *userdata;
    config_foreign foreign; /* NULL: no section is */
    uint32_t mistakes;
    enum config_section section; /* being read */
    struct rule_section *rule;   /* likewise; NULL in a section that is there once */
    struct config_place bands[BAND_COUNT];
};

/* ---- mistakes ---- */

static void __attribute__((format(printf, 4, 0))) mistake_report(
    struct loader *loader, uint32_t file, uint32_t line, const char *format, va_list arguments)
{
    char text[MISTAKE_TEXT_MAX];
    const char *path = loader->config->files[file];

    loader->mistakes++;
    if (loader->mistakes > MISTAKES_MAX)
        return;
    int length = line > 0 ? snprintf(text, sizeof(text), "%s:%u: ", path, (unsigned)line)
                          : snprintf(text, sizeof(text), "%s: ", path);
    if (length > 0 && (size_t)length < sizeof(text)) {
        int more = vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
        length = more < 0 ? more : length + more;
    }
    text_finish(text, sizeof(text), length);
    loader->sink(text, loader->userdata);
    if (loader->mistakes == MISTAKES_MAX)
        loader->sink("further mistakes are not listed", loader->userdata);
}

static void __attribute__((format(printf, 3, 4)))
mistake_here(uint32_t line, void *userdata, const char *format, ...)
{
    struct loader *loader = userdata;
    va_list arguments;

    va_start(arguments, format);
    mistake_report(loader, loader->config->file_count - 1, line, format, arguments);
    va_end(arguments);
}

static void __attribute__((format(printf, 3, 4)))
mistake_at(struct loader *loader, struct config_place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    mistake_report(loader, place.file, place.line, format, arguments);
    va_end(arguments);
}

/* ---- sections ---- */

static struct rule_section *sections_find(const struct rule_sections *sections, const char *name)
{
    for (uint32_t i = 0; i < sections->count; i++)
        if (strcmp(sections->items[i].name, name) == 0)
            return &sections->items[i];
    return NULL;
}

const struct rule_section *config_class_find(const struct config *config, const char *name)
{
    return sections_find(&config->classes, name);
}

/* The section NAME, a new one if need be; NULL: too many. */
static struct rule_section *sections_enter(struct rule_sections *sections, const char *name)
{
    struct rule_section *found = sections_find(sections, name);

    if (found || sections->count == SECTIONS_MAX)
        return found;
    if (sections->count == sections->allocated) {
        uint32_t allocated = sections->allocated > 0 ? sections->allocated * 2 : 16;
        struct rule_section *items =
            reallocarray(sections->items, allocated, sizeof(*sections->items));
        if (!items)
            return NULL;
        sections->items = items;
        sections->allocated = allocated;
    }
    struct rule_section *section = &sections->items[sections->count++];
    memset(section, 0, sizeof(*section));
    memcpy(section->name, name, strlen(name) + 1);
    return section;
}

static struct config_place place_here(const struct loader *loader, uint32_t line)
{
    uint32_t file = loader->config->file_count - 1;

    return (struct config_place){
        .file = file % CONFIG_FILES_MAX, .line = line % CONFIG_PLACE_LINES};
}

/* What follows WORD and blanks in TEXT, be it nothing; NULL if TEXT begins with another word. */
static const char *word_skip(const char *text, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(text, word, length) != 0)
        return NULL;
    size_t blanks = strspn(text + length, " \t");
    return blanks > 0 || text[length] == '\0' ? text + length + blanks : NULL;
}

/* Enters the section whose head stands at LINE. False: its keys are passed over. */
static bool section_enter(struct loader *loader, uint32_t line, const char *head)
{
    char unused[CLASS_NAME_MAX];
    const char *class_name = word_skip(head, "class"), *vm_name = word_skip(head, "vm");

    if (config_section_find(head, &loader->section)) {
        loader->rule = NULL;
        return true;
    }
    const char *expected = class_name ? config_parse_class_name(class_name, unused) : NULL;
    if (expected) {
        mistake_here(line, loader, "[%s]: expected %s", head, expected);
        return false;
    }
    if (vm_name && (vm_name[0] == '\0' || strlen(vm_name) >= VM_NAME_MAX)) {
        mistake_here(
            line, loader, "[%s]: expected a name of at most %d bytes", head, VM_NAME_MAX - 1);
        return false;
    }
    if (!class_name && !vm_name) {
        mistake_here(line, loader,
            "section [%s] is not known to this version; there are [guard], [memlock], "
            "[admission], [record], [class NAME] and [vm NAME]",
            head);
        return false;
    }
    loader->section = class_name ? CONFIG_SECTION_CLASS : CONFIG_SECTION_VM;
    struct rule_sections *sections = class_name ? &loader->config->classes : &loader->config->vms;
    loader->rule = sections_enter(sections, class_name ? class_name : vm_name);
    if (!loader->rule)
        mistake_here(line, loader, "[%s]: more than %d sections of its kind", head, SECTIONS_MAX);
    else if (loader->rule->head.line == 0)
        loader->rule->head = place_here(loader, line);
    return loader->rule != NULL;
}

/* ---- keys ---- */

/* Remembers where the key config_keys[INDEX] stands: for who asks, and as some can turn out wrong
 * beside others. */
static void key_remember(struct loader *loader, int index, uint32_t line)
{
    struct config *config = loader->config;
    struct config_place place = place_here(loader, line);

    if (loader->rule)
        loader->rule->places[index] = place;
    else
        config->places[index] = place;
    for (int band = BAND_TIGHT; band < BAND_COUNT; band++)
        if (loader->section == CONFIG_SECTION_GUARD &&
            strcmp(config_keys[index].name, band_name((enum band)band)) == 0)
            loader->bands[band] = place;
}

static void key_load(struct loader *loader, const struct config_item *item)
{
    int index = config_key_find(loader->section, item->key);
    void *base = loader->rule ? (void *)loader->rule : (void *)&loader->config->guard;

    if (index < 0) {
        mistake_here(item->line, loader, "[%s] has no key %s", item->section, item->key);
        return;
    }
    const struct config_key *key = &config_keys[index];
    const char *expected = key->parser(item->value, (char *)base + key->offset);
    if (expected) {
        mistake_here(item->line, loader, "%s=%s: expected %s", item->key, item->value, expected);
        return;
    }
    if (loader->rule)
        loader->rule->set |= UINT64_C(1) << index;
    key_remember(loader, index, item->line);
}

static bool item_load(const struct config_item *item, void *userdata)
{
    struct loader *loader = userdata;

    if (!item->key && loader->foreign && loader->foreign(item->section))
        return false;
    if (!item->key)
        return section_enter(loader, item->line, item->section);
    key_load(loader, item);
    return true;
}

/* ---- what concerns several keys ---- */

static void classes_check(struct loader *loader)
{
    const struct rule_sections *vms = &loader->config->vms;
    int key = config_key_find(CONFIG_SECTION_VM, "class");

    for (uint32_t i = 0; i < vms->count; i++) {
        const struct rule_section *vm = &vms->items[i];
        if (vm->class_name[0] != '\0' && !config_has_class(loader->config, vm->class_name))
            mistake_at(loader, vm->places[key], "class=%s: there is no [class %s] in any file",
                vm->class_name, vm->class_name);
    }
}

/* A worse band must not begin before a better one; comparable only where both say it alike. */
static void bands_check(struct loader *loader, enum band better, enum band worse)
{
    const struct threshold *first = &loader->config->guard.host.bands[better];
    const struct threshold *second = &loader->config->guard.host.bands[worse];
    enum band told = loader->bands[worse].line > 0 ? worse : better;
    const char *what = NULL;

    if (loader->bands[told].line == 0)
        return;
    if (first->headroom.kind == second->headroom.kind && first->headroom.kind != AMOUNT_AUTO &&
        second->headroom.value > first->headroom.value)
        what = "at more headroom";
    else if (known(first->time) && known(second->time) && first->time > 0 &&
             second->time > first->time)
        what = "with more time left";
    if (what)
        mistake_at(loader, loader->bands[told],
            "%s begins %s than %s: the order is tight, scarce, critical", band_name(worse), what,
            band_name(better));
}

/* ---- files ---- */

static bool name_is_drop_in(const char *name)
{
    size_t length = strlen(name);

    return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

static int name_filter(const struct dirent *entry)
{
    return name_is_drop_in(entry->d_name);
}

/* By bytes: the order must not depend on a locale. */
static int name_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Makes PATH the file being read. PATH is taken over, and may be NULL for want of memory. */
static bool file_begin(struct loader *loader, char *path)
{
    struct config *config = loader->config;

    if (!path || config->file_count == CONFIG_FILES_MAX) {
        loader->mistakes++;
        loader->sink(path ? "more than 64 configuration files" : "out of memory", loader->userdata);
        free(path);
        return false;
    }
    config->files[config->file_count++] = path;
    return true;
}

static int file_load(struct loader *loader)
{
    static const struct config_handlers handlers = {item_load, mistake_here};

    return config_file_read(
        loader->config->files[loader->config->file_count - 1], &handlers, loader);
}

static int drop_ins_load(struct loader *loader, const char *main_path)
{
    struct dirent **entries = NULL;
    char folder[PATH_MAX];
    int result = 0;

    if (snprintf(folder, sizeof(folder), "%s.d", main_path) >= (int)sizeof(folder))
        return 0; /* no such name can exist */
    int count = scandir(folder, &entries, name_filter, name_compare);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR) {
        result = -errno;
        if (file_begin(loader, strdup(folder)))
            mistake_here(0, loader, "cannot be listed: %s", strerror(-result));
        return result;
    }
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            path = NULL;
        free(entries[i]);
        if (result == 0 && !file_begin(loader, path))
            result = -E2BIG;
        else if (result == 0)
            result = file_load(loader);
        else
            free(path);
        if (result == -ENOENT) /* gone since it was listed, or a dangling link */
            result = 0;
    }
    free(entries);
    return result;
}

static int files_load(struct loader *loader, const char *path)
{
    if (!file_begin(loader, strdup(path)))
        return -ENOMEM;
    int result = file_load(loader);
    if (result == -ENOENT && strcmp(path, CONFIG_FILE_DEFAULT) != 0) {
        mistake_here(0, loader, "does not exist");
        return -ENOENT;
    }
    if (loader->foreign)
        return result;
    return result == 0 || result == -ENOENT ? drop_ins_load(loader, path) : result;
}

static void guard_default(struct guard_section *ret_guard)
{
    *ret_guard = (struct guard_section){
        .guard = {.qmp_directory = RUNTIME_DIRECTORY_DEFAULT "/qmp",
            .libvirt = "auto",
            .max_vms = MAX_VMS_DEFAULT},
        .admission = {.timeout = ADMISSION_TIMEOUT_DEFAULT},
        .record = {.limit = RECORD_LIMIT_DEFAULT},
    };
    host_rules_default(&ret_guard->host);
}

int config_load(const char *path, config_sink sink, void *userdata, struct config **ret_config)
{
    return config_load_beside(path, NULL, sink, userdata, ret_config);
}

int config_load_beside(const char *path, config_foreign foreign, config_sink sink, void *userdata,
    struct config **ret_config)
{
    struct config *config CLEANUP(config_free_at) = calloc(1, sizeof(*config));
    struct loader loader = {
        .config = config, .sink = sink, .userdata = userdata, .foreign = foreign};

    if (!config) {
        sink("out of memory", userdata);
        return -ENOMEM;
    }
    guard_default(&config->guard);
    int result = files_load(&loader, path);
    classes_check(&loader);
    bands_check(&loader, BAND_TIGHT, BAND_SCARCE);
    bands_check(&loader, BAND_SCARCE, BAND_CRITICAL);
    bands_check(&loader, BAND_TIGHT, BAND_CRITICAL);
    if (result < 0)
        return result;
    if (loader.mistakes > 0)
        return -EINVAL;
    *ret_config = STEAL(config);
    return 0;
}

struct config *config_free(struct config *config)
{
    if (!config)
        return NULL;
    free(config->classes.items);
    free(config->vms.items);
    for (uint32_t i = 0; i < config->file_count; i++)
        free(config->files[i]);
    free(config);
    return NULL;
}

/* ---- answers ---- */

const struct guard_config *config_guard(const struct config *config)
{
    return &config->guard.guard;
}

const struct admission_config *config_admission(const struct config *config)
{
    return &config->guard.admission;
}

const struct record_config *config_record(const struct config *config)
{
    return &config->guard.record;
}

const struct host_rules *config_host_rules(const struct config *config)
{
    return &config->guard.host;
}

bool config_has_class(const struct config *config, const char *name)
{
    return strcmp(name, CONFIG_CLASS_DEFAULT) == 0 || sections_find(&config->classes, name);
}
