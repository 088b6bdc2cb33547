/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; one bounded walk over /proc/PID/fd.
 *
 * VFIO by group: the container /dev/vfio/vfio, a descriptor per group /dev/vfio/N (without an IOMMU
 * /dev/vfio/noiommu-N) and one anon_inode:[vfio-device] per device. Groups are counted; devices
 * stand in for them only where the groups' own descriptors cannot be seen. With iommufd there are
 * /dev/iommu and /dev/vfio/devices/vfioN instead.
 */
#include "scan_wiring.h"

#include "kernel_directory.h"
#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <string.h>
#include <unistd.h>

/* Descriptors looked at in one process: QEMU opens kvm-vm among its first and a few per device; the
 * bound keeps a process with a million from holding up the guard for a second. */
#define WIRING_DESCRIPTORS_MAX 4096

struct wiring_count {
    struct vm_wiring wiring;
    uint32_t vfio_devices;
};

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* PREFIX, then nothing but digits. */
static bool is_numbered(const char *link, const char *prefix)
{
    if (!has_prefix(link, prefix))
        return false;
    const char *digits = link + strlen(prefix);
    return *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

static void wiring_count_link(struct wiring_count *count, const char *link)
{
    if (strcmp(link, "anon_inode:kvm-vm") == 0)
        count->wiring.kvm = TRISTATE_YES;
    else if (is_numbered(link, "/dev/vfio/") || is_numbered(link, "/dev/vfio/noiommu-"))
        count->wiring.vfio_groups++;
    else if (strcmp(link, "anon_inode:[vfio-device]") == 0)
        count->vfio_devices++;
    else if (strcmp(link, "/dev/iommu") == 0 || is_numbered(link, "/dev/vfio/devices/vfio"))
        count->wiring.iommufd++;
    else if (is_numbered(link, "/dev/vhost-vdpa-"))
        count->wiring.vdpa++;
}

static int links_count(int folder, struct wiring_count *count)
{
    struct kernel_directory directory;
    struct kernel_entry entry;
    char link[64]; /* longer than any link that we know */

    kernel_directory_begin(&directory, folder);
    for (unsigned seen = 0; seen < WIRING_DESCRIPTORS_MAX; seen++) {
        int result = kernel_directory_next(&directory, &entry);
        if (result <= 0)
            return result;
        ssize_t length = readlinkat(folder, entry.name, link, sizeof(link));
        if (length < 0 && (errno == EACCES || errno == EPERM))
            return -errno;
        if (length <= 0 || (size_t)length == sizeof(link))
            continue;
        link[length] = '\0';
        wiring_count_link(count, link);
    }
    /* Not seen to its end: what was not found is not known to be absent. */
    if (count->wiring.kvm == TRISTATE_NO)
        count->wiring.kvm = TRISTATE_UNKNOWN;
    return 0;
}

static int descriptors_read(int process, struct wiring_count *count)
{
    CLEANUP(kernel_file_close_at) int folder = kernel_file_open(process, "fd");

    return folder < 0 ? folder : links_count(folder, count);
}

int wiring_read(int process, struct vm_wiring *ret_wiring)
{
    struct wiring_count count = {.wiring = {.kvm = TRISTATE_NO}};

    int result = descriptors_read(process, &count);
    if (result == -EACCES || result == -EPERM)
        count = (struct wiring_count){.wiring = {.kvm = TRISTATE_UNKNOWN}};
    else if (result < 0)
        return result == -ENOENT ? -ESRCH : result;
    if (count.wiring.vfio_groups == 0)
        count.wiring.vfio_groups = count.vfio_devices;
    *ret_wiring = count.wiring;
    return 0;
}
