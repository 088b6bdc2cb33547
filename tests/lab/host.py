# SPDX-License-Identifier: LGPL-2.1-or-later
"""The emulated KVM host: a QEMU under software emulation, in which all that a host has is real.

It is booted once; its state is then saved beside its image, and each run starts from that in under
a second; and so it is with the guests of a scenario. Two memory files, one for each NUMA node, are
mapped shared while saving and private while restoring, so that the migration stream holds the devices alone (x-ignore-shared) and the
files stay as they were. The disk of the saved host is a copy of the image, because the restored
kernel remembers what it wrote there; each run writes into a snapshot that QEMU discards. Where no
state can be saved or restored, the host boots.

Commands reach it by its second serial line (host/usr/local/libexec/lab-agent), files by a 9p share,
which is mounted only after the restore, because a mounted one cannot be saved.
"""

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

NODES = 2
NODE_MIB = 2048
# The processors of each node, and those of them that guests may run on. Guests keep off processor 0:
# cpu_set_fpus() of QEMU's target/i386/tcg/fpu_helper.c, run by each XRSTOR of each other processor,
# reads, masks and writes back hflags2 of the first one (cpu_clear_ignne()) without a lock. A VMRUN or
# #VMEXIT there at the same moment loses its change: nested paging is off for the guest, which dies of
# a triple fault, or interrupts come before the host has its registers back, and its kernel dies.
NODE_PROCESSORS = ("0-1", "2")
GUEST_PROCESSORS = ("1", "2")
PROCESSORS = 3

# Limits of waits, in seconds: each some five times what it takes on two idle cores.
BOOT_LIMIT = 240
RESTORE_LIMIT = 30
COMMAND_LIMIT = 60
END_LIMIT = 10
# How long a saved host is kept after its last use, in seconds.
STATE_KEPT = 14 * 24 * 3600
WORK_KEPT = 24 * 3600

# mitigations=off: the emulated host's own are dear under emulation and protect nothing here.
# panic=1: it ends, instead of standing there.
KERNEL_LINE = (
    "root=/dev/vda rw console=ttyS0 intel_iommu=on iommu=pt psi=1"
    " systemd.unified_cgroup_hierarchy=1 mitigations=off apparmor=1 quiet loglevel=4 panic=1"
)

# In the saved host, what a host that has run for a while has done once: libvirt has looked at its
# QEMU, the modules are in.
WARM_UP = (
    "modprobe -a kvm_amd vfio-pci zram 9p 9pnet_virtio"
    " && virsh domcapabilities --virttype kvm --machine pc"
    " && virsh nodeinfo && sync"
)

# A restored clock stands where it was saved, and the edu device has lost its BAR.
AFTER_RESTORE = "hwclock -s; echo 1 >/sys/bus/pci/devices/0000:00:04.0/remove; echo 1 >/sys/bus/pci/rescan; "
MOUNT = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 lab /lab"


class LabError(Exception):
    """Something of the lab or of a scenario failed: what was asked for could not be done."""


class HostLost(LabError):
    """The emulated host is gone or does not answer: nobody is to blame, and the run proves nothing."""


def cache_folder():
    """Where images and saved states are kept; the same rule as tests/guest/build."""
    path = os.environ.get("PLIMSOLL_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache")
        path = os.path.join(base, "plimsoll")
    return os.path.abspath(path)


def say(text):
    print(f"== {text}", flush=True)


