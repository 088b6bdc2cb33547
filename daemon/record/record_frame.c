/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the layout of a frame. */
#include "record_frame.h"

#include <assert.h>
#include <plimsoll/cleanup.h>
#include <string.h>

static const struct {
    const char *name;
    const struct field_table *table;
} parts[] = {
    [RECORD_STATE] = {"state", &fields_policy_state},
    [RECORD_VM_STATE] = {"vm_state", &fields_vm_state},
    [RECORD_RULES] = {"rules", &fields_host_rules},
    [RECORD_VM_RULES] = {"vm_rules", &fields_vm_rules},
    [RECORD_SNAPSHOT] = {"snapshot", &fields_snapshot},
    [RECORD_VM] = {"vm", &fields_vm_snapshot},
    [RECORD_ACTION] = {"action", &fields_action},
    [RECORD_PLAN] = {"plan", &fields_plan},
};
static_assert(ELEMENTSOF(parts) == RECORD_PART_COUNT, "a part without its table");
static_assert(sizeof(struct record_frame) % sizeof(uint64_t) == 0, "the parts are aligned");

const char *record_part_name(enum record_part part)
{
    return parts[part].name;
}

const struct field_table *record_part_table(enum record_part part)
{
    return parts[part].table;
}

bool record_part_is_single(enum record_part part)
{
    return part == RECORD_STATE || part == RECORD_RULES || part == RECORD_SNAPSHOT ||
           part == RECORD_PLAN;
}

/* Up to where PART begins. */
static size_t size_before(const struct record_frame *frame, enum record_part part)
{
    size_t size = sizeof(*frame);

    for (unsigned i = 0; i < part; i++)
        size += frame->counts[i] * parts[i].table->size;
    return size;
}

size_t record_frame_size(const struct record_frame *frame)
{
    return size_before(frame, RECORD_PART_COUNT);
}

size_t record_frame_size_max(uint32_t vm_capacity)
{
    const struct record_frame most = {.counts = {
                                          [RECORD_STATE] = 1,
                                          [RECORD_VM_STATE] = vm_capacity,
                                          [RECORD_RULES] = 1,
                                          [RECORD_VM_RULES] = vm_capacity,
                                          [RECORD_SNAPSHOT] = 1,
                                          [RECORD_VM] = vm_capacity,
                                          [RECORD_ACTION] = plan_action_capacity(vm_capacity),
                                          [RECORD_PLAN] = 1,
                                      }};

    return record_frame_size(&most);
}

const void *record_frame_part(const struct record_frame *frame, enum record_part part)
{
    return (const char *)frame + size_before(frame, part);
}

/* COUNT elements of PART, of which all before are there. */
static void part_put(
    struct record_frame *frame, enum record_part part, const void *elements, uint32_t count)
{
    memcpy((char *)frame + size_before(frame, part), elements, count * parts[part].table->size);
    frame->counts[part] = count;
}

/* Likewise, one more. */
static void part_add(struct record_frame *frame, enum record_part part, const void *element)
{
    size_t size = parts[part].table->size;

    memcpy((char *)frame + size_before(frame, part) + frame->counts[part]++ * size, element, size);
}

struct record_frame *record_frame_begin(void *buffer, const struct snapshot *snapshot,
    const struct rules *rules, const struct policy_state *state)
{
    struct record_frame *frame = buffer;

    memset(frame, 0, sizeof(*frame));
    if (state) {
        const char *vms = (const char *)state + fields_policy_state.size;
        part_put(frame, RECORD_STATE, state, 1);
        for (uint32_t i = 0; i < snapshot->vm_count; i++)
            part_add(frame, RECORD_VM_STATE, vms + snapshot->vms[i].slot * fields_vm_state.size);
    }
    part_put(frame, RECORD_RULES, &rules->host, 1);
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        part_add(frame, RECORD_VM_RULES, &rules->vms[snapshot->vms[i].slot]);
    part_put(frame, RECORD_SNAPSHOT, snapshot, 1);
    part_put(frame, RECORD_VM, snapshot->vms, snapshot->vm_count);
    return frame;
}

void record_frame_end(struct record_frame *frame, const struct plan *plan)
{
    part_put(frame, RECORD_ACTION, plan->actions, plan->action_count);
    part_put(frame, RECORD_PLAN, plan, 1);
}

/* ---- bases ---- */

/* Room for the state of one guest, and of none. */
#define STATE_SIZE_MAX (16 * KIB)

static void state_base(enum record_part part, void *ret_element)
{
    _Alignas(max_align_t) char buffer[STATE_SIZE_MAX];
    size_t fixed = fields_policy_state.size;

    assert(policy_state_size(1) <= sizeof(buffer));
    (void)policy_state_init(buffer, 1);
    if (part == RECORD_STATE)
        memcpy(ret_element, buffer, fixed);
    else
        memcpy(ret_element, buffer + fixed, fields_vm_state.size);
}

void record_part_base(enum record_part part, void *ret_element)
{
    memset(ret_element, 0, parts[part].table->size);
    switch (part) {
    case RECORD_STATE:
    case RECORD_VM_STATE:
        state_base(part, ret_element);
        break;
    case RECORD_RULES:
        host_rules_default(ret_element);
        break;
    case RECORD_VM_RULES:
        vm_rules_default(ret_element);
        break;
    case RECORD_SNAPSHOT:
    case RECORD_VM:
    case RECORD_ACTION:
    case RECORD_PLAN:
    case RECORD_PART_COUNT:
        break;
    }
}
