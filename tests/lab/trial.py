# SPDX-License-Identifier: LGPL-2.1-or-later
"""One run of a scenario with one guard: sets the host up, lets the guests go, watches, and judges."""

import contextlib
import json
import os
import shutil
import subprocess
import time

from host import TOP, Host, HostLost, LabError, run_tool, say
from observation import Observation
from scenario import SETTLE

SCENARIO_EMPTY = """
[scenario]
title=A host without guests
"""

# Limits in seconds; a guest boots in some 12 s, two at once in 20.
SETUP_LIMIT = 60
READY_LIMIT = 600
GROWN_LIMIT = 600
END_LIMIT = 60
PACKAGES_LIMIT = 300
TELL_LIMIT = 300  # longer than `tell` waits for each
# No record for so long means a host that has stopped, not one that is slow.
SILENCE = 30
# What tells of a guest's end has come by then.
LATE = 3

# Once for each host, saved with its guests or not.
GUESTS_SETUP = r"""
set -e
mkdir -p /var/lib/lab
cp /lab/guest/vmlinuz /lab/guest/initramfs /var/lib/lab/
install -d -m 770 -o libvirt-qemu /run/lab /run/plimsoll /run/plimsoll/qmp
"""

# Two at a time, as the emulating host may have no more cores. Now and then a guest dies or hangs in the
# first second of its kernel: nested virtualization under emulation has faults of its own. It is
# started again, as what it says of a guard is nothing.
GUESTS_START = r"""
start_guest() {
    local file=$1 name attempt end
    name=$(basename "$file" .xml)
    for attempt in 1 2 3 4; do
        rm -f "/run/lab/$name.log"
        virsh --quiet create "$file" || return 1
        end=$((SECONDS + 120))
        until grep -q ' ready ' "/run/lab/$name.log"; do
            [ -e "/run/libvirt/qemu/$name.pid" ] || continue 2
            [ $SECONDS -lt $end ] || { virsh --quiet destroy "$name" && continue 2; }
            sleep 0.2
        done
        return 0
    done
    echo "$name dies or hangs at start, each time"
    return 1
}
export -f start_guest
shopt -s nullglob # a host without guests has no file
missing() {
    for file in /lab/domains/*.xml; do
        [ -e "/run/libvirt/qemu/$(basename "$file" .xml).pid" ] || echo "$file"
    done
}
# One that has come up can die while the next do.
for round in 1 2 3; do
    missing | xargs -r -P 2 -I {} bash -c 'start_guest {}'
done
[ -z "$(missing)" ]
"""

# How fast guests take what they are told to have from boot on says nothing of a guard.
GUEST_GROWN = r"""
until [ "$(grep -c ' done ' /run/lab/{name}.log)" -ge {steps} ]; do sleep 0.2; done
"""

# What is told in the background was heard.
HEARD = """
for job in $(jobs -p); do wait "$job" || exit 1; done
"""

# Saved at rest: no processor of theirs is in the middle of anything.
GUESTS_SUSPEND = r"""
virsh list --name | xargs -r -n 1 virsh --quiet suspend
[ "$(virsh list --name --state-paused | grep -c .)" = "$(ls /lab/domains | wc -l)" ]
"""
GUESTS_RESUME = "virsh list --name | xargs -r -n 1 virsh --quiet resume\n"

# What `meson install` leaves to the operator.
INSTALLED = r"""
systemd-sysusers
systemd-tmpfiles --create lab.conf plimsoll.conf
mkdir -p /etc/plimsoll
cp /lab/plimsoll.conf /etc/plimsoll/plimsoll.conf
systemctl daemon-reload
"""

SETUP = r"""
# All of the log to the host of this host as it comes, past the disk: a run can die at any moment.
echo '*.* action(type="omfile" file="/dev/virtio-ports/lab.syslog" template="RSYSLOG_FileFormat" flushOnTXEnd="on")' >/etc/rsyslog.d/lab.conf
systemctl restart rsyslog
systemd-run --quiet --unit=lab-recorder --slice=-.slice -p OOMScoreAdjust=-1000 /usr/libexec/recorder /dev/virtio-ports/lab.record
echo $(date +%s.%N) $(cut -d ' ' -f 1 /proc/uptime)
"""

# Those that a step starts.
DEFINE = r"""
set -e
shopt -s nullglob
for file in /lab/defined/*.xml; do virsh --quiet define "$file"; done
"""

# libvirtd looks for hooks when it starts and when it is told to, and not between.
HOOK_SETUP = "systemctl reload libvirtd\n"

