/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt does for one guest that has no QMP monitor of its own: it is looked at, by tier, and
 * its acts go through calls. What is known of it goes into the same figures as a monitor's, so that
 * the policy sees no difference: figures.monitor is then how libvirt reaches its QEMU. A guest with
 * a monitor of its own is left to that.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_GUEST_H
#define PLIMSOLL_DAEMON_VIRT_GUEST_H

#include "virt_link.h"

struct vm;

struct virt_guest {
    struct virt_link *link; /* NULL: libvirt does not know it */
    int32_t id;             /* libvirt's, of this instance of it; VIRT_ID_ANY */
    bool due;               /* to be looked at, whatever the tier */
    bool looking;           /* a look is under way */
    bool acting;            /* a pause or resume is under way */
    bool limiting;          /* likewise a limit of its cgroup */
    uint64_t looked;        /* when it was begun */
    uint64_t asked;         /* when its driver was asked for reports; 0: not yet */
    uint64_t next_period;   /* when it may be asked again */
    uint64_t running_since; /* UNKNOWN: it is not seen to run */
};

/* DOMAIN is what libvirt says of VM by uuid and process, or NULL. To be called whenever that has
 * changed, and before LINK is freed. */
void virt_guest_join(struct vm *vm, struct virt_link *link, const struct virt_domain *domain);

/* Its acts are libvirt's. */
bool virt_guest_serves(const struct vm *vm);
/* … and may be asked for now: it answers, and is not stopped by us. */
bool virt_guest_is_askable(const struct vm *vm);

/*
 * Sends a call, to be answered within TIMEOUT to HANDLER, with VM as its userdata; the handler has
 * to hand its result to virt_guest_answered(). Errors as virt_link_call()'s.
 */
int virt_guest_call(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler);
/* Whether libvirt can be asked to end it, or to set a limit of its cgroup. */
bool virt_guest_is_callable(const struct vm *vm);
/* Has libvirt end it by OPERATION (MANAGED_SAVE, SHUTDOWN, DESTROY), whether it has a monitor of
 * its own or not, and this instance of its domain alone; what comes of it says nothing of whether
 * QEMU can be reached. -ENOTCONN: libvirt does not know that it runs. */
int virt_guest_end(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler);
/* Likewise has libvirt set a limit of its cgroup by OPERATION, which the handler ends by setting
 * `limiting` back. */
int virt_guest_limit(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler);
/* Likewise has libvirt request TARGET of its virtio-mem in place of EXPECTED. */
int virt_guest_resize(struct vm *vm, uint64_t expected, uint64_t target, uint64_t now,
    uint64_t timeout, virt_call_handler handler);
/* Whether QEMU still can be reached; that it can again only a look tells. */
void virt_guest_answered(struct vm *vm, int result);
/* The result says nothing of whether it was done, or will be. */
bool virt_result_is_open(int result);

/* Looks at it when that is due. MAY_TOUCH: its driver may be asked for reports. False: it is due,
 * and so many others are looked at that there is no room. */
bool virt_guest_advance(struct vm *vm, enum band band, bool may_touch, uint64_t now);
/* Something has just changed. */
void virt_guest_refresh(struct vm *vm);

#endif
