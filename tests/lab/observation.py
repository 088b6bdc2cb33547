# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is seen of a run: read piece by piece from what the host writes while it runs, and asked by the
steps and the expectations of a scenario.

Times are seconds of the host's monotonic clock. Nothing here is taken from the guard's word alone where the
recorder or a guest says it too: whether a guest has finished, its serial line tells; whether it
is gone, the list of processes; what the kernel killed, the kernel's log.
"""

import ast
import datetime
import fnmatch
import json
import os
import re

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30

# More by which a guest's memory may move without its doing anything (QEMU's own).
STILL = 2 * MiB
HOST_STILL = 16 * MiB  # likewise, what is available on the host

# Pressure, for runs with and without a guard alike, in words of the kernel's alone: it begins when
# this part of memory is left, and is over when nobody waits for memory (stalled for this part of the
# last ten seconds, in per cent) and what is left has come to rest.
PRESSED_AVAILABLE = 0.15
PRESSED_PSI = 5.0

# policy/tuning.h
HORIZON = 10
QEMU_OVERHEAD, QEMU_OVERHEAD_DIVISOR = 64 * MiB, 32
# Longer values are cut where a failure is told of.
VALUE_SHOWN = 200
# Samples over which the speed of swap is taken: one alone may be a moment's.
SWAP_SPAN = 5
LOCKED_UP = re.compile(r"BUG: soft lockup|hard LOCKUP")
KILLED = re.compile(r"(?:Out of memory|Memory cgroup out of memory): Killed process (\d+) \(([^)]*)\)")
SYSLOG = re.compile(r"^(\S+) \S+ ([^:\[\s]+)(?:\[\d+\])?: ?(.*)$")
# Who speaks for it; the hook does where the guard itself does not answer.
GUARD = ("plimsolld", "plimsoll-hook")
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Tail:
    """The complete lines that a growing file has got since the last look."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def lines(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        return data[:end].decode(errors="replace").split("\n")[:-1]


def fields_of(text):
    """key=value … of the guard's lines; a quoted value without its quotes."""
    return {key: value.strip('"') for key, value in FIELD.findall(text)}


