/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `plimsoll log --exec` is made to run. PLIMSOLL_ALERT_ROLE says what it does:
 *
 *   note      adds PLIMSOLL_TEXT to the file "notes"
 *   show      writes its environment, descriptors, process group and input to files of these names
 *   turn      as note, and stays until there is the file "go"; two at a time are noted as "overlap"
 *   fail      ends with exit status 3, after a word on each of both outputs
 *   signal    is ended by a signal
 *   stubborn  ignores SIGTERM, as does its child; both write their pids to "pids" and stay
 *   leave     ends at once, and leaves such a child
 *
 * All files are in PLIMSOLL_ALERT_FOLDER.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 512

static const char *value(const char *name)
{
    const char *found = getenv(name);

    return found ? found : "(unset)";
}

static char *path(const char *name)
{
    static char text[PATH_SIZE];

    (void)snprintf(text, sizeof(text), "%s/%s", value("PLIMSOLL_ALERT_FOLDER"), name);
    return text;
}

static FILE *opened(const char *name, const char *mode)
{
    FILE *file = fopen(path(name), mode);

    if (!file)
        _exit(9);
    return file;
}

static void note(const char *text)
{
    FILE *file = opened("notes", "ae");

    fprintf(file, "%s\n", text);
    (void)fclose(file);
}

static void descriptors_show(void)
{
    char names[PATH_SIZE] = "", own[16];
    DIR *folder = opendir("/proc/self/fd");

    (void)snprintf(own, sizeof(own), "%d", folder ? dirfd(folder) : -1);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, own) != 0)
            (void)strncat(names, entry->d_name, sizeof(names) - strlen(names) - 1);
    FILE *file = opened("descriptors", "we");
    fprintf(file, "%s\n", names);
    (void)fclose(file);
}

static void show(void)
{
    char text[65536];

    descriptors_show();
    FILE *file = opened("environment", "we");
    for (char **entry = environ; *entry; entry++)
        fprintf(file, "%s\n", *entry);
    (void)fclose(file);
    file = opened("group", "we");
    fprintf(file, "%s\n", getpgrp() == getpid() ? "own" : "another");
    (void)fclose(file);
    size_t size = fread(text, 1, sizeof(text), stdin);
    file = opened("input", "we");
    (void)fwrite(text, 1, size, file);
    (void)fclose(file);
    note("shown");
}

static void turn(void)
{
    const struct timespec step = {.tv_nsec = 5000000};

    note(value("PLIMSOLL_TEXT"));
    if (mkdir(path("turn"), 0700) < 0)
        note("overlap");
    while (access(path("go"), F_OK) < 0)
        (void)nanosleep(&step, NULL);
    (void)rmdir(path("turn"));
}

/* In one step, so that who reads it finds both. */
static void stubborn(bool leave)
{
    char written[PATH_SIZE];

    (void)signal(SIGTERM, SIG_IGN);
    pid_t child = fork();
    if (child != 0) {
        FILE *file = opened("pids-new", "we");
        fprintf(file, "%d %d\n", (int)getpid(), (int)child);
        (void)fclose(file);
        (void)snprintf(written, sizeof(written), "%s", path("pids-new"));
        (void)rename(written, path("pids"));
        if (leave)
            return;
    }
    for (;;)
        (void)pause();
}

int main(void)
{
    const char *role = value("PLIMSOLL_ALERT_ROLE");

    if (strcmp(role, "note") == 0) {
        note(value("PLIMSOLL_TEXT"));
    } else if (strcmp(role, "show") == 0) {
        show();
    } else if (strcmp(role, "turn") == 0) {
        turn();
    } else if (strcmp(role, "fail") == 0) {
        puts("to its output");
        fputs("to its errors\n", stderr);
        return 3;
    } else if (strcmp(role, "signal") == 0) {
        (void)raise(SIGKILL);
    } else if (strcmp(role, "stubborn") == 0 || strcmp(role, "leave") == 0) {
        stubborn(strcmp(role, "leave") == 0);
    }
    return 0;
}
