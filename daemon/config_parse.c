/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the meaning of each kind of value in the configuration. Nothing is guessed: a unit that is
 * missing or a number out of range is told with what would have been right.
 */
#include "config_parse.h"
#include "text.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>
#include <plimsoll/rules.h>
#include <stdbool.h>
#include <string.h>

/* Longest value that is taken apart into words; libeconf's own lines end at 8 KiB. */
#define VALUE_MAX 512

/* More in one window is no limit at all. */
#define MAX_DESTRUCTIVE_LIMIT 1000

/* Of an answer that libvirtd stands still for. Less is no time for a guard under pressure, and
 * longer nobody should wait who only asks whether there is room. */
#define TIMEOUT_MIN (100 * NSEC_PER_MSEC)
#define TIMEOUT_MAX (30 * NSEC_PER_SEC)
/* A trace of a large host begins with some MiB, and is a quarter of it at most. */
#define RECORD_LIMIT_MIN (8 * MIB)
#define RECORD_LIMIT_MAX TIB

/* PID_MAX_LIMIT, include/linux/threads.h: the kernel never has more. */
#define PIDS_MAX_LIMIT 4194304
/* A thousand processors; no guest has more. */
#define CPU_MAX_LIMIT 100000

/* Where a class sets a limit and one guest of it is to have none. */
#define NONE "none"

#define BLANKS " \t"

/* The index of VALUE among the COUNT names that NAME gives, or -1. */
static int name_find(const char *value, int count, const char *(*name)(int index))
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, name(i)) == 0)
            return i;
    return -1;
}

static const char *mode_name_at(int index)
{
    return mode_name((enum mode)index);
}

static const char *memlock_mode_name_at(int index)
{
    return memlock_mode_name((enum memlock_mode)index);
}

static const char *admission_mode_name_at(int index)
{
    return admission_mode_name((enum admission_mode)index);
}

static const char *commitment_name_at(int index)
{
    return commitment_name((enum commitment)index);
}

static const char *sacrifice_name_at(int index)
{
    return sacrifice_name((enum sacrifice)index);
}

static const char *rung_name_at(int index)
{
    return rung_name((enum rung)index);
}

static const char *on_exit_name_at(int index)
{
    static const char *const names[] = {[ON_EXIT_KEEP] = "keep", [ON_EXIT_RESTORE] = "restore"};
    _Static_assert(ELEMENTSOF(names) == ON_EXIT_COUNT, "a name for each");

    return names[index];
}

const char *config_parse_mode(const char *value, void *ret)
{
    int found = name_find(value, MODE_COUNT, mode_name_at);

    if (found < 0)
        return "\"enforce\" or \"dry-run\"";
    *(enum mode *)ret = (enum mode)found;
    return NULL;
}

const char *config_parse_memlock_mode(const char *value, void *ret)
{
    int found = name_find(value, MEMLOCK_MODE_COUNT, memlock_mode_name_at);

    if (found < 0)
        return "\"off\", \"report\" or \"enforce\"";
    *(enum memlock_mode *)ret = (enum memlock_mode)found;
    return NULL;
}

const char *config_parse_admission_mode(const char *value, void *ret)
{
    int found = name_find(value, ADMISSION_MODE_COUNT, admission_mode_name_at);

    if (found < 0)
        return "\"off\", \"warn\" or \"enforce\"";
    *(enum admission_mode *)ret = (enum admission_mode)found;
    return NULL;
}

const char *config_parse_commitment(const char *value, void *ret)
{
    int found = name_find(value, COMMITMENT_COUNT, commitment_name_at);

    if (found < 0 || found == COMMITMENT_AUTO)
        return "\"minimum\" or \"maximum\"";
    *(enum commitment *)ret = (enum commitment)found;
    return NULL;
}

const char *config_parse_unreachable(const char *value, void *ret)
{
    bool deny = strcmp(value, "deny") == 0;

    if (!deny && strcmp(value, "allow") != 0)
        return "\"allow\" or \"deny\"";
    *(bool *)ret = deny;
    return NULL;
}

const char *config_parse_timeout(const char *value, void *ret)
{
    uint64_t time;

    if (text_parse_time(value, &time) < 0 || time < TIMEOUT_MIN || time > TIMEOUT_MAX)
        return "a time from 100ms to 30s";
    *(uint64_t *)ret = time;
    return NULL;
}

const char *config_parse_record_mode(const char *value, void *ret)
{
    bool off = strcmp(value, "off") == 0;

    if (!off && strcmp(value, "on") != 0)
        return "\"on\" or \"off\"";
    *(bool *)ret = off;
    return NULL;
}

