/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words in which the control interface describes itself. Fields are added here and in
 * status.c together, and never renamed: scripts rely on them.
 */
#include "control_interface.h"

#include <plimsoll/control.h>

/* C promises room for 4095 characters in a literal; gcc and clang have no bound, and whoever asks
 * shall get the description in one piece. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

static const char plimsoll_text[] =
    "# Plimsoll, the guard of a KVM host's memory.\n"
    "# Quantities are bytes and nanoseconds; null where nobody knows.\n"
    "interface " CONTROL_INTERFACE "\n"
    "\n"
    "# A pool of memory: the host, the budget of all guests, or one NUMA node.\n"
    "# headroom = available - floor; negative below the floor.\n"
    "# pinned: locked or pinned by guests, so that no balloon returns it; of a node at least\n"
    "# so much.\n"
    "# fill_rate: bytes per second by which headroom shrinks; negative: it grows.\n"
    "# time_to_exhaustion is also null while the pool does not fill up.\n"
    "# band: calm, tight, scarce, critical.\n"
    "type Node (\n"
    "  id: int, total: ?int, available: ?int, pinned: ?int, headroom: ?int, floor: ?int, "
    "fill_rate: ?int,\n"
    "  time_to_exhaustion: ?int, band: ?string, free: ?int, hugepages_total: ?int,\n"
    "  hugepages_free: ?int\n"
    ")\n"
    "\n"
    "type Budget (\n"
    "  total: ?int, available: ?int, pinned: ?int, headroom: ?int, floor: ?int, fill_rate: ?int,\n"
    "  time_to_exhaustion: ?int, band: ?string\n"
    ")\n"
    "\n"
    "# Cumulative stall times of /proc/pressure/memory.\n"
    "type Pressure (some: ?int, full: ?int)\n"
    "\n"
    "# The process outside the guests most likely to be a leak.\n"
    "type Process (name: string, pid: int, rss: ?int, growth: ?int)\n"
    "\n"
    "# What fills the host and is not the guests, while something does. kind: process (the one in\n"
    "# largest_process, as far as can be told), tmpfs, slab, page-tables, unknown. bytes: all of\n"
    "# that kind outside the guests. mount: the tmpfs that holds most of it.\n"
    "type Culprit (kind: string, bytes: ?int, growth: int, mount: ?string)\n"
    "\n"
    "# mode: dry-run or enforce. guests_held: what all guests together hold; guests_growth: bytes\n"
    "# per second.\n"
    "type Host (\n"
    "  total: ?int, available: ?int, pinned: ?int, headroom: ?int, floor: ?int, fill_rate: ?int,\n"
    "  time_to_exhaustion: ?int, band: ?string, mode: string, free: ?int, swap_total: ?int,\n"
    "  swap_free: ?int, commit_limit: ?int, committed: ?int, hugepages_total: ?int,\n"
    "  hugepages_free: ?int, oom_kills: ?int, guests_held: ?int, guests_growth: ?int,\n"
    "  pressure: Pressure, largest_process: ?Process, culprit: ?Culprit, nodes: []Node\n"
    ")\n"
    "\n"
    "# actual: guest memory less the balloon, as QEMU says; target: what the guard asked for "
    "last;\n"
    "# before: actual before the guard asked first.\n"
    "type Balloon (actual: ?int, target: ?int, before: ?int)\n"
    "\n"
    "# source: proc, qmp, libvirt.\n"
    "# state: running, paused, prelaunch, migrating, suspended, shutdown, failed as QEMU says; of\n"
    "# the guard's doing: frozen, stopping, resuming, killed; of the process: stopped, blocked,\n"
    "# dead; alive: it runs and nobody says what the guest does; unknown.\n"
    "# kind: elastic, rigid, resizable, self-deflating, unknown; kind_reason says why.\n"
    "# rss is without huge pages, which are in hugetlb. pinned: locked or pinned for a device.\n"
    "# memlock_limit is null when unlimited, too. maximum: guest memory without a balloon.\n"
    "# memlock_formula: the limit libvirt would set; 0: none, QEMU keeps what it inherits; null:\n"
    "# unlimited, or not known. memlock_safe_cap: the lowest limit that cannot abort QEMU; null:\n"
    "# there is none, or it is not known.\n"
    "# mode: what holds for this guest, the guard's own mode included.\n"
    "# measures: what the guard has in force: balloon, frozen-cgroup, frozen-signal, stop-sent,\n"
    "# stopped, resuming, killed, oom-score, memlock. node_bytes: in the order of the host's "
    "nodes.\n"
    "# nodes_allowed: ids of the nodes it may allocate on; null: not known.\n"
    "type Vm (\n"
    "  name: string, uuid: ?string, pid: int, source: []string, class: string, state: string,\n"
    "  kind: string, kind_reason: string, rss: ?int, pinned: ?int, swap: ?int, minimum: ?int,\n"
    "  maximum: ?int, balloon: Balloon, memlock_limit: ?int, memlock_unlimited: ?bool,\n"
    "  memlock_formula: ?int, memlock_formula_unlimited: ?bool, memlock_safe_cap: ?int,\n"
    "  measures: []string, mode: string, priority: int, monitor: string, migrating: ?bool,\n"
    "  hugetlb: ?int, cgroup_current: ?int, oom_score_adj: ?int, node_bytes: []?int,\n"
    "  nodes_allowed: ?[]int\n"
    ")\n"
    "\n"
    "# The view the guard decided on last. band is the worst of all pools, and worst that pool:\n"
    "# host, budget, or node, whose id is worst_node. sprint: there is less time left than a\n"
    "# proper pause may need.\n"
    "# sequence counts the guard's looks at the host; realtime is when it looked, since 1970.\n"
    "method GetStatus() -> (\n"
    "  version: string, sequence: int, realtime: ?int, band: string, worst: ?string,\n"
    "  worst_node: ?int, sprint: bool, host: Host, budget: ?Budget, vms: []Vm\n"
    ")\n"
    "\n"
    "# Reads the configuration again. One with a mistake is not used. For root only.\n"
    "method Reload() -> ()\n"
    "\n"
    "# The method could not do its work; message says why and what to do.\n"
    "error Failed (message: string)\n";

static const char service_text[] =
    "# What every varlink service says about itself.\n"
    "interface " VARLINK_INTERFACE "\n"
    "\n"
    "method GetInfo() -> (\n"
    "  vendor: string,\n"
    "  product: string,\n"
    "  version: string,\n"
    "  url: string,\n"
    "  interfaces: []string\n"
    ")\n"
    "\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "error InterfaceNotFound (interface: string)\n"
    "error MethodNotFound (method: string)\n"
    "error MethodNotImplemented (method: string)\n"
    "error InvalidParameter (parameter: string)\n"
    "error PermissionDenied ()\n"
    "error ExpectedMore ()\n";

const char *control_interface_description(void)
{
    return plimsoll_text;
}

const char *varlink_interface_description(void)
{
    return service_text;
}
