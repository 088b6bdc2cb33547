/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checks of `plimsoll doctor`: each reads one subject of the host's configuration and says what
 * it found. Nothing is changed, not even for a moment. What cannot be read is unknown, with the
 * reason, and never fine.
 */
#ifndef PLIMSOLL_CLI_DOCTOR_H
#define PLIMSOLL_CLI_DOCTOR_H

#include "finding.h"
#include "roots.h"
#include "sample_vm.h"
#include "watched.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdint.h>

struct doctor_input {
    struct roots kernel;
    const char *files; /* before the path of a file that is not the kernel's; "" on a host */
    /* What the guard answered; NULL: nothing, for the reason of RESULT and TEXT, as client_call()
     * left them. Taken as hostile. */
    struct json_object *status;
    int result;
    const char *text;
};

/* Of /proc/meminfo. */
struct doctor_memory {
    uint64_t total, available, swap_total, swap_free, commit_limit, committed;
};

struct doctor {
    const struct doctor_input *input;
    struct findings *findings;
    const char *check; /* the one that runs */
    struct doctor_memory memory;
    struct cgroup_mounts *mounts; /* NULL: cannot be read */
    struct watched watched;
};

struct doctor_check {
    const char *name; /* never renamed: scripts rely on it */
    void (*run)(struct doctor *doctor);
};

/* In the order of their running. */
size_t doctor_check_count(void);
const struct doctor_check *doctor_check_at(size_t index);

/* Runs all of them; each adds at least one finding, be it that all is fine. */
void doctor_run(const struct doctor_input *input, struct findings *findings);

/* Runs them and prints what they found; returns an enum command_exit (command_doctor.c). */
int doctor_audit(const struct doctor_input *input, bool json, bool all);

/* ---- for the checks ---- */

/* A finding of the check that runs. */
#define doctor_say(doctor, severity, why, ...) \
    findings_add((doctor)->findings, (doctor)->check, (severity), (why), __VA_ARGS__)
#define doctor_fine(doctor, ...) ((void)doctor_say((doctor), SEVERITY_FINE, NULL, __VA_ARGS__))
#define doctor_unknown(doctor, ...) doctor_say((doctor), SEVERITY_UNKNOWN, NULL, __VA_ARGS__)

/* The number in the file of that path. 0; -EBADMSG: it holds none; or another negative errno. */
int doctor_number(uint64_t *ret_number, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The setting NAME, with points. False: it was said that it is not known. */
bool doctor_sysctl(struct doctor *doctor, const char *name, uint64_t *ret_number);
/* Sets `sysctl -w NAME=VALUE`, so that it holds after a reboot, too. */
void finding_set_sysctl(struct finding *finding, const char *name, uint64_t value);

/* Whether cgroup v2 has the controller: 1, 0, or a negative errno. */
int doctor_controller(const struct doctor *doctor, const char *name);

/* Guests that the guard knows; false: it does not answer, and the check was told so. */
bool doctor_guests(struct doctor *doctor, size_t *ret_count);
struct json_object *doctor_guest(const struct doctor *doctor, size_t index);
/* Whether the guard answers and acts. */
bool doctor_enforces(const struct doctor *doctor);
/* What virsh takes for a guest: its uuid, so that no name comes into a command. False: libvirt does
 * not know it. BUFFER has room for UUID_TEXT. */
#define UUID_TEXT 37
bool guest_domain(struct json_object *guest, char buffer[UUID_TEXT]);
/* A finding of the check that runs about GUEST. */
#define guest_say(doctor, guest, severity, why, ...) \
    guest_named(doctor_say((doctor), (severity), (why), __VA_ARGS__), (guest))
struct finding *guest_named(struct finding *finding, struct json_object *guest);

void check_overcommit(struct doctor *doctor);
void check_panic(struct doctor *doctor);
void check_allocating_task(struct doctor *doctor);
void check_swap(struct doctor *doctor);
void check_swappiness(struct doctor *doctor);
void check_pressure(struct doctor *doctor);
void check_min_free(struct doctor *doctor);
void check_watermarks(struct doctor *doctor);
void check_hugepages(struct doctor *doctor);
void check_ksm(struct doctor *doctor);
void check_thp(struct doctor *doctor);
void check_thp_defrag(struct doctor *doctor);
void check_tmpfs(struct doctor *doctor);
void check_cgroup(struct doctor *doctor);
void check_machine_slice(struct doctor *doctor);
void check_score_libvirt(struct doctor *doctor);
void check_score_sshd(struct doctor *doctor);
void check_score_guard(struct doctor *doctor);
void check_oom_daemons(struct doctor *doctor);
void check_systemd_oomd(struct doctor *doctor);
void check_guard(struct doctor *doctor);
void check_guard_mode(struct doctor *doctor);
void check_hook(struct doctor *doctor);
void check_hook_seen(struct doctor *doctor);
void check_guest_mode(struct doctor *doctor);
void check_guest_class(struct doctor *doctor);
void check_balloon(struct doctor *doctor);
void check_statistics(struct doctor *doctor);
void check_rigid_share(struct doctor *doctor);
void check_guest_limit(struct doctor *doctor);
void check_guest_score(struct doctor *doctor);
void check_numa(struct doctor *doctor);
void check_memlock(struct doctor *doctor);
void check_pids(struct doctor *doctor);

#endif
