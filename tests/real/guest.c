/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns a QEMU process and its serial line. The command line is the cheapest that has all the guard
 * deals with: one vCPU, no default devices, a translation buffer of 32 MiB (it counts in the RSS),
 * the monitors and a balloon. The serial line is a socket pair on QEMU's stdin and stdout.
 */
#include "guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define ARGUMENT_SIZE 1024
/* What QEMU itself is told to make kernel and init start fast; `tsc=reliable` and the three after
 * it also keep a guest that stood still from believing itself sick. */
#define KERNEL_OPTIONS                                                                   \
    "quiet mitigations=off random.trust_cpu=on transparent_hugepage=never tsc=reliable " \
    "no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 reboot=t panic=1 "      \
    "console=ttyS0"

/* A command line under construction; its texts stand in one buffer. */
struct arguments {
    const char *argv[ARGUMENTS_MAX];
    unsigned count;
    char texts[8 * ARGUMENT_SIZE];
    size_t used;
};

static void add(struct arguments *arguments, const char *text)
{
    ck_assert_uint_lt(arguments->count, ARGUMENTS_MAX - 1);
    arguments->argv[arguments->count++] = text;
}

__attribute__((format(printf, 3, 4))) static void add_option(
    struct arguments *arguments, const char *option, const char *format, ...)
{
    char *text = arguments->texts + arguments->used;
    size_t room = sizeof(arguments->texts) - arguments->used;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, room, format, list);
    va_end(list);
    ck_assert_int_ge(length, 0);
    ck_assert_uint_lt((size_t)length, room);
    arguments->used += (size_t)length + 1;
    add(arguments, option);
    add(arguments, text);
}

static void add_machine(struct arguments *arguments, const struct guest_options *options)
{
    const char *qemu = getenv("PLIMSOLL_QEMU");
    const char *accelerator = getenv("PLIMSOLL_ACCEL");
    unsigned long long mebibytes = options->memory / MIB;
    add(arguments, qemu ? qemu : "qemu-system-x86_64");
    add(arguments, "-nodefaults");
    add(arguments, "-no-user-config");
    add(arguments, "-no-reboot");
    add_option(arguments, "-display", "none");
    add_option(arguments, "-cpu", "max");
    add_option(arguments, "-smp", "1");
    add_option(arguments, "-m", "%llu", mebibytes);
    if (accelerator && !strcmp(accelerator, "kvm"))
        add_option(arguments, "-accel", "kvm");
    else
        add_option(arguments, "-accel", "tcg,tb-size=32");
    if (options->memfd) {
        add_option(
            arguments, "-object", "memory-backend-memfd,id=memory,share=on,size=%lluM", mebibytes);
        add_option(arguments, "-machine", "pc,memory-backend=memory");
    } else {
        add_option(arguments, "-machine", "pc");
    }
}

static void add_devices(
    struct arguments *arguments, const struct guest *guest, const struct guest_options *options)
{
    add_option(arguments, "-name", "guest=%s", guest->name);
    add_option(arguments, "-uuid", "%s", guest->uuid);
    add_option(arguments, "-serial", "stdio");
    add_option(arguments, "-qmp", "unix:%s,server=on,wait=off", guest->monitor_path);
    if (options->qmp_directory)
        add_option(arguments, "-qmp", "unix:%s/%s.sock,server=on,wait=off", options->qmp_directory,
            guest->name);
    if (!options->no_balloon_device)
        add_option(arguments, "-device", "virtio-balloon-pci,id=balloon0%s%s",
            options->balloon ? "," : "", options->balloon ? options->balloon : "");
    add_option(arguments, "-kernel", "%s", getenv("PLIMSOLL_KERNEL"));
    add_option(arguments, "-initrd", "%s", getenv("PLIMSOLL_INITRAMFS"));
    add_option(arguments, "-append", KERNEL_OPTIONS " plimsoll=%s",
        options->schedule ? options->schedule : "");
    for (const char *const *extra = options->extra; extra && *extra; extra++)
        add(arguments, *extra);
}

/* Those of the running test, which has a process of its own: what a failed wait must show. */
static struct guest *guests[GUESTS_MAX];

