/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of guests out of the guard's status document, which is taken for no more than
 * its types: a field that is missing or of another type is unknown.
 */
#include "doctor.h"
#include "field.h"
#include "process.h"
#include "text.h"

#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>

/* More than half of the host cannot be asked back. */
#define RIGID_MUCH_PERCENT 50

void check_guest_mode(struct doctor *doctor)
{
    size_t count, dry = 0;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);
        char class[FIELD_MAX];

        /* Of a guard in dry run one finding is enough. */
        if (!doctor_enforces(doctor) || !field_is(guest, "mode", "dry-run"))
            continue;
        dry++;
        struct finding *finding = guest_say(doctor, guest, SEVERITY_WARNING,
            "Nothing is taken from it, whatever it costs the others.",
            "its class %s is in dry run, the guard is not", field_text(guest, "class", class));
        finding_set_advice(finding,
            "mode=enforce in [class %s] of %s, then: systemctl reload "
            "plimsolld",
            class, CONFIG_FILE_DEFAULT);
    }
    if (dry == 0)
        doctor_fine(doctor, doctor_enforces(doctor) ? "no guest is in dry run"
                                                    : "all guests are in the guard's own mode");
}

void check_guest_class(struct doctor *doctor)
{
    size_t count, unclassed = 0;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);

        if (!field_is(guest, "class", "default"))
            continue;
        unclassed++;
        struct finding *finding = guest_say(doctor, guest, SEVERITY_NOTE,
            "Nobody has said what it is worth, so it is worth as much as any other such guest.",
            "it is of the default class");
        finding_set_advice(finding,
            "a [class …], and a [vm …] with match= and class=, in %s, then: "
            "systemctl reload plimsolld",
            CONFIG_FILE_DEFAULT);
    }
    if (unclassed == 0)
        doctor_fine(doctor, "none of %zu guests is of the default class", count);
}

static void balloon_mend(struct finding *finding, struct json_object *guest)
{
    char uuid[UUID_TEXT];

    if (guest_domain(guest, uuid))
        finding_set_advice(finding,
            "`virsh edit %s`: <memballoon model='virtio'><stats "
            "period='10'/></memballoon>; it holds from its next start on",
            uuid);
    else
        finding_set_advice(finding, "-device virtio-balloon-pci, from its next start on");
}

/* True: there was something to say. */
static bool balloon_check(struct doctor *doctor, struct json_object *guest)
{
    static const char why[] = "Memory that it does not use cannot be asked back: when it is short "
                              "the guest can only be swapped, stopped or ended.";
    struct finding *finding;

    if (field_is(guest, "kind_reason", "no-device")) {
        balloon_mend(guest_say(doctor, guest, SEVERITY_WARNING, why, "it has no balloon"), guest);
    } else if (field_is(guest, "kind_reason", "no-driver")) {
        finding = guest_say(doctor, guest, SEVERITY_WARNING, why,
            "it has a balloon, and no driver for it in the guest");
        finding_set_advice(finding, "in a Linux guest: modprobe virtio_balloon; in Windows the "
                                    "balloon driver of virtio-win");
    } else if (field_is(guest, "kind_reason", "no-monitor")) {
        finding = guest_say(
            doctor, guest, SEVERITY_WARNING, why, "the guard has no monitor to ask its balloon by");
        finding_set_advice(finding, "-qmp unix:/run/plimsoll/qmp/NAME,server=on,wait=off, from its "
                                    "next start on, or define it in libvirt");
    } else if (field_is(guest, "kind", "unknown") || !field_get(guest, "kind")) {
        (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
            "what its balloon can do: the guard has not seen it yet");
    } else {
        return false;
    }
    return true;
}

void check_balloon(struct doctor *doctor)
{
    size_t count;
    bool said = false;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++)
        said = balloon_check(doctor, doctor_guest(doctor, i)) || said;
    if (!said)
        doctor_fine(doctor, "none of %zu guests lacks a balloon and its driver", count);
}

/* In dry run the guard asks nobody to report. */
static void statistics_say(struct doctor *doctor, struct json_object *guest)
{
    char uuid[UUID_TEXT];
    struct finding *finding = guest_say(doctor, guest, SEVERITY_WARNING,
        "A guest that does not say what it uses counts as using all that it has: nothing is taken "
        "from it before memory is scarce.",
        "its balloon driver reports no statistics");

    if (guest_domain(guest, uuid))
        finding_set_command(finding, "virsh dommemstat %s --period 10 --live", uuid);
    else
        finding_set_advice(finding, "set guest-stats-polling-interval of its balloon device by "
                                    "qom-set; the guard does, unless it is in dry run");
}

/* Without a monitor, a balloon or its driver there is nobody to report, which check_balloon()
 * tells.
 */
static bool statistics_are_expected(struct json_object *guest)
{
    return !field_is(guest, "kind_reason", "no-device") &&
           !field_is(guest, "kind_reason", "no-driver") &&
           !field_is(guest, "kind_reason", "no-monitor");
}