# The share itself would block QEMU's main loop on each line.
FOLLOW = r"""
shopt -s nullglob
for file in /lab/domains/*.xml /lab/defined/*.xml; do
    name=$(basename "$file" .xml)
    tail -q -n +1 -F "/run/lab/$name.log" >"/lab/serial/$name" 2>/dev/null &
done
"""

START_GUARD = {
    "none": "true",
    "plimsoll": "plimsoll check-config /etc/plimsoll/plimsoll.conf && systemctl start plimsolld",
    "earlyoom": "systemctl unmask earlyoom && systemctl start earlyoom",
    # For all guests together, as systemd's own units have it for users: 50 % for 20 s.
    # It takes leaves and what has memory.oom.group, and libvirt's leaves have no memory of their own.
    "systemd-oomd": "systemctl unmask systemd-oomd.socket systemd-oomd.service"
    " && systemctl start systemd-oomd && systemctl set-property --runtime machine.slice"
    " ManagedOOMMemoryPressure=kill ManagedOOMMemoryPressureLimit=50%"
    r" && for scope in /sys/fs/cgroup/machine.slice/machine-qemu*.scope; do"
    r" echo 1 >$scope/memory.oom.group; done",
}
# They start it.
START_PACKAGES = "dpkg --install /lab/packages/plimsoll_*.deb /lab/packages/plimsoll-libvirt_*.deb"
# The units of those that keep no record of themselves.
UNITS = {"earlyoom": "earlyoom", "systemd-oomd": "systemd-oomd"}

AT_THE_END = r"""
plimsoll --json status >/lab/status.json 2>/lab/status.err
timeout 30 virsh list --all | sed -n '1,2d; s/^ *[^ ]* *\([^ ]*\) */\1 /p'
journalctl -o short-monotonic >/lab/journal 2>&1
mkdir -p /lab/qemu && cp /var/log/libvirt/qemu/*.log /lab/qemu/
# Nobody but Plimsoll keeps a record of its own.
mkdir -p /lab/record && cp /var/log/plimsoll/* /lab/record/ 2>/dev/null || true
"""


