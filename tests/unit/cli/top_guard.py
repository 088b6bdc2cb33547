# SPDX-License-Identifier: LGPL-2.1-or-later
"""What answers in the place of a guard: as many guests as wanted, by whatever names, on a varlink
socket; it can fall silent, go and come back."""
import json
import os
import socket
import threading
import time

GIB = 1 << 30
MIB = 1 << 20
# Names that would do something to a terminal, to JSON, to a table.
HOSTILE = ["\x1b[2Jcleared\x1b[31m", "new\nline\ttab", 'quote" action=kill vm="gold', "l" * 300,
           "\u202eevil", "\u9b5a" * 40, "e\u0301" * 20, "back\\slash", "", "\x9b5m\x7f"]


def band_line(moment, band, before, headroom):
    return {"realtime": moment, "level": 4,
            "text": f"event=band band={band} before={before} pool=host headroom={headroom} "
                    f"fill_rate={120 * MIB} time_to_exhaustion=26000ms"}


def action_line(moment, name, uuid, level=5):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return {"realtime": moment, "level": level,
            "text": f'event=action vm="{quoted}" uuid={uuid} band=tight action=balloon reason=balloon-idle '
                    f"bytes=4096 target={2 * GIB} pool=host deficit=0 mode=enforce "
                    f'text="memory is tight, and this guest has memory that it does not use"'}


class Guard:
    def __init__(self, path, count=500, names=None, **host):
        self.path = path
        self.names = names or (HOSTILE + [f"guest-{number:03}" for number in range(len(HOSTILE), count)])
        self.host = {"band": "tight", "mode": "enforce", "worst": "host", **host}
        self.rss = [(index % 97 + 1) * 64 * MIB for index in range(len(self.names))]
        self.states = {}
        self.lines = []
        self.pause = 0
        self.asked = 0
        self.server = None
        now = time.time_ns()
        for seconds, band, before in ((40, "tight", "calm"), (25, "scarce", "tight"), (12, "tight", "scarce")):
            self.lines.append(band_line(now - seconds * 10**9, band, before, 3 * GIB - seconds * MIB))
        self.lines.append(action_line(now - 10**9, "guest-042", self.uuid(42)))
        self.lines.append(action_line(now - 10**9 + 1, HOSTILE[2], self.uuid(2)))
        self.lines.insert(0, {"realtime": now - 60 * 10**9, "level": 5, "text": "event=start version=1 mode=enforce"})

    @staticmethod
    def uuid(index):
        return f"00000000-0000-0000-0000-{index:012}"

    def guest(self, index):
        maximum = 8 * GIB
        return {"name": self.names[index], "uuid": self.uuid(index), "pid": 1000 + index, "source": ["proc", "qmp"],
                "class": "gold" if index % 3 == 0 else "default", "state": self.states.get(index, "running"),
                "kind": "elastic", "kind_reason": "none", "rss": self.rss[index], "pinned": 0, "swap": 0,
                "minimum": 2 * GIB, "maximum": maximum, "priority": 100, "mode": self.host["mode"],
                "balloon": {"actual": maximum - (index % 5) * GIB, "target": None},
                "measures": ["balloon", "oom-score"] if index % 5 else ["oom-score"], "monitor": "ready"}

    def status(self):
        pool = {"total": 512 * GIB, "available": 40 * GIB, "floor": GIB, "headroom": 39 * GIB,
                "fill_rate": 120 * MIB, "time_to_exhaustion": 333 * 10**9, "band": self.host["band"]}
        nodes = [dict(pool, id=node, headroom=(node + 10) * GIB) for node in range(2)]
        return {"version": "1", "sequence": 1, "realtime": time.time_ns(), "band": self.host["band"],
                "worst": self.host["worst"], "worst_node": None, "sprint": False,
                "host": dict(pool, mode=self.host["mode"], nodes=nodes), "budget": pool,
                "vms": [self.guest(index) for index in range(len(self.names))]}

    def answer(self, request):
        self.asked += 1
        parameters = request.get("parameters") or {}
        if request["method"] == "io.plimsoll.GetStatus":
            return self.status()
        after = parameters.get("after", 0)
        return {"lines": [line for line in self.lines if line["realtime"] > after], "gap": False}

    def serve(self, connection):
        with connection:
            data = b""
            while not data.endswith(b"\0"):
                part = connection.recv(65536)
                if not part:
                    return
                data += part
            if self.pause:
                time.sleep(self.pause)
            reply = json.dumps({"parameters": self.answer(json.loads(data[:-1]))})
            try:
                connection.sendall(reply.encode("utf-8", "surrogatepass") + b"\0")
            except OSError:
                pass

    def accept(self, server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(16)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        os.unlink(self.path)