void check_statistics(struct doctor *doctor)
{
    size_t count;
    bool said = false;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);
        bool is_told = json_object_is_type(field_get(guest, "statistics"), json_type_boolean);

        if (!statistics_are_expected(guest) || field_is_true(guest, "statistics"))
            continue;
        said = true;
        if (is_told)
            statistics_say(doctor, guest);
        else
            (void)guest_say(doctor, guest, SEVERITY_UNKNOWN, NULL,
                "whether it reports statistics: nobody can ask it now, or it had no time to");
    }
    if (!said)
        doctor_fine(doctor, "no guest with a balloon's driver keeps its statistics to itself");
}

void check_rigid_share(struct doctor *doctor)
{
    uint64_t total = field_u64(field_get(doctor->input->status, "host"), "total"), held = 0;
    char held_text[TEXT_NUMBER_MAX], total_text[TEXT_NUMBER_MAX];
    size_t count, rigid = 0, unsized = 0;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);
        uint64_t rss = field_u64(guest, "rss");

        if (!field_is(guest, "kind", "rigid"))
            continue;
        rigid++;
        unsized += !known(rss);
        held = add_held(held, add_held(known_or(rss, 0), known_or(field_u64(guest, "hugetlb"), 0)));
    }
    if (!known(total) || unsized > 0) {
        (void)doctor_unknown(doctor,
            "what %zu rigid guests hold: the guard's status has no total "
            "or no size of %zu of them",
            rigid, unsized);
        return;
    }
    (void)text_format_bytes(held, held_text, sizeof(held_text));
    (void)text_format_bytes(total, total_text, sizeof(total_text));
    if (held <= scale_u64(total, RIGID_MUCH_PERCENT, 100)) {
        doctor_fine(doctor, "%zu rigid guests hold %s of %s", rigid, held_text, total_text);
        return;
    }
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "From rigid guests no balloon returns anything, so a shortage comes soon to pauses and "
        "kills.",
        "%zu rigid guests hold %s of the host's %s", rigid, held_text, total_text);
    finding_set_advice(finding,
        "`plimsoll status` says WHY each is rigid; virtio-mem (and `resize` "
        "in rungs=) makes one with VFIO devices shrink, huge pages and "
        "locks go by its definition");
}

/* Whether the guard has set limits of its cgroup. */
static bool is_contained(struct json_object *guest)
{
    struct json_object *measures = field_get(guest, "measures");
    size_t count =
        json_object_is_type(measures, json_type_array) ? json_object_array_length(measures) : 0;
    bool contained = false;

    for (size_t i = 0; i < count && !contained; i++) {
        struct json_object *measure = json_object_array_get_idx(measures, i);

        contained = json_object_is_type(measure, json_type_string) &&
                    strcmp(json_object_get_string(measure), "contain") == 0;
    }
    return contained;
}

static bool guest_limit_check(struct doctor *doctor, struct json_object *guest)
{
    uint64_t limit = field_u64(field_get(guest, "limits"), "memory_max");
    uint64_t maximum = field_u64(guest, "maximum");
    char limit_text[TEXT_NUMBER_MAX], maximum_text[TEXT_NUMBER_MAX], uuid[UUID_TEXT];

    if (!known(limit) || !known(maximum) || limit >= maximum)
        return false;
    (void)text_format_bytes(limit, limit_text, sizeof(limit_text));
    (void)text_format_bytes(maximum, maximum_text, sizeof(maximum_text));
    struct finding *finding = guest_say(doctor, guest, SEVERITY_WARNING,
        "The guest may use more than that, and the kernel kills it when it does, though the host "
        "has room.",
        "memory.max of its cgroup is %s, and its memory %s", limit_text, maximum_text);
    if (is_contained(guest))
        finding_set_advice(finding,
            "memory-max= of its class in %s, then: systemctl reload plimsolld",
            CONFIG_FILE_DEFAULT);
    else if (guest_domain(guest, uuid))
        finding_set_command(finding, "virsh memtune %s --hard-limit -1 --live", uuid);
    else
        finding_set_advice(finding,
            "echo max to the memory.max of its cgroup, by "
            "/proc/%llu/cgroup",
            (unsigned long long)field_u64(guest, "pid"));
    return true;
}

void check_guest_limit(struct doctor *doctor)
{
    size_t count;
    bool said = false;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++)
        said = guest_limit_check(doctor, doctor_guest(doctor, i)) || said;
    if (!said)
        doctor_fine(doctor, "no memory.max is below the memory of its guest, as far as is known");
}

void check_guest_score(struct doctor *doctor)
{
    size_t count, exempt = 0;

    if (!doctor_guests(doctor, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *guest = doctor_guest(doctor, i);
        struct json_object *score = field_get(guest, "oom_score_adj");
        uint64_t pid = field_u64(guest, "pid");

        if (!json_object_is_type(score, json_type_int) ||
            json_object_get_int64(score) > PROCESS_SCORE_MIN || !known(pid))
            continue;
        exempt++;
        struct finding *finding = guest_say(doctor, guest, SEVERITY_WARNING,
            "The kernel never takes it, even if it alone fills the host, but others in its place.",
            "its oom_score_adj is %d (/proc/%llu)", PROCESS_SCORE_MIN, (unsigned long long)pid);
        finding_set_command(finding, "choom -n 0 -p %llu", (unsigned long long)pid);
    }
    if (exempt == 0)
        doctor_fine(doctor, "no guest is exempt from the kernel's OOM killer");
}
