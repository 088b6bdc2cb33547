/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard's parts share: guard.c has the way through and the loop, guard_life.c builds it up
 * and reloads, guard_leave.c hands over, guard_control.c answers, guard_admission.c the hook,
 * guard_plan.c what would be done,
 * guard_virt.c joins what libvirt says, guard_calls.c has it looked at, guard_kernel.c what the
 * kernel does, guard_vm.c tells of one guest, guard_writers.c has others write what may block,
 * guard_record.c the record, guard_hold.c the host's hold, guard_undo.c a guest's. Nobody else
 * includes this.
 */
#ifndef PLIMSOLL_DAEMON_GUARD_PRIVATE_H
#define PLIMSOLL_DAEMON_GUARD_PRIVATE_H

#include "admission.h"
#include "config.h"
#include "control_server.h"
#include "counts.h"
#include "ended.h"
#include "guard.h"
#include "history.h"
#include "inventory.h"
#include "kernel_log.h"
#include "ledger.h"
#include "loop.h"
#include "notify.h"
#include "recorder.h"
#include "sample_host.h"
#include "sample_tmpfs.h"
#include "status.h"
#include "virt_link.h"
#include "writer.h"

#include <plimsoll/policy.h>

/* What is known of the kernel's own kills; guard_kernel.c's. */
struct guard_kernel {
    struct kernel_log *log; /* NULL: it cannot be read */
    struct ended_vms ended;
    uint64_t told;         /* kills of its counter that were told; UNKNOWN before its first value */
    uint64_t differs;      /* since when that is not the counter's value; NEVER: it is */
    uint64_t others_begin; /* of the minute in which kills of other processes are counted */
    uint64_t others;       /* … how many */
    uint64_t lost;         /* lines of the log, not yet said */
    struct log_limit lost_said;
};

/* guard_hold.c's. */
struct guard_hold {
    uint64_t until; /* CLOCK_BOOTTIME; 0: there is none */
    bool unwritten; /* its file is to be written once memory is not at its end */
    struct log_limit critical_said;
};

/* guard_undo.c's: the guests with a hold of their own. */
struct guard_undo {
    uint32_t held;     /* how many */
    uint64_t deadline; /* when to look at them next */
};

/* A guest whose start was refused, and when that was logged. */
struct refused {
    uint8_t uuid[UUID_SIZE];
    char name[VM_NAME_MAX];
    bool acts; /* the last one was followed, and not only told */
    struct log_limit said;
};
/* libvirtd has 20 workers, each of which can try another guest again and again. */
#define REFUSED_MAX 32

struct guard {
    struct guard_options options;
    struct roots roots;
    struct loop *loop;
    struct config *config;
    struct ledger *ledger;
    struct host_sampler *host_sampler;
    struct tmpfs_sampler *tmpfs_sampler;
    struct inventory *inventory;
    struct control_server *control;
    struct history *history; /* what log_alert() said */
    struct counts counts;    /* how often, and what was done */
    struct notify *notify;
    struct guard_kernel kernel;
    struct writer *reclaimer, *container;
    struct recorder *recorder; /* NULL: there was no memory for one */
    struct virt_link *virt;    /* NULL: libvirt is not asked */
    uint32_t next_served;      /* slot whose guest libvirt looks at first */
    struct loop_source signals, psi;
    struct admission admission;
    struct refused refused[REFUSED_MAX];

    uint32_t vm_capacity;
    struct snapshot *snapshot;
    struct rules *rules;
    void *state_buffer, *scratch_buffer;
    struct policy_state *state;
    struct policy_scratch *scratch;
    struct plan *plan;
    bool *unmatched;        /* by slot: what struct status_aside shows */
    uint64_t *hold_left;    /* by slot, likewise; worked out for each answer */
    uint32_t *victim_order; /* by position; room for an answer, worked out for each */

    uint64_t next_tick, next_host_full;
    uint64_t next_notify, notify_interval; /* watchdog and status */
    struct log_limit class_said;
    struct guard_hold hold;
    struct guard_undo undo;
    char boot_id[64]; /* the kernel's text */
    bool leaving;     /* SIGTERM or SIGINT came */
    bool reload;      /* SIGHUP came */
};

/* Of the last look. */
static inline enum band guard_band(const struct guard *guard)
{
    return guard->plan->assessment.band;
}

/* The band by which guests are looked for and asked: while one starts at least tight, so that it is
 * found, and those that may make room for it are heard. */
enum band guard_attention(const struct guard *guard);
/* ns since 1970. */
uint64_t guard_realtime(void);
/* One way through: observes the host as of NOW, decides, acts. */
void guard_tick(struct guard *guard, uint64_t now);
/* Rules of one VM anew: from the configuration, its name, and what libvirt says of it. */
void guard_resolve_rules(struct guard *guard, struct vm *vm);
/* The link to libvirt's side, as configured; without a program for it there is none. */
int guard_open_virt(struct guard *guard);
/* Starts libvirt's side; until its first words, for a moment at most, nobody is killed. */
void guard_begin_virt(struct guard *guard);
/* To be called once in a turn of the loop. */
void guard_advance_virt(struct guard *guard, uint64_t now);
/* Has libvirt look at the guests that are due, in turn. To be called once in a turn of the loop. */
void guard_advance_calls(struct guard *guard, uint64_t now);
/* All rules anew, by the configuration. */
void guard_take_rules(struct guard *guard);
/* Reads the configuration again; a bad one leaves everything as it is. */
int guard_reload(struct guard *guard, struct error *ret_error);
/* The same, and an alert of how it went, whoever asked for it. */
int guard_reload_told(struct guard *guard, struct error *ret_error);
/* The first half of a tick: a new snapshot and a plan for it, not acted on. */
void guard_reckon(struct guard *guard, uint64_t now);

