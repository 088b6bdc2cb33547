/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of what a guest is tied to: NUMA nodes, its limit on locked memory, and its
 * limit on threads, which alone is read from its cgroup: the status has none both where there is
 * none and where the cgroup is not the guest's alone.
 */
#include "doctor.h"
#include "field.h"
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "sample_process.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>

/* Used to this part, a limit is about to be felt. */
#define PIDS_NEAR_PERCENT 90

static bool array_has(struct json_object *array, uint64_t number)
{
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        struct json_object *value = json_object_array_get_idx(array, i);

        if (json_object_is_type(value, json_type_int) && json_object_get_uint64(value) == number)
            return true;
    }
    return false;
}

/* What the nodes that ALLOWED names have in total; UNKNOWN. Adds their numbers to TEXT. */
static uint64_t nodes_total(
    struct json_object *nodes, struct json_object *allowed, char *text, size_t size)
{
    uint64_t total = 0;
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < json_object_array_length(nodes); i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        uint64_t id = field_u64(node, "id"), bytes = field_u64(node, "total");

        if (!known(id) || !array_has(allowed, id))
            continue;
        total = known(total) && known(bytes) ? add_held(total, bytes) : UNKNOWN;
        int length = snprintf(
            text + used, size - used, "%s%llu", used > 0 ? "," : "", (unsigned long long)id);
        if (length > 0 && (size_t)length < size - used)
            used += (size_t)length;
    }
    return total;
}

static void numa_say(struct doctor *doctor, struct json_object *guest, struct json_object *nodes,
    struct json_object *allowed)
{
    char text[NODES_MAX * 4], total_text[TEXT_NUMBER_MAX], maximum_text[TEXT_NUMBER_MAX];
    uint64_t total = nodes_total(nodes, allowed, text, sizeof(text));
    uint64_t maximum = field_u64(guest, "maximum");
    bool fits = !known(total) || !known(maximum) || maximum <= total;
    char uuid[UUID_TEXT];

    if (text[0] == '\0') {
        (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
            "the NUMA nodes it may use: they are none of the host's that the guard shows");
        return;
    }
    (void)text_format_bytes(total, total_text, sizeof(total_text));
    (void)text_format_bytes(maximum, maximum_text, sizeof(maximum_text));
    struct finding *finding = guest_say(doctor, guest, fits ? SEVERITY_NOTE : SEVERITY_WARNING,
        fits ? "When these nodes are full the kernel kills, though there is room on others."
             : "Its memory does not fit there: when it is used the kernel kills, though there is "
               "room on other nodes.",
        "it may use node %s alone, of %s, and has %s", text, total_text, maximum_text);
    if (guest_domain(guest, uuid))
        finding_set_command(finding, "virsh numatune %s --mode %s --config", uuid,
            json_object_array_length(allowed) == 1 ? "preferred" : "interleave");
    else
        finding_set_advice(finding, "start it with policy=preferred in place of policy=bind");
}

void check_numa(struct doctor *doctor)
{
    struct json_object *nodes = field_get(field_get(doctor->input->status, "host"), "nodes");
    size_t count, said = 0;

    if (!doctor_guests(doctor, &count))
        return;
    size_t node_count =
        json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;
    for (size_t i = 0; i < count && node_count > 1; i++) {
        struct json_object *guest = doctor_guest(doctor, i);
        struct json_object *allowed = field_get(guest, "nodes_allowed");

        if (!json_object_is_type(allowed, json_type_array) ||
            json_object_array_length(allowed) == 0) {
            said++;
            (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
                "which NUMA nodes it may use: the guard does not know");
        } else if (json_object_array_length(allowed) < node_count) {
            said++;
            numa_say(doctor, guest, nodes, allowed);
        }
    }
    if (said == 0)
        doctor_fine(doctor, node_count > 1 ? "no guest is bound to a part of the NUMA nodes"
                                           : "there are no several NUMA nodes");
}

static bool has_device(struct json_object *guest)
{
    return field_is(guest, "kind_reason", "vfio") || field_is(guest, "kind_reason", "iommufd") ||
           field_is(guest, "kind_reason", "vdpa");
}

