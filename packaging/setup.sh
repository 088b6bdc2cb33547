# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What tests/run and quickstart share, to be sourced by bash: words to the user, packages, builds.
# It sets `top` to the folder of meson.build.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One line to the user, apart from what programs print.
say() {
    printf '== %s\n' "$*"
}

complain() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# ---- rights ----

# Runs a command as root, through sudo where we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        complain "this needs root: run it as root, or install sudo"
        return 1
    fi
}

# ---- packages ----

# packages_of GROUP…: the names in those groups of packaging/packages.
packages_of() {
    local group name wanted
    while read -r group name; do
        for wanted in "$@"; do
            if [ "$group" = "$wanted" ]; then
                echo "$name"
            fi
        done
    done <"$top/packaging/packages"
}

# Of the packages named on standard input, those not installed.
packages_missing() {
    local name
    while read -r name; do
        # shellcheck disable=SC2016 # the field is dpkg-query's, not the shell's
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            echo "$name"
        fi
    done
}

# One short line for each package that apt unpacks or sets up, out of apt's own four or five.
packages_progress() {
    local line count=0
    while IFS= read -r line; do
        case $line in
        "Setting up "*)
            count=$((count + 1))
            line=${line#Setting up }
            printf '   set up %3d  %s\n' "$count" "${line%% *}"
            ;;
        "Need to get "* | "After this operation"* | [EW]:* | Err:*)
            printf '   %s\n' "$line"
            ;;
        esac
    done
}

# Apt waits a minute for another package manager to finish, and asks nothing. A subshell, so that
# pipefail stays inside.
apt_run() (
    set -o pipefail
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        apt-get -y -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0 "$@" </dev/null 2>&1 |
        packages_progress
)

# Of our packages those with a service of the same name, which no test needs and nobody has asked for.
packages_quiet=(prometheus)

# services_hold PACKAGE…: has the services of those that are named, and are to be quiet, not started when
# they are installed. services_release: … and lets people start them again, which they have to do themselves.
services_hold() {
    local name wanted
    held=()
    for name in "${packages_quiet[@]}"; do
        for wanted; do
            if [ "$name" = "$wanted" ]; then
                held+=("$name.service")
            fi
        done
    done
    if [ ${#held[@]} -gt 0 ] && [ -d /run/systemd/system ]; then
        as_root systemctl --quiet --runtime mask "${held[@]}"
    fi
}
services_release() {
    if [ ${#held[@]} -gt 0 ] && [ -d /run/systemd/system ]; then
        as_root systemctl --quiet --runtime unmask "${held[@]}"
    fi
    # Their packages enable them for the next boot, whether systemd runs now or not.
    if [ ${#held[@]} -gt 0 ] && command -v systemctl >/dev/null; then
        as_root systemctl --quiet --root=/ disable "${held[@]}"
    fi
}

# packages_add PACKAGE…: installs them.
packages_add() {
    local held status
    services_hold "$@" || return
    apt_run --no-install-recommends install "$@"
    status=$?
    services_release || return
    return $status
}

# packages_install GROUP…: installs what is missing; no apt call at all if nothing is. A machine
# that was never updated has no package index, and an old one names files that are gone: then it is
# fetched, once.
packages_install() {
    local missing
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        complain "no apt here; assuming that these are installed: $(packages_of "$@" | xargs)"
        return 0
    fi
    mapfile -t missing < <(packages_of "$@" | packages_missing)
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    say "installing ${#missing[@]} packages: ${missing[*]}"
    if apt-get -qq --simulate --no-install-recommends install "${missing[@]}" >/dev/null 2>&1 &&
        packages_add "${missing[@]}"; then
        return 0
    fi
    say "the package index is missing or old: fetching it"
    apt_run update && packages_add "${missing[@]}"
}

# packages_index NAME: sees to it that apt knows that package, which is to be looked at or downloaded.
packages_index() {
    if command -v apt-cache >/dev/null && [ -z "$(apt-cache show "$1" 2>/dev/null)" ]; then
        say "fetching the package index"
        apt_run update
    fi
}

# ---- builds ----

# build_configure FOLDER MESON-OPTION…: sets the build up, or brings an older one to these options.
build_configure() {
    local folder=$1
    shift
    if [ -f "$folder/meson-private/coredata.dat" ]; then
        meson setup --reconfigure "$folder" "$top" "$@" || meson setup --wipe "$folder" "$top" "$@"
    else
        meson setup "$folder" "$top" "$@"
    fi
}
