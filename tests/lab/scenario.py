# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scenario: one file that says what the host is, which guests it has and what they do, what is done
to them, and what must hold at the end. INI, read by configparser; the sections:

    [scenario]      title; guards: those it is meant for (of none, plimsoll, earlyoom, systemd-oomd);
                    limit and settle in seconds: it ends when nothing has moved for `settle`
                    (without the guard SETTLE is enough), no step is to come and nobody waits, and has to
                    before `limit`; until: an expression (observation.py) that its end waits for, too;
                    guard-dies=yes: it is meant to, else it has to live through it; guests-die=yes: one is
                    meant to end by itself without the guard; hook=yes: libvirt's hook is installed, too;
                    packages=yes: all of it is, by its Debian packages and with the configuration they bring
    [before]        script: run in the host before the guard starts; guests: before the guests do
    [configuration] text: /etc/plimsoll/plimsoll.conf
    [guest NAME]    memory in MiB; resizable: MiB of virtio-mem beside it, all of it requested; schedule: told to it when all guests are up (tests/guest/schedule.h);
                    boot: its schedule from boot on; type: kvm or qemu; backing: anonymous, memfd or
                    hugetlb; node: the one NUMA node it may use; vfio: yes; reboot: yes: it may,
                    else that is its end; balloon: options of the device; qmp: no: no monitor but libvirt's;
                    count: so many of them, NAME-1 to NAME-N; start: no: it is defined, and a step starts it;
                    moves-to: the name of the same guest where it is migrated to
    [step NAME]     script: run in the host, once; when: an expression on what is seen (observation.py);
                    guard: only with this one
    [holds]         lines: one for each thing that must hold with plimsoll: an expression
                    (observation.py), "--", the same in words; [holds GUARD]: with another
"""

import configparser
import os
import re
from xml.sax.saxutils import escape

from host import GUEST_PROCESSORS, HERE, LabError

GUARDS = ("none", "plimsoll", "earlyoom", "systemd-oomd")
SETTLE = 15

# The guest's kernel, as in tests/real; halting at once keeps a crash from filling memory.
GUEST_LINE = (
    "console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on tsc=reliable no_timer_check"
    " nowatchdog rcupdate.rcu_cpu_stall_suppress=1 transparent_hugepage=never"
)

KEYS = {
    "scenario": {"title", "guards", "limit", "settle", "until", "guard-dies", "guests-die", "hook", "packages"},
    "before": {"script", "guests"},
    "configuration": {"text"},
    "guest": {
        "memory",
        "resizable",
        "schedule",
        "boot",
        "type",
        "backing",
        "node",
        "vfio",
        "reboot",
        "balloon",
        "qmp",
        "count",
        "start",
        "moves-to",
    },
    "step": {"script", "when", "guard"},
    "holds": {"lines"},
}


class Guest:
    """One libvirt domain with a monitor of its own for the guard."""

    def __init__(self, name, section):
        self.name = name
        self.memory = int(section.get("memory", "1024"))
        self.resizable = int(section.get("resizable", "0"))
        self.schedule = section.get("schedule", "")
        self.boot = section.get("boot", "")
        self.type = section.get("type", "kvm")
        self.backing = section.get("backing", "anonymous")
        self.node = section.get("node")
        self.vfio = section.get("vfio", "no") == "yes"
        self.reboot = "restart" if section.get("reboot", "no") == "yes" else "destroy"
        self.balloon = section.get("balloon", "")
        self.qmp = section.get("qmp", "yes") == "yes"
        self.start = section.get("start", "yes") == "yes"
        self.moves_to = section.get("moves-to")

    @property
    def kind(self):
        """What its class is named after: its name without a number."""
        return re.sub(r"-\d+$", "", self.name)

    def memory_xml(self):
        if self.backing == "hugetlb":
            return "<memoryBacking><hugepages/></memoryBacking>"
        if self.backing == "memfd":
            return '<memoryBacking><source type="memfd"/><access mode="shared"/></memoryBacking>'
        return ""

    def cpu_xml(self):
        """libvirt has memory devices only where the memory before them is in a NUMA cell."""
        cell = f'<cell id="0" cpus="0" memory="{self.memory}" unit="MiB"/>'
        mode = 'mode="host-passthrough"' if self.type == "kvm" else ""
        numa = f"<numa>{cell}</numa>" if self.resizable else ""
        return f"<cpu {mode}>{numa}</cpu>" if mode or numa else ""

    def virtio_mem_xml(self):
        if not self.resizable:
            return ""
        size = f'<size unit="MiB">{self.resizable}</size>'
        requested = f'<requested unit="MiB">{self.resizable}</requested>'
        block = '<block unit="MiB">2</block>'
        return f'<memory model="virtio-mem"><target>{size}<node>0</node>{block}{requested}</target></memory>'

    def xml(self):
        """The domain, as `virsh create` and `virsh define` take it."""
        line = GUEST_LINE + (f" plimsoll={self.boot}" if self.boot else "")
        # Only what is movable can be unplugged again.
        line += " memhp_default_state=online_movable" if self.resizable else ""
        total = self.memory + self.resizable
        slots = f'<maxMemory slots="1" unit="MiB">{total}</maxMemory>' if self.resizable else ""
        numa = f'<numatune><memory mode="strict" nodeset="{self.node}"/></numatune>' if self.node else ""
        pin = GUEST_PROCESSORS[int(self.node)] if self.node else ",".join(GUEST_PROCESSORS)
        hostdev = (
            '<hostdev mode="subsystem" type="pci" managed="yes"><source>'
            '<address domain="0" bus="0" slot="4" function="0"/></source></hostdev>'
            if self.vfio
            else ""
        )
        qmp = escape(f"unix:/run/plimsoll/qmp/{self.name},server=on,wait=off")
        monitor = (
            f'<qemu:commandline><qemu:arg value="-qmp"/><qemu:arg value="{qmp}"/></qemu:commandline>'
            if self.qmp
            else ""
        )
        return f"""<domain type="{self.type}" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>{escape(self.name)}</name>
  {slots}<memory unit="MiB">{total}</memory>
  {self.memory_xml()}{numa}
  <vcpu cpuset="{pin}">1</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>/var/lib/lab/vmlinuz</kernel>
    <initrd>/var/lib/lab/initramfs</initrd>
    <cmdline>{escape(line)}</cmdline>
  </os>
  <features><acpi/></features>{self.cpu_xml()}
  <on_reboot>{self.reboot}</on_reboot>
  <devices>
    <serial type="unix">
      <source mode="bind" path="/run/lab/{self.name}"/>
      <log file="/run/lab/{self.name}.log"/>
    </serial>
    <memballoon model="virtio" {self.balloon}><stats period="1"/></memballoon>
    {self.virtio_mem_xml()}{hostdev}
  </devices>
  {monitor}