class Observation:
    """FOLDER: the run's; GUESTS: the scenario's, in its order; CLOCK: what the host's real-time clock is
    ahead of its monotonic one, in seconds."""

    def __init__(self, folder, guests, clock):
        self.by_name = {guest.name: guest for guest in guests}
        self.guests = frozenset(self.by_name)
        self.absent = {guest.name for guest in guests if not guest.start}  # until a step starts them
        self.moves = {guest.name: guest.moves_to for guest in guests if guest.moves_to}
        self.clock = clock
        self.record = Tail(os.path.join(folder, "record.jsonl"))
        self.syslog = Tail(os.path.join(folder, "syslog"))
        self.serial = {
            name: Tail(os.path.join(folder, "share", "serial", name)) for name in self.by_name
        }
        self.samples = []
        self.dropped = 0  # lines of the record that had no room
        self.kernel = []  # (time, text)
        self.events = []  # the guard's lines: fields, and "time"
        self.log = []  # everybody's: (time, who, text)
        self.orders = {
            name: Tail(os.path.join(folder, "share", "told", name)) for name in self.by_name
        }
        self.told = dict.fromkeys(self.by_name, 0)  # steps of growth told to it
        self.ready, self.left = set(), set()
        self.wanted = dict.fromkeys(self.by_name, 0)  # bytes of growth told to it
        self.done = dict.fromkeys(self.by_name, 0)  # steps of growth it has done
        self.held = dict.fromkeys(self.by_name, 0)
        self.changed = {}  # name: pages that are not as it filled them, by its own last check
        self.told_by_guests = []  # (time, name, event), at the time it was read
        self.pids = {}  # pid: name, also of those that are gone
        self.moved = {}  # name, or None for the host: when its memory last moved, and how much it was
        self.began = None  # when the guests were told to begin
        self.status = None  # `plimsoll status --json` at the end
        self.states = {}  # name: state by libvirt, at the end
        self.steps = []  # (time, name, script) of those taken
        self.outputs = {}  # name of such a step: what its script printed

    # ---- reading ----

    def look(self):
        for line in self.record.lines():
            self.add_record(line)
        for line in self.syslog.lines():
            self.add_syslog(line)
        for name, tail in self.serial.items():
            for line in tail.lines():
                self.add_serial(name, line)
            for line in self.orders[name].lines():
                self.add_order(name, line)

    def add_record(self, line):
        try:
            entry = json.loads(line)
        except ValueError:
            return  # the saved host's last line was cut
        self.dropped += entry.get("dropped", 0)
        if entry["kind"] == "kernel":
            self.kernel.append((entry["time"], entry["text"]))
            return
        self.samples.append(entry)
        for vm in entry["vms"]:
            self.pids[vm["pid"]] = vm["name"]
            self.absent.discard(vm["name"])
            self.move(vm["name"], entry["time"], vm["rss"] + vm["swap"], STILL)
        self.move(None, entry["time"], entry["memory"]["available"], HOST_STILL)

    def move(self, name, time, size, still):
        before = self.moved.get(name)
        if not before or abs(before[1] - size) > still:
            self.moved[name] = (time, size)

    def add_syslog(self, line):
        match = SYSLOG.match(line)
        if not match:
            return
        stamp, who, text = match.groups()
        time = seconds_of(stamp) - self.clock
        self.log.append((time, who, text))
        if who in GUARD and text.startswith("event="):
            self.events.append({**fields_of(text), "time": time})

    def add_order(self, name, line):
        """Steps that it was told; sizes are in M there."""
        sizes = re.findall(r"grow:(\d+)M", line)
        self.told[name] += len(sizes)
        self.wanted[name] += sum(map(int, sizes)) * MiB

    def add_serial(self, name, line):
        match = re.search(r"plimsoll-guest: \d+ (\w+)(.*)", line)
        if not match:
            return
        event, fields = match.group(1), fields_of(match.group(2))
        if event == "ready":
            self.ready.add(name)
        elif event == "done" and fields.get("step") == "grow":
            self.done[name] += 1
            if self.done[name] == self.told[name]:
                self.told_by_guests.append((self.now, name, "finished"))
        elif event == "checked":
            self.changed[name] = int(fields["changed"])
        elif event == "begin" and fields.get("step") == "poweroff":
            self.left.add(name)
        if "held" in fields:
            self.held[name] = int(fields["held"])

    # ---- what scenarios ask ----

    @property
    def now(self):
        return self.samples[-1]["time"] if self.samples else 0

    @property
    def since(self):
        """Seconds since the guests were told to begin."""
        return self.now - self.began if self.began is not None else 0

    @property
    def during(self):
        """The samples since then."""
        return [it for it in self.samples if self.began is None or it["time"] > self.began]

    @property
    def last(self):
        return self.samples[-1]

    @property
    def alive(self):
        return {vm["name"] for vm in self.last["vms"]} & self.guests

    @property
    def finished(self):
        """Those that have done all the growth they were told."""
        return {name for name in self.guests if 0 < self.told[name] <= self.done[name]}

    @property
    def lost(self):
        """Those whose QEMU is gone, though they did not power off, nor go on where they are migrated to or from."""
        return self.guests - self.absent - self.alive - self.left - self.going_on

    @property
    def going_on(self):
        """Those whose guest is there in the other of the two places that it moves between."""
        places = [*self.moves.items(), *((there, here) for here, there in self.moves.items())]
        return {here for here, there in places if there in self.alive}

    @property
    def kernel_kills(self):
        """Whom the kernel's OOM killer took: guests by name, others by their command, in order."""
        kills = []
        for _, text in self.kernel:
            match = KILLED.search(text)
            if match:
                kills.append(self.pids.get(int(match.group(1)), match.group(2)))
        return kills

    @property
    def kills_counted(self):
        """The same by the kernel's own counter."""
        return self.samples[-1]["oom_kill"] - self.samples[0]["oom_kill"] if self.samples else 0

    def said(self, **wanted):
        """The guard's lines that have these keys with these values; a value may be a pattern."""
        return [
            event
            for event in self.events
            if all(key in event and fnmatch.fnmatchcase(event[key], value) for key, value in wanted.items())
        ]

    def forget(self, since, **wanted):
        """Of the guard's lines from number SINCE on those that said() would find."""
        found = self.said(**wanted)
        self.events[since:] = [event for event in self.events[since:] if event not in found]

    def did(self, action, **wanted):
        """The guests to which the guard did this, without failure."""
        return {
            event["vm"]
            for event in self.said(event="action", action=action, **wanted)
            if "failed" not in event and event.get("mode") == "enforce"
        }

    @property
    def killed(self):
        return self.did("kill")

    @property
    def paused(self):
        """Those that are stopped or frozen now: by libvirt at the end of a run, else by the guard's lines."""
        if self.states:
            frozen = {vm["name"] for vm in self.vms if vm["state"] in ("paused", "frozen")}
            return ({it for it in self.states if self.states[it] == "paused"} | frozen) & self.alive
        stopped = set()
        for event in self.said(event="action", mode="enforce"):
            if event["action"] in ("pause", "freeze"):
                stopped.add(event["vm"])
            elif event["action"] in ("resume", "thaw"):
                stopped.discard(event["vm"])
        return stopped & self.alive

    @property
    def band(self):
        bands = self.said(event="band")
        return bands[-1]["band"] if bands else "calm"

    @property
    def bands(self):
        return {event["band"] for event in self.said(event="band")}

    @property
    def vms(self):
        return self.status["vms"] if self.status else []

    def vm(self, name):
        """That guest in the guard's status at the end."""
        for vm in self.vms:
            if vm["name"] == name:
                return vm
        raise LookupError(f"the guard does not know {name}")

    def rss(self, name):
        """Its resident memory at the end, 0 if it is gone."""
        return sum(vm["rss"] + vm["swap"] for vm in self.last["vms"] if vm["name"] == name)

    @property
    def intact(self):
        """Those whose QEMU still holds all that the guest says it holds."""
        return {name for name in self.alive if self.rss(name) >= self.held[name]}

    def missing(self, name):
        """What it has yet to grow by."""
        return self.wanted[name] - self.held[name]

    @property
    def floor(self):
        if not self.status:
            raise LookupError("the guard gave no status at the end")
        return self.status["host"]["floor"]

    @property
    def least_available(self):
        return min((it["memory"]["least"] for it in self.during), default=None)

    @property
    def swap_rate(self):
        """The fastest that swap was seen to fill, in bytes a second."""
        free = [(it["time"], it["memory"]["swap_free"]) for it in self.during]
        spans = zip(free, free[SWAP_SPAN:])
        return max((0, *((before - after) / (end - begin) for (begin, before), (end, after) in spans)))

    @property
    def would_fit(self):
        """All that each of the paused can ever take, of those for which there is room above the floor: where
        nobody else grows or starves (policy/resume.c) none of them stays paused, if only after minutes."""
        overhead = 1 + 1 / QEMU_OVERHEAD_DIVISOR
        left = {
            vm["name"]: int(vm["maximum"] * overhead) + QEMU_OVERHEAD - vm["rss"]
            for vm in self.vms
            if vm["name"] in self.paused
        }
        return {name: size for name, size in left.items() if size <= self.last_headroom}

    @property
    def least_headroom(self):
        """As the guard reckons: free swap counts as far as it can be filled within the horizon."""
        filled = self.swap_rate * HORIZON
        return min(it["memory"]["least"] + min(it["memory"]["swap_free"], filled) for it in self.during) - self.floor

    @property
    def last_headroom(self):
        return self.last["memory"]["available"] - self.floor

    @property
    def psi_peak(self):
        return max((it["psi"]["some"] for it in self.during), default=None)

    @property
    def pressed(self):
        """Seconds from the first pressure to calm; 0: there was none, None: it was not over."""
        begin = [
            it["time"]
            for it in self.during
            if it["memory"]["available"] < PRESSED_AVAILABLE * it["memory"]["total"]
        ]
        if not begin:
            return 0
        if self.pressed_now:
            return None
        stalls = [it["time"] for it in self.during if it["psi"]["some"] > PRESSED_PSI]
        return round(max([begin[0], self.moved[None][0], *stalls]) - begin[0], 1)

    @property
    def died_alone(self):
        """Whose QEMU is gone though neither the kernel killed it, nor the guard in any of its ways."""
        return self.lost - set(self.kernel_kills) - self.killed - self.did("save") - self.did("shutdown")

    @property
    def pressed_now(self):
        return self.last["psi"]["some"] > PRESSED_PSI

    @property
    def locked_up(self):
        """(time, text) of what the kernel said of it."""
        return [line for line in self.kernel if LOCKED_UP.search(line[1])]

    @property
    def killed_before_lockup(self):
        end = self.locked_up[0][0] if self.locked_up else self.now
        return any(time <= end and KILLED.search(text) for time, text in self.kernel)

    def of(self, pattern):
        """The guests whose name is like that."""
        return {name for name in self.guests if fnmatch.fnmatchcase(name, pattern)}

    @property
    def rested(self):
        """Seconds since anything happened: the host's memory moved or that of a guest which has not finished,
        the guard did or said something new, a step was taken. What has finished may come back from swap for
        minutes, and nothing follows from that. Nor from what a stopped guest seems to take, for as long as the
        host has no less: khugepaged fills the holes that a balloon has left, at a megabyte a second, and the
        order of victims follows the sizes."""
        waited_for = self.alive - self.finished - self.paused
        times = [self.moved[name][0] for name in (None, *waited_for) if name in self.moved]
        times += [event["time"] for event in self.events if event.get("action") != "oom-score"][-1:]
        times += [time for time, _, _ in self.steps[-1:]]
        times += [self.began] if self.began is not None else []
        return self.now - max(times, default=self.now)

    # ---- expressions ----

    def still(self, name, seconds):
        """Whether the guest's memory has stood still for so long."""
        return self.now - self.moved[name][0] >= seconds

    def resumed(self, name, time):
        """When the guard first let it go on after TIME, or infinity."""
        times = [it["time"] for it in self.said(event="action", action="resume", vm=name) if it["time"] > time]
        return min(times, default=float("inf"))

    def grew(self, name, time, end=float("inf")):
        """By how much more its memory was at any time until END than at TIME."""
        sizes = [
            (it["time"], vm["rss"] + vm["swap"])
            for it in self.samples
            for vm in it["vms"]
            if vm["name"] == name
        ]
        before = [size for when, size in sizes if when <= time]
        return max((size for when, size in sizes if time < when <= end), default=before[-1]) - before[-1]

    def holds(self, expression):
        """Whether EXPRESSION is true."""
        return bool(eval(expression, LazyNames(self)))  # the project's own scenario files

    def seen_of(self, expression):
        """In words, what that asks for was: a failure that nobody can see again is told of."""
        known = set(vars(self)) | {name for name in dir(type(self)) if isinstance(getattr(type(self), name), property)}
        used = {node.id for node in ast.walk(ast.parse(expression, mode="eval")) if isinstance(node, ast.Name)}
        values = ((name, str(getattr(self, name))) for name in sorted(used & known))
        return ", ".join(f"{name}={value[:VALUE_SHOWN]}{'…' * (len(value) > VALUE_SHOWN)}" for name, value in values)

    def holds_yet(self, expression):
        """Likewise; what cannot be asked yet is not."""
        try:
            return self.holds(expression)
        except (LookupError, TypeError, ValueError):
            return False


class LazyNames(dict):
    """Looks a name up on the observation when an expression uses it."""

    SIZES = {"KiB": KiB, "MiB": MiB, "GiB": GiB}

    def __init__(self, observation):
        super().__init__()
        self.observation = observation

    def __missing__(self, name):
        if name in self.SIZES:
            return self.SIZES[name]
        if name.startswith("_") or not hasattr(type(self.observation), name) and (
            name not in vars(self.observation)
        ):
            raise KeyError(name)
        return getattr(self.observation, name)


def seconds_of(stamp):
    """Seconds since the epoch, of a time as rsyslog writes it."""
    return datetime.datetime.fromisoformat(stamp).timestamp()
