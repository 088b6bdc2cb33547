/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration: INI by libeconf, /etc/plimsoll/plimsoll.conf and then every *.conf of the
 * folder of the same name with ".d", in order of names, later files winning. One table maps each
 * section and key to its parser and its place. Every mistake is reported as file:line: what is
 * wrong, all of them in one pass; a configuration with a mistake is not used at all.
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_H
#define PLIMSOLL_DAEMON_CONFIG_H

#include <plimsoll/rules.h>
#include <plimsoll/virt.h>

struct config;

/* Receives each mistake as one line without newline. */
typedef void (*config_sink)(const char *line, void *userdata);

/*
 * A file that does not exist is a mistake, except the default one, which then means "all defaults".
 * -EINVAL: mistakes were reported; other errno: could not be read, reported too. At most 100
 * mistakes are listed. Reading allocates and may block: not for the edge.
 *
 * Within one file a section or key given twice is a mistake; a later file may take up a section
 * again and replace keys of it.
 */
int config_load(const char *path, config_sink sink, void *userdata, struct config **ret_config);
/* Whether the section of this HEAD is somebody else's. */
typedef bool (*config_foreign)(const char *head);
/* The same for what stands in PATH alone, without drop-ins, beside sections that are FOREIGN and
 * are passed over. */
int config_load_beside(const char *path, config_foreign foreign, config_sink sink, void *userdata,
    struct config **ret_config);
struct config *config_free(struct config *config);

/* What stands in [guard] but concerns the daemon, not the policy. */
struct guard_config {
    char qmp_directory[256];
    char libvirt[256]; /* "auto", "off" or a URI */
    uint32_t max_vms;
};
const struct guard_config *config_guard(const struct config *config);

/* What stands in [admission] and concerns whoever asks the guard. */
/* In so long a balloon gives about 2 GiB (limits: rates); libvirtd stands still meanwhile. */
#define ADMISSION_TIMEOUT_DEFAULT (2 * NSEC_PER_SEC)
struct admission_config {
    bool deny_unreachable; /* a start is refused while no guard answers */
    uint64_t timeout;      /* ns until it counts as not answering */
};
const struct admission_config *config_admission(const struct config *config);

/* What stands in [record]. */
#define RECORD_LIMIT_DEFAULT (256 * MIB)
struct record_config {
    bool off;
    uint64_t limit; /* bytes of all traces */
};
const struct record_config *config_record(const struct config *config);
const struct host_rules *config_host_rules(const struct config *config);

/*
 * The effective rules of a VM: [class default], then the [vm …] sections whose match= (a glob,
 * their own name if not given) fits NAME, in the order in which they first appear, each first its
 * class, then its own keys. A class replaces all that stood before; a key only itself. What a class
 * does not say is built in: [class default] is what guests without a class have, no ancestor of
 * others.
 */
void config_vm_rules(const struct config *config, const char *name, struct vm_rules *ret_rules);
/*
 * The same for a domain whose own METADATA (may be NULL) gives rules: they stand above those of the
 * class, be it named there or here, and below what a [vm …] section says itself. So whoever may
 * edit a domain chooses within what the operator of the host has not settled for that very guest. A
 * class that the configuration does not have is none. False: nothing is said of this guest, neither
 * by a [vm …] section nor by METADATA, so it has what all such guests have.
 */
bool config_domain_rules(const struct config *config, const char *name,
    const struct virt_metadata *metadata, struct vm_rules *ret_rules);
bool config_has_class(const struct config *config, const char *name);

#endif
