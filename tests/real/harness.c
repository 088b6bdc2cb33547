/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the world of a test program. The outer process finds out what can be run, makes a folder and
 * namespaces, waits and clears up; the inner one, pid 1 of its namespace, is the libcheck runner.
 * Should the outer process be killed, the inner one dies by its parent-death signal and takes the
 * whole namespace along. libcheck gives each test a process of its own.
 */
#include "harness.h"

#include "guest.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_INTERVAL (50 * NSEC_PER_MSEC)
/* A guest under a working KVM is ready in two seconds. */
#define PROBE_LIMIT (10 * NSEC_PER_SEC)

#define DIRECTORY_VARIABLE "PLIMSOLL_TEST_DIRECTORY"
#define CGROUP_VARIABLE "PLIMSOLL_TEST_CGROUP"

uint64_t harness_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

bool harness_look_again(uint64_t deadline)
{
    if (harness_now() >= deadline)
        return false;
    struct timespec interval = {.tv_nsec = (long)LOOK_INTERVAL};
    (void)nanosleep(&interval, NULL);
    return true;
}

const char *harness_directory(void)
{
    return getenv(DIRECTORY_VARIABLE);
}

const char *harness_cgroup(void)
{
    return getenv(CGROUP_VARIABLE);
}

/* ---- what can be run ---- */

/* Sets VARIABLE to the next line of STREAM. */
static bool path_take(FILE *stream, const char *variable)
{
    char line[HARNESS_PATH_MAX];
    if (!fgets(line, sizeof(line), stream))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return setenv(variable, line, 1) == 0;
}

/* Kernel and initramfs, given or made. */
static bool guest_find(void)
{
    if (getenv("PLIMSOLL_KERNEL") && getenv("PLIMSOLL_INITRAMFS"))
        return true;
    const char *script = getenv("PLIMSOLL_GUEST_BUILD");
    if (!script)
        return false;
    FILE *stream =
        popen(script, "re"); /* NOLINT(cert-env33-c): our own script, as meson names it */
    if (!stream)
        return false;
    bool found = path_take(stream, "PLIMSOLL_KERNEL") && path_take(stream, "PLIMSOLL_INITRAMFS");
    return pclose(stream) == 0 && found;
}

static bool program_found(const char *variable)
{
    const char *path = getenv(variable);
    return path && access(path, X_OK) == 0;
}

/* ---- which accelerator works ---- */

START_TEST(test_probe)
{
    struct guest guest;
    guest_start(&guest, &(struct guest_options){.name = "probe", .memory = 256 * MIB});
    (void)guest_wait(&guest, "ready", PROBE_LIMIT);
    guest_end(&guest);
}
END_TEST

static bool kvm_boots(void)
{
    Suite *suite = suite_create("probe");
    TCase *boot = tcase_create("boot");
    tcase_set_timeout(boot, (double)(2 * PROBE_LIMIT) / (double)NSEC_PER_SEC);
    tcase_add_test(boot, test_probe);
    suite_add_tcase(suite, boot);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_SILENT);
    bool boots = srunner_ntests_failed(runner) == 0;
    srunner_free(runner);
    return boots;
}

static bool text_read(const char *path, char *buffer, size_t size)
{
    FILE *stream = fopen(path, "re");
    if (!stream)
        return false;
    bool read = fgets(buffer, (int)size, stream) != NULL;
    (void)fclose(stream);
    buffer[read ? strcspn(buffer, "\n") : 0] = '\0';
    return read;
}

/* The existence of /dev/kvm proves nothing: some cannot boot a stock kernel. So one is booted, once
 * for each boot of this machine. */
static void accelerator_find(void)
{
    char boot[64], remembered[64] = "", path[HARNESS_PATH_MAX];
    const char *directory = getenv("PLIMSOLL_PROBE_DIRECTORY");
    if (getenv("PLIMSOLL_ACCEL"))
        return;
    if (access("/dev/kvm", R_OK | W_OK) < 0 ||
        !text_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot))) {
        (void)setenv("PLIMSOLL_ACCEL", "tcg", 1);
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/accelerator", directory ? directory : ".");
    if (directory && text_read(path, remembered, sizeof(remembered)) &&
        !strncmp(remembered + 4, boot, strlen(boot))) {
        remembered[3] = '\0';
        (void)setenv("PLIMSOLL_ACCEL", remembered, 1);
        return;
    }
    (void)setenv("PLIMSOLL_ACCEL", "kvm", 1);
    bool boots = kvm_boots();
    (void)setenv("PLIMSOLL_ACCEL", boots ? "kvm" : "tcg", 1);
    FILE *stream = directory ? fopen(path, "we") : NULL;
    if (stream) {
        (void)fprintf(stream, "%s %s\n", boots ? "kvm" : "tcg", boot);
        (void)fclose(stream);
    }
}

