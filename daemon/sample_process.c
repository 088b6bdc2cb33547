/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. The folder of a process in /proc refers to the process and not to its number: files
 * opened below it belong to the same process or are not there, even when the pid is used again
 * between two opens.
 */
#include "sample_process.h"

#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 52 fields of at most 20 digits, and a name. */
#define PROCESS_STAT_TEXT 1280

int process_folder_open(const char *proc, pid_t pid)
{
    char path[4096];

    int length = snprintf(path, sizeof(path), "%s/%d", proc, (int)pid);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    return errno == ENOENT ? -ESRCH : -errno;
}

static enum vm_process_state process_state_of(char letter)
{
    switch (letter) {
    case 'R':
    case 'S':
    case 'I':
        return VM_PROCESS_ALIVE;
    case 'D':
        return VM_PROCESS_BLOCKED;
    case 'T':
    case 't':
        return VM_PROCESS_STOPPED;
    case 'Z':
    case 'X':
    case 'x':
        return VM_PROCESS_DEAD;
    default:
        return VM_PROCESS_UNKNOWN;
    }
}

/* Reads the file and finds what follows the name: " S 1 …". */
static int stat_text_read(int fd, char *text, size_t size, const char **ret_after)
{
    int length = kernel_file_read(fd, text, size);
    if (length == -ENODATA || length == -ESRCH || length == -ENOENT)
        return -ESRCH;
    if (length < 0)
        return length;
    const char *after = strrchr(text, ')');
    if (!after || after[1] != ' ' || after[2] == '\0' || after[3] != ' ' ||
        text[length - 1] != '\n')
        return -EBADMSG;
    *ret_after = after + 1;
    return 0;
}

int process_state_read(int fd, enum vm_process_state *ret_state)
{
    char text[PROCESS_STAT_TEXT];
    const char *after;

    int result = stat_text_read(fd, text, sizeof(text), &after);
    if (result < 0)
        return result;
    *ret_state = process_state_of(after[1]);
    return 0;
}

/* Fields 22 to 24 of AFTER, which begins in front of field 3. */
static bool stat_numbers(const char *after, uint64_t ret_numbers[3])
{
    const char *cursor = after + 3; /* behind the letter */

    for (unsigned field = 4; field < 22; field++) {
        cursor += *cursor == ' ';
        size_t length = strcspn(cursor, " \n");
        if (length == 0)
            return false;
        cursor += length;
    }
    for (unsigned i = 0; i < 3; i++)
        if (!kernel_number_parse(&cursor, &ret_numbers[i]))
            return false;
    return true;
}

int process_stat_read(int fd, struct process_stat *ret_stat)
{
    char text[PROCESS_STAT_TEXT];
    uint64_t numbers[3];
    const char *after;

    int result = stat_text_read(fd, text, sizeof(text), &after);
    if (result < 0)
        return result;
    const char *name = strchr(text, '(');
    if (!name || name >= after || !stat_numbers(after, numbers))
        return -EBADMSG;
    struct process_stat stat = {
        .state = process_state_of(after[1]),
        .start_time = numbers[0],
        .size = numbers[1],
        .rss = scale_u64(numbers[2], (uint64_t)sysconf(_SC_PAGESIZE), 1),
    };
    size_t length = (size_t)(after - 1 - (name + 1));
    memcpy(stat.name, name + 1, min_u64(length, sizeof(stat.name) - 1));
    *ret_stat = stat;
    return 0;
}
