/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One configuration file, by libeconf, with what libeconf 0.5.1 would pass over made a mistake.
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_FILE_H
#define PLIMSOLL_DAEMON_CONFIG_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* A full configuration for a thousand VMs, one section each, is about 100 KiB. */
#define CONFIG_FILE_MAX 1048576
/* libeconf takes a line of more than BUFSIZ - 1 = 8191 bytes for two. */
#define CONFIG_LINE_MAX 1024
/* Sections and keys of one file; libeconf looks up each by going through all. */
#define CONFIG_ITEMS_MAX 16384

struct config_item {
    uint32_t line;
    const char *section; /* between the brackets */
    const char *key;     /* NULL: this is the section's head */
    const char *value;   /* without blanks and comment around it; NULL with a head */
};

struct config_handlers {
    /* Each head and each key in order. Returns false to a head whose keys shall be passed over. */
    bool (*item)(const struct config_item *item, void *userdata);
    /* A mistake; LINE 0: of the file as a whole. */
    void (*mistake)(uint32_t line, void *userdata, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
};

/*
 * Reads PATH: 0 when it was read, mistakes included, which were all reported; -ENOENT, not
 * reported, when there is none; another negative errno, reported, when it could not be read.
 *
 * For root a file that others may write, or that is neither root's nor ours, is a mistake: it says
 * which guests are killed. (systemd warns of world-writable unit files and proceeds; sudo and ssh
 * refuse, and so do we.)
 */
int config_file_read(const char *path, const struct config_handlers *handlers, void *userdata);

#endif
