# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What scripts of scenarios use, and a person at the console.

# pid_of GUEST: its QEMU.
pid_of() {
    cat "/run/libvirt/qemu/$1.pid"
}

# tell GUEST STEPS: a line to it (tests/guest/schedule.h). Its serial port takes a few bytes at a time: the
# connection stays until it has read them.
tell() {
    echo "$2" >>"/lab/told/$1"
    (
        echo "$2"
        sleep 4
    ) | socat -u - "UNIX-CONNECT:/run/lab/$1" &
}