const char *config_parse_record_limit(const char *value, void *ret)
{
    uint64_t bytes;

    if (text_parse_size(value, &bytes) < 0 || bytes < RECORD_LIMIT_MIN || bytes > RECORD_LIMIT_MAX)
        return "a size from 8M to 1T";
    *(uint64_t *)ret = bytes;
    return NULL;
}

const char *config_parse_on_exit(const char *value, void *ret)
{
    int found = name_find(value, ON_EXIT_COUNT, on_exit_name_at);

    if (found < 0)
        return "\"keep\" or \"restore\"";
    *(enum on_exit_mode *)ret = (enum on_exit_mode)found;
    return NULL;
}

const char *config_parse_sacrifice(const char *value, void *ret)
{
    int found = name_find(value, SACRIFICE_COUNT, sacrifice_name_at);

    if (found < 0)
        return "\"normal\", \"last\" or \"never\"";
    *(enum sacrifice *)ret = (enum sacrifice)found;
    return NULL;
}

const char *config_parse_rungs(const char *value, void *ret)
{
    char words[VALUE_MAX], *rest = NULL;
    uint32_t rungs = 0;

    if (strlen(value) >= sizeof(words))
        return "fewer words";
    memcpy(words, value, strlen(value) + 1);
    for (char *word = strtok_r(words, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
        int found = name_find(word, RUNG_COUNT, rung_name_at);
        if (found < 0)
            return "some of balloon resize reclaim brake pause save shutdown kill";
        if (rungs & RUNG_BIT(found))
            return "each rung once";
        rungs |= RUNG_BIT(found);
    }
    *(uint32_t *)ret = rungs;
    return NULL;
}

/* A size or a share; no auto. */
static bool amount_parse(const char *text, struct amount *ret_amount)
{
    uint64_t value;

    if (text_parse_share(text, &value) == 0)
        *ret_amount = (struct amount){AMOUNT_SHARE, value};
    else if (text_parse_size(text, &value) == 0)
        *ret_amount = (struct amount){AMOUNT_BYTES, value};
    else
        return false;
    return true;
}

const char *config_parse_floor(const char *value, void *ret)
{
    if (strcmp(value, "auto") == 0) {
        *(struct amount *)ret = (struct amount){.kind = AMOUNT_AUTO};
        return NULL;
    }
    if (!amount_parse(value, ret))
        return "\"auto\", a size such as 4G, or a share such as 5%, at most 100%";
    return NULL;
}

const char *config_parse_amount(const char *value, void *ret)
{
    if (!amount_parse(value, ret))
        return "a size such as 4G, or a share such as 50%, at most 100%";
    return NULL;
}

const char *config_parse_share(const char *value, void *ret)
{
    uint64_t share;

    if (text_parse_share(value, &share) < 0)
        return "a share such as 80%, at most 100%";
    *(struct amount *)ret = (struct amount){AMOUNT_SHARE, share};
    return NULL;
}

const char *config_parse_threshold(const char *value, void *ret)
{
    static const char expected[] =
        "\"auto\", or a size or share such as 10% and then a time such as 5min, or one of them";
    struct threshold threshold = {.headroom.kind = AMOUNT_AUTO, .time = UNKNOWN};
    char first[VALUE_MAX];
    size_t length = strcspn(value, BLANKS);

    if (length >= sizeof(first))
        return expected;
    if (strcmp(value, "auto") != 0) {
        memcpy(first, value, length);
        first[length] = '\0';
        const char *time = value;
        if (amount_parse(first, &threshold.headroom)) {
            time += length;
            time += strspn(time, BLANKS);
        }
        if (*time != '\0' && text_parse_time(time, &threshold.time) < 0)
            return expected;
    }
    *(struct threshold *)ret = threshold;
    return NULL;
}

const char *config_parse_max_destructive(const char *value, void *ret)
{
    static const char expected[] = "a number from 0 to 1000, \"/\" and a time, such as 3/10min";
    struct host_rules *rules = ret;
    const char *slash = strchr(value, '/');
    char number[8];
    uint64_t count, window;

    if (!slash || (size_t)(slash - value) >= sizeof(number))
        return expected;
    memcpy(number, value, (size_t)(slash - value));
    number[slash - value] = '\0';
    if (text_parse_number(number, 0, MAX_DESTRUCTIVE_LIMIT, &count) < 0 ||
        text_parse_time(slash + 1, &window) < 0 || window == 0)
        return expected;
    rules->max_destructive = (uint32_t)count;
    rules->max_destructive_window = window;
    return NULL;
}

static bool number_parse(const char *value, uint64_t minimum, uint64_t maximum, uint32_t *ret)
{
    uint64_t number;

    if (text_parse_number(value, minimum, maximum, &number) < 0)
        return false;
    *ret = (uint32_t)number;
    return true;
}

const char *config_parse_priority(const char *value, void *ret)
{
    _Static_assert(PRIORITY_MIN == 1 && PRIORITY_MAX == 1000, "the words below");

    return number_parse(value, PRIORITY_MIN, PRIORITY_MAX, ret) ? NULL : "a number from 1 to 1000";
}

const char *config_parse_shares(const char *value, void *ret)
{
    _Static_assert(SHARES_MAX == 1000000, "the words below");

    return number_parse(value, 1, SHARES_MAX, ret) ? NULL : "a number from 1 to 1000000";
}

const char *config_parse_max_vms(const char *value, void *ret)
{
    _Static_assert(MAX_VMS_LIMIT == 16384, "the words below");

    return number_parse(value, 1, MAX_VMS_LIMIT, ret) ? NULL : "a number from 1 to 16384";
}

const char *config_parse_restart_cost(const char *value, void *ret)
{
    return text_parse_time(value, ret) == 0 ? NULL : "a time such as 60min or 1h 30min";
}

const char *config_parse_limit(const char *value, void *ret)
{
    struct amount amount = {.kind = AMOUNT_AUTO};

    /* Nothing at all is left to no guest. */
    if (strcmp(value, NONE) != 0 && (!amount_parse(value, &amount) || amount.value == 0))
        return "\"none\", a size such as 4G, or a share such as 90%, at most 100%";
    *(struct amount *)ret = amount;
    return NULL;
}

const char *config_parse_pids_max(const char *value, void *ret)
{
    _Static_assert(PIDS_MAX_LIMIT == 4194304, "the words below");

    if (strcmp(value, NONE) != 0)
        return number_parse(value, 1, PIDS_MAX_LIMIT, ret)
                   ? NULL
                   : "\"none\", or a number from 1 to 4194304";
    *(uint32_t *)ret = 0;
    return NULL;
}

/* As systemd's CPUQuota=. */
const char *config_parse_cpu_max(const char *value, void *ret)
{
    static const char expected[] =
        "\"none\", or whole percent of one processor such as 150%, at most 100000%";
    size_t digits = strspn(value, "0123456789");
    char number[8];

    _Static_assert(CPU_MAX_LIMIT == 100000, "the words above");
    if (strcmp(value, NONE) == 0) {
        *(uint32_t *)ret = 0;
        return NULL;
    }
    if (digits >= sizeof(number) || strcmp(value + digits, "%") != 0)
        return expected;
    memcpy(number, value, digits);
    number[digits] = '\0';
    return number_parse(number, 1, CPU_MAX_LIMIT, ret) ? NULL : expected;
}

const char *config_parse_oom_group(const char *value, void *ret)
{
    bool group = strcmp(value, "yes") == 0;

    if (!group && strcmp(value, "no") != 0)
        return "\"yes\" or \"no\"";
    *(bool *)ret = group;
    return NULL;
}

/* Copies a text that is shown and matched as it is. */
static bool text_copy(const char *value, char *ret, size_t size)
{
    size_t length = strlen(value);

    if (length >= size)
        return false;
    memcpy(ret, value, length + 1);
    return true;
}

const char *config_parse_directory(const char *value, void *ret)
{
    if (value[0] != '/' || !text_copy(value, ret, CONFIG_TEXT_MAX))
        return "an absolute path of at most 255 bytes";
    return NULL;
}

const char *config_parse_libvirt(const char *value, void *ret)
{
    bool word = strcmp(value, "auto") == 0 || strcmp(value, "off") == 0;

    if ((!word && !strstr(value, "://")) || strpbrk(value, BLANKS) ||
        !text_copy(value, ret, CONFIG_TEXT_MAX))
        return "\"auto\", \"off\" or a URI such as qemu:///system";
    return NULL;
}

const char *config_parse_pattern(const char *value, void *ret)
{
    return text_copy(value, ret, CONFIG_TEXT_MAX) ? NULL : "a pattern of at most 255 bytes";
}

const char *config_parse_class_name(const char *value, void *ret)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    _Static_assert(CLASS_NAME_MAX == 32, "the words below");

    if (value[0] == '\0' || value[strspn(value, allowed)] != '\0' ||
        !text_copy(value, ret, CLASS_NAME_MAX))
        return "a class name of at most 31 of the characters A-Z a-z 0-9 . _ -";
    return NULL;
}
