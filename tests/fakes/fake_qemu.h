/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor side of a QMP connection, played by a test: word by word (greet, expect, say), or by
 * itself (answer, serve) with the replies of a small real guest. One thread is enough for the
 * first; run fake_qemu_serve() in a child for the second.
 *
 * Waits are bounded by FAKE_QEMU_PATIENCE; a test that waits longer has failed.
 */
#ifndef PLIMSOLL_TESTS_FAKE_QEMU_H
#define PLIMSOLL_TESTS_FAKE_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_QEMU_PATIENCE_MS 10000
#define FAKE_QEMU_LINE_MAX 4096

struct fake_qemu {
    int listener;   /* -1: made as a pair */
    int fd;         /* the connection; -1: none */
    char path[108]; /* as long as a socket's address has room for */
    char input[FAKE_QEMU_LINE_MAX];
    size_t input_length;
    char line[FAKE_QEMU_LINE_MAX]; /* last request seen, NUL-terminated */
    uint64_t id;                   /* its id; 0: it had none */
    uint64_t ram, balloon;         /* bytes; balloon is what the guest has */
    uint64_t virtio_mem;           /* size of the only such device, in blocks of 2 MiB; 0: none */
    uint64_t plugged, requested;   /* of it; what is requested is plugged in at once */
    bool running;
};

/* One end for the fake, the other, non-blocking, in *RET_CLIENT. Negative errno on failure. */
int fake_qemu_pair(struct fake_qemu *fake, int *ret_client);
/* Listens at PATH, with QEMU's backlog of 1. */
int fake_qemu_listen(struct fake_qemu *fake, const char *path);
/* Takes the next connection, waiting for it. */
int fake_qemu_accept(struct fake_qemu *fake);
/* Hangs up; the listener stays. */
void fake_qemu_hang_up(struct fake_qemu *fake);
/* Hangs up and stops listening. NULL is fine. */
void fake_qemu_close(struct fake_qemu *fake);

/* Says BYTES, all of them, waiting for room. */
int fake_qemu_say_bytes(struct fake_qemu *fake, const void *bytes, size_t length);
/* Says a formatted line; its end (CRLF) is added. */
int fake_qemu_say(struct fake_qemu *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int fake_qemu_greet(struct fake_qemu *fake);
/* Says {"return": BODY, "id": ID}. */
int fake_qemu_reply(struct fake_qemu *fake, uint64_t id, const char *body);
int fake_qemu_fail(struct fake_qemu *fake, uint64_t id, const char *class, const char *text);

/* Waits for the next request and keeps it in line and id. -ENODATA: the client hung up;
 * -ETIMEDOUT: none came. */
int fake_qemu_hear(struct fake_qemu *fake);
/* Whether a request is there to be heard now. */
bool fake_qemu_has_heard(struct fake_qemu *fake);

/* Answers the request in line as a guest with `ram` bytes and a balloon would. */
int fake_qemu_answer(struct fake_qemu *fake);
/* Greets, then hears and answers until the client hangs up; 0 then. */
int fake_qemu_serve(struct fake_qemu *fake);

#endif
