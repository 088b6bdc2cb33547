/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How grave a line is, by syslog's words. */
#ifndef PLIMSOLL_CLI_LEVEL_H
#define PLIMSOLL_CLI_LEVEL_H

#include <stdint.h>

/* For whoever is to be told. */
#define LEVEL_WORDS "emerg, alert, crit, err, warning, notice, info or debug"

/* -EINVAL: no level has that name. */
int level_parse(const char *word, uint64_t *ret_level);
/* NULL: it is no level of syslog's. */
const char *level_word(uint64_t level);

#endif
