/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The witness of a lab run. Inside the emulated host, `recorder OUTPUT [MILLISECONDS]` writes to a
 * virtio port (or a file) one JSON object a line until SIGTERM: each second, or as often as is
 * said, a sample of the host and of every QEMU, and each line of the kernel's log as it comes.
 *
 *     {"kind":"sample","time":12.000,"memory":{…},"psi":{…},"oom_kill":0,"nodes":[…],"vms":[…],"guard":0}
 *     {"kind":"kernel","time":12.345,"stamp":12.301,"priority":3,"text":"Out of memory: …"}
 *
 * Bytes, nanoseconds and, for times, seconds; null is what could not be read. "least" in the memory
 * is the least that was available since the sample before, seen 20 times a second. "time" is
 * CLOCK_MONOTONIC where the line was made, "stamp" the kernel's own. "dropped" in a line counts the
 * lines before it that had no room.
 *
 * Theory of operation: it must see what an exhausted host does, so it wants nothing of that host.
 * All memory is static and locked, files stay open and are read again in place, numbers are printed
 * as integers. Nothing waits for the reader: output is non-blocking, with a bounded buffer that
 * drops whole lines. A tick that came late is not made up for; its time tells. As another user than
 * root it complains of what it may not do, and goes on.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WRITE_SIZE 4096  /* a virtio port allocates as much as is written: ask for one page */
#define KERNEL_LINE 8192 /* the longest record that /dev/kmsg gives */
#define KERNEL_LINES 256 /* read at once before a sample has its turn */
#define RETRY_MSEC 100   /* until output that had no room is tried again */
#define FLUSH_RETRIES 10 /* at the end */
#define INTERVAL_MSEC 1000
#define LOOK_MSEC 50 /* at memory alone; the guard may act within milliseconds of the floor */
#define INTERVAL_MAX_MSEC 3600000

static struct recorder the_recorder; /* static, so that it is locked before it is used */

static void complain(const char *what)
{
    (void)fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
}

/* ---- output ---- */

/* Whatever goes wrong is tried again later: a port's reader may come back. */
static void output_flush(struct recorder *r)
{
    size_t sent = 0;

    while (sent < r->pending_length) {
        size_t left = r->pending_length - sent;
        ssize_t n = write(r->output, r->pending + sent, left < WRITE_SIZE ? left : WRITE_SIZE);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    r->pending_length -= sent;
    memmove(r->pending, r->pending + sent, r->pending_length);
}

__attribute__((format(printf, 2, 3))) void line_add(struct recorder *r, const char *format, ...)
{
    size_t room = sizeof r->line - r->line_length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(r->line + r->line_length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room)
        r->line_full = true;
    else
        r->line_length += (size_t)length;
}

void line_number(struct recorder *r, const char *key, uint64_t value)
{
    if (value == UNKNOWN)
        line_add(r, "\"%s\":null", key);
    else
        line_add(r, "\"%s\":%" PRIu64, key, value);
}

/* A byte that is not ASCII becomes the character of its number: always JSON, and it can be undone.
 */
void line_string(struct recorder *r, const char *text, size_t length)
{
    line_add(r, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            line_add(r, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            line_add(r, "\\u%04x", c);
        else
            line_add(r, "%c", c);
    }
    line_add(r, "\"");
}

static void line_begin(struct recorder *r, const char *kind)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    r->line_length = 0;
    r->line_full = false;
    line_add(r, "{\"kind\":\"%s\",\"time\":%lld.%03ld", kind, (long long)now.tv_sec,
        now.tv_nsec / 1000000);
    if (r->dropped > 0)
        line_add(r, ",\"dropped\":%" PRIu64, r->dropped);
}

static void line_end(struct recorder *r)
{
    line_add(r, "}\n");
    output_flush(r);
    if (r->line_full || r->line_length > sizeof r->pending - r->pending_length) {
        r->dropped++;
        return;
    }
    memcpy(r->pending + r->pending_length, r->line, r->line_length);
    r->pending_length += r->line_length;
    r->dropped = 0;
    output_flush(r);
}

/* ---- the kernel's files ---- */

/* The kernel gives some files a page at a time. */
bool file_read(struct recorder *r, int fd)
{
    ssize_t n = fd < 0 ? -1 : 0;

    r->file_length = 0;
    while (n >= 0 && r->file_length < sizeof r->file - 1) {
        n = pread(fd, r->file + r->file_length, sizeof r->file - 1 - r->file_length,
            (off_t)r->file_length);
        if (n == 0)
            break;
        if (n > 0)
            r->file_length += (size_t)n;
    }
    if (n < 0)
        r->file_length = 0;
    r->file[r->file_length] = '\0';
    return r->file_length > 0;
}

const char *file_find(const struct recorder *r, const char *key)
{
    const char *found = r->file;

    while ((found = strstr(found, key))) {
        if (found == r->file || found[-1] == '\n' || found[-1] == ' ')
            return found + strlen(key);
        found++;
    }
    return NULL;
}

uint64_t file_number(const struct recorder *r, const char *key, uint64_t unit)
{
    const char *text = file_find(r, key);
    char *end;

    if (!text)
        return UNKNOWN;
    uint64_t value = strtoull(text, &end, 10);
    return end == text ? UNKNOWN : value * unit;
}

struct figure {
    const char *name, *key;
    uint64_t unit;
};

static void line_figures(struct recorder *r, const struct figure *figures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            line_add(r, ",");
        line_number(r, figures[i].name, file_number(r, figures[i].key, figures[i].unit));
    }
}

