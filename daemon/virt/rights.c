/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. Capabilities are given up by the bare system call, for one call is no reason to
 * link libcap. No-new-privileges keeps a root user from getting them back by starting a program,
 * where the bounding set cannot be emptied for want of CAP_SETPCAP.
 */
#include "rights.h"

#include "process.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int rights_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    struct rlimit no_core = {0, 0};

    process_score_reset();
    /* Best effort: nothing of guests' secrets passes here, only their definitions. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    if (syscall(SYS_capset, &header, none) < 0)
        return -errno;
    return 0;
}
