/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The small guest's only program: pid 1 of an initramfs. It loads the virtio drivers, then holds,
 * frees and rewrites memory as the schedule says (schedule.h), and tells what it does on the serial
 * line, one line each:
 *
 *     plimsoll-guest: <ms> <event> key=value …
 *
 * with the events ready (first, when the drivers are loaded), told (a line was read and parsed),
 * begin and done (of a step), checked (pages that are as they were filled, and those that are not),
 * waits (growth has met the reserve), oom (see ballast), refused (a line that did not parse, a
 * driver that would not load or go) and, once a second, report.
 *
 * Theory of operation: one loop, of 20 ms turns while a step is under way. Memory is one reserved
 * mapping; what is held is its first part. Each page begins with its own number and the count of
 * fillings; the rest are words of a xorshift generator that begins with those, so that no page is
 * zero, equal to another or compressible, and each tells whether it is still itself. Growth stops
 * short of a reserve of free memory: a guest that a balloon has squeezed then waits for memory as a
 * process that swaps would, and does not die of it. Should the balloon win the race between that
 * check and the touch, the kernel's OOM killer finds exactly one process it may take: the ballast,
 * a child holding a few MiB for that purpose.
 *
 * Time is CLOCK_MONOTONIC. QMP `stop` stops it, and CLOCK_BOOTTIME alike, since a stopped virtual
 * machine is no suspended one; frozen vCPUs and a SIGSTOP do not, and time then jumps. So growth is
 * paced by the turn, not by the clock since its begin: a guest that was held up goes on at its rate
 * and makes up for nothing.
 */
#include "page.h"
#include "schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1024) * 1024)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

/* Short beside the second in which tests watch, long beside what a turn costs under emulation. */
#define TURN (20 * NSEC_PER_MSEC)
/* Most that one turn makes up for when it came late: more would be a burst after a pause. */
#define TURN_MAX (100 * NSEC_PER_MSEC)
#define REPORT_INTERVAL NSEC_PER_SEC
/* Free memory that growth leaves alone: above the kernel's low watermark with room for the pages
 * the balloon takes while one piece is filled. */
#define RESERVE (16 * MIB)
#define PIECE MIB /* filled between two looks at free memory */
#define BALLAST (4 * MIB)
/* More than any test's guest has; it is address space only. */
#define REGION (UINT64_C(64) * 1024 * MIB)
#define COMMAND_LINE_MAX 4096 /* COMMAND_LINE_SIZE of x86 is 2048, others have up to 4096 */

/* In the order they need each other. One that is built in, or that no device needs, has no file. */
static const char *const drivers[] = {"virtio_ring", "virtio", "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev", "virtio_pci", "virtio_mem"};
#define BALLOON_DRIVER "virtio_balloon"

struct guest {
    struct schedule schedule;
    unsigned next;    /* step of the schedule that comes due next */
    uint64_t start;   /* when the schedule began */
    struct step step; /* under way; kind STEP_COUNT: none */
    uint64_t left;    /* bytes it has still to grow by or to rewrite */
    uint64_t turn;    /* begin of this turn */
    uint64_t reported;
    bool waiting; /* growth stands at the reserve, and that was said */
    uint8_t *region;
    uint64_t held;  /* bytes of the region, from its start */
    uint64_t fills; /* pages filled so far */
    uint64_t bad;   /* pages that this check has found changed */
    pid_t ballast;  /* 0: the kernel took it */
    char line[256];
    size_t line_length;
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[512];
    int length =
        snprintf(line, sizeof(line), "plimsoll-guest: %llu ", (unsigned long long)now() / 1000000);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof(line) - (size_t)length - 2, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof(line) - 3)
        length = (int)sizeof(line) - 3;
    line[length++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        return; /* nobody is left to tell */
}

/* ---- the kernel's files ---- */

static void file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        say("refused path=%s errno=%d", path, errno);
    close(fd);
}

