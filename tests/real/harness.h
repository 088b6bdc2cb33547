/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all tests on real guests share: a world of their own, children that cannot outlive it, and
 * waits with limits.
 *
 * A test program runs in a PID namespace and a mount namespace of its own. So the guard it starts
 * finds only the guests of this test in /proc, never another QEMU of the machine (which, in enforce
 * mode, it might kill), and nothing outlives the program however it ends. This needs root; without
 * it the program is skipped aloud.
 *
 * Environment (meson sets what it knows):
 *   PLIMSOLL_GUEST_BUILD      the script that makes kernel and initramfs
 *   PLIMSOLL_KERNEL, PLIMSOLL_INITRAMFS  take these instead
 *   PLIMSOLL_DAEMON, PLIMSOLL_COMMAND    plimsolld and plimsoll
 *   PLIMSOLL_PROBE_DIRECTORY  where it is remembered, for this boot, whether KVM works
 *   PLIMSOLL_ACCEL            "kvm" or "tcg": believe this and do not try
 *   PLIMSOLL_QEMU             the emulator, else qemu-system-x86_64 of the PATH
 *
 * Every function here and in the headers beside it fails the running test when it cannot do what it
 * says; none returns an error, unless it says so.
 */
#ifndef PLIMSOLL_TESTS_REAL_HARNESS_H
#define PLIMSOLL_TESTS_REAL_HARNESS_H

#include <check.h>
#include <plimsoll/units.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HARNESS_PATH_MAX 256

enum harness_need {
    HARNESS_NEED_GUARD = 1 << 0, /* plimsolld and plimsoll are there */
};

/* main() of every program here: runs SUITE in its own world. Returns the exit code. */
int harness_run(Suite *(*suite)(void), unsigned needs);

/* CLOCK_MONOTONIC, ns. */
uint64_t harness_now(void);
/* Waits for the next look at something that gives no event: 50 ms. False once DEADLINE passed. */
bool harness_look_again(uint64_t deadline);

/* A folder of this program's own, removed after it. */
const char *harness_directory(void);

/* Where the cgroup v2 tree is mounted and can be written by us, with a group of our own in it, or
 * NULL, and then why is said on stderr. */
const char *harness_cgroup(void);

/* A child process of the test. */
struct child {
    pid_t pid; /* 0: none */
    int pidfd; /* -1: none */
};
#define CHILD_NONE ((struct child){.pid = 0, .pidfd = -1})

/* Runs ARGV with these three descriptors (-1: /dev/null), which it does not close. The child dies
 * with the test, and has no transparent huge pages: its RSS then follows its guest page by page. */
void child_start(struct child *child, const char *const argv[], int in, int out, int error);
/* SIGKILL and wait; nothing for none. */
void child_kill(struct child *child);
void child_signal(const struct child *child, int signal);
/* Waits for its end: the exit status, or 128 + the signal that ended it. */
int child_wait(struct child *child, uint64_t limit);
/* True while it has not ended (as a zombie it has). */
bool child_alive(const struct child *child);
/* How it is, in words: alive, or its exit status, or the signal that ended it. */
void child_describe(const struct child *child, char *text, size_t size);

#endif
