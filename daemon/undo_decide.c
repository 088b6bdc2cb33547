/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the decisions of undo.h: pure functions of what was seen. Whatever is not clearly ours is
 * not touched.
 */
#include "undo.h"

#include <plimsoll/units.h>

/* A balloon moves in pages of 4 KiB, and drivers work in batches: so far may a guest stand below a
 * target that it has reached. */
#define BALLOON_SLACK MIB

static struct undo_decision decide(enum undo_verdict verdict, const char *why)
{
    return (struct undo_decision){.verdict = verdict, .why = why};
}

static bool is_migrating(enum qmp_migration migration)
{
    switch (migration) {
    case QMP_MIGRATION_NONE:
        return false;
    case QMP_MIGRATION_ACTIVE:
    case QMP_MIGRATION_POSTCOPY:
    case QMP_MIGRATION_INCOMING:
    case QMP_MIGRATION_OTHER:
    case QMP_MIGRATION_COUNT:
        break;
    }
    return true; /* also what we do not know */
}

struct undo_decision undo_may_resume(
    enum qmp_run_state run_state, enum qmp_migration migration, uint32_t measures)
{
    if (is_migrating(migration))
        return decide(UNDO_REFUSE, "a migration is under way");
    switch (run_state) {
    case QMP_RUN_RUNNING:
        return decide(UNDO_FORGET, "it runs already");
    case QMP_RUN_PAUSED:
        if (measures & (VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED))
            return decide(UNDO_DO, "resumed");
        return decide(UNDO_REFUSE, "somebody else has paused it");
    case QMP_RUN_POSTMIGRATE:
        return decide(UNDO_REFUSE,
            "it has been migrated or saved: resumed here it would write to disks that another "
            "instance may own");
    case QMP_RUN_INMIGRATE:
    case QMP_RUN_FINISH_MIGRATE:
    case QMP_RUN_RESTORE_VM:
    case QMP_RUN_SAVE_VM:
    case QMP_RUN_COLO:
        return decide(UNDO_REFUSE, "it is being migrated, saved or restored");
    case QMP_RUN_INTERNAL_ERROR:
    case QMP_RUN_IO_ERROR:
    case QMP_RUN_GUEST_PANICKED:
    case QMP_RUN_WATCHDOG:
        return decide(UNDO_REFUSE, "it has stopped on an error of its own since");
    case QMP_RUN_PRELAUNCH:
    case QMP_RUN_DEBUG:
        return decide(UNDO_REFUSE, "whoever started it holds it back");
    case QMP_RUN_SHUTDOWN:
        return decide(UNDO_REFUSE, "it has shut down");
    case QMP_RUN_SUSPENDED:
        return decide(UNDO_FORGET, "it is suspended by its own wish, not paused");
    case QMP_RUN_OTHER:
    case QMP_RUN_COUNT:
        break;
    }
    return decide(UNDO_REFUSE, "it is in a state that is not known here");
}

struct undo_decision undo_may_deflate(
    uint64_t actual, uint64_t before, uint64_t target, enum qmp_migration migration)
{
    if (is_migrating(migration))
        return decide(UNDO_REFUSE, "a migration is under way");
    if (!known(actual) || !known(before) || !known(target) || before == 0)
        return decide(UNDO_REFUSE, "nobody knows what it had before");
    if (actual > before)
        return decide(UNDO_FORGET, "it has more than before already");
    if (actual < sub_or_zero(target, BALLOON_SLACK))
        return decide(UNDO_FORGET, "somebody else has taken more than we did");
    /* Where it has all it had, a target it never followed may still wait for it. */
    return decide(UNDO_DO, "given back");
}

struct undo_decision undo_may_resize(uint64_t requested, const struct vm_contained *ours,
    uint64_t previous, enum qmp_migration migration)
{
    if (is_migrating(migration))
        return decide(UNDO_REFUSE, "a migration is under way");
    if (!known(requested))
        return decide(UNDO_REFUSE, "nobody knows what is requested of it now");
    if (requested == ours->before)
        return decide(UNDO_FORGET, "it has what it had before");
    if (requested != ours->set && requested != previous)
        return decide(UNDO_FORGET, "somebody else has requested another size");
    return decide(UNDO_DO, "given back");
}

struct undo_decision undo_may_restore_score(int32_t current, int32_t set)
{
    if (current != set)
        return decide(UNDO_FORGET, "somebody else has changed it");
    return decide(UNDO_DO, "restored");
}