static void guests_replace(const struct guest *old, struct guest *new)
{
    for (unsigned i = 0; i < GUESTS_MAX; i++) {
        if (guests[i] == old) {
            guests[i] = new;
            return;
        }
    }
}

void guest_dump_all(void)
{
    for (unsigned i = 0; i < GUESTS_MAX; i++) {
        if (guests[i])
            guest_dump(guests[i]);
    }
}

void guest_start(struct guest *guest, const struct guest_options *options)
{
    struct arguments arguments = {0};
    int serial[2];
    *guest = (struct guest){.qemu = CHILD_NONE, .serial = {.fd = -1}, .monitor = {.fd = -1}};
    ck_assert_uint_lt(strlen(options->name), GUEST_NAME_MAX);
    (void)snprintf(guest->name, sizeof(guest->name), "%s", options->name);
    (void)snprintf(guest->monitor_path, sizeof(guest->monitor_path), "%s/%s-%d.monitor",
        harness_directory(), guest->name, getpid());
    /* Different for every guest of a program: the name's bytes are part of it. */
    unsigned sum = 5381;
    for (const char *c = guest->name; *c; c++)
        sum = sum * 33 + (unsigned char)*c;
    (void)snprintf(guest->uuid, sizeof(guest->uuid), "706c696d-736f-4c6c-8000-%04x%08x",
        (unsigned)getpid() & 0xffff, sum);

    add_machine(&arguments, options);
    add_devices(&arguments, guest, options);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial), 0);
    child_start(&guest->qemu, arguments.argv, serial[1], serial[1], STDERR_FILENO);
    close(serial[1]);
    lines_init(&guest->serial, serial[0]);
    guests_replace(NULL, guest);
}

void guest_boot(struct guest *guest, const struct guest_options *options)
{
    guest_start(guest, options);
    (void)guest_wait(guest, "ready", GUEST_READY_LIMIT);
}

void guest_end(struct guest *guest)
{
    guests_replace(guest, NULL);
    child_kill(&guest->qemu);
    lines_release(&guest->serial);
    lines_release(&guest->monitor);
    (void)unlink(guest->monitor_path);
}

void guest_dump(struct guest *guest)
{
    char cause[64];
    lines_dump(&guest->serial, guest->name);
    child_describe(&guest->qemu, cause, sizeof(cause));
    (void)fprintf(stderr, "%s| QEMU: %s\n", guest->name, cause);
}

/* ---- its serial line ---- */

static bool line_is_event(const char *line, const void *event)
{
    const char *text = strstr(line, "plimsoll-guest: ");
    if (!text)
        return false;
    text += strlen("plimsoll-guest: ");
    text += strspn(text, "0123456789");
    size_t length = strlen(event);
    return *text == ' ' && !strncmp(text + 1, event, length) &&
           (text[1 + length] == ' ' || text[1 + length] == '\0');
}

const char *guest_wait(struct guest *guest, const char *event, uint64_t limit)
{
    const char *line =
        lines_wait(&guest->serial, &guest->cursor, line_is_event, event, harness_now() + limit);
    if (!line) {
        guest_dump_all();
        ck_abort_msg("%s has not said `%s` within %.1f s", guest->name, event,
            (double)limit / (double)NSEC_PER_SEC);
    }
    return line;
}

uint64_t guest_value(const char *line, const char *key)
{
    size_t length = strlen(key);
    for (const char *at = strchr(line, ' '); at; at = strchr(at + 1, ' ')) {
        if (!strncmp(at + 1, key, length) && at[1 + length] == '=')
            return strtoull(at + length + 2, NULL, 10);
    }
    ck_abort_msg("no %s= in: %s", key, line);
    return 0;
}

uint64_t guest_report(struct guest *guest, const char *key)
{
    guest->cursor = lines_mark(&guest->serial);
    return guest_value(guest_wait(guest, "report", GUEST_READY_LIMIT), key);
}

void guest_tell(struct guest *guest, const char *steps)
{
    char line[256];
    int length = snprintf(line, sizeof(line), "%s\n", steps);
    ck_assert_int_lt(length, (int)sizeof(line));
    /* QEMU reads at the pace of the guest's UART, but the socket holds far more than a line. */
    ck_assert_int_eq(write(guest->serial.fd, line, (size_t)length), length);
}
