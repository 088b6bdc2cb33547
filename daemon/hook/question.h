/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain that is to start, as the parameters of CONTROL_METHOD_ADMIT. */
#ifndef PLIMSOLL_DAEMON_HOOK_QUESTION_H
#define PLIMSOLL_DAEMON_HOOK_QUESTION_H

#include <json-c/json.h>
#include <plimsoll/virt.h>

/* All but how long the asker waits. DOMAIN's maximum must be known. NULL: no memory. */
struct json_object *question_new(const struct virt_domain *domain);

/* Says that it waits PATIENCE ns, in the place of what was said before. False: no memory. */
bool question_set_patience(struct json_object *question, uint64_t patience);

#endif
