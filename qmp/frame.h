/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines out of a byte stream. QEMU ends its lines in CRLF; LF alone is taken too.
 */
#ifndef PLIMSOLL_QMP_FRAME_H
#define PLIMSOLL_QMP_FRAME_H

#include <stddef.h>

struct qmp_frame {
    char *partial; /* the beginning of a line whose end has not come; NULL: none */
    size_t length, capacity;
    size_t line_max; /* longest line taken, bytes, without its end */
};

/*
 * Takes the next line out of the partial line and *BYTES, and moves *BYTES and *LENGTH past what it
 * took. Returns 1 with the line (not NUL-terminated, without its end; valid until the next call on
 * FRAME or until the caller's bytes change), 0 when all bytes are taken and no line is complete,
 * -EMSGSIZE (longer than line_max) or -ENOMEM; after an error FRAME is only good for release.
 */
int qmp_frame_next(struct qmp_frame *frame, const char **bytes, size_t *length,
    const char **ret_line, size_t *ret_length);

/* Forgets the partial line and frees its memory. */
void qmp_frame_release(struct qmp_frame *frame);

#endif