static bool file_read(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    buffer[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* Bytes of the line KEY of /proc/meminfo's text. */
static uint64_t meminfo_value(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    return found ? strtoull(found + strlen(key), NULL, 10) * 1024 : 0;
}

static uint64_t memory_free(uint64_t *ret_available)
{
    char text[2048];
    if (!file_read("/proc/meminfo", text, sizeof(text)))
        return 0;
    if (ret_available)
        *ret_available = meminfo_value(text, "MemAvailable:");
    return meminfo_value(text, "MemFree:");
}

/* ---- drivers ---- */

static int driver_load(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/modules/%s.ko", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int result = syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST ? -errno : 0;
    close(fd);
    if (result < 0)
        say("refused driver=%s errno=%d", name, -result);
    return result;
}

static int driver_unload(const char *name)
{
    if (syscall(SYS_delete_module, name, O_NONBLOCK) == 0)
        return 0;
    say("refused driver=%s errno=%d", name, errno);
    return -errno;
}

/* ---- memory ---- */

static uint64_t *page_at(const struct guest *guest, uint64_t offset)
{
    return (uint64_t *)(void *)(guest->region + offset);
}

static void memory_fill(struct guest *guest, uint64_t offset)
{
    page_fill(page_at(guest, offset), offset / PAGE, ++guest->fills);
}

/* Grows by up to BYTES and returns how much it was; less when the reserve is met. */
static uint64_t memory_grow(struct guest *guest, uint64_t bytes)
{
    uint64_t grown = 0;
    while (grown < bytes) {
        uint64_t piece = bytes - grown < PIECE ? bytes - grown : PIECE;
        if (guest->held + piece > REGION || memory_free(NULL) < RESERVE + piece)
            break;
        for (uint64_t done = 0; done < piece; done += PAGE, guest->held += PAGE)
            memory_fill(guest, guest->held);
        grown += piece;
    }
    return grown;
}

static void memory_release(struct guest *guest, uint64_t bytes)
{
    if (bytes > guest->held)
        bytes = guest->held;
    guest->held -= bytes;
    if (bytes > 0 && madvise(guest->region + guest->held, bytes, MADV_DONTNEED) < 0)
        say("refused madvise errno=%d", errno);
}

/* The one process the OOM killer may take. Started anew only while there is ample memory. */
static void ballast_start(struct guest *guest)
{
    guest->ballast = fork();
    if (guest->ballast != 0)
        return;
    file_write("/proc/self/oom_score_adj", "1000");
    uint8_t *memory =
        mmap(NULL, BALLAST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t offset = 0; memory != MAP_FAILED && offset < BALLAST; offset += PAGE)
        memory[offset] = 1;
    for (;;)
        pause();
}

static void ballast_watch(struct guest *guest)
{
    if (guest->ballast > 0 && waitpid(guest->ballast, NULL, WNOHANG) == guest->ballast) {
        guest->ballast = 0;
        say("oom held=%llu", (unsigned long long)guest->held);
    }
    if (guest->ballast <= 0 && memory_free(NULL) > RESERVE + 2 * BALLAST)
        ballast_start(guest);
}

/* ---- steps ---- */

static void step_done(struct guest *guest)
{
    say("done step=%s held=%llu", step_kind_name(guest->step.kind),
        (unsigned long long)guest->held);
    guest->step.kind = STEP_COUNT;
}

static void step_begin(struct guest *guest, const struct step *step)
{
    guest->step = *step;
    guest->left = 0;
    guest->waiting = false;
    say("begin step=%s size=%llu rate=%llu", step_kind_name(step->kind),
        (unsigned long long)step->size, (unsigned long long)step->rate);
    switch (step->kind) {
    case STEP_GROW:
        guest->left = (step->size + PAGE - 1) / PAGE * PAGE;
        return;
    case STEP_CHECK:
        guest->bad = 0;
        guest->left = guest->held;
        return;
    case STEP_TOUCH:
        guest->left = guest->held;
        return;
    case STEP_FREE:
        memory_release(guest, step->size / PAGE * PAGE);
        break;
    case STEP_UNLOAD_BALLOON:
        (void)driver_unload(BALLOON_DRIVER);
        break;
    case STEP_LOAD_BALLOON:
        (void)driver_load(BALLOON_DRIVER);
        break;
    case STEP_LOOP:
        memory_release(guest, guest->held);
        guest->next = 0;
        guest->start = now();
        break;
    case STEP_POWEROFF:
        reboot(RB_POWER_OFF);
        break;
    case STEP_COUNT:
        return;
    }
    step_done(guest);
}

/* The part of a long step that this turn of ELAPSED nanoseconds may do. */
static void step_continue(struct guest *guest, uint64_t elapsed)
{
    if (guest->step.kind == STEP_COUNT)
        return;
    uint64_t share = guest->left;
    if (guest->step.rate > 0) {
        share = guest->step.rate * (elapsed / 1000) / 1000000;
        share = (share + PAGE - 1) / PAGE * PAGE;
        if (share > guest->left)
            share = guest->left;
    } else if (share > 16 * PIECE) {
        share = 16 * PIECE; /* so that reports and serial lines are not held up */
    }
    if (guest->step.kind == STEP_GROW) {
        uint64_t grown = memory_grow(guest, share);
        guest->left -= grown;
        if (grown < share && !guest->waiting)
            say("waits held=%llu left=%llu", (unsigned long long)guest->held,
                (unsigned long long)guest->left);
        guest->waiting = grown < share;
    } else if (guest->step.kind == STEP_TOUCH) {
        for (; share > 0; share -= PAGE, guest->left -= PAGE)
            memory_fill(guest, guest->held - guest->left);
    } else {
        for (; share > 0; share -= PAGE, guest->left -= PAGE) {
            uint64_t offset = guest->held - guest->left;
            guest->bad += !page_is_whole(page_at(guest, offset), offset / PAGE);
        }
    }
    if (guest->left > 0)
        return;
    if (guest->step.kind == STEP_CHECK)
        say("checked whole=%llu changed=%llu",
            (unsigned long long)(guest->held / PAGE - guest->bad), (unsigned long long)guest->bad);
    step_done(guest);
}

/* Steps from the serial line take the place of what is left of the schedule. */
static void line_take(struct guest *guest)
{
    struct schedule schedule;
    guest->line[guest->line_length] = '\0';
    guest->line_length = 0;
    if (guest->line[0] == '\0')
        return;
    if (schedule_parse(guest->line, &schedule) < 0) {
        say("refused line");
        return;
    }
    guest->schedule = schedule;
    guest->next = 0;
    guest->start = now();
    say("told steps=%u", (unsigned)schedule.count);
}

static void serial_read(struct guest *guest)
{
    char buffer[64];
    ssize_t length = read(STDIN_FILENO, buffer, sizeof(buffer));
    for (ssize_t i = 0; i < length; i++) {
        if (buffer[i] == '\n')
            line_take(guest);
        else if (guest->line_length < sizeof(guest->line) - 1)
            guest->line[guest->line_length++] = buffer[i];
    }
}

static void report(const struct guest *guest)
{
    uint64_t available = 0;
    uint64_t free_bytes = memory_free(&available);
    say("report held=%llu free=%llu available=%llu", (unsigned long long)guest->held,
        (unsigned long long)free_bytes, (unsigned long long)available);
}

/* When the next turn is due. A guest at rest has no turns until something comes due: each wakes its
 * host, and six idle guests would fill an emulated one's processors with nothing. */
static uint64_t turn_due(const struct guest *guest)
{
    if (guest->step.kind != STEP_COUNT)
        return guest->turn + TURN;
    uint64_t due = guest->reported + REPORT_INTERVAL;
    if (guest->next < guest->schedule.count) {
        uint64_t step = guest->start + guest->schedule.steps[guest->next].at;
        due = step < due ? step : due;
    }
    return due;
}

static void guest_turn(struct guest *guest)
{
    struct pollfd serial = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t before = guest->turn, due = turn_due(guest), present = now();
    uint64_t left = due > present ? due - present + NSEC_PER_MSEC - 1 : 0;
    if (poll(&serial, 1, (int)(left / NSEC_PER_MSEC)) > 0)
        serial_read(guest);
    guest->turn = now();
    uint64_t elapsed = guest->turn - before;

    while (guest->next < guest->schedule.count &&
           guest->start + guest->schedule.steps[guest->next].at <= guest->turn)
        step_begin(guest, &guest->schedule.steps[guest->next++]);
    step_continue(guest, elapsed < TURN_MAX ? elapsed : TURN_MAX);
    ballast_watch(guest);
    if (guest->turn - guest->reported >= REPORT_INTERVAL) {
        guest->reported = guest->turn;
        report(guest);
    }
}

/* ---- start ---- */

static void system_start(void)
{
    (void)mkdir("/proc", 0755);
    (void)mkdir("/dev", 0755);
    (void)mount("proc", "/proc", "proc", 0, NULL);
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    int serial = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    if (serial >= 0) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            (void)dup2(serial, fd);
        if (serial > STDERR_FILENO)
            close(serial);
    }
    file_write("/proc/self/oom_score_adj", "-1000");
    file_write("/proc/sys/vm/panic_on_oom", "0");
    file_write("/proc/sys/vm/overcommit_memory", "1");
}

/* The schedule of the kernel's command line; a mistake in it is told and means an empty one. */
static void schedule_load(struct schedule *schedule)
{
    char line[COMMAND_LINE_MAX];
    *schedule = (struct schedule){.balloon = true};
    if (!file_read("/proc/cmdline", line, sizeof(line)))
        return;
    for (char *save = NULL, *word = strtok_r(line, " \n", &save); word;
         word = strtok_r(NULL, " \n", &save)) {
        if (!strncmp(word, "plimsoll=", 9) && schedule_parse(word + 9, schedule) < 0)
            say("refused schedule=%s", word + 9);
    }
}

int main(void)
{
    static struct guest guest = {.step.kind = STEP_COUNT};
    system_start();
    schedule_load(&guest.schedule);
    for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        (void)driver_load(drivers[i]);
    if (guest.schedule.balloon)
        (void)driver_load(BALLOON_DRIVER);
    guest.region = mmap(
        NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guest.region == MAP_FAILED) {
        say("refused mmap errno=%d", errno);
        reboot(RB_POWER_OFF);
    }
    ballast_start(&guest);
    guest.start = guest.turn = guest.reported = now();
    say("ready free=%llu", (unsigned long long)memory_free(NULL));
    for (;;)
        guest_turn(&guest);
}