static bool is_true(struct json_object *object, const char *key)
{
    struct json_object *value = field_get(object, key);

    return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

static void memlock_unlimited_say(struct doctor *doctor, struct json_object *guest)
{
    struct finding *finding = guest_say(doctor, guest, SEVERITY_NOTE,
        "Nothing bounds what it may pin, and what is pinned comes back only when it ends.",
        "its limit on locked memory is none, and libvirt would set one");

    finding_set_advice(finding, "mode=enforce in [memlock] of %s, then: systemctl reload plimsolld",
        CONFIG_FILE_DEFAULT);
}

/* True: there was something to say. */
static bool memlock_check(struct doctor *doctor, struct json_object *guest)
{
    uint64_t limit = field_u64(guest, "memlock_limit"), safe = field_u64(guest, "memlock_safe_cap");
    uint64_t pinned = field_u64(guest, "pinned"), pid = field_u64(guest, "pid");
    char limit_text[TEXT_NUMBER_MAX], pinned_text[TEXT_NUMBER_MAX];

    if (is_true(guest, "memlock_unlimited")) {
        if (!known(field_u64(guest, "memlock_formula")) || !known(safe))
            return false; /* unlimited by its definition, or nobody knows better */
        memlock_unlimited_say(doctor, guest);
        return true;
    }
    if (!known(limit) || !known(pinned) || !known(pid)) {
        (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
            "its limit on locked memory, or what it has locked: the guard does not know");
        return true;
    }
    if (limit > pinned && (!known(safe) || limit >= safe))
        return false;
    (void)text_format_bytes(limit, limit_text, sizeof(limit_text));
    (void)text_format_bytes(pinned, pinned_text, sizeof(pinned_text));
    struct finding *finding = guest_say(doctor, guest,
        limit > pinned ? SEVERITY_WARNING : SEVERITY_ERROR,
        limit > pinned
            ? "A reboot of the guest or one more device may take more than that, and QEMU aborts."
            : "When the guest reboots QEMU has to lock memory anew, is refused and aborts.",
        "it has a device of the host's, %s locked, and a limit of %s on it", pinned_text,
        limit_text);
    if (known(safe))
        finding_set_command(finding, "prlimit --pid %llu --memlock=%llu:%llu",
            (unsigned long long)pid, (unsigned long long)safe, (unsigned long long)safe);
    else
        finding_set_advice(
            finding, "raise it by `prlimit --memlock`, by 1 GiB above what is locked at least");
    return true;
}

void check_memlock(struct doctor *doctor)
{
    size_t count, devices = 0;
    bool said = false;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);

        if (!has_device(guest))
            continue;
        devices++;
        said = memlock_check(doctor, guest) || said;
    }
    if (!said)
        doctor_fine(doctor,
            "%zu guests with devices of the host's have a sound limit on locked "
            "memory",
            devices);
}

/* The nearest pids.max at or above the cgroup of the process. 0: found, its value and folder;
 * -ENODATA: there is none; another negative errno. */
static int pids_find(
    const struct doctor *doctor, uint64_t pid, uint64_t *ret_limit, char ret_folder[PATH_MAX])
{
    char folder[PATH_MAX], root[PATH_MAX];

    CLEANUP(kernel_file_close_at)
    int process = process_folder_open(doctor->input->kernel.proc, (pid_t)pid);
    if (process < 0)
        return process;
    int result = cgroup_folder_find(doctor->mounts, CGROUP_UNIFIED, process, "cgroup", folder);
    if (result == 0)
        result = cgroup_path_find(doctor->mounts, CGROUP_UNIFIED, "/", root);
    if (result < 0)
        return result;
    while (strlen(folder) > strlen(root)) {
        char *slash = strrchr(folder, '/');

        result = doctor_number(ret_limit, "%s/pids.max", folder);
        if (result == 0)
            (void)snprintf(ret_folder, PATH_MAX, "%s", folder);
        /* "max" is no number; of a threaded or nested group there is no such file. */
        if (result != -EBADMSG && result != -ENOENT)
            return result;
        if (!slash)
            break;
        *slash = '\0';
    }
    return -ENODATA;
}

static bool pids_near_say(
    struct doctor *doctor, struct json_object *guest, uint64_t limit, const char *folder)
{
    uint64_t use;

    if (doctor_number(&use, "%s/pids.current", folder) < 0 ||
        use < scale_u64(limit, PIDS_NEAR_PERCENT, 100))
        return false;
    struct finding *finding = guest_say(doctor, guest, SEVERITY_WARNING,
        "At this limit no thread can be made, and a running QEMU that needs one aborts.",
        "%llu of pids.max %llu are used (%s)", (unsigned long long)use, (unsigned long long)limit,
        folder);
    finding_set_advice(finding,
        "raise TasksMax= of its scope by systemctl set-property, or pids-max= "
        "of its class where the guard has set it");
    return true;
}

/* True: there was something to say. */
static bool pids_check(struct doctor *doctor, struct json_object *guest)
{
    uint64_t pid = field_u64(guest, "pid"), limit;
    char folder[PATH_MAX];

    if (!known(pid) || pid == 0 || pid > INT32_MAX)
        return false;
    int result = pids_find(doctor, pid, &limit, folder);
    if (result == -ESRCH)
        return false; /* it has ended meanwhile */
    if (result == 0)
        return pids_near_say(doctor, guest, limit, folder);
    if (result != -ENODATA) {
        (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
            "pids.max of its cgroup (v2) by /proc/%llu/cgroup: %s", (unsigned long long)pid,
            strerror(-result));
        return true;
    }
    struct finding *finding = guest_say(doctor, guest, SEVERITY_NOTE,
        "A QEMU that a guest has broken out of can use up the host's processes.",
        "no pids.max bounds its processes (cgroups of /proc/%llu/cgroup)", (unsigned long long)pid);
    finding_set_advice(finding,
        "pids-max=1024 in its class of %s, then: systemctl reload plimsolld", CONFIG_FILE_DEFAULT);
    return true;
}

void check_pids(struct doctor *doctor)
{
    size_t count;
    bool said = false;

    if (!doctor_guests(doctor, &count))
        return;
    if (!doctor->mounts) {
        (void)doctor_unknown(doctor, "/proc/self/mountinfo cannot be read");
        return;
    }
    if (doctor_controller(doctor, "pids") <= 0) {
        (void)doctor_unknown(doctor, "cgroup v2 has no pids controller here; v1's is not read");
        return;
    }
    for (size_t i = 0; i < count; i++)
        said = pids_check(doctor, doctor_guest(doctor, i)) || said;
    if (!said)
        doctor_fine(doctor, "the processes of each of %zu guests are bounded by a pids.max", count);
}
