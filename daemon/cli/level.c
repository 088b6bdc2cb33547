/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the words of syslog's levels, as journalctl(1) and logger(1) have them. */
#include "level.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include <plimsoll/cleanup.h>

static const char *const words[] = {
    [LOG_EMERG] = "emerg",
    [LOG_ALERT] = "alert",
    [LOG_CRIT] = "crit",
    [LOG_ERR] = "err",
    [LOG_WARNING] = "warning",
    [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};
static_assert(ELEMENTSOF(words) == LOG_DEBUG + 1, "a level without its word");

int level_parse(const char *word, uint64_t *ret_level)
{
    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        if (strcmp(words[i], word) == 0) {
            *ret_level = i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *level_word(uint64_t level)
{
    return level < ELEMENTSOF(words) ? words[level] : NULL;
}
