/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns nothing but the line that was read last. */
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders that nftw() keeps open at a time; it reopens beyond. */
#define DEPTH_OPEN 16

void scratch_make(const char *name, char *ret_folder)
{
    int length = snprintf(ret_folder, SCRATCH_FOLDER_MAX, "/tmp/plimsoll-%s-XXXXXX", name);

    ck_assert(length > 0 && length < SCRATCH_FOLDER_MAX);
    ck_assert_ptr_nonnull(mkdtemp(ret_folder));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void scratch_remove(const char *path)
{
    ck_assert_msg(nftw(path, remove_one, DEPTH_OPEN, FTW_DEPTH | FTW_PHYS) == 0, "%s: %s", path,
        strerror(errno));
}

void scratch_make_parents(const char *path)
{
    char *copy = strdup(path);

    ck_assert_ptr_nonnull(copy);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ck_assert_msg(mkdir(copy, 0755) == 0 || errno == EEXIST, "%s: %s", copy, strerror(errno));
        *slash = '/';
    }
    free(copy);
}

void scratch_write_bytes(const char *path, const void *bytes, size_t length)
{
    scratch_make_parents(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
    ck_assert_int_eq(close(fd), 0);
}

void scratch_write(const char *path, const char *text)
{
    scratch_write_bytes(path, text, strlen(text));
}

const char *scratch_read(const char *path)
{
    static char text[SCRATCH_LINE_MAX];
    FILE *file = fopen(path, "re");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_msg(fgets(text, sizeof(text), file) != NULL, "%s is empty", path);
    (void)fclose(file);
    return text;
}