def run_tool(*command):
    """Runs one of the tests' own scripts; the lines that it prints. Interrupted, it is asked to end, with all
    that it started, and cleans up after itself."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if process.returncode != 0:
        raise LabError(f"{command[0]} failed with status {process.returncode}")
    return printed.split("\n")[:-1]


class Line:
    """A Unix socket that is read by lines, with a limit."""

    def __init__(self, path, limit=END_LIMIT):
        end = time.monotonic() + limit
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() > end:
                    raise LabError(f"cannot connect to {path}: {error}") from error
                time.sleep(0.02)
        self.buffer = b""

    def send(self, text):
        try:
            self.socket.sendall(text.encode() + b"\n")
        except OSError as error:
            raise HostLost(f"the host cannot be told anything: {error}") from error

    def receive(self, limit):
        """The next line, or None when the limit has passed or the peer has closed."""
        end = time.monotonic() + limit
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def close(self):
        self.socket.close()


class Monitor:
    """The QMP monitor of the emulated host's QEMU: one command at a time, events left aside."""

    def __init__(self, path):
        self.line = Line(path)
        self.line.receive(END_LIMIT)
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.line.send(json.dumps({"execute": command, "arguments": arguments}))
        end = time.monotonic() + RESTORE_LIMIT
        while time.monotonic() < end:
            text = self.line.receive(end - time.monotonic())
            if text is None:
                break
            answer = json.loads(text)
            if "error" in answer:
                raise LabError(f"QMP {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise HostLost(f"QMP {command}: no answer")

    def wait(self, command, condition, limit):
        """Asks until CONDITION holds of the answer."""
        end = time.monotonic() + limit
        while True:
            answer = self.execute(command)
            if condition(answer):
                return answer
            if time.monotonic() > end:
                raise LabError(f"QMP {command} did not come to its end: {answer}")
            time.sleep(0.02)

    def migrate_parameters(self):
        self.execute(
            "migrate-set-capabilities",
            capabilities=[{"capability": "x-ignore-shared", "state": True}],
        )


def escape(value):
    """As a value among others in one option of QEMU's (qemu_opts_parse())."""
    return value.replace(",", ",,")


def qemu_command(disk, memory, share, files, sockets):
    """The command line of the emulated host. MEMORY: the folder of the nodes' files, or None for
    memory of no file; SHARE: "on" or "off"; FILES: see Host.files()."""
    disk, sockets = escape(disk), escape(sockets)
    escaped = {name: escape(path) for name, path in files.items()}
    command = ["qemu-system-x86_64", "-name", "plimsoll-lab", "-nodefaults", "-display", "none"]
    command += ["-machine", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi", "-cpu", "max"]
    command += ["-smp", str(PROCESSORS), "-m", str(NODES * NODE_MIB), "-no-reboot"]
    for node in range(NODES):
        backend = f"id=node{node},size={NODE_MIB}M"
        if memory:
            path = escape(os.path.join(memory, f"node{node}"))
            command += ["-object", f"memory-backend-file,{backend},mem-path={path},share={share}"]
        else:
            command += ["-object", f"memory-backend-ram,{backend}"]
        command += ["-numa", f"node,nodeid={node},cpus={NODE_PROCESSORS[node]},memdev=node{node}"]
    command += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
    command += ["-device", "edu,addr=04.0"]
    command += ["-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe"]
    command += ["-device", "virtio-blk-pci,drive=disk,addr=05.0"]
    command += ["-device", "virtio-rng-pci,addr=06.0"]
    command += ["-device", "virtio-serial-pci,id=ports,addr=07.0"]
    for name in ("record", "syslog"):
        command += ["-chardev", f"file,id={name},path={escaped[name]}"]
        command += ["-device", f"virtserialport,bus=ports.0,chardev={name},name=lab.{name}"]
    command += ["-fsdev", f"local,id=share,path={escaped['share']},security_model=none,multidevs=remap"]
    command += ["-device", "virtio-9p-pci,fsdev=share,mount_tag=lab,addr=08.0"]
    for name in ("console", "command"):
        path = os.path.join(sockets, name)
        log = f",logfile={escaped['console']}" if name == "console" else ""
        command += ["-chardev", f"socket,id={name},path={path},server=on,wait=off{log}"]
        command += ["-serial", f"chardev:{name}"]
    command += ["-qmp", f"unix:{sockets}/qmp,server=on,wait=off"]
    command += ["-kernel", files["kernel"], "-initrd", files["initrd"], "-append", KERNEL_LINE]
    return command


class Host:
    """One emulated host, running. FOLDER keeps what is left of it: console.log, record.jsonl, syslog
    and share/, which is /lab inside. GUESTS: (key, start) of saved_guests(), or None; whether
    they are there after the start tells has_guests. A context: leaving it ends the host."""

    def __init__(self, folder, guests=None):
        self.folder = os.path.abspath(folder)
        self.share = os.path.join(self.folder, "share")
        self.guests = guests
        self.process = None
        self.line = None
        self.monitor = None
        self.count = 0
        self.sockets = None
        self.restored = False
        self.has_guests = False
        self.process_began = False

    # ---- life ----

    def __enter__(self):
        self.open()
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def open(self):
        os.makedirs(self.share, exist_ok=True)
        # Not in the run's folder: a socket's path has at most 107 bytes.
        self.sockets = tempfile.mkdtemp(prefix="plimsoll-lab.")

    def start(self):
        """Restores the host, with its guests if it has a state with them, else boots it."""
        image = run_tool(os.path.join(HERE, "image"))[-1]
        os.utime(image)
        saved = saved_state(image)
        with_guests = saved_guests(image, saved, *self.guests) if saved and self.guests else None
        for state in filter(None, (with_guests, saved)):
            try:
                self.restore(image, state, "off")
                self.has_guests = state == with_guests
                break
            except LabError as error:
                say(f"a saved host could not be restored: {error}")
                self.end_process()
                distrust(state)
        if not self.restored:
            self.boot(image, os.path.join(image, "root.ext4"), None, None)
        self.command((AFTER_RESTORE if self.restored else "") + MOUNT)

    def files(self, image):
        return {
            "kernel": os.path.join(image, "vmlinuz"),
            "initrd": os.path.join(image, "initrd"),
            "share": self.share,
            "record": os.path.join(self.folder, "record.jsonl"),
            "syslog": os.path.join(self.folder, "syslog"),
            "console": os.path.join(self.folder, "console.log"),
        }

    def launch(self, command):
        log = open(os.path.join(self.folder, "qemu.log"), "wb")
        with log:
            # It ends with this process, however that ends.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.process_began = True
        self.monitor = Monitor(os.path.join(self.sockets, "qmp"))
        self.line = Line(os.path.join(self.sockets, "command"))

    def boot(self, image, disk, memory, share, snapshot=True):
        command = qemu_command(disk, memory, share, self.files(image), self.sockets)
        if snapshot:
            command.append("-snapshot")
        self.launch(command)
        end = time.monotonic() + BOOT_LIMIT
        while self.line.receive(max(0, end - time.monotonic())) != "agent ready":
            if time.monotonic() > end or self.process.poll() is not None:
                raise HostLost(f"the host did not boot; see {self.folder}/console.log")

    def restore(self, image, state, share, snapshot=True):
        disk = os.path.join(state, "root.ext4")
        command = qemu_command(disk, state, share, self.files(image), self.sockets)
        command += ["-snapshot"] if snapshot else []
        self.launch(command + ["-incoming", "defer"])
        self.monitor.migrate_parameters()
        self.monitor.execute("migrate-incoming", uri=f"exec:cat '{state}/devices'")
        # A `cont` before the stream's end would leave it paused.
        self.monitor.wait("query-status", lambda it: it["status"] != "inmigrate", RESTORE_LIMIT)
        self.monitor.execute("cont")
        self.command("true", RESTORE_LIMIT)
        self.restored = True

    def save(self, folder):
        """Writes the devices' state to FOLDER and ends the host."""
        self.monitor.execute("stop")
        self.monitor.migrate_parameters()
        self.monitor.execute("migrate", uri=f"exec:cat >'{folder}/devices'")
        answer = self.monitor.wait(
            "query-migrate", lambda it: it.get("status") in ("completed", "failed"), RESTORE_LIMIT
        )
        if answer["status"] != "completed":
            raise LabError(f"the host could not be saved: {answer}")
        self.monitor.execute("quit")
        self.process.wait(END_LIMIT)

    def end_process(self):
        for line in (self.line, self.monitor and self.monitor.line):
            if line:
                line.close()
        self.line = self.monitor = None
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self):
        self.end_process()
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)
            self.sockets = None

    def last_words(self):
        """The kernel's panic on the console, or None: emulated processors have faults of their own."""
        try:
            with open(os.path.join(self.folder, "console.log"), encoding="utf-8", errors="replace") as file:
                for line in file:
                    if "Kernel panic" in line or "BUG: " in line:
                        return "the emulated host's kernel died: " + line.strip()
        except OSError:
            pass  # it did not come that far
        return None

    # ---- what runs in it ----

    def send(self, command):
        """Starts one line of shell; the number that the answer will carry."""
        if len(command) > 4000 or "\n" in command:
            raise LabError("a command is one line of at most 4000 bytes")
        self.count += 1
        self.line.send(f"{self.count} {command}")
        return self.count

    def await_status(self, number, limit):
        """The status of that command, or None when it did not end within LIMIT seconds."""
        end = time.monotonic() + limit
        while True:
            text = self.line.receive(max(0, end - time.monotonic()))
            if text is None:
                return None
            first, _, status = text.partition(" ")
            if first == str(number):
                return int(status)

    def command(self, command, limit=COMMAND_LIMIT):
        """Runs one line of shell to its end, which has to be a good one."""
        status = self.await_status(self.send(command), limit)
        if status is None:
            raise HostLost(self.last_words() or f"no answer within {limit} s: {command}")
        if status != 0:
            raise LabError(f"status {status}: {command}")

    def script(self, text, limit=COMMAND_LIMIT, check=True):
        """Runs a script of any length; what it printed, or LabError with it if it failed."""
        name = f"script-{self.count + 1}"
        with open(os.path.join(self.share, name), "w", encoding="utf-8") as file:
            file.write(text)
        output = os.path.join(self.share, f"{name}.out")
        number = self.send(f"bash /lab/{name} >/lab/{name}.out 2>&1")
        status = self.await_status(number, limit)
        printed = ""
        if os.path.exists(output):
            with open(output, encoding="utf-8", errors="replace") as file:
                printed = file.read()
        where = os.path.join(self.share, name)
        if status is None:
            raise HostLost(self.last_words() or f"no answer within {limit} s: {where}\n{printed}")
        if status != 0 and check:
            raise LabError(f"status {status}: {where}\n{printed}")
        return printed


