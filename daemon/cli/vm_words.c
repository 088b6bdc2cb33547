/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the sentences behind kinds, their reasons and measures; a test holds them against the words
 * that there are.
 */
#include "vm_words.h"

#include <plimsoll/cleanup.h>
#include <stddef.h>
#include <string.h>

struct meaning {
    const char *word, *text;
};

static const struct meaning kinds[] = {
    {"elastic", "its balloon returns memory to the host"},
    {"rigid", "no balloon returns its memory to the host"},
    {"resizable", "virtio-mem returns its memory to the host, a balloon does not"},
    {"self-deflating", "its balloon returns memory, and gives it back when the guest is short"},
    {"unknown", "whether its memory can be had back is not known"},
};

static const struct meaning kind_reasons[] = {
    {"vfio", "a device of the host that it drives by VFIO holds all of it"},
    {"iommufd", "a device of the host that it drives by iommufd holds all of it"},
    {"vdpa", "a vDPA device holds all of it"},
    {"locked", "all of it is locked"},
    {"hugetlb", "it comes from the pool of huge pages"},
    {"encrypted", "it is encrypted"},
    {"no-device", "it has no balloon"},
    {"no-driver", "it has a balloon, and no driver for it in the guest"},
    {"no-monitor", "its QEMU has no monitor to ask, neither the guard's nor libvirt's"},
    {"migrating", "it is being migrated"},
    {"virtio-mem", "it has virtio-mem"},
    {"deflates-on-oom", "its balloon is told to (deflate-on-oom)"},
    {"free-page-reporting", "it reports what it frees (free-page-reporting)"},
    {"unseen", "the guard has not seen all of it yet"},
};

static const struct meaning measures[] = {
    {"balloon", "it is asked to have less memory"},
    {"frozen-cgroup", "its vCPUs are frozen, by their cgroups"},
    {"frozen-signal", "its QEMU is stopped, by SIGSTOP"},
    {"stop-sent", "its QEMU was told to stop it"},
    {"stopped", "its QEMU has stopped it"},
    {"resuming", "it is about to run again"},
    {"killed", "it was killed, and is about to be gone"},
    {"oom-score", "its place in the kernel's order of victims is the guard's"},
    {"memlock", "what it may lock is capped"},
    {"braked", "its vCPUs are throttled"},
    {"contain", "limits of its cgroup are the guard's"},
    {"saving", "libvirt saves it, and then it is gone"},
    {"shutting-down", "it was asked to shut down"},
    {"resize", "it is asked to have less virtio-mem"},
};

static const char *meaning_find(const struct meaning *meanings, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(meanings[i].word, word) == 0)
            return meanings[i].text;
    return NULL;
}

const char *vm_kind_text(const char *kind)
{
    return meaning_find(kinds, ELEMENTSOF(kinds), kind);
}

const char *vm_kind_reason_text(const char *reason)
{
    return meaning_find(kind_reasons, ELEMENTSOF(kind_reasons), reason);
}

const char *vm_measure_text(const char *measure)
{
    return meaning_find(measures, ELEMENTSOF(measures), measure);
}
