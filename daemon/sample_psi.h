/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory pressure: the stall totals of /proc/pressure/memory, and a trigger as a second line.
 * Totals are cumulative and counted in µs by the kernel; ours are ns.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_PSI_H
#define PLIMSOLL_DAEMON_SAMPLE_PSI_H

#include "roots.h"

#include <plimsoll/snapshot.h>

struct psi_source {
    int fd;      /* -1: no PSI */
    int trigger; /* readable as EPOLLPRI when tasks stall; -1: refused */
};
#define PSI_SOURCE_CLOSED \
    {                     \
        -1, -1            \
    }

/* Opens what there is. Negative errno where totals cannot be read; the trigger is optional. */
int psi_source_open(struct psi_source *source, const struct roots *roots);
void psi_source_close(struct psi_source *source);
/* UNKNOWN for what could not be read. */
struct psi_totals psi_source_read(const struct psi_source *source);

#endif
