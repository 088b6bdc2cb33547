/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One parser for each kind of value. Each reads VALUE (not empty), stores through RET in the type
 * named with it, and returns NULL; or stores nothing and returns what was expected, as words that
 * go on from "expected …".
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_PARSE_H
#define PLIMSOLL_DAEMON_CONFIG_PARSE_H

#define CONFIG_TEXT_MAX 256 /* room for a path, a URI, a pattern, with NUL */

typedef const char *(*config_parser)(const char *value, void *ret);

const char *config_parse_mode(const char *value, void *ret);           /* enum mode */
const char *config_parse_memlock_mode(const char *value, void *ret);   /* enum memlock_mode */
const char *config_parse_admission_mode(const char *value, void *ret); /* enum admission_mode */
const char *config_parse_commitment(const char *value, void *ret);   /* enum commitment, no auto */
const char *config_parse_unreachable(const char *value, void *ret);  /* bool: deny */
const char *config_parse_timeout(const char *value, void *ret);      /* uint64_t, ns */
const char *config_parse_record_mode(const char *value, void *ret);  /* bool: off */
const char *config_parse_record_limit(const char *value, void *ret); /* uint64_t, bytes */
const char *config_parse_on_exit(const char *value, void *ret);      /* enum on_exit_mode */
const char *config_parse_sacrifice(const char *value, void *ret);    /* enum sacrifice */
const char *config_parse_rungs(const char *value, void *ret);        /* uint32_t, RUNG_BIT()s */
const char *config_parse_floor(const char *value, void *ret);        /* struct amount */
const char *config_parse_amount(const char *value, void *ret);       /* struct amount, no auto */
const char *config_parse_share(const char *value, void *ret);        /* struct amount */
const char *config_parse_threshold(const char *value, void *ret);    /* struct threshold */
const char *config_parse_max_destructive(const char *value, void *ret); /* struct host_rules */
const char *config_parse_priority(const char *value, void *ret);        /* uint32_t */
const char *config_parse_shares(const char *value, void *ret);          /* uint32_t */
const char *config_parse_max_vms(const char *value, void *ret);         /* uint32_t */
const char *config_parse_restart_cost(const char *value, void *ret);    /* uint64_t, ns */
const char *config_parse_limit(const char *value, void *ret);      /* struct amount; auto: none */
const char *config_parse_pids_max(const char *value, void *ret);   /* uint32_t; 0: none */
const char *config_parse_cpu_max(const char *value, void *ret);    /* uint32_t, %; 0: none */
const char *config_parse_oom_group(const char *value, void *ret);  /* bool */
const char *config_parse_directory(const char *value, void *ret);  /* char[CONFIG_TEXT_MAX] */
const char *config_parse_libvirt(const char *value, void *ret);    /* char[CONFIG_TEXT_MAX] */
const char *config_parse_pattern(const char *value, void *ret);    /* char[CONFIG_TEXT_MAX] */
const char *config_parse_class_name(const char *value, void *ret); /* char[CLASS_NAME_MAX] */

#endif
