/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; knows which rules a domain may carry and hands their values to the configuration's
 * own parsers, so that a word means the same in both places.
 *
 * What stands here was written by whoever may edit the domain, and is shown to whoever reads the
 * log: it is bounded and cleaned before it is.
 */
#include "domain_metadata.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "config_parse.h"
#include "text.h"

#include <plimsoll/cleanup.h>

/* With NUL; the longest sensible one names all rungs. */
#define VALUE_MAX 256
/* An element that is no metadata of ours at all would fill the journal. */
#define MISTAKES_MAX 8
#define MISTAKE_TEXT_MAX 512

#define BLANKS " \t\r\n"

static const struct metadata_rule {
    const char *name;
    enum virt_rule bit;
    config_parser parser;
    size_t offset;
} rules[] = {
    {"class", VIRT_RULE_CLASS, config_parse_class_name, offsetof(struct vm_rules, class_name)},
    {"priority", VIRT_RULE_PRIORITY, config_parse_priority, offsetof(struct vm_rules, priority)},
    {"shares", VIRT_RULE_SHARES, config_parse_shares, offsetof(struct vm_rules, shares)},
    {"minimum", VIRT_RULE_MINIMUM, config_parse_amount, offsetof(struct vm_rules, minimum)},
    {"rungs", VIRT_RULE_RUNGS, config_parse_rungs, offsetof(struct vm_rules, rungs)},
    {"sacrifice", VIRT_RULE_SACRIFICE, config_parse_sacrifice,
        offsetof(struct vm_rules, sacrifice)},
};
_Static_assert(VIRT_RULE_ALL == (1 << ELEMENTSOF(rules)) - 1, "each rule has its place");

struct reading {
    const char *name; /* of the domain */
    config_sink sink;
    void *userdata;
    unsigned mistakes;
    struct virt_metadata *metadata;
};

static void __attribute__((format(printf, 2, 3)))
mistake(struct reading *reading, const char *format, ...)
{
    char text[MISTAKE_TEXT_MAX];
    va_list arguments;

    if (++reading->mistakes > MISTAKES_MAX)
        return;
    va_start(arguments, format);
    text_about(text, sizeof(text), reading->name, "metadata: ", format, arguments);
    va_end(arguments);
    reading->sink(text, reading->userdata);
}

static const struct metadata_rule *rule_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(rules); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

/* What was refused is said in full here alone; whoever asks for the guest is told that it was. */
static void rule_refuse(struct reading *reading, const char *name)
{
    const struct metadata_rule *rule = rule_find(name);

    reading->metadata->refused |= rule ? (uint32_t)rule->bit : VIRT_RULE_STRANGE;
}

static void rule_take(struct reading *reading, const char *name, const char *value)
{
    const struct metadata_rule *rule = rule_find(name);
    struct virt_metadata *metadata = reading->metadata;

    if (!rule) {
        mistake(reading,
            "there is no rule %s; known here are class, priority, shares, minimum, rungs and "
            "sacrifice",
            name);
        rule_refuse(reading, name);
        return;
    }
    if (metadata->set & rule->bit) {
        mistake(reading, "%s is given twice; the first holds", name);
        rule_refuse(reading, name);
        return;
    }
    /* Every parser stores its value in the type of its field, and only a good one. */
    const char *expected =
        value[0] == '\0' ? "a value" : rule->parser(value, (char *)&metadata->rules + rule->offset);
    if (expected) {
        mistake(reading, "%s=%s: expected %s", name, value, expected);
        rule_refuse(reading, name);
        return;
    }
    metadata->set |= rule->bit;
}

/* VALUE, freed here, without the blanks around it. */
static void value_take(struct reading *reading, const xmlChar *name, xmlChar *value)
{
    const char *text = value ? (const char *)value : "";
    char trimmed[VALUE_MAX];

    text += strspn(text, BLANKS);
    size_t length = strlen(text);
    while (length > 0 && strchr(BLANKS, text[length - 1]))
        length--;
    if (length < sizeof(trimmed)) {
        memcpy(trimmed, text, length);
        trimmed[length] = '\0';
        rule_take(reading, (const char *)name, trimmed);
    } else {
        mistake(reading, "%s has a value of %zu bytes; at most %d are taken", (const char *)name,
            length, VALUE_MAX - 1);
        rule_refuse(reading, (const char *)name);
    }
    xmlFree(value);
}

/* Attributes have no namespace by default, and libvirt gives one to the outermost element only. */
static bool is_ours(const xmlNs *namespace)
{
    return !namespace || strcmp((const char *)namespace->href, DOMAIN_METADATA_NAMESPACE) == 0;
}

void domain_metadata_read(const xmlNode *element, const char *name, config_sink sink,
    void *userdata, struct virt_metadata *ret_metadata)
{
    struct virt_metadata metadata = {0};
    struct reading reading = {name, sink, userdata, 0, &metadata};

    for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next)
        if (is_ours(attribute->ns))
            value_take(&reading, attribute->name,
                xmlNodeListGetString(attribute->doc, attribute->children, 1));
    for (const xmlNode *child = element->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && is_ours(child->ns))
            value_take(&reading, child->name, xmlNodeGetContent(child));
    *ret_metadata = metadata;
}
