/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what is said of the guard itself: whether it answers, and whether it acts. */
#include "doctor.h"
#include "field.h"

#include <errno.h>
#include <plimsoll/control.h>
#include <stdio.h>

void check_guard(struct doctor *doctor)
{
    const struct doctor_input *input = doctor->input;
    pid_t pid = doctor->watched.processes[WATCHED_GUARD].pid;
    struct finding *finding;

    if (input->status) {
        char version[FIELD_MAX];

        doctor_fine(
            doctor, "plimsolld answers, version %s", field_text(input->status, "version", version));
        return;
    }
    if (input->result == -EACCES || input->result == -EPERM) {
        finding = doctor_unknown(doctor, "%s", input->text);
        finding_set_command(finding, "sudo plimsoll doctor");
        return;
    }
    finding = doctor_say(doctor, SEVERITY_ERROR,
        "Nobody watches this host's memory, and when it is out the kernel kills by size.", "%s",
        input->text);
    if (pid > 0)
        finding_set_command(finding, "systemctl restart plimsolld");
    else
        finding_set_command(finding, "systemctl enable --now plimsolld");
}

void check_guard_mode(struct doctor *doctor)
{
    struct json_object *host = field_get(doctor->input->status, "host");

    if (field_is(host, "mode", "enforce")) {
        doctor_fine(doctor, "the guard acts (mode enforce)");
    } else if (field_is(host, "mode", "dry-run")) {
        struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
            "The guard says what it would do and touches nothing.", "the guard is in dry run");
        finding_set_advice(finding,
            "mode=enforce in [guard] and in the classes of %s, then: systemctl reload plimsolld",
            CONFIG_FILE_DEFAULT);
    } else if (field_is(host, "mode", "held")) {
        char left[FIELD_MAX];
        struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
            "Until then the guard says what it would do and takes nothing new, however short "
            "memory gets.",
            "a hold keeps the guard from acting for another %s",
            field_time(field_get(doctor->input->status, "hold"), "remaining", left));
        finding_set_command(finding, "plimsoll release");
    } else {
        (void)doctor_unknown(doctor, doctor->input->status ? "the guard does not say its mode"
                                                           : "the guard does not answer");
    }
}