/* Leaves /proc/meminfo in r->file. */
static void look(struct recorder *r)
{
    (void)file_read(r, r->meminfo);
    uint64_t available = file_number(r, "MemAvailable:", 1024);
    if (available < r->least) /* UNKNOWN is the greatest */
        r->least = available;
}

static void sample_memory(struct recorder *r)
{
    static const struct figure figures[] = {
        {"total", "MemTotal:", 1024},
        {"free", "MemFree:", 1024},
        {"available", "MemAvailable:", 1024},
        {"cached", "Cached:", 1024},
        {"shmem", "Shmem:", 1024},
        {"anon", "AnonPages:", 1024},
        {"slab", "Slab:", 1024},
        {"swap_total", "SwapTotal:", 1024},
        {"swap_free", "SwapFree:", 1024},
        {"hugepages_total", "HugePages_Total:", 1},
        {"hugepages_free", "HugePages_Free:", 1},
        {"hugepage_size", "Hugepagesize:", 1024},
    };

    look(r);
    line_add(r, ",\"memory\":{");
    line_figures(r, figures, sizeof figures / sizeof figures[0]);
    line_add(r, ",");
    line_number(r, "least", r->least);
    line_add(r, "}");
    r->least = UNKNOWN;
}

static void sample_psi(struct recorder *r)
{
    int average[2] = {0, 0};
    uint64_t total[2] = {0, 0};

    /* The averages are decimal fractions already: copied as text. */
    (void)file_read(r, r->psi);
    const char *some = file_find(r, "some avg10="), *full = file_find(r, "full avg10=");
    if (!some || !full) {
        line_add(r, ",\"psi\":null");
        return;
    }
    average[0] = (int)strspn(some, "0123456789.");
    average[1] = (int)strspn(full, "0123456789.");
    const char *some_total = strstr(some, "total="), *full_total = strstr(full, "total=");
    total[0] = some_total ? strtoull(some_total + 6, NULL, 10) * 1000 : UNKNOWN;
    total[1] = full_total ? strtoull(full_total + 6, NULL, 10) * 1000 : UNKNOWN;
    line_add(r, ",\"psi\":{\"some\":%.*s,\"full\":%.*s,", average[0], some, average[1], full);
    line_number(r, "some_total", total[0]);
    line_add(r, ",");
    line_number(r, "full_total", total[1]);
    line_add(r, "}");
}

static void sample_nodes(struct recorder *r)
{
    static const struct figure figures[] = {
        {"total", "MemTotal:", 1024},
        {"free", "MemFree:", 1024},
        {"file", "FilePages:", 1024},
        {"anon", "AnonPages:", 1024},
    };
    const char *separator = "";

    line_add(r, ",\"nodes\":[");
    for (unsigned node = 0; node < NODE_MAX; node++) {
        if (!file_read(r, r->nodes[node]))
            continue;
        line_add(r, "%s{\"node\":%u,", separator, node);
        line_figures(r, figures, sizeof figures / sizeof figures[0]);
        line_add(r, "}");
        separator = ",";
    }
    line_add(r, "]");
}

static void sample(struct recorder *r)
{
    r->ticks++;
    process_scan(r);
    line_begin(r, "sample");
    sample_memory(r);
    sample_psi(r);
    (void)file_read(r, r->vmstat);
    line_add(r, ",");
    line_number(r, "oom_kill", file_number(r, "oom_kill ", 1));
    sample_nodes(r);
    sample_vms(r);
    line_add(r, ",\"guard\":%d", (int)r->guard);
    line_end(r);
}

/* ---- the kernel's log ---- */

/* A record: "priority,sequence,microseconds,flags;text\n KEY=value\n…" */
static void kernel_line(struct recorder *r, char *record)
{
    char *rest, *text = strchr(record, ';');

    if (!text)
        return;
    *text++ = '\0';
    unsigned long long priority = strtoull(record, &rest, 10) & 7, stamp = 0;
    if (*rest == ',' && (rest = strchr(rest + 1, ',')))
        stamp = strtoull(rest + 1, NULL, 10);
    line_begin(r, "kernel");
    line_add(r, ",\"stamp\":%llu.%03llu,\"priority\":%llu,\"text\":", stamp / 1000000,
        stamp / 1000 % 1000, priority);
    line_string(r, text, strcspn(text, "\n"));
    line_end(r);
}

