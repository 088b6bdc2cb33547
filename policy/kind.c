/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the question whether memory comes back from a VM at all (facts, "When a balloon gives the
 * host nothing"). What wires memory is asked first, because it makes every other way void: QEMU and
 * the guest report success while the host gains nothing. What is not known yet leaves the kind
 * unknown, and an unknown guest is never inflated.
 */
#include <plimsoll/policy.h>

struct verdict {
    enum vm_kind kind;
    enum vm_kind_reason reason;
};

static const struct verdict unseen = {VM_KIND_UNKNOWN, VM_KIND_REASON_UNSEEN};

static bool is_locked(const struct vm_snapshot *vm)
{
    uint64_t wired = max_u64(known_or(vm->locked, 0), known_or(vm->pinned, 0));
    return known(vm->maximum) && vm->maximum > 0 && wired >= vm->maximum;
}

static bool has_virtio_mem(const struct vm_snapshot *vm)
{
    return known(vm->resizable.maximum) && vm->resizable.maximum > 0;
}

/* A device or a lock holds the pages; VM_KIND_REASON_NONE: none does, as far as is known. */
static enum vm_kind_reason wiring_reason(const struct vm_snapshot *vm)
{
    if (vm->wiring.vfio_groups > 0)
        return VM_KIND_REASON_VFIO;
    if (vm->wiring.iommufd > 0)
        return VM_KIND_REASON_IOMMUFD;
    if (vm->wiring.vdpa > 0)
        return VM_KIND_REASON_VDPA;
    if (vm->wiring.encrypted == TRISTATE_YES)
        return VM_KIND_REASON_ENCRYPTED;
    if (known(vm->hugetlb) && vm->hugetlb > 0)
        return VM_KIND_REASON_HUGETLB;
    if (is_locked(vm))
        return VM_KIND_REASON_LOCKED;
    return VM_KIND_REASON_NONE;
}

static struct verdict rigid(enum vm_kind_reason reason)
{
    return (struct verdict){VM_KIND_RIGID, reason};
}

static struct verdict classify(const struct vm_snapshot *vm)
{
    enum vm_kind_reason wired = wiring_reason(vm);
    bool device_only = wired == VM_KIND_REASON_NONE || wired == VM_KIND_REASON_VFIO ||
                       wired == VM_KIND_REASON_IOMMUFD;
    /* virtio-mem is the one way to shrink a guest with VFIO (RamDiscardManager); nothing helps
     * where a lock, encryption or the hugetlb pool keeps the pages. */
    if (has_virtio_mem(vm) && device_only && vm->migration == VM_MIGRATION_NONE)
        return (struct verdict){VM_KIND_RESIZABLE, VM_KIND_REASON_VIRTIO_MEM};
    if (wired != VM_KIND_REASON_NONE)
        return rigid(wired);

    switch (vm->migration) {
    case VM_MIGRATION_OUTGOING:
    case VM_MIGRATION_INCOMING:
    case VM_MIGRATION_POSTCOPY:
    case VM_MIGRATION_LOADING:
        return rigid(VM_KIND_REASON_MIGRATING);
    case VM_MIGRATION_NONE:
    case VM_MIGRATION_UNKNOWN:
    case VM_MIGRATION_COUNT:
        break;
    }
    if (vm->monitor == VM_MONITOR_NONE)
        return rigid(VM_KIND_REASON_NO_MONITOR);
    if (vm->balloon.device == TRISTATE_NO)
        return rigid(VM_KIND_REASON_NO_DEVICE);
    if (vm->balloon.driver == TRISTATE_NO)
        return rigid(VM_KIND_REASON_NO_DRIVER);

    /* SEV pins are not in VmLck, so silence about encryption is no proof of its absence. */
    if (vm->migration != VM_MIGRATION_NONE || vm->balloon.device != TRISTATE_YES ||
        vm->balloon.driver != TRISTATE_YES || vm->wiring.encrypted != TRISTATE_NO ||
        !known(vm->locked) || !known(vm->maximum))
        return unseen;

    if (vm->balloon.deflate_on_oom == TRISTATE_YES)
        return (struct verdict){VM_KIND_SELF_DEFLATING, VM_KIND_REASON_DEFLATES_ON_OOM};
    if (vm->balloon.free_page_reporting == TRISTATE_YES)
        return (struct verdict){VM_KIND_SELF_DEFLATING, VM_KIND_REASON_FREE_PAGE_REPORTING};
    return (struct verdict){VM_KIND_ELASTIC, VM_KIND_REASON_NONE};
}

void vm_classify(
    const struct vm_snapshot *vm, enum vm_kind *ret_kind, enum vm_kind_reason *ret_reason)
{
    struct verdict verdict = classify(vm);
    *ret_kind = verdict.kind;
    *ret_reason = verdict.reason;
}
