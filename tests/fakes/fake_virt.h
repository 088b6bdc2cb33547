/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plimsoll-virt of the tests: the test program itself, started anew as its own child by the name
 * of FAKE_VIRT_PROGRAM. It greets and waits; the URI with which it is to begin says how it shall
 * behave.
 */
#ifndef PLIMSOLL_TESTS_FAKE_VIRT_H
#define PLIMSOLL_TESTS_FAKE_VIRT_H

#include <plimsoll/virt.h>
#include <stdbool.h>

/*
 * fake://BEHAVIOUR[,BEHAVIOUR…]/PID/CLASS: the first to begin has the first behaviour, its
 * successor the next, and all later ones the last (where fake_virt_follow() was called;
 * else all have the first). What it says is that one domain, "web" with FAKE_VIRT_UUID, is the
 * running process PID, has FAKE_VIRT_MEMORY and one VFIO device, and carries CLASS, and
 * a minimum that is none. Behaviours:
 *   good       says so, and listens until the guard hangs up
 *   hangs      says so, and stops like a process under SIGSTOP
 *   loses      says so, and that libvirt is lost
 *   undefines  says so, and that it is defined no more
 *   early      says so, and that it asked in a minute from now
 *   dies       says so, and exits with status 3
 *   floods     says so for ever, as fast as it is taken
 *   empty      says that there is no domain
 *   broken     begins a resync, names nothing and exits with status 3
 *   version    speaks in another version
 *   nonsense   says what is no record
 *   rude       greets again
 *   mute       says nothing at all
 *
 * and for its calls, after it has said so:
 *   serves     does what it is called for: its guest of 1 GiB has a balloon and can be paused
 *   spares     likewise, but destroys and saves nobody, and does not say so; nor does its guest
 *              listen when it is asked to shut down
 *   reluctant  likewise serves, but each kind of act is answered with -EAGAIN once
 *   refuses    answers all but looks with -EREMOTEIO
 *   wrong      answers other calls than it was given, then each twice
 *   blank      answers looks without figures
 *   drops      exits with status 3 when it is called
 *   stuck      says that all its workers hang when it is called, and answers nothing
 *   sick       likewise, but refuses to destroy, and says so
 *   answers-itself  sends the call back
 * All others hear calls and answer none.
 * Any other URI is as empty.
 */
#define FAKE_VIRT_UUID                                                                            \
    {                                                                                             \
        0x6d, 0x8b, 0xd8, 0xb8, 0x2a, 0x3c, 0x4d, 0x53, 0x9f, 0x4e, 0x01, 0x23, 0x45, 0x67, 0x89, \
            0xab                                                                                  \
    }
#define FAKE_VIRT_UUID_TEXT "6d8bd8b8-2a3c-4d53-9f4e-0123456789ab"

#define FAKE_VIRT_MEMORY (2 * GIB)

#define FAKE_VIRT_PROGRAM "/proc/self/exe"

/* Of that, in an only virtio-mem device. */
#define FAKE_VIRT_RESIZABLE GIB

/* To be asked first in main(): true, with the program's status, when this is such a child. */
bool fake_virt_main(int argc, char *argv[], int *ret_status);

/*
 * From now on those that are "started" and those that have "begun" are listed in FOLDER. SPARES
 * says how all but the first greet; NULL: as they should.
 *   version    in another version
 *   eager      and say that libvirt is connected
 *   silent     not at all
 */
void fake_virt_follow(const char *folder, const char *spares);
/* How many are on LIST, and the process that was the one after PLACE others; -1: there is none. */
unsigned fake_virt_count(const char *folder, const char *list);
pid_t fake_virt_pid(const char *folder, const char *list, unsigned place);

#endif