</domain>
"""


class Step:
    """Something that is done to the host in the middle of it, once."""

    def __init__(self, name, section):
        self.name = name
        self.when = section["when"]
        self.script = section["script"]
        self.guard = section.get("guard")


class Scenario:
    """PATH is its file, or only its name where TEXT is given."""

    def __init__(self, path, text=None):
        self.name = os.path.splitext(os.path.basename(path))[0]
        parser = configparser.ConfigParser(
            interpolation=None, delimiters=("=",), comment_prefixes=("#",)
        )
        parser.optionxform = str
        if text is None:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        parser.read_string(text, path)
        self.check(parser, path)
        head = parser["scenario"]
        self.title = head["title"]
        self.guards = head.get("guards", "plimsoll").split()
        self.limit = int(head.get("limit", "300"))
        self.guard_dies = head.get("guard-dies", "no") == "yes"
        self.guests_die = head.get("guests-die", "no") == "yes"
        self.hook = head.get("hook", "no") == "yes"
        self.packages = head.get("packages", "no") == "yes"
        self.settle = int(head.get("settle", SETTLE))
        self.until = head.get("until", "True")
        self.before_guests = parser.get("before", "guests", fallback="")
        self.before = parser.get("before", "script", fallback="")
        self.configuration = parser.get("configuration", "text", fallback="").lstrip()
        self.guests, self.steps, self.holds = [], [], {}
        for title in parser.sections():
            kind, _, name = title.partition(" ")
            if kind == "guest":
                self.add_guests(name, parser[title])
            elif kind == "step":
                self.steps.append(Step(name, parser[title]))
            elif kind == "holds":
                self.holds[name or "plimsoll"] = holds_of(parser[title]["lines"])

    def check(self, parser, path):
        """A key that nobody reads is a mistake, not a comment."""
        for title in parser.sections():
            kind = title.partition(" ")[0]
            if kind not in KEYS:
                raise LabError(f"{path}: no such section: [{title}]")
            unknown = set(parser[title]) - KEYS[kind]
            if unknown:
                raise LabError(f"{path}: [{title}] knows no {', '.join(sorted(unknown))}")
        for guard in parser["scenario"].get("guards", "plimsoll").split():
            if guard not in GUARDS:
                raise LabError(f"{path}: guards are {', '.join(GUARDS)}, not {guard}")

    def add_guests(self, name, section):
        count = int(section.get("count", "0"))
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise LabError(f"a guest's name is of a-z, 0-9 and -: {name!r}")
        if section.get("start", "yes") == "no" and "schedule" in section:
            raise LabError(f"nobody is there to hear the schedule of [guest {name}]")
        names = [f"{name}-{i + 1}" for i in range(count)] if count else [name]
        self.guests += [Guest(it, section) for it in names]


def holds_of(text):
    """Pairs of expression and words."""
    pairs = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        expression, _, words = line.partition(" -- ")
        pairs.append((expression.strip(), words.strip() or expression.strip()))
    return pairs


def scenario_path(name):
    """The file of a scenario of that name, or NAME itself if it is a file."""
    if os.path.sep in name or name.endswith(".ini"):
        return name
    return os.path.join(HERE, "scenarios", name + ".ini")


def scenario_names():
    folder = os.path.join(HERE, "scenarios")
    return sorted(it[:-4] for it in os.listdir(folder) if it.endswith(".ini"))
