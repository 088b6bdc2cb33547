/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the configuration as loaded: [guard] with its defaults, the classes, and the [vm] sections
 * in the order in which their names first appear.
 *
 * Loading reads the main file and then the drop-ins into one configuration, each key replacing what
 * an earlier file said. Mistakes are reported as they are found and counted; what concerns several
 * keys (an unknown class, bands out of order) is checked at the end. Only a configuration without
 * any mistake leaves this file.
 */
#include "config.h"
#include "config_file.h"
#include "config_keys.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/plan.h>
#include <plimsoll/policy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The main file and its drop-ins. */
#define FILES_MAX 64
/* Of each kind, over all files: one for each VM of the largest host that names them one by one. */
#define SECTIONS_MAX 4096
/* A file that is no configuration at all would fill the journal. */
#define MISTAKES_MAX 100
#define MISTAKE_TEXT_MAX 1024

#define CLASS_DEFAULT "default"

struct rule_sections {
    struct rule_section *items;
    uint32_t count, allocated;
};

struct config {
    struct guard_section guard;
    struct rule_sections classes, vms;
};

DEFINE_CLEANUP(struct config *, config_free);

struct loader {
    struct config *config;
    config_sink sink;
    void *userdata;
    config_foreign foreign; /* NULL: no section is */
    char *files[FILES_MAX];
    uint32_t file_count; /* the last one is being read */
    uint32_t mistakes;
    enum config_section section; /* being read */
    struct rule_section *rule;   /* likewise; NULL in a section that is there once */
    struct {
        uint32_t file, line; /* line 0: never given */
    } bands[BAND_COUNT];
};

/* ---- mistakes ---- */

static void __attribute__((format(printf, 4, 0))) mistake_report(
    struct loader *loader, uint32_t file, uint32_t line, const char *format, va_list arguments)
{
    char text[MISTAKE_TEXT_MAX];
    const char *path = loader->files[file];

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
    mistake_report(loader, loader->file_count - 1, line, format, arguments);
    va_end(arguments);
}

static void __attribute__((format(printf, 4, 5)))
mistake_at(struct loader *loader, uint32_t file, uint32_t line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    mistake_report(loader, file, line, format, arguments);
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
    return loader->rule != NULL;
}

/* ---- keys ---- */

/* Remembers where a key stands that can turn out wrong beside others. */
static void key_remember(struct loader *loader, const char *key, uint32_t line)
{
    uint32_t file = loader->file_count - 1;

    if (loader->rule && loader->section == CONFIG_SECTION_VM && strcmp(key, "class") == 0) {
        loader->rule->class_file = file;
        loader->rule->class_line = line;
    }
    for (int band = BAND_TIGHT; band < BAND_COUNT; band++) {
        if (loader->section == CONFIG_SECTION_GUARD &&
            strcmp(key, band_name((enum band)band)) == 0) {
            loader->bands[band].file = file;
            loader->bands[band].line = line;
        }
    }
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
    key_remember(loader, item->key, item->line);
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

    for (uint32_t i = 0; i < vms->count; i++) {
        const struct rule_section *vm = &vms->items[i];
        if (vm->class_name[0] != '\0' && !config_has_class(loader->config, vm->class_name))
            mistake_at(loader, vm->class_file, vm->class_line,
                "class=%s: there is no [class %s] in any file", vm->class_name, vm->class_name);
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
        mistake_at(loader, loader->bands[told].file, loader->bands[told].line,
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
    if (!path || loader->file_count == FILES_MAX) {
        loader->mistakes++;
        loader->sink(path ? "more than 64 configuration files" : "out of memory", loader->userdata);
        free(path);
        return false;
    }
    loader->files[loader->file_count++] = path;
    return true;
}

static int file_load(struct loader *loader)
{
    static const struct config_handlers handlers = {item_load, mistake_here};

    return config_file_read(loader->files[loader->file_count - 1], &handlers, loader);
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
    for (uint32_t i = 0; i < loader.file_count; i++)
        free(loader.files[i]);
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
    return strcmp(name, CLASS_DEFAULT) == 0 || sections_find(&config->classes, name);
}

/* The built-in defaults with what [class NAME] says. */
static void class_rules(const struct config *config, const char *name, struct vm_rules *ret_rules)
{
    const struct rule_section *section = sections_find(&config->classes, name);
    struct vm_rules rules;

    vm_rules_default(&rules);
    if (section)
        config_rules_overlay(&rules, section);
    (void)snprintf(rules.class_name, sizeof(rules.class_name), "%s", name);
    *ret_rules = rules;
}

static void metadata_overlay(const struct virt_metadata *metadata, struct vm_rules *rules)
{
    const struct vm_rules *own = &metadata->rules;

    if (metadata->set & VIRT_RULE_PRIORITY)
        rules->priority = own->priority;
    if (metadata->set & VIRT_RULE_SHARES)
        rules->shares = own->shares;
    if (metadata->set & VIRT_RULE_MINIMUM)
        rules->minimum = own->minimum;
    if (metadata->set & VIRT_RULE_RUNGS)
        rules->rungs = own->rungs;
    if (metadata->set & VIRT_RULE_SACRIFICE)
        rules->sacrifice = own->sacrifice;
}

void config_domain_rules(const struct config *config, const char *name,
    const struct virt_metadata *metadata, struct vm_rules *ret_rules)
{
    static const struct virt_metadata nothing;
    const struct virt_metadata *own = metadata ? metadata : &nothing;
    bool classed = (own->set & VIRT_RULE_CLASS) && config_has_class(config, own->rules.class_name);
    struct vm_rules rules;

    class_rules(config, classed ? own->rules.class_name : CLASS_DEFAULT, &rules);
    metadata_overlay(own, &rules);
    for (uint32_t i = 0; i < config->vms.count; i++) {
        const struct rule_section *vm = &config->vms.items[i];
        if (fnmatch(vm->match[0] != '\0' ? vm->match : vm->name, name, 0) != 0)
            continue;
        if (vm->class_name[0] != '\0') {
            class_rules(config, vm->class_name, &rules);
            metadata_overlay(own, &rules);
        }
        config_rules_overlay(&rules, vm);
    }
    *ret_rules = rules;
}

void config_vm_rules(const struct config *config, const char *name, struct vm_rules *ret_rules)
{
    config_domain_rules(config, name, NULL, ret_rules);
}
