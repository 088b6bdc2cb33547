/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An error a person can act on. Functions return a negative errno; those whose failure needs words
 * also fill a struct error given by the caller: what happened, to whom, what was expected, what to
 * do. The text is bounded and never holds control characters.
 */
#ifndef PLIMSOLL_ERROR_H
#define PLIMSOLL_ERROR_H

/* One line of syslog (RFC 3164: 1024 bytes) less its prefix and the fields we put before it. */
#define ERROR_TEXT_MAX 512

struct error {
    int code; /* negative errno; 0 while nothing failed */
    char text[ERROR_TEXT_MAX];
};

/*
 * Fills ERROR (may be NULL) and returns CODE, which must be a negative errno, so that
 * `return error_set(error, -EINVAL, "…")` reads as one thought. Control characters and broken UTF-8
 * in the formatted text become '?'. Pure: formats into the given buffer only.
 */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
