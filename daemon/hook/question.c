/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; knows what of a domain's definition decides how much of the host it will take, and
 * what of that can be had back. What the definition does not say is left out.
 */
#include "question.h"

#include "announce.h"

#define NODES_SAID_MAX 64 /* the bits of virt_domain.numa_nodes */

/* Adds VALUE, which is taken over, and may be NULL for want of memory. */
static bool member_add(struct json_object *object, const char *name, struct json_object *value)
{
    if (value && json_object_object_add(object, name, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

static bool flag_add(struct json_object *object, const char *name, bool flag)
{
    return member_add(object, name, json_object_new_boolean(flag));
}

/* The interface has signed numbers; nothing real is beyond them. */
static bool amount_add(struct json_object *object, const char *name, uint64_t amount)
{
    return member_add(object, name, json_object_new_int64((int64_t)min_u64(amount, INT64_MAX)));
}

/* Of virtio-mem a guest begins with what is requested, where that is known. */
static uint64_t memory_begun_with(const struct virt_domain *domain)
{
    if (!known(domain->resizable_maximum) || !known(domain->resizable_requested))
        return domain->maximum;
    return add_held(
        sub_or_zero(domain->maximum, domain->resizable_maximum), domain->resizable_requested);
}

/* A mode that only prefers lets the guest allocate on every node. */
static bool nodes_add(struct json_object *question, const struct virt_domain *domain)
{
    bool bound =
        domain->numa_mode == VIRT_NUMA_STRICT || domain->numa_mode == VIRT_NUMA_RESTRICTIVE;
    struct json_object *nodes = json_object_new_array();

    if (!member_add(question, "nodes", nodes))
        return false;
    for (int node = 0; bound && node < NODES_SAID_MAX; node++) {
        if ((domain->numa_nodes >> node & 1) == 0)
            continue;
        struct json_object *id = json_object_new_int(node);
        if (!id || json_object_array_add(nodes, id) < 0) {
            json_object_put(id);
            return false;
        }
    }
    return true;
}

static bool rules_add(struct json_object *question, const struct virt_metadata *metadata)
{
    const struct vm_rules *rules = &metadata->rules;
    bool added = true;

    if (metadata->set & VIRT_RULE_CLASS)
        added = member_add(question, "class", json_object_new_string(rules->class_name));
    if (added && (metadata->set & VIRT_RULE_MINIMUM))
        added =
            amount_add(question, rules->minimum.kind == AMOUNT_SHARE ? "minimum_share" : "minimum",
                rules->minimum.value);
    return added;
}

struct json_object *question_new(const struct virt_domain *domain)
{
    struct json_object *question = json_object_new_object();
    bool pinned = domain->locked || domain->vfio > 0 || domain->vdpa > 0 || domain->nvme > 0;
    /* One that deflates by itself, or whose pages are encrypted, keeps what it is asked to give. */
    bool balloon =
        domain->balloon == VIRT_BALLOON_VIRTIO && !domain->deflates && !domain->encrypted;
    char uuid[UUID_TEXT_SIZE];

    if (question && member_add(question, "name", json_object_new_string(domain->name)) &&
        member_add(question, "uuid", json_object_new_string(uuid_text(domain->uuid, uuid))) &&
        amount_add(question, "maximum", memory_begun_with(domain)) &&
        flag_add(question, "pinned", pinned) &&
        flag_add(question, "allocated", domain->allocated) &&
        flag_add(question, "hugepages", domain->hugepages) &&
        flag_add(question, "balloon", balloon) && nodes_add(question, domain) &&
        rules_add(question, &domain->metadata))
        return question;
    json_object_put(question);
    return NULL;
}

bool question_set_patience(struct json_object *question, uint64_t patience)
{
    return amount_add(question, "patience", patience);
}
