/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The resident memory of plimsolld itself, started in dry run, as the kernel counts it after the
 * first tick: the whole, and what it is made of by the mappings of smaps. With one guest, and with
 * as many as a host may have. Beside it the sizes that grow with max-vms.
 *
 * Pages of libraries are shared with other programs, so the guard's own share of them (Pss) is less
 * than what counts as resident.
 */
#include "bench.h"

#include "guard_private.h"
#include "ledger_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until its first status line, which follows the first tick. */
#define START_PATIENCE_MS 20000
/* P9 of the project's figures: 4 MiB and 4 KiB for each of max-vms. */
#define GOAL_KIB(max_vms) (4096u + 4u * (max_vms))

enum part {
    PART_PROGRAM,
    PART_LIBC,
    PART_LIBRARIES,
    PART_HEAP,
    PART_ANONYMOUS,
    PART_STACK,
    PART_LEDGER,
    PART_OTHER,
    PART_COUNT,
};
static const char *const part_names[] = {
    [PART_PROGRAM] = "program",
    [PART_LIBC] = "libc",
    [PART_LIBRARIES] = "other libraries",
    [PART_HEAP] = "heap",
    [PART_ANONYMOUS] = "other anonymous",
    [PART_STACK] = "stack",
    [PART_LEDGER] = "ledger",
    [PART_OTHER] = "other",
};
_Static_assert(ELEMENTSOF(part_names) == PART_COUNT, "a part without its name");

struct footprint {
    unsigned long rss[PART_COUNT], pss[PART_COUNT], own[PART_COUNT]; /* KiB; own: anonymous */
};

static enum part part_of(const char *path)
{
    if (strstr(path, "/plimsolld"))
        return PART_PROGRAM;
    if (strstr(path, "/ledger"))
        return PART_LEDGER;
    if (strstr(path, "/libc.so") || strstr(path, "/libc-"))
        return PART_LIBC;
    if (*path == '/')
        return PART_LIBRARIES;
    if (strcmp(path, "[heap]") == 0)
        return PART_HEAP;
    if (strcmp(path, "[stack]") == 0)
        return PART_STACK;
    return *path == '\0' ? PART_ANONYMOUS : PART_OTHER;
}

/* A mapping's head, "FROM-TO PERMISSIONS OFFSET DEVICE INODE PATH", or a line of its figures. */
static void smaps_line(const char *line, enum part *part, struct footprint *sum)
{
    const struct {
        const char *key;
        unsigned long *figure;
    } figures[] = {
        {"Rss:", &sum->rss[*part]}, {"Pss:", &sum->pss[*part]}, {"Anonymous:", &sum->own[*part]}};
    int at = 0;

    if (sscanf(line, "%*x-%*x %*s %*s %*s %*s %n", &at) == 0 && at > 0) {
        *part = part_of(line + at);
        return;
    }
    for (unsigned i = 0; i < ELEMENTSOF(figures); i++)
        if (strncmp(line, figures[i].key, strlen(figures[i].key)) == 0)
            *figures[i].figure += strtoul(line + strlen(figures[i].key), NULL, 10);
}

static bool footprint_read(pid_t pid, struct footprint *ret_footprint)
{
    char path[64], line[PATH_MAX + 128];
    enum part part = PART_OTHER;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    *ret_footprint = (struct footprint){.rss = {0}};
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        smaps_line(line, &part, ret_footprint);
    }
    (void)fclose(file);
    return true;
}

/* ---- the guard ---- */

static pid_t guard_spawn(const char *folder, unsigned max_vms, const char *notify)
{
    char config[PATH_MAX];

    (void)snprintf(config, sizeof(config), "%s/%u.conf", folder, max_vms);
    int fd = open(config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 ||
        dprintf(fd, "[guard]\nmode=dry-run\nqmp-directory=%s\nmax-vms=%u\n", folder, max_vms) < 0)
        return -1;
    (void)close(fd);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        (void)setenv("NOTIFY_SOCKET", notify, 1);
        (void)execl(PLIMSOLLD, PLIMSOLLD, "--dry-run", "--config", config, "--runtime-dir", folder,
            (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    return child;
}

static int notify_listen(const char *path)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
    } address = {.local = {.sun_family = AF_UNIX}};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.local.sun_path, sizeof(address.local.sun_path), "%s", path);
    (void)unlink(path);
    if (fd >= 0 && bind(fd, &address.any, sizeof(address.local)) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool notify_await(int fd, const char *word)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    char text[1024];

    while (poll(&wanted, 1, START_PATIENCE_MS) == 1) {
        ssize_t length = recv(fd, text, sizeof(text) - 1, 0);
        if (length < 0)
            return false;
        text[length] = '\0';
        if (strstr(text, word))
            return true;
    }
    return false;
}

