/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines about what the kernel killed: whose process it was, where memory was short, and what
 * that asks of an operator. The process's name is hostile, so it is quoted.
 */
#include "announce.h"

#include "log.h"

#include <assert.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>

/* "rss=… adj=…", with a blank before each. */
#define FIGURES_SIZE 64

static const char *const guest_texts[] = {
    [KILL_CONSTRAINT_UNKNOWN] =
        "the kernel killed this guest for want of memory, on the host or on "
        "the nodes it may use: journalctl -k has the figures; a higher "
        "floor= lets the guard act first",
    [KILL_CONSTRAINT_HOST] = "the host ran out of memory and the kernel killed this guest: raise "
                             "floor=, and see that mode=enforce lets the guard act first",
    [KILL_CONSTRAINT_NODE] =
        "the memory nodes that were allowed ran out and the kernel killed this "
        "guest: bind it to more nodes, or move guests off these",
    [KILL_CONSTRAINT_CGROUP] = "a cgroup reached its limit and the kernel killed this guest; the "
                               "host was not short: raise memory.max (libvirt: hard_limit) of the "
                               "guest's cgroup or of one above it",
};
static_assert(ELEMENTSOF(guest_texts) == KILL_CONSTRAINT_COUNT, "a constraint without its text");

static const char *const other_texts[] = {
    [KILL_CONSTRAINT_UNKNOWN] = "the kernel killed a process that is no guest for want of memory, "
                                "on the host or on some nodes: journalctl -k has the figures",
    [KILL_CONSTRAINT_HOST] =
        "the host ran out of memory and the kernel killed a process that is no "
        "guest: raise floor=, and see what fills the host beside the guests",
    [KILL_CONSTRAINT_NODE] = "the memory nodes that were allowed ran out and the kernel killed a "
                             "process that is no guest: move processes or guests off these nodes",
    [KILL_CONSTRAINT_CGROUP] = "a cgroup reached its limit and the kernel killed a process that is "
                               "no guest; the host was not short: raise memory.max of its cgroup "
                               "if it needs more",
};
static_assert(ELEMENTSOF(other_texts) == KILL_CONSTRAINT_COUNT, "a constraint without its text");

static const char *figures_text(const struct kernel_kill *kill, char buffer[FIGURES_SIZE])
{
    int used = 0;

    buffer[0] = '\0';
    if (known(kill->rss))
        used = snprintf(buffer, FIGURES_SIZE, " rss=%" PRIu64, kill->rss);
    if (kill->oom_score_adj_known)
        (void)snprintf(
            buffer + used, FIGURES_SIZE - (size_t)used, " adj=%" PRId32, kill->oom_score_adj);
    return buffer;
}

void announce_kernel_kill(
    const struct kernel_kill *kill, const char *name, const struct vm_identity *identity)
{
    char quoted[2 * VM_NAME_MAX + 8], uuid[UUID_TEXT_SIZE], figures[FIGURES_SIZE];

    if (identity)
        log_alert(LOG_CRIT, "event=kernel-kill vm=%s uuid=%s pid=%d constraint=%s%s text=\"%s\"",
            log_quote(name, quoted, sizeof quoted), uuid_text(identity->uuid, uuid), (int)kill->pid,
            kill_constraint_name(kill->constraint), figures_text(kill, figures),
            guest_texts[kill->constraint]);
    else
        log_alert(LOG_WARNING, "event=kernel-kill process=%s pid=%d constraint=%s%s text=\"%s\"",
            log_quote(kill->name, quoted, sizeof quoted), (int)kill->pid,
            kill_constraint_name(kill->constraint), figures_text(kill, figures),
            other_texts[kill->constraint]);
}

void announce_kernel_kills(uint64_t count, bool unseen)
{
    log_alert(unseen ? LOG_ERR : LOG_WARNING,
        "event=kernel-kill pid=unknown count=%" PRIu64 " constraint=unknown text=\"%s\"", count,
        unseen ? "the kernel's counter tells that it killed for want of memory, and no line of its "
                 "log said whom: look which guests have ended; journalctl -k may know"
               : "the kernel killed more processes that are no guests than are said one by one: "
                 "journalctl -k names them");
}

void announce_kernel_log_lost(uint64_t lines)
{
    log_alert(LOG_WARNING,
        "event=kernel-log-lost lines=%" PRIu64 " text=\"the kernel's log was overwritten before it "
        "was read; if the kernel killed meanwhile, its counter will tell. A larger log_buf_len= on "
        "the kernel's command line holds more\"",
        lines);
}