static void kernel_read(struct recorder *r)
{
    static char record[KERNEL_LINE + 1];

    for (unsigned i = 0; i < KERNEL_LINES; i++) {
        ssize_t length = read(r->kernel, record, KERNEL_LINE);
        if (length > 0) {
            record[length] = '\0';
            kernel_line(r, record);
        } else if (length < 0 && errno == EPIPE) {
            r->dropped++; /* the kernel has written over what was not yet read */
        } else if (length < 0 && errno == EAGAIN) {
            break;
        } else if (length == 0 || errno != EINTR) {
            complain("/dev/kmsg"); /* and let it go: poll would not wait any more */
            (void)close(r->kernel);
            r->kernel = -1;
            break;
        }
    }
}

/* ---- the whole ---- */

static int host_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0)
        complain(path);
    return fd;
}

static void files_open(struct recorder *r)
{
    r->proc = host_open("/proc", O_RDONLY | O_DIRECTORY);
    r->meminfo = host_open("/proc/meminfo", O_RDONLY);
    r->vmstat = host_open("/proc/vmstat", O_RDONLY);
    r->psi = host_open("/proc/pressure/memory", O_RDONLY);
    r->kernel = host_open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    if (r->kernel >= 0)
        (void)lseek(r->kernel, 0, SEEK_END);
    for (unsigned node = 0; node < NODE_MAX; node++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%u/meminfo", node);
        r->nodes[node] = open(path, O_RDONLY | O_CLOEXEC);
    }
}

/* Nobody else to go first: neither the OOM killer's victim, nor paged out, nor late. */
static void host_outlive(void)
{
    const struct sched_param low = {.sched_priority = 1};
    int fd = host_open("/proc/self/oom_score_adj", O_WRONLY);

    if (fd >= 0 && write(fd, "-1000", 5) != 5)
        complain("oom_score_adj");
    if (fd >= 0)
        (void)close(fd);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        complain("mlockall");
    if (sched_setscheduler(0, SCHED_RR, &low) < 0)
        complain("SCHED_RR");
}

static int clock_open(long msec)
{
    const struct timespec interval = {msec / 1000, msec % 1000 * 1000000};
    const struct itimerspec timer = {interval, {0, 1}}; /* the first at once */
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd >= 0 && timerfd_settime(fd, 0, &timer, NULL) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool clocks_open(struct recorder *r, long msec)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    r->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    r->timer = clock_open(msec);
    r->looks = clock_open(LOOK_MSEC);
    return r->signals >= 0 && r->timer >= 0 && r->looks >= 0;
}

static void record(struct recorder *r)
{
    struct pollfd fds[] = {{r->signals, POLLIN, 0}, {r->timer, POLLIN, 0}, {r->kernel, POLLIN, 0},
        {r->looks, POLLIN, 0}};
    uint64_t expired;

    r->least = UNKNOWN;
    while (!(fds[0].revents & POLLIN)) {
        if (poll(fds, sizeof fds / sizeof fds[0], r->pending_length > 0 ? RETRY_MSEC : -1) < 0 &&
            errno != EINTR)
            break;
        if (fds[2].revents != 0)
            kernel_read(r);
        fds[2].fd = r->kernel;
        if (read(r->looks, &expired, sizeof expired) > 0)
            look(r);
        if (read(r->timer, &expired, sizeof expired) > 0)
            sample(r);
        output_flush(r);
    }
    for (unsigned i = 0; i < FLUSH_RETRIES && r->pending_length > 0; i++) {
        (void)poll(NULL, 0, RETRY_MSEC);
        output_flush(r);
    }
}

int main(int argc, char **argv)
{
    struct recorder *r = &the_recorder;
    long msec = argc == 3 ? strtol(argv[2], NULL, 10) : INTERVAL_MSEC;

    if (argc < 2 || argc > 3 || msec < 1 || msec > INTERVAL_MAX_MSEC) {
        (void)fprintf(stderr, "usage: recorder OUTPUT [MILLISECONDS]\n");
        return 2;
    }
    /* For reading, too: a FIFO without a reader can be opened then. A device is never made: a port
     * that is missing would become a file in memory, which grows. */
    int create = strncmp(argv[1], "/dev/", 5) == 0 ? 0 : O_CREAT;
    r->output = open(argv[1], O_RDWR | create | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    if (r->output < 0 || !clocks_open(r, msec)) {
        complain(argv[1]);
        return 1;
    }
    files_open(r);
    host_outlive();
    record(r);
    return r->pending_length > 0 ? 1 : 0;
}