/* ---- the tables ---- */

static void footprint_print(unsigned max_vms, unsigned guests, const struct footprint *footprint)
{
    unsigned long rss = 0, pss = 0, own = 0;

    for (enum part part = PART_PROGRAM; part < PART_COUNT; part++) {
        rss += footprint->rss[part];
        pss += footprint->pss[part];
        own += footprint->own[part];
        (void)printf("%8u %7u  %-16s %8lu %8lu %10lu\n", max_vms, guests, part_names[part],
            footprint->rss[part], footprint->pss[part], footprint->own[part]);
    }
    (void)printf("%8u %7u  %-16s %8lu %8lu %10lu   goal %u, %.2f of it\n", max_vms, guests, "all",
        rss, pss, own, GOAL_KIB(max_vms), (double)rss / (double)GOAL_KIB(max_vms));
}

static bool guard_measure(const struct herd *herd, unsigned max_vms)
{
    struct footprint footprint;
    char notify[96];

    (void)snprintf(notify, sizeof(notify), "%s/notify", herd->folder);
    int fd = notify_listen(notify);
    pid_t child = fd < 0 ? -1 : guard_spawn(herd->folder, max_vms, notify);
    bool read = child > 0 && notify_await(fd, "STATUS=") && footprint_read(child, &footprint);
    if (child > 0) {
        (void)kill(child, SIGTERM);
        (void)waitpid(child, NULL, 0);
    }
    if (fd >= 0)
        (void)close(fd);
    if (read)
        footprint_print(max_vms, herd->count, &footprint);
    else
        (void)printf("%8u  not measured: %s did not start\n", max_vms, PLIMSOLLD);
    return read;
}

static void sizes_print(void)
{
    const struct {
        const char *what;
        size_t size;
    } sizes[] = {
        {"snapshot", snapshot_size(1) - snapshot_size(0)},
        {"rules", rules_size(1) - rules_size(0)},
        {"plan (two actions)", plan_size(1) - plan_size(0)},
        {"policy state", policy_state_size(1) - policy_state_size(0)},
        {"policy scratch", policy_scratch_size(1) - policy_scratch_size(0)},
        {"ledger slot", sizeof(struct ledger_slot)},
        {"slot pointers", sizeof(struct vm *) + sizeof(struct monitor *)},
    };
    size_t sum = 0;

    (void)printf("Bytes for each of max-vms:");
    for (unsigned i = 0; i < ELEMENTSOF(sizes); i++) {
        (void)printf(" %s %zu,", sizes[i].what, sizes[i].size);
        sum += sizes[i].size;
    }
    (void)printf(" together %zu; a guest that is there: %zu more, and its monitor\n", sum,
        sizeof(struct vm));
}

bool memory_measure(void)
{
    static const struct {
        unsigned max_vms, guests;
    } cases[] = {{64, 1}, {BENCH_GUESTS_MAX, 1}, {BENCH_GUESTS_MAX, 1000}};
    static struct herd herd;
    bool done = true;

    (void)printf("\nResident memory of plimsolld after its first tick, KiB\n%8s %7s  %-16s %8s %8s "
                 "%10s\n",
        "max-vms", "guests", "mapping", "Rss", "Pss", "anonymous");
    for (unsigned i = 0; i < ELEMENTSOF(cases) && done; i++) {
        done = herd_start(&herd, cases[i].guests) && guard_measure(&herd, cases[i].max_vms);
        herd_stop(&herd);
    }
    sizes_print();
    return done;
}
