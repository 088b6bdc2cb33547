/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Acting: each function carries out one kind of action on one VM. It writes the ledger first, then
 * does the one thing that touches the guest, and returns; what it achieved is seen in a later
 * sample. None of them allocates, blocks or reads a sample.
 *
 * With MODE_DRY_RUN everything is done but the ledger's entry and the last system call.
 *
 * All return 0, or a negative errno and leave no measure behind: -ESRCH the process has ended,
 * -ENOTCONN it has no usable monitor, -EALREADY the measure is in force already.
 */
#ifndef PLIMSOLL_DAEMON_ACT_H
#define PLIMSOLL_DAEMON_ACT_H

#include "roots.h"
#include "vm.h"
#include "writer.h"

#include <plimsoll/plan.h>

int act_balloon(struct vm *vm, uint64_t target, enum mode mode, uint64_t now);
/* Sends a target again that did not reach QEMU. To be called each tick. */
void act_balloon_advance(struct vm *vm, uint64_t now);
/* Its balloon is somebody else's now: nothing is sent. */
int act_balloon_yield(struct vm *vm);

/* Requests TARGET of its virtio-mem, a multiple of the device's block, where what the figures say
 * is requested still is. -ERANGE: it had less before our first; -ESTALE: somebody else has
 * requested another size over ours; -EAGAIN: the last one is not
 * answered yet; -ENOTCONN: or it is libvirt's, and libvirt is not there. */
int act_resize(struct vm *vm, uint64_t target, enum mode mode, uint64_t now);
/* To be called each tick. */
void act_resize_advance(struct vm *vm, uint64_t now);
/* What is requested of it is somebody else's now: nothing is sent. */
int act_resize_yield(struct vm *vm);

/* Hands BYTES to be written to its memory.reclaim to RECLAIMER; what comes of it stands in the
 * figures' `reclaim`. -ENODEV: it has none of its own (any more); else as writer_ask(). */
int act_reclaim(
    struct vm *vm, struct writer *reclaimer, uint64_t bytes, enum mode mode, uint64_t now);

/* Leaves each vCPU BRAKE_QUOTA. -ENODEV: they have no cgroups of their own that can be throttled;
 * -ENOTUNIQ: what they have now differs; -ERANGE: it is no more than that; -EBUSY: it is paused or
 * killed. After any other failure the measure may be in force, so that it is released. */
int act_brake(struct vm *vm, enum mode mode, uint64_t now);
/* Puts back what they had where it is still ours. */
int act_release(struct vm *vm, enum mode mode);

int act_pause(struct vm *vm, enum mode mode, uint64_t now);
int act_freeze(struct vm *vm, enum mode mode, uint64_t now);
/* Undoes a freeze alone. */
int act_thaw(struct vm *vm, enum mode mode);
/* Begins to undo every part of a pause of ours; act_pause_advance() brings it to its end. */
int act_resume(struct vm *vm, enum mode mode, uint64_t now);
/* Looks at a pause or resume that waits for something: an answer, a run state, a new connection. To
 * be called whenever one of those came, and each tick. */
void act_pause_advance(struct vm *vm, uint64_t now);

/* Has libvirt save it, or ask it to shut down, and gives it TIME. -EBUSY: a pause of ours is not at
 * rest. That it was done is seen by the end of its process; what fails is said, and is then no
 * measure any more. */
int act_save(struct vm *vm, enum reason reason, uint64_t time, enum mode mode, uint64_t now);
int act_shutdown(struct vm *vm, enum reason reason, uint64_t time, enum mode mode, uint64_t now);
/* To be called each tick. */
void act_end_advance(struct vm *vm, uint64_t now);

/* ORDERLY: there is time, so a domain is destroyed by libvirt, which lets QEMU close its images; by
 * SIGKILL what does not end so within KILL_ORDERLY_TIME, and everything else. */
int act_kill(struct vm *vm, enum reason reason, bool orderly, enum mode mode, uint64_t now);
/* To be called each tick; HURRY: there is no time any more. */
void act_kill_advance(struct vm *vm, bool hurry, uint64_t now);

int act_oom_score(struct vm *vm, const struct roots *roots, int32_t score, enum mode mode);
/* Puts the score back if it is still the one we set. */
int act_oom_score_restore(struct vm *vm, const struct roots *roots);

/* Lowers both parts of RLIMIT_MEMLOCK to CAP. -ERANGE: that would leave the guest less than
 * MEMLOCK_ROOM above what it has locked and pinned now; -ESTALE: the limit is no longer the one
 * that was decided on; -EALREADY: it is no higher as it is; -EPERM: we may not. */
int act_memlock(struct vm *vm, uint64_t cap, enum mode mode);
/* Puts the limit back if it is still the one we set. */
int act_memlock_restore(struct vm *vm);

/* Hands VALUE for LIMIT of its own cgroup to WRITER; what comes of it stands in the figures'
 * `limits`, and act_contain_answered() is to be told. VM_LIMIT_NONE is none. Never loosens what
 * was found before our first. -ENODEV: its cgroup has no such limit, or is not its own alone (any
 * more); -ERANGE: a memory.max below the present use, or a pids.max below the present tasks;
 * -ESTALE: somebody else has changed ours; -EALREADY: it is as tight as it is; -EAGAIN: what became
 * of the last write cannot be read; else as writer_ask(). */
int act_contain(struct vm *vm, struct writer *writer, enum vm_limit limit, uint64_t value,
    enum mode mode, uint64_t now);
/* The last write has come to its end with RESULT. */
void act_contain_answered(struct vm *vm, int result, uint64_t now);
/* Puts LIMIT back if it is still the one we set; through libvirt it only begins to. -EBUSY: a write
 * of it is under way; -EAGAIN: it holds more than it may have then, and to put it back now could
 * block. */
int act_contain_restore(struct vm *vm, enum vm_limit limit, uint64_t now);
/* The same with all limits. */
int act_contain_restore_all(struct vm *vm, uint64_t now);

#endif
