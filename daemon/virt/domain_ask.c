/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. The XML has all but three facts: the state and whether the domain is persistent,
 * which have calls of their own, and the process, for which libvirt has none; its QEMU driver
 * writes that to a file.
 */
#include "domain_ask.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "domain_xml.h"
#include "kernel_file.h"
#include "loop.h"

/* A pid of 22 bits, its newline and NUL, with room to see that there is more. */
#define PID_TEXT_MAX 32

static enum virt_domain_state state_fold(int state)
{
    switch ((virDomainState)state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return VIRT_DOMAIN_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return VIRT_DOMAIN_PAUSED;
    case VIR_DOMAIN_SHUTDOWN:
        return VIRT_DOMAIN_SHUTDOWN;
    case VIR_DOMAIN_SHUTOFF:
        return VIRT_DOMAIN_SHUTOFF;
    case VIR_DOMAIN_CRASHED:
        return VIRT_DOMAIN_CRASHED;
    case VIR_DOMAIN_PMSUSPENDED:
        return VIRT_DOMAIN_SUSPENDED;
    case VIR_DOMAIN_NOSTATE:
        break;
    }
    return VIRT_DOMAIN_UNKNOWN;
}

/* 0: nobody says. libvirt ends the number with nothing, QEMU with a newline. */
static pid_t pid_read(const char *folder, const char *name)
{
    char text[PID_TEXT_MAX];
    const char *cursor = text;
    uint64_t pid = 0;

    if (!name || strchr(name, '/'))
        return 0;
    int fd = kernel_file_open_format("%s/%s.pid", folder, name);
    if (fd < 0)
        return 0;
    bool good = kernel_file_read(fd, text, sizeof(text)) > 0 &&
                kernel_number_parse(&cursor, &pid) && (*cursor == '\n' || *cursor == '\0') &&
                pid <= INT32_MAX;
    (void)kernel_file_close(fd);
    return good ? (pid_t)pid : 0;
}

static void sink_nothing(const char *line, void *userdata)
{
    (void)line;
    (void)userdata;
}

static bool domain_read(virDomainPtr domain, const char *pid_folder, config_sink sink,
    void *userdata, struct virt_domain *ret_domain)
{
    uint64_t asked = loop_now();
    char *xml = virDomainGetXMLDesc(domain, 0); /* without flags, a running domain as it is live */
    int state = VIR_DOMAIN_NOSTATE;

    if (!xml)
        return false;
    int result = domain_xml_read(xml, sink ? sink : sink_nothing, userdata, ret_domain);
    free(xml);
    if (result < 0 || virDomainGetState(domain, &state, NULL, 0) < 0)
        return false;
    ret_domain->asked = asked;
    ret_domain->state = state_fold(state);
    /* libvirt refuses a transient one (qemuDomainManagedSave(), in later versions by its
     * qemuDomainManagedSaveHelper()): nothing would be left of it to start again. */
    ret_domain->can_save = ret_domain->can_save && virDomainIsPersistent(domain) == 1;
    if (ret_domain->id >= 0)
        ret_domain->pid = pid_read(pid_folder, virDomainGetName(domain));
    return true;
}

void domain_ask(virDomainPtr domain, const char *pid_folder, config_sink sink, void *userdata,
    struct virt_record *ret_record)
{
    uint8_t uuid[UUID_SIZE];

    virResetLastError();
    (void)virDomainGetUUID(domain, uuid);
    *ret_record = (struct virt_record){.kind = VIRT_RECORD_DOMAIN};
    if (domain_read(domain, pid_folder, sink, userdata, &ret_record->domain))
        return;
    ret_record->kind = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? VIRT_RECORD_DOMAIN_GONE
                                                                  : VIRT_RECORD_DOMAIN_KEPT;
    memcpy(ret_record->uuid, uuid, UUID_SIZE);
}
