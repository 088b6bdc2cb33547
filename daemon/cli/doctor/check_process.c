/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of other processes of the host: those that must outlive a shortage, and those
 * that kill in one as well.
 *
 * A child inherits its parent's oom_score_adj (copy_signal(), kernel/fork.c), and libvirt does not
 * change it for the QEMUs that it starts. So a score that protects libvirtd protects every guest
 * started later as much, all of them alike, unless the guard gives each its own. sshd does it by
 * itself: it goes to -1000 and puts its sessions back to what it had.
 */
#include "doctor.h"
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* At or below it the kernel's killer takes a process after all others, if at all. */
#define SCORE_SAFE (-900)

/* False: it was said that NAME is not known, or does not run. */
static bool process_get(
    struct doctor *doctor, enum watched_name name, struct watched_process *ret_process)
{
    const struct watched_process *process = &doctor->watched.processes[name];

    if (process->pid == 0 && doctor->watched.error < 0) {
        (void)doctor_unknown(doctor, "whether %s runs: not all processes can be seen: %s",
            watched_name(name), strerror(-doctor->watched.error));
        return false;
    }
    if (process->pid == 0) {
        doctor_fine(doctor, "%s does not run", watched_name(name));
        return false;
    }
    if (!process->scored) {
        (void)doctor_unknown(doctor, "/proc/%d/oom_score_adj of %s cannot be read",
            (int)process->pid, watched_name(name));
        return false;
    }
    *ret_process = *process;
    return true;
}

static struct finding *score_say(struct doctor *doctor, enum severity severity, const char *why,
    enum watched_name name, const struct watched_process *process)
{
    return doctor_say(doctor, severity, why, "oom_score_adj of %s (/proc/%d) is %d",
        watched_name(name), (int)process->pid, (int)process->score);
}

static void score_command(struct finding *finding, int score, const struct watched_process *process)
{
    finding_set_command(finding, "choom -n %d -p %d", score, (int)process->pid);
}

void check_score_libvirt(struct doctor *doctor)
{
    enum watched_name name =
        doctor->watched.processes[WATCHED_VIRTQEMUD].pid > 0 ? WATCHED_VIRTQEMUD : WATCHED_LIBVIRTD;
    bool enforces = doctor_enforces(doctor);
    struct watched_process process;

    if (!process_get(doctor, name, &process))
        return;
    if (process.score > 0 || (process.score > SCORE_SAFE && enforces)) {
        score_command(score_say(doctor, process.score > 0 ? SEVERITY_WARNING : SEVERITY_NOTE,
                          "The kernel may take it before a guest, and until it runs again no "
                          "guest of libvirt's can be ballooned, paused or started.",
                          name, &process),
            enforces ? PROCESS_SCORE_MIN + 1 : 0, &process);
    } else if (process.score < 0 && !enforces) {
        score_command(
            score_say(doctor, process.score == PROCESS_SCORE_MIN ? SEVERITY_WARNING : SEVERITY_NOTE,
                "Each guest that it starts inherits that score as long as no guard in earnest "
                "sets another, so that the kernel spares all guests and takes other processes.",
                name, &process),
            0, &process);
    } else {
        doctor_fine(doctor, "oom_score_adj of %s (/proc/%d) is %d", watched_name(name),
            (int)process.pid, (int)process.score);
    }
}

void check_score_sshd(struct doctor *doctor)
{
    struct watched_process process;

    if (!process_get(doctor, WATCHED_SSHD, &process))
        return;
    if (process.score <= SCORE_SAFE) {
        doctor_fine(
            doctor, "oom_score_adj of sshd (/proc/%d) is %d", (int)process.pid, (int)process.score);
        return;
    }
    score_command(score_say(doctor, SEVERITY_WARNING,
                      "The kernel may take it when memory is out, and nobody gets onto the host "
                      "any more to see to it.",
                      WATCHED_SSHD, &process),
        PROCESS_SCORE_MIN, &process);
}

void check_score_guard(struct doctor *doctor)
{
    struct watched_process process;

    if (!process_get(doctor, WATCHED_GUARD, &process))
        return;
    if (process.score == PROCESS_SCORE_MIN) {
        doctor_fine(doctor, "oom_score_adj of plimsolld (/proc/%d) is %d", (int)process.pid,
            (int)process.score);
        return;
    }
    score_command(score_say(doctor, SEVERITY_WARNING,
                      "The kernel may take the guard itself, at the moment that it is there for "
                      "(its unit has OOMScoreAdjust=-1000).",
                      WATCHED_GUARD, &process),
        PROCESS_SCORE_MIN, &process);
}

void check_oom_daemons(struct doctor *doctor)
{
    static const enum watched_name daemons[] = {WATCHED_EARLYOOM, WATCHED_NOHANG, WATCHED_OOMD};
    bool said = false;

    for (size_t i = 0; i < ELEMENTSOF(daemons); i++) {
        const struct watched_process *process = &doctor->watched.processes[daemons[i]];

        if (process->pid == 0)
            continue;
        said = true;
        struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
            "It knows nothing of guests and of what is freed already, and may kill one that the "
            "guard would keep.",
            "%s runs, too (/proc/%d)", watched_name(daemons[i]), (int)process->pid);
        finding_set_command(finding, "systemctl disable --now %s", watched_name(daemons[i]));
    }
    if (said)
        return;
    if (doctor->watched.error < 0)
        (void)doctor_unknown(doctor, "whether another runs: not all processes can be seen: %s",
            strerror(-doctor->watched.error));
    else
        doctor_fine(doctor, "neither earlyoom nor nohang nor oomd runs");
}