# ---- the saved hosts ----


def key_of(*texts):
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def machine_key(image):
    """All that a saved state fits: the image, QEMU's version and its command line."""
    version = subprocess.run(
        ["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    files = dict.fromkeys(("kernel", "initrd", "share", "record", "syslog", "console"), "")
    return key_of(os.path.basename(image), version, " ".join(qemu_command("", "", "", files, "")))


def saved_state(image):
    """The folder of the saved host that has booted, made if there is none; None when that fails."""
    key = key_of(machine_key(image), WARM_UP)

    def boot(host, state):
        copy_sparse(os.path.join(image, "root.ext4"), os.path.join(state, "root.ext4"))
        host.boot(image, os.path.join(state, "root.ext4"), state, "on", snapshot=False)
        host.command(WARM_UP, BOOT_LIMIT)

    return state_make(key, "booting the host once, to save it", boot)


def saved_guests(image, base, key, start):
    """The folder of the saved host on which START(host) has started guests, made from BASE if there is
    none; None when that fails. KEY: of all that decides what these guests are."""

    def restore_and_start(host, state):
        for name in ("devices", "root.ext4", *(f"node{node}" for node in range(NODES))):
            copy_sparse(os.path.join(base, name), os.path.join(state, name))
        host.restore(image, state, "on", snapshot=False)
        host.command(AFTER_RESTORE + MOUNT)
        start(host)
        host.command("sync; umount /lab")

    words = "starting these guests once, to save the host with them"
    return state_make(key_of(machine_key(image), base, key), words, restore_and_start)


def distrust(state):
    """A saved host that could not be restored twice is made anew; once, the machine may have been too busy."""
    try:
        os.close(os.open(os.path.join(state, "failed"), os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        shutil.rmtree(state, ignore_errors=True)
    except OSError:
        pass  # it is gone


def prune():
    """Removes hosts that nobody has started from for long: of what they were made, something has changed since,
    and each takes gigabytes. And what somebody who was killed left half made."""
    kept = {"lab-saved-": STATE_KEPT, "lab-host-": STATE_KEPT, "work.": WORK_KEPT}
    with os.scandir(cache_folder()) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # somebody else's prune was first
                age = time.time() - entry.stat().st_mtime
                if any(entry.name.startswith(it) and age > limit for it, limit in kept.items()):
                    shutil.rmtree(entry.path, ignore_errors=True)


def state_make(key, words, run):
    """Lets RUN(host, state) bring a host up on files in the folder STATE, and saves it there."""
    folder = os.path.join(cache_folder(), f"lab-saved-{key}")
    if os.path.isdir(folder):
        os.utime(folder)
        return folder
    prune()
    say(words)
    with tempfile.TemporaryDirectory(prefix="work.", dir=cache_folder()) as work:
        state = os.path.join(work, "state")
        os.mkdir(state)
        host = Host(work)
        host.open()
        try:
            run(host, state)
            host.save(state)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            say(f"the host could not be saved: {error}")
            return None
        finally:
            host.end()
        try:
            os.rename(state, folder)
        except OSError:
            pass  # somebody else was first; theirs is as good
    return folder


def copy_sparse(source, target):
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)


def end_by_signal():
    """The first signal ends this process as an error would, by way of every `finally`; further ones do not
    disturb that."""
    ending = False

    def interrupted(*_):
        nonlocal ending
        if not ending:
            ending = True
            raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