/* ---- guard_admission.c ---- */

/* The control method of that name. */
int guard_admit(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_admit_parameters[];
/* A guest has ended: if the guard had it saved, it may be back. */
void guard_admission_ended(struct guard *guard, const struct vm *vm);
/* Says what was held back of refusals. To be called once in a turn of the loop. */
void guard_admission_advance(struct guard *guard, uint64_t now);
/* After a change of the rules: who no longer acts keeps nothing for those that start. */
void guard_resolve_admission(struct guard *guard);

/* ---- guard_control.c ---- */

int guard_open_control(struct guard *guard, struct error *ret_error);

/* ---- guard_plan.c ---- */

/* The control method of that name. */
int guard_plan(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_plan_parameters[];

/* ---- guard_vm.c ---- */

/* The guest that a person means by ASKED; errors as guest_find(), and -ESRCH: it has just ended. */
int guard_find_vm(
    const struct guard *guard, const char *asked, struct vm **ret_vm, struct error *ret_error);
/* What concerns people alone, as of the last snapshot; valid until the next call. */
struct status_aside guard_status_aside(struct guard *guard);
/* The control method of that name. */
int guard_vm(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_vm_parameters[];

/* ---- guard_kernel.c ---- */

/* Finds the kernel's log; without it, which is said, its kills are only counted. */
void guard_kernel_open(struct guard *guard);
/* Follows the log FD, which is the guard's on success. */
int guard_kernel_follow(struct guard *guard, int fd);
/* Says that VM has ended, once it is known whether the kernel killed it. */
void guard_kernel_ended(struct guard *guard, const struct vm *vm);
/* Compares what was told with the kernel's counter, and says what was held back. To be called once
 * in a turn of the loop. */
void guard_kernel_advance(struct guard *guard, uint64_t now);
/* Says what is left to be said. */
void guard_kernel_close(struct guard *guard);

/* ---- guard_writers.c ---- */

/* Forks the processes that write what may block. */
int guard_open_writers(struct guard *guard);
/* Ends them, those that were never begun as well. */
void guard_close_writers(struct guard *guard);
/* To be called once in a turn of the loop, and by then at the latest. */
void guard_advance_writers(struct guard *guard, uint64_t now);
uint64_t guard_writers_deadline(const struct guard *guard);

/* ---- guard_record.c ---- */

/* Records, or does not, as the configuration says. What stands in the way is said, and no more. */
void guard_resolve_record(struct guard *guard);
/* Has memory for it, now that the guests are known. */
void guard_prepare_record(struct guard *guard);

/* ---- guard_hold.c ---- */

/* Takes over what the file says, before the rules are read. */
void guard_take_hold(struct guard *guard);
/* After a change of the host's rules. */
void guard_resolve_hold(struct guard *guard);
/* Ends the hold when it is over; in critical says that there is one. To be called once in a turn of
 * the loop, and by then at the latest. */
void guard_hold_advance(struct guard *guard, uint64_t now);
uint64_t guard_hold_deadline(const struct guard *guard);
/* The guard's mode, and until when it is held. Returns BUFFER. */
#define GUARD_MODE_WORDS 64
const char *guard_mode_words(const struct guard *guard, char buffer[GUARD_MODE_WORDS]);
/* The control methods Hold and Release. */
int guard_hold(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_hold_parameters[];
int guard_release(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_release_parameters[];

/* ---- guard_undo.c ---- */

/* Takes over what a file says of VM, which has just appeared, before its rules are resolved. */
void guard_undo_appeared(struct guard *guard, struct vm *vm);
void guard_undo_ended(struct guard *guard, struct vm *vm);
/* Goes on with what is being taken back, and ends holds of guests that are over. To be called once
 * in a turn of the loop, and by then at the latest. */
void guard_undo_advance(struct guard *guard, uint64_t now);
uint64_t guard_undo_deadline(const struct guard *guard);
/* How long VM's own hold lasts, ns; 0: it has none. */
uint64_t guard_undo_hold_left(const struct vm *vm);
/* Ends VM's own hold; false: it has none. */
bool guard_undo_release(struct guard *guard, struct vm *vm, const char *reason);
/* The control method of that name. */
int guard_undo(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata);
extern const char *const guard_undo_parameters[];

/* ---- guard_leave.c ---- */

/* Before a clean exit: makes proper pauses of freezes and, with on-exit=restore, takes measures
 * back as far as there is room. What is left stays in the ledger, said in the log. */
void guard_leave(struct guard *guard);

#endif
