# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What scripts of scenarios use, and a person at the console.

# pid_of GUEST: its QEMU.
pid_of() {
    cat "/run/libvirt/qemu/$1.pid"
}

# tell GUEST STEPS: a line to it (tests/guest/schedule.h), in the background. Its serial port takes a few
# bytes at a time, and what it has not taken goes with the connection: so that stays until the guest says that
# it was told. Fails after a minute.
tell() {
    echo "$2" >>"/lab/told/$1"
    tell_until_heard "$1" "$2" &
}

tell_until_heard() (
    set -o pipefail
    times_told() {
        grep -c ': [0-9]* told ' "/run/lab/$1.log"
    }
    before=$(times_told "$1")
    {
        echo "$2"
        for _ in {1..120}; do
            sleep 0.5
            [ "$(times_told "$1")" -gt "$before" ] && exit
        done
        echo "$1 did not hear: $2" >&2
        exit 1
    } | socat -u - "UNIX-CONNECT:/run/lab/$1"
)
