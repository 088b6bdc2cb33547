/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns a temporary folder with a copy of this very program under QEMU's name, root's own as the
 * scan demands, and the processes that run it. They sleep. The first of them also listens on the
 * sockets of both bad monitors: a guard takes the process that listens for the guest.
 */
#include "bench.h"

#include "fake_qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the sockets may take to appear. */
#define LISTEN_PATIENCE_MS 10000

static const char *const peer_names[] = {
    [PEER_NONE] = "none", [PEER_MUTE] = "mute", [PEER_HANGS] = "hangs"};
_Static_assert(ELEMENTSOF(peer_names) == PEER_COUNT, "a peer without its name");

/* ---- in the guest ---- */

static bool peer_listen(struct fake_qemu *fake, const char *folder, enum peer peer)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s/qmp.sock", folder, peer_names[peer]);
    return fake_qemu_listen(fake, path) == 0;
}

/* A connection before it is closed, so that a guard that comes again finds room. */
static void peer_take(struct fake_qemu *fake, enum peer peer)
{
    if (fake_qemu_accept(fake) < 0 || peer != PEER_HANGS)
        return;
    if (fake_qemu_greet(fake) == 0 && fake_qemu_hear(fake) == 0)
        (void)fake_qemu_answer(fake);
}

static int guest_serve(const char *folder)
{
    struct fake_qemu fakes[PEER_COUNT];

    if (!peer_listen(&fakes[PEER_MUTE], folder, PEER_MUTE) ||
        !peer_listen(&fakes[PEER_HANGS], folder, PEER_HANGS))
        return EXIT_FAILURE;
    for (;;) {
        struct pollfd wanted[] = {
            {.fd = fakes[PEER_MUTE].listener, .events = POLLIN},
            {.fd = fakes[PEER_HANGS].listener, .events = POLLIN},
        };
        (void)poll(wanted, ELEMENTSOF(wanted), -1);
        if (wanted[0].revents)
            peer_take(&fakes[PEER_MUTE], PEER_MUTE);
        if (wanted[1].revents)
            peer_take(&fakes[PEER_HANGS], PEER_HANGS);
    }
}

/* "-name NAME" alone sleeps; "-name NAME FOLDER" serves. */
int guest_main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc > 3)
        return guest_serve(argv[3]);
    for (;;)
        (void)pause();
}

/* ---- in the benchmark ---- */

static bool program_copy(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t sent = 1;

    while (from >= 0 && to >= 0 && sent > 0)
        sent = sendfile(to, from, NULL, MIB);
    bool copied = from >= 0 && to >= 0 && sent == 0 && fchmod(to, 0755) == 0;
    if (from >= 0)
        (void)close(from);
    if (to >= 0)
        (void)close(to);
    return copied;
}

static bool guest_start(struct herd *herd, const char *program, bool serves)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "guest=bench-%u", herd->count);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execl(program, GUEST_PROGRAM, "-name", name, serves ? herd->folder : (char *)NULL,
            (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    if (child < 0)
        return false;
    herd->pids[herd->count++] = child;
    return true;
}

char *herd_qmp_directory(const struct herd *herd, enum peer peer)
{
    char *path;

    return asprintf(&path, "%s/%s", herd->folder, peer_names[peer]) < 0 ? NULL : path;
}

static bool folder_make(struct herd *herd)
{
    (void)snprintf(herd->folder, sizeof(herd->folder), "/tmp/plimsoll-bench-XXXXXX");
    if (!mkdtemp(herd->folder))
        return false;
    for (enum peer peer = PEER_NONE; peer < PEER_COUNT; peer++) {
        char *path = herd_qmp_directory(herd, peer);
        bool made = path && mkdir(path, 0700) == 0;
        free(path);
        if (!made)
            return false;
    }
    return true;
}

/* Until each child is the guest: each holds ENDS[1], which closes as it becomes one. */
static bool await_programs(int ends[2])
{
    char byte;

    (void)close(ends[1]);
    ends[1] = -1;
    return read(ends[0], &byte, 1) == 0;
}

/* The second socket is made last. */
static bool await_sockets(const struct herd *herd)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s/qmp.sock", herd->folder, peer_names[PEER_HANGS]);
    for (int waited = 0; waited < LISTEN_PATIENCE_MS; waited++) {
        if (access(path, F_OK) == 0)
            return true;
        (void)poll(NULL, 0, 1);
    }
    errno = ETIMEDOUT;
    return false;
}

bool herd_start(struct herd *herd, unsigned count)
{
    char program[PATH_MAX];
    int ends[2] = {-1, -1};

    *herd = (struct herd){.folder = ""};
    bool ready = folder_make(herd) && pipe2(ends, O_CLOEXEC) == 0;
    (void)snprintf(program, sizeof(program), "%s/" GUEST_PROGRAM, herd->folder);
    ready = ready && program_copy(program);
    for (unsigned i = 0; ready && i < count; i++)
        ready = guest_start(herd, program, i == 0);
    ready = ready && await_programs(ends) && await_sockets(herd);
    if (!ready) {
        (void)fprintf(stderr, "%u guests: %s\n", count, strerror(errno));
        herd_stop(herd);
    }
    for (unsigned i = 0; i < ELEMENTSOF(ends); i++)
        if (ends[i] >= 0)
            (void)close(ends[i]);
    return ready;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void herd_stop(struct herd *herd)
{
    for (unsigned i = 0; i < herd->count; i++)
        (void)kill(herd->pids[i], SIGKILL);
    for (unsigned i = 0; i < herd->count; i++)
        (void)waitpid(herd->pids[i], NULL, 0);
    herd->count = 0;
    if (herd->folder[0] != '\0')
        (void)nftw(herd->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    herd->folder[0] = '\0';
}
