/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is said of mounted tmpfs (filesystems/tmpfs.rst). mountinfo shows size= only where it
 * is not the default, which is half of memory (shmem_show_options() and
 * shmem_default_max_blocks(), mm/shmem.c); size=0 is no bound at all. The mounts are the init
 * process's where they may be read. One that is mounted at several places counts once.
 */
#include "doctor.h"
#include "kernel_file.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Lines of mountinfo read, and different tmpfs kept: hosts with hundreds of containers have some
 * thousands of lines. */
#define MOUNT_LINES_MAX 8192
#define TMPFS_MAX 1024
#define DEVICE_MAX 24 /* "MAJOR:MINOR" */

struct tmpfs_sum {
    unsigned count;
    unsigned apart;     /* of them: without a bound, or nobody knows which */
    uint64_t bounds;    /* together */
    const char *source; /* the file read */
    bool cut;           /* there were more than are kept */
    char devices[TMPFS_MAX][DEVICE_MAX];
};

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS…] - TYPE SOURCE SUPEROPTIONS" */
struct tmpfs_line {
    const char *device;
    char *point;
    const char *options; /* the file system's own */
};

static bool line_parse(char *line, struct tmpfs_line *ret_line)
{
    char *separator = strstr(line, " - "), *words[5], *rest = NULL, *end_rest = NULL;

    if (!separator)
        return false;
    *separator = '\0';
    const char *type = strtok_r(separator + strlen(" - "), " ", &end_rest);
    const char *source = strtok_r(NULL, " ", &end_rest);
    const char *options = strtok_r(NULL, " ", &end_rest);
    for (unsigned i = 0; i < ELEMENTSOF(words); i++)
        if (!(words[i] = strtok_r(i == 0 ? line : NULL, " ", &rest)))
            return false;
    /* /dev, where a mistyped device name becomes a file, is a tmpfs in all but its name. */
    if (!source || !options || (strcmp(type, "tmpfs") != 0 && strcmp(type, "devtmpfs") != 0))
        return false;
    kernel_octal_unescape(words[4]);
    *ret_line = (struct tmpfs_line){.device = words[2], .point = words[4], .options = options};
    return strlen(words[2]) < DEVICE_MAX;
}

/* The word of OPTIONS that begins with KEY; NULL: none does. */
static const char *option_find(const char *options, const char *key)
{
    for (const char *word = options; word; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, key, strlen(key)) == 0)
            return word + strlen(key);
    }
    return NULL;
}

static bool is_read_only(const char *options)
{
    return strncmp(options, "ro", 2) == 0 && (options[2] == ',' || options[2] == '\0');
}

/* Bytes; 0: none; UNKNOWN: it says what is no size. */
static uint64_t bound_of(const char *options, uint64_t total)
{
    const char *size = option_find(options, "size=");
    uint64_t kib;

    if (!size)
        return total / 2;
    if (!kernel_number_parse(&size, &kib) || *size != 'k' || kib > UNKNOWN / KIB - 1)
        return UNKNOWN;
    return kib * KIB;
}

static void unbounded_say(struct doctor *doctor, const char *point, const char *source)
{
    char quoted[FINDING_MEND_MAX / 2];
    struct finding *finding = doctor_say(doctor, SEVERITY_WARNING,
        "Whoever may write there can fill the host's memory with files, which no guest can give "
        "back and the OOM killer does not free.",
        "the tmpfs at %s has no bound (size=0 in %s)", point, source);

    if (shell_quote(point, quoted, sizeof(quoted)))
        finding_set_command(finding, "mount -o remount,size=10%% %s", quoted);
    if (!finding->command)
        finding_set_advice(finding, "remount it with a size=");
}

static void mount_note(struct doctor *doctor, struct tmpfs_sum *sum, char *text)
{
    struct tmpfs_line line;

    if (!line_parse(text, &line) || is_read_only(line.options))
        return;
    for (unsigned i = 0; i < sum->count; i++)
        if (strcmp(sum->devices[i], line.device) == 0)
            return;
    if (sum->count == TMPFS_MAX) {
        sum->cut = true;
        return;
    }
    memcpy(sum->devices[sum->count++], line.device, strlen(line.device) + 1);
    uint64_t bound = bound_of(line.options, doctor->memory.total);
    if (!known(bound)) {
        sum->apart++;
        (void)doctor_unknown(
            doctor, "the bound of the tmpfs at %s: its size= is no size", line.point);
    } else if (bound == 0) {
        sum->apart++;
        unbounded_say(doctor, line.point, sum->source);
    } else {
        sum->bounds = add_held(sum->bounds, bound);
    }
}

static void sum_say(struct doctor *doctor, const struct tmpfs_sum *sum)
{
    uint64_t total = doctor->memory.total;
    char bounds_text[TEXT_NUMBER_MAX], total_text[TEXT_NUMBER_MAX];

    (void)text_format_bytes(sum->bounds, bounds_text, sizeof(bounds_text));
    (void)text_format_bytes(total, total_text, sizeof(total_text));
    if (sum->cut)
        (void)doctor_unknown(doctor, "of more than %d mounted tmpfs the others", TMPFS_MAX);
    if (sum->bounds > total) {
        struct finding *finding = doctor_say(doctor, SEVERITY_NOTE,
            "Files in a tmpfs are memory that no guest can give back and that the OOM killer does "
            "not free.",
            "%u tmpfs may together hold %s, of %s of memory (%s; without size= half of memory "
            "each)",
            sum->count - sum->apart, bounds_text, total_text, sum->source);
        finding_set_advice(finding, "bound the largest: `findmnt -t tmpfs,devtmpfs -o "
                                    "TARGET,OPTIONS` lists them, `mount -o remount,size=1G PATH` "
                                    "does it until the next boot, size= in /etc/fstab for good");
    } else if (sum->apart == 0 && !sum->cut) {
        doctor_fine(doctor, "%u tmpfs may together hold %s, of %s of memory", sum->count,
            bounds_text, total_text);
    }
}

static int mounts_open(const struct roots *kernel, const char **ret_source)
{
    int fd = kernel_file_open_format("%s/1/mountinfo", kernel->proc);

    *ret_source = fd >= 0 ? "/proc/1/mountinfo" : "/proc/self/mountinfo";
    return fd >= 0 ? fd : kernel_file_open_format("%s/self/mountinfo", kernel->proc);
}

void check_tmpfs(struct doctor *doctor)
{
    static struct tmpfs_sum sum; /* too large for a stack */
    struct kernel_lines lines;
    const char *source;
    char *line;

    CLEANUP(kernel_file_close_at) int fd = mounts_open(&doctor->input->kernel, &source);
    if (fd < 0) {
        (void)doctor_unknown(doctor, "%s: %s", source, strerror(-fd));
        return;
    }
    if (!known(doctor->memory.total)) {
        (void)doctor_unknown(doctor, "/proc/meminfo says nothing of MemTotal");
        return;
    }
    sum = (struct tmpfs_sum){.source = source};
    kernel_lines_begin(&lines, fd);
    for (unsigned i = 0; (line = kernel_lines_next(&lines)); i++) {
        if (i == MOUNT_LINES_MAX) {
            sum.cut = true;
            break;
        }
        mount_note(doctor, &sum, line);
    }
    sum_say(doctor, &sum);
}
