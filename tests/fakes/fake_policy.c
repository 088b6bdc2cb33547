/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names and the minimum of libpolicy, as far as the status document needs them.
 */
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>

#define NAMES(function, type, ...)                                       \
    const char *function(type value)                                     \
    {                                                                    \
        static const char *const names[] = {__VA_ARGS__};                \
        return (unsigned)value < ELEMENTSOF(names) ? names[value] : "?"; \
    }                                                                    \
    struct fake_require_semicolon

NAMES(band_name, enum band, "calm", "tight", "scarce", "critical");
NAMES(mode_name, enum mode, "dry-run", "enforce");
NAMES(pool_kind_name, enum pool_kind, "host", "budget", "node");
NAMES(vm_kind_name, enum vm_kind, "unknown", "elastic", "rigid", "resizable", "self-deflating");
NAMES(vm_kind_reason_name, enum vm_kind_reason, "none", "vfio", "iommufd", "vdpa", "locked",
    "hugetlb", "encrypted", "no-device", "no-driver", "no-monitor", "migrating", "virtio-mem",
    "deflates-on-oom", "free-page-reporting", "unseen");
NAMES(vm_run_state_name, enum vm_run_state, "unknown", "running", "paused", "prelaunch",
    "migrating", "suspended", "shutdown", "failed");
NAMES(vm_monitor_name, enum vm_monitor, "none", "connecting", "ready", "silent");

uint64_t vm_minimum(const struct vm_snapshot *vm, const struct vm_rules *rules)
{
    if (!known(vm->maximum))
        return UNKNOWN;
    return amount_bytes(rules->minimum, vm->maximum, vm->maximum / 2);
}
