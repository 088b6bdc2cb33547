/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns where memory of the little world lies. A page goes to the guest's home if there is room,
 * else to the next of the nodes it may use; who is bound and finds none is what the kernel would
 * kill somebody for. What a guest gives back comes from all nodes it lies on, by their share.
 *
 * Watermarks: what a node has available ends at the high one; who may go elsewhere does so at the
 * low one, who is bound goes on to the minimum, from which available is counted as free here. By
 * vm.watermark_scale_factor's default each is a thousandth of the node above the one before.
 */
#include "story.h"

#define WATERMARK_LOW_DIVISOR 1000
#define WATERMARK_HIGH_DIVISOR 500

void story_nodes(struct story *story, uint32_t count)
{
    struct host_snapshot *host = &story->snapshot->host;
    host->node_count = story->node_count = count;
    for (uint32_t node = 0; node < count; node++) {
        host->nodes[node] = (struct node_snapshot){
            .id = node, .total = host->total / count, .available = host->total / count};
        story->node_other[node] = story->other / count;
        story->node_least[node] = UINT64_MAX;
    }
}

static uint64_t node_free(const struct story *story, uint32_t node)
{
    uint64_t used = story->node_other[node];
    for (uint32_t i = 0; i < story->snapshot->vm_count; i++)
        used += story->guests[story->snapshot->vms[i].slot].on_node[node];
    return sub_or_zero(story->snapshot->host.nodes[node].total, used);
}

static void put(struct story *story, struct story_guest *guest, uint64_t bytes)
{
    uint32_t count = story->node_count;
    for (uint32_t i = 0; i < count && bytes > 0; i++) {
        uint32_t node = (guest->home + i) % count;
        if (guest->bound && !(guest->bound >> node & 1))
            continue;
        uint64_t total = story->snapshot->host.nodes[node].total;
        uint64_t kept = guest->bound ? 0 : total / WATERMARK_LOW_DIVISOR;
        uint64_t part = min_u64(bytes, sub_or_zero(node_free(story, node), kept));
        guest->on_node[node] += part;
        bytes -= part;
    }
    guest->on_node[guest->home] += bytes;
    if (guest->bound)
        story->node_overrun += bytes;
}

static void take(const struct story *story, struct story_guest *guest, uint64_t had, uint64_t has)
{
    for (uint32_t node = 0; node < story->node_count; node++)
        guest->on_node[node] = scale_u64(guest->on_node[node], has, had);
}

void story_place(struct story *story)
{
    struct snapshot *snapshot = story->snapshot;
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct story_guest *guest = &story->guests[snapshot->vms[i].slot];
        uint64_t has = story_resident(guest), had = 0;
        for (uint32_t node = 0; node < story->node_count; node++)
            had += guest->on_node[node];
        if (has > had)
            put(story, guest, has - had);
        else if (has < had)
            take(story, guest, had, has);
    }
    for (uint32_t node = 0; node < story->node_count; node++) {
        uint64_t high = snapshot->host.nodes[node].total / WATERMARK_HIGH_DIVISOR;
        uint64_t available = sub_or_zero(node_free(story, node), high);
        snapshot->host.nodes[node].available = snapshot->host.nodes[node].free = available;
        story->node_least[node] = min_u64(story->node_least[node], available);
    }
}

void story_show_nodes(struct story *story, struct vm_snapshot *vm)
{
    const struct story_guest *guest = &story->guests[vm->slot];
    vm->nodes_allowed =
        guest->bound ? guest->bound : (uint32_t)((UINT64_C(1) << story->node_count) - 1);
    for (uint32_t node = 0; node < story->node_count; node++)
        vm->node_bytes[node] = guest->on_node[node];
}

void story_no_balloons(struct story *story)
{
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        story_rules(story, i)->rungs &= ~RUNG_BIT(RUNG_BALLOON);
}