def build_make(folder):
    """Builds what is to be tried; FOLDER: meson's."""
    log = os.path.join(TOP, "build", "lab-build.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "ab") as file:
        if not os.path.exists(os.path.join(folder, "build.ninja")):
            subprocess.run(["meson", "setup", folder, TOP], stdout=file, stderr=file, check=True)
        done = subprocess.run(["ninja", "-C", folder], stdout=file, stderr=file, check=False)
    if done.returncode != 0:
        raise LabError(f"the build failed; see {log}")


def packages_make(folder):
    """The Debian packages, into FOLDER. What they would be tested with is tested elsewhere."""
    done = subprocess.run(
        [os.path.join(TOP, "packaging", "build-deb"), folder],
        env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck", "DEB_BUILD_PROFILES": "nocheck"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError("the packages cannot be built:\n" + (done.stdout + done.stderr)[-2000:])


class Trial:
    """FOLDER is emptied, and keeps all that the run leaves."""

    def __init__(self, scenario, guard, build, folder):
        self.scenario = scenario
        self.guard = guard
        self.build = build
        self.folder = folder
        self.share = os.path.join(folder, "share")
        self.host = None
        self.guest_files = None  # kernel and initramfs
        self.seen = None
        self.failure = None  # why it could not be done at all
        # Without the guard nobody takes his time to try again.
        self.settle = scenario.settle if guard == "plimsoll" else min(scenario.settle, SETTLE)
        self.asked_at = float("-inf")  # when what the scenario waits for was last not there
        self.rested = False  # it came to its end before its limit
        self.guard_began = False
        self.spoiled_at = None  # a guest was first seen to be gone by itself
        self.pending = [it for it in scenario.steps if it.guard in (None, guard)]
        self.lines = []  # (held, words, what was seen)
        self.void = None  # why the run proves nothing
        self.silent = None  # how the host was lost
        self.unit_state = None  # of who is in the guard's place, at the end

    # ---- before ----

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("guest", "domains", "defined", "serial", "told"):
            os.makedirs(os.path.join(self.share, name))
        kernel, initramfs = self.guest_files = run_tool(os.path.join(TOP, "tests", "guest", "build"))
        shutil.copy(kernel, os.path.join(self.share, "guest", "vmlinuz"))
        shutil.copy(initramfs, os.path.join(self.share, "guest", "initramfs"))
        install = os.path.join(self.share, "install")
        if self.scenario.packages:
            packages_make(os.path.join(self.share, "packages"))
        else:
            subprocess.run(
                ["meson", "install", "-C", self.build, "--no-rebuild", "--quiet", "--destdir", install],
                stdout=subprocess.DEVNULL,
                check=True,
            )
        if not self.scenario.hook:
            # A libvirtd that is restarted would find it.
            shutil.rmtree(os.path.join(install, "etc", "libvirt"), ignore_errors=True)
        libexec = os.path.join(install, "usr", "libexec")
        os.makedirs(libexec, exist_ok=True)
        shutil.copy(os.path.join(self.build, "tests", "lab", "recorder"), libexec)
        for guest in self.scenario.guests:
            self.write(f"{'domains' if guest.start else 'defined'}/{guest.name}.xml", guest.xml())
        self.write("plimsoll.conf", self.scenario.configuration)

    def write(self, name, text):
        with open(os.path.join(self.share, name), "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def guests_key(self):
        """All that decides what a saved host with these guests is; None where it cannot be saved: a
        passed-through device's state is lost, and what ran before them is part of the run."""
        guests = self.started
        if not guests or self.scenario.before_guests or any(it.vfio for it in guests):
            return None
        scripts = [GUESTS_SETUP, GUESTS_START, GUESTS_SUSPEND, *self.grown]
        return "\n".join([*self.guest_files, *scripts, *(it.xml() for it in guests)])

    @property
    def started(self):
        """Those that are there before the guard is."""
        return [it for it in self.scenario.guests if it.start]

    @property
    def grown(self):
        """Scripts that wait until the guests have done what they were told to do from boot on."""
        return [
            GUEST_GROWN.format(name=it.name, steps=len(it.boot.split(",")))
            for it in self.started
            if it.boot
        ]

    def start_guests(self, host):
        """Until each has said that it is ready; on any host, as one is saved with them."""
        host.script(GUESTS_SETUP + GUESTS_START, READY_LIMIT)
        for wait in self.grown:
            host.script(wait, GROWN_LIMIT)

    def save_guests(self, host):
        for name in ("guest", "domains"):
            shutil.copytree(os.path.join(self.share, name), os.path.join(host.share, name))
        self.start_guests(host)
        host.script(GUESTS_SUSPEND)

    def set_up(self):
        self.host.script("mkdir -p /lab/serial /lab/told\n" + self.scenario.before_guests, SETUP_LIMIT)
        if self.host.has_guests:
            self.host.script(GUESTS_RESUME)
        else:
            self.start_guests(self.host)
        setup = "set -e\ncp -a /lab/install/. /\n" + ("" if self.scenario.packages else INSTALLED) + SETUP
        clock = self.script(setup, SETUP_LIMIT).split()
        self.seen = Observation(
            self.folder, self.scenario.guests, float(clock[-2]) - float(clock[-1])
        )
        self.script(FOLLOW)
        self.script(DEFINE + (HOOK_SETUP if self.scenario.hook else ""), SETUP_LIMIT)
        if self.scenario.before:
            self.script("set -e\n" + self.scenario.before, SETUP_LIMIT)
        self.guard_began = True
        start = START_PACKAGES if self.scenario.packages else START_GUARD[self.guard]
        self.script(start, PACKAGES_LIMIT if self.scenario.packages else SETUP_LIMIT)
        self.await_ready()

    def await_ready(self):
        end = time.monotonic() + READY_LIMIT
        guests = {it.name for it in self.started}
        while not guests <= self.seen.ready:
            if time.monotonic() > end:
                late = ", ".join(sorted(guests - self.seen.ready))
                raise LabError(f"not ready within {READY_LIMIT} s: {late}")
            time.sleep(0.2)
            self.seen.look()

    def script(self, text, limit=END_LIMIT, check=True):
        return self.host.script(". /etc/profile.d/lab.sh\n" + text, limit, check)

    # ---- the run ----

    def go(self):
        tells = [f"tell {it.name} '{it.schedule}'" for it in self.scenario.guests if it.schedule]
        for guest in self.scenario.guests:
            self.seen.add_order(guest.name, guest.boot)
        self.seen.look()
        self.seen.began = self.seen.now
        self.script("\n".join(tells) + HEARD, TELL_LIMIT)

    def watch(self, end):
        """Until the host has come to rest, or END."""
        heard, last = time.monotonic(), 0
        while time.monotonic() < end:
            time.sleep(0.2)
            self.seen.look()
            if self.host.process.poll() is not None:
                raise HostLost(self.host.last_words() or "the emulated host ended")
            if self.seen.now != last:
                heard, last = time.monotonic(), self.seen.now
            elif time.monotonic() - heard > SILENCE:
                raise HostLost(f"the host was silent for {SILENCE} s")
            self.take_steps()
            if self.spoiled():
                return
            if not self.pending and min(self.seen.rested, self.seen.now - self.asked_at) >= self.settle:
                # One that thrashes stands still, too, until the kernel's OOM killer makes up its mind.
                if not self.seen.pressed_now:
                    self.rested = True
                    return

    @property
    def guests_must_live(self):
        """Nobody of whom we know nothing kills them."""
        return self.guard == "plimsoll" or (self.guard == "none" and not self.scenario.guests_die)

    def spoiled(self):
        """Somebody is gone through nobody's doing, and no line that says whose is still on its way."""
        if not self.guests_must_live or not self.seen.died_alone:
            self.spoiled_at = None
            return False
        self.spoiled_at = self.spoiled_at or self.seen.now
        return self.seen.now - self.spoiled_at > LATE

    def watch_to_the_end(self):
        """The guard may act, on a guest's back-off say, while the state at the end is asked for: then that
        was not the end. Nor was it while the guard has yet to do what the scenario waits for: its back-offs
        may be longer than any rest. That the asking itself fills the host is true, and nothing of the scenario's."""
        end = time.monotonic() + self.scenario.limit
        while True:
            self.rested = False
            self.watch(end)
            before = len(self.seen.events)
            self.conclude()
            self.seen.forget(before, reason="leak-outside")
            if self.silent or self.spoiled_at or time.monotonic() >= end:
                return
            waits = self.guard == "plimsoll" and not self.seen.holds_yet(self.scenario.until)
            if len(self.seen.events) == before and not waits:
                return
            self.asked_at = self.seen.now if waits else self.asked_at
            self.seen.states = {}  # from now on the guard's lines tell again who is stopped

    def take_steps(self):
        for step in list(self.pending):
            if self.seen.holds_yet(step.when):
                self.pending.remove(step)
                self.seen.outputs[step.name] = ""
                self.note(step.name, step.script)
                self.seen.outputs[step.name] = self.script(step.script + HEARD, TELL_LIMIT)

    def note(self, name, script):
        self.seen.steps.append((self.seen.now, name, script))
        say(f"   {self.seen.since:4.0f} s  {name}")

    def conclude(self):
        try:
            states = self.script(AT_THE_END, END_LIMIT)
        except HostLost as error:
            self.silent = str(error).split("\n", maxsplit=1)[0]
            states = ""
        if self.guard in UNITS and not self.silent:
            self.unit_state = self.script(f"systemctl is-active {UNITS[self.guard]} || true").strip()
        self.seen.look()
        self.seen.status = None
        self.seen.states = dict(line.split(" ", 1) for line in states.splitlines() if " " in line)
        try:
            with open(os.path.join(self.share, "status.json"), encoding="utf-8") as file:
                self.seen.status = json.load(file)
        except (OSError, ValueError):
            pass  # no guard, or none that answers

    # ---- after ----

    def fault_of_the_host(self):
        """What the emulated host's own faults did, or None. Silence alone is none: a host that thrashes to
        death is silent, too."""
        words = self.host.last_words() if self.host and self.host.process_began else None
        if self.seen and self.seen.locked_up:
            words = "the emulated host locked a processor up: " + self.seen.locked_up[0][1]
        if self.guard != "plimsoll" or not self.guard_began:
            words = words or self.silent
        return None if self.is_own_fault(words) else words

    def is_own_fault(self, words):
        """A host on which the kernel had to kill, though the guard was to see to it that it does not, may die
        of it."""
        if self.guard != "plimsoll" or not words or not self.seen:  # lost before anything was to be seen
            return False
        demands = " ".join(expression for expression, _ in self.scenario.holds.get(self.guard, ()))
        return "not kernel_kills" in demands and ("on memory" in words or self.seen.killed_before_lockup)

    def judge(self):
        if self.guard == "plimsoll" and not self.scenario.guard_dies:
            lived = len(self.seen.said(event="start")) == 1 and all(it["guard"] for it in self.seen.during)
            self.lines.append((lived, "the guard lived through it", "" if lived else "it was gone, or began anew"))
        if self.guard == "plimsoll" and self.seen.dropped:
            self.lines.append((False, "the record is whole", f"{self.seen.dropped} lines had no room"))
        if self.guests_must_live:
            alone = ", ".join(sorted(self.seen.died_alone))
            self.lines.append((not alone, "no guest ended by itself", alone))
        if self.guard in UNITS:
            lived = self.unit_state == "active"
            self.lines.append((lived, f"{self.guard} lived through it", "" if lived else str(self.unit_state)))
        counted = self.seen.kills_counted
        told = len(self.seen.kernel_kills)
        if counted != told:
            self.lines.append((False, "the kernel's log is whole", f"{counted} kills counted, {told} told of"))
        self.lines.append((self.rested, "it came to rest", "" if self.rested else f"not within {self.scenario.limit} s"))
        for expression, words in self.scenario.holds.get(self.guard, ()):
            try:
                held = self.seen.holds(expression)
                why = "" if held else f" ({self.seen.seen_of(expression)})"
            except (LookupError, TypeError, ValueError, AttributeError, NameError) as error:
                held, why = False, f" ({error})"
            self.lines.append((held, words, "" if held else f"not so: {expression}{why}"))
        for step in self.pending:
            self.lines.append((False, f"the step {step.name} was taken", f"never so: {step.when}"))

    @property
    def verdict(self):
        if self.void:
            return "void"
        if self.failure:
            return "failed"
        return "passed" if all(held for held, _, _ in self.lines) else "failed"

    @property
    def why_not(self):
        """Why it did not pass, in a line."""
        lines = (f"{words} ({why})" if why else words for held, words, why in self.lines if not held)
        return " ".join((self.void or self.failure or "; ".join(lines)).split())

    @contextlib.contextmanager
    def ready(self):
        """The host, with its guests and its guard, as long as the context lasts."""
        self.prepare()
        key = self.guests_key
        with Host(self.folder, (key, self.save_guests) if key else None) as self.host:
            self.set_up()
            yield self.host

    def run(self):
        """The verdict; everything else is in the folder."""
        try:
            with self.ready():
                self.go()
                self.watch_to_the_end()
            self.judge()
        except HostLost as error:
            self.silent = str(error)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            self.failure = str(error)
        if self.seen:
            self.seen.look()
        self.void = self.fault_of_the_host()
        self.failure = self.failure or self.silent
        return self.verdict

    # ---- what is left ----

    def leave(self, verdict, seconds):
        """run.json and events.jsonl for the timeline, result.json for the table."""
        self.leave_json("run.json", {
            "title": self.scenario.title,
            "guard": self.guard,
            "guests": [
                {"name": it.name, "class": it.kind, "memory": it.memory << 20}
                for it in self.scenario.guests
            ],
            "verdict": verdict,
            "lines": [f"{'held' if held else 'NOT'}: {words}" for held, words, _ in self.lines]
            + [it for it in (self.void, self.failure) if it],
        })
        if self.seen and self.seen.samples:
            self.leave_json("result.json", {"verdict": verdict, "seconds": round(seconds), **self.measures()})
            self.leave_events()

    def leave_json(self, name, value):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")

    def leave_events(self):
        lines = []
        for event in self.seen.events:
            lines.append({"source": "guard", "text": event.get("text", ""), **event})
        for when, name, script in self.seen.steps:
            lines.append({"time": when, "source": "scenario", "vm": None, "event": name, "text": script})
        for when, name, event in self.seen.told_by_guests:
            lines.append({"time": when, "source": "guest", "vm": name, "event": event, "text": event})
        if self.seen.status:
            first = {"time": self.seen.began, "source": "scenario", "event": "begin"}
            lines.append({**first, "text": f"the guests begin; floor={self.seen.floor}"})
        lines.sort(key=lambda line: line["time"])
        with open(os.path.join(self.folder, "events.jsonl"), "w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps({"vm": None, "band": None, "action": None, **line}) + "\n")

    def measures(self):
        seen = self.seen
        kind = {it.name: it.kind for it in self.scenario.guests}
        return {
            "guard": self.guard,
            "kernel_kills": seen.kernel_kills,
            "lost": sorted(seen.lost),
            "lost_by_class": {it: sum(kind[name] == it for name in seen.lost) for it in set(kind.values())},
            "finished": sorted(seen.finished),
            "paused": sorted(seen.paused),
            "intact": sorted(seen.paused & seen.intact),
            "least_available": seen.least_available,
            "psi_peak": seen.psi_peak,
            "pressed": seen.pressed,
        }
