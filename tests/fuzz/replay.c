/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target once for each file of the folders named: the corpus as a test, without a
 * fuzzer. Fails where a folder holds nothing, so that a lost corpus is not a passed test.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_replay(const char *folder, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    uint8_t *seed = malloc(SEED_MAX);
    if (!seed) {
        (void)fclose(file);
        return -ENOMEM;
    }
    size_t size = fread(seed, 1, SEED_MAX, file);
    (void)LLVMFuzzerTestOneInput(seed, size);
    free(seed);
    (void)fclose(file);
    return 0;
}

static int folder_replay(const char *folder)
{
    DIR *entries = opendir(folder);
    if (!entries)
        return -errno;
    int replayed = 0, r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(entries));) {
        if (entry->d_name[0] == '.')
            continue;
        r = file_replay(folder, entry->d_name);
        replayed++;
    }
    (void)closedir(entries);
    if (r == 0 && replayed == 0)
        r = -ENOENT;
    (void)printf("%s: %d seeds\n", folder, replayed);
    return r;
}

int main(int argc, char **argv)
{
    int r = argc > 1 ? 0 : -EINVAL;
    for (int i = 1; r == 0 && i < argc; i++)
        r = folder_replay(argv[i]);
    if (r < 0)
        (void)fprintf(stderr, "replay: %s\n", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
