# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a run's folder tells: reads its files and finds who lived, stood still or was killed, and when.

Apart from timeline.py, which draws it, so that a scenario can ask the same questions. Times are the
host's CLOCK_MONOTONIC in seconds throughout.
"""
import json
import os
import re

FADE = 3.0  # seconds that a killed process may take to go
BANDS = ("calm", "tight", "scarce", "critical")
KINDS = ("balloon", "reclaim", "brake", "release", "pause", "resume", "freeze", "thaw", "save", "shutdown", "kill",
         "oom", "finished", "ended", "alert", "note")
SAME = {"finish": "finished", "done": "finished", "end": "ended", "stopped": "ended", "stop": "pause",
        "paused": "pause", "resumed": "resume", "killed": "kill", "frozen": "freeze", "cont": "resume"}
# What a life can end in, the likeliest cause first.
FATAL = {"kill": "killed", "oom": "killed by the kernel", "shutdown": "shut down", "save": "saved", "ended": "ended",
         "finished": "finished"}
HOST = ""  # the lane of what concerns no guest
OOM_LINE = re.compile(r"Killed process (\d+) \(([^)]*)\)")


def read_lines(path):
    """Objects of a file of them; what is torn (the recorder's host may die) is passed over."""
    objects = []
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict) and isinstance(value.get("time"), (int, float)):
                    objects.append(value)
    return sorted(objects, key=lambda value: value["time"])


def read_run(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def guest_list(run, samples):
    """(name, class) of those announced, then of those only seen."""
    guests = {guest["name"]: guest.get("class") or "guest" for guest in run.get("guests") or []}
    for sample in samples:
        for vm in sample.get("vms") or []:
            guests.setdefault(vm["name"], "guest")
    return guests


def mark_kind(event):
    word = event.get("action") or event.get("event") or "note"
    word = SAME.get(word, word)
    return word if word in KINDS else "note"


def mark_list(events, kernel, samples, guests):
    """{lane: [(time, kind, text, real)]}; not real is what a dry run, or a failure, left undone."""
    pids = {vm["pid"]: vm["name"] for sample in samples for vm in sample.get("vms") or []}
    marks = {name: [] for name in [HOST, *guests]}
    for event in events:
        kind = mark_kind(event)
        if event.get("event") == "band" or event.get("action") == "oom-score":
            continue  # the background shows the one, and the other has no effect to be seen
        text = str(event.get("text") or event.get("event") or "")
        lane = event.get("vm") if event.get("vm") in guests else HOST
        marks[lane].append((event["time"], kind, f"{event.get('source', '')} {kind}: {text}".strip(),
                            event.get("mode") != "dry-run" and "failed" not in event))
    for line in kernel:
        killed = OOM_LINE.search(line.get("text") or "")
        if killed:
            lane = pids.get(int(killed.group(1)), HOST)
            marks[lane].append((line["time"], "oom", "kernel: " + line["text"], True))
    return {name: sorted(list_) for name, list_ in marks.items()}


def present_spans(name, samples, marks):
    """[begin, end] of each life, by the samples that saw it; a death between two samples is its end."""
    spans, alive = [], False
    for sample in samples:
        seen = any(vm["name"] == name for vm in sample.get("vms") or [])
        if seen and alive:
            spans[-1][1] = sample["time"]
        elif seen:
            spans.append([sample["time"], sample["time"]])
        elif alive:
            deaths = [mark[0] for mark in marks if mark[3] and mark[1] in FATAL
                      and spans[-1][1] < mark[0] < sample["time"]]
            spans[-1][1] = min(deaths, default=spans[-1][1])
        alive = seen
    return spans


def paused_spans(name, marks, samples, end):
    """By what was done to it, and by what the samples saw of it; they may overlap."""
    spans, holds, since = [], set(), 0
    for time, kind, _, real in marks:
        before = bool(holds)
        if real and kind in ("pause", "freeze"):
            holds.add(kind)
        elif real and kind == "thaw":
            holds.discard("freeze")
        elif real and kind in ("resume", "kill", "oom", "ended"):
            holds.clear()  # a resume comes after the thaw
        if holds and not before:
            since = time
        elif before and not holds:
            spans.append([since, time])
    if holds:
        spans.append([since, end])
    held = [sample["time"] for sample in samples for vm in sample.get("vms") or []
            if vm["name"] == name and vm.get("state") in ("stopped-by-signal", "frozen")]
    return spans_join(spans + [[time, time + 1] for time in held])


def spans_join(spans):
    joined = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1] + 0.2:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    return joined


def band_spans(events, begin, end):
    changes = [(event["time"], event["band"]) for event in events if event.get("band") in BANDS]
    spans, band, since = [], "calm", begin
    for time, now in changes:
        if now != band:
            spans.append((since, time, band))
            band, since = now, time
    return spans + [(since, end, band)] if changes else []


def lane_end(spans, marks, last):
    """What became of a guest that is gone: (the mark that nobody made, the words)."""
    if not spans or spans[-1][1] >= last:
        return [], ""
    end = spans[-1][1]
    why = [mark for mark in marks if mark[3] and spans[-1][0] <= mark[0] <= end + FADE
           and mark[1] in FATAL]
    for kind, words in FATAL.items():
        if any(mark[1] == kind for mark in why):
            return [], words
    return [(end, "ended", "no longer there", True)], "ended"


def floor_of(events):
    for event in events:
        found = re.search(r"\bfloor=(\d+)", str(event.get("text") or ""))
        if found:
            return int(found.group(1))
    return None


def memory_layers(samples, guests):
    """(name or HOST, [bytes]) from below: what else is used, then each guest."""
    rss = {name: [] for name in guests}
    other = []
    for sample in samples:
        held = {}
        for vm in sample.get("vms") or []:
            held[vm["name"]] = held.get(vm["name"], 0) + (vm.get("rss") or 0)
        for name in guests:
            rss[name].append(held.get(name, 0))
        used = (sample["memory"].get("total") or 0) - (sample["memory"].get("available") or 0)
        other.append(max(used - sum(held.values()), 0))
    return [(HOST, other), *rss.items()]