/* ---- the world ---- */

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)type;
    (void)position;
    return remove(path);
}

/* The files of a cgroup cannot be removed, and need not be. */
static int group_remove(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)position;
    return type == FTW_DP ? rmdir(path) : 0;
}

/* Mount point of the cgroup v2 tree, as PATH. */
static bool cgroup_mount_find(char *path, size_t size)
{
    FILE *stream = fopen("/proc/self/mounts", "re");
    char line[1024];
    bool found = false;
    while (stream && !found && fgets(line, sizeof(line), stream)) {
        char type[32];
        char mount[HARNESS_PATH_MAX];
        if (sscanf(line, "%*s %255s %31s", mount, type) == 2 && !strcmp(type, "cgroup2")) {
            (void)snprintf(path, size, "%s", mount);
            found = true;
        }
    }
    if (stream)
        (void)fclose(stream);
    return found;
}

static void cgroup_make(void)
{
    char mount[HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 32];
    if (!cgroup_mount_find(mount, sizeof(mount))) {
        (void)fprintf(stderr, "no cgroup v2 is mounted: vCPUs will be frozen by signal only\n");
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/plimsoll-test-%d", mount, getpid());
    if (mkdir(path, 0755) < 0) {
        (void)fprintf(
            stderr, "%s: %s: vCPUs will be frozen by signal only\n", path, strerror(errno));
        return;
    }
    (void)setenv(CGROUP_VARIABLE, path, 1);
}

static bool world_enter(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
           mount(NULL, "/proc", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

static int inner_run(Suite *(*suite)(void))
{
    if (!world_enter()) {
        perror("cannot enter the namespaces");
        return EXIT_FAILURE;
    }
    accelerator_find();
    (void)fprintf(stderr, "accelerator: %s\n", getenv("PLIMSOLL_ACCEL"));
    return suite_run(suite());
}

/* Waits for the inner process. What would end this one (meson's SIGTERM at a timeout) ends that one
 * instead, and is waited for, so that folder and groups are cleared up in every case. */
static int inner_wait(pid_t inner, const sigset_t *signals)
{
    int status;
    while (waitpid(inner, &status, WNOHANG) == 0) {
        if (sigwaitinfo(signals, NULL) != SIGCHLD)
            (void)kill(inner, SIGKILL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int world_run(Suite *(*suite)(void))
{
    sigset_t signals, before;
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
        return suite_skip("no namespaces of our own can be had");
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    (void)fflush(NULL);
    pid_t inner = fork();
    if (inner < 0)
        return EXIT_FAILURE;
    if (inner == 0) {
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        int result = inner_run(suite);
        (void)fflush(NULL);
        _exit(result);
    }
    return inner_wait(inner, &signals);
}

int harness_run(Suite *(*suite)(void), unsigned needs)
{
    if (geteuid() != 0)
        return suite_skip("only root can give the guests a PID namespace of their own");
    if ((needs & HARNESS_NEED_GUARD) &&
        (!program_found("PLIMSOLL_DAEMON") || !program_found("PLIMSOLL_COMMAND")))
        return suite_skip("plimsolld and plimsoll are not built");
    if (!guest_find())
        return suite_skip("there is no guest to boot: see tests/guest/build");

    char directory[] = "/tmp/plimsoll-test-XXXXXX";
    if (!mkdtemp(directory) || setenv(DIRECTORY_VARIABLE, directory, 1) < 0)
        return EXIT_FAILURE;
    cgroup_make();
    int result = world_run(suite);
    (void)nftw(directory, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    if (harness_cgroup())
        (void)nftw(harness_cgroup(), group_remove, 16, FTW_DEPTH | FTW_PHYS);
    return result;
}
