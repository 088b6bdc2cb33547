#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""timeline.py FOLDER: draws FOLDER/timeline.svg, one picture of what a lab run did.

Reads what the folder has of record.jsonl (the recorder's lines), events.jsonl (what guard, scenario
and guests said) and run.json (title, guests, verdict). Three panels share an axis of seconds since
the run began: memory, a lane for each guest, and pressure. Whatever is missing is left out: a run
that went wrong is the one that most wants looking at.
"""
import os
import sys
import textwrap
from xml.sax.saxutils import escape, quoteattr

from timeline_read import (HOST, band_spans, floor_of, guest_list, lane_end, mark_list, memory_layers,
                           paused_spans, present_spans, read_lines, read_run)

WIDTH, LEFT, RIGHT = 1200, 158, 1172
MEMORY_HEIGHT, LANE_HEIGHT, PSI_HEIGHT, GAP = 280, 30, 110, 46
MARK_STEP = 16  # between two marks of a lane, which would else cover each other
LATE = 3.0  # seconds without a sample that are worth showing
GIB = 1 << 30
INK, QUIET, GRID, PAPER = "#22303c", "#6b7885", "#e3e7eb", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
BANDS = {"calm": "#f4f8f5", "tight": "#fdf7e0", "scarce": "#fceddb", "critical": "#f9dfdb"}
BAND_INKS = {"calm": "#6f9a7d", "tight": "#c9a92f", "scarce": "#cf7f35", "critical": "#b8433a"}
CLASSES = ["#3b6ea5", "#5f9a7b", "#b8894a", "#8669a3", "#a65f6c", "#4f8f9c"]
OTHER, SOME, FULL, SWAP, FLOOR = "#c3cad1", "#d08a3e", "#9c2f3a", "#7a5c99", "#b0392f"
VERDICTS = {"passed": "#3c7d53", "failed": "#b0392f", "void": "#7b8794"}

# kind: (what the legend calls it, colour, solid, the glyph within a disc of radius 7)
FILLED = {"balloon", "resume", "save", "shutdown"}
CROSS = "M-3.2,-3.2 L3.2,3.2 M3.2,-3.2 L-3.2,3.2"
FLAKE = "M0,-4.4 V4.4 M-3.8,-2.2 L3.8,2.2 M-3.8,2.2 L3.8,-2.2"
SQUARE = "M-2.6,-2.6 H2.6 V2.6 H-2.6 Z"
MARKS = {
    "balloon": ("balloon", "#2b7a86", False, "M0,1.4 A2.1,2.4 0 1 1 0.01,1.4 L0,4.6"),
    "reclaim": ("reclaim", "#2b7a86", False, "M0,-4 V3 M-3,0.4 L0,3.6 L3,0.4"),
    "brake": ("brake", "#a3622a", False, "M-4,0 H4"),
    "release": ("brake released", "#3c7d53", False, "M-4,0 H4"),
    "pause": ("pause", "#a3622a", False, "M-2,-3.4 V3.4 M2,-3.4 V3.4"),
    "resume": ("resume", "#3c7d53", False, "M-2,-3.2 L3.4,0 L-2,3.2 Z"),
    "freeze": ("freeze", "#3b6ea5", False, FLAKE),
    "thaw": ("thaw", "#3c7d53", False, FLAKE),
    "save": ("save", "#8669a3", False, SQUARE),
    "shutdown": ("shutdown", "#b0392f", False, SQUARE),
    "kill": ("kill", "#b0392f", True, CROSS),
    "oom": ("kernel’s OOM kill", "#22303c", True, CROSS),
    "finished": ("finished", "#3c7d53", False, "M-3.4,0.4 L-1,3 L3.6,-2.8"),
    "ended": ("ended", "#6b7885", False, "M0,-4 V4"),
    "alert": ("alert", "#a3622a", False, "M0,-4 V0.8 M0,3.4 V3.8"),
    "note": ("other event", "#6b7885", False, "M0,-0.6 V0.6"),
}


# ---- drawing ----

class Picture:
    """The SVG's parts, and the scale of time that all panels share."""

    def __init__(self, begin, end):
        self.begin, self.end, self.parts = begin, max(end, begin + 1), []

    def x(self, time):
        share = (time - self.begin) / (self.end - self.begin)
        return round(LEFT + min(max(share, 0), 1) * (RIGHT - LEFT), 1)

    def add(self, part):
        self.parts.append(part)

    def text(self, x, y, text, size=12, fill=INK, anchor="start", more=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
                 f'text-anchor="{anchor}" {more}>{escape(text)}</text>')

    def rect(self, x, y, width, height, fill, more="", title=None):
        inner = f"<title>{escape(title)}</title>" if title else ""
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
                 f'fill="{fill}" {more}>{inner}</rect>')

    def line(self, points, stroke, width=1, more=""):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add(f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" '
                 f'stroke-linejoin="round" stroke-linecap="round" {more}/>')

    def area(self, points, fill, more="", title=None):
        inner = f"<title>{escape(title)}</title>" if title else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add(f'<polygon points="{path}" fill="{fill}" {more}>{inner}</polygon>')

    def mark(self, x, y, kind, text=None, real=True, vm=None):
        _, colour, solid, glyph = MARKS[kind]
        title = f"<title>{escape(text)}</title>" if text else ""
        dashes = "" if real else 'stroke-dasharray="2 2"'
        radius = 4 if kind == "note" and real else 7
        known = f" data-vm={quoteattr(vm)}" if vm is not None else ""
        ink, paper = (PAPER, colour) if solid and real else (colour, PAPER)
        self.add(f'<g class="mark {kind}"{known} transform="translate({x:.1f} {y:.1f})">{title}'
                 f'<circle r="{radius}" fill="{paper}" stroke="{colour}" stroke-width="1.3" {dashes}/>'
                 f'<path d="{glyph}" stroke="{ink}" stroke-width="1.7" stroke-linecap="round" '
                 f'stroke-linejoin="round" fill="{ink if kind in FILLED else "none"}"/></g>')


def colour_mix(colour, share):
    """Towards white."""
    parts = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)


def colours_of(guests):
    """A colour for each class; of it a shade for each guest, the first the deepest."""
    classes = list(dict.fromkeys(guests.values()))
    shades = {}
    for number, class_ in enumerate(classes):
        names = [name for name in guests if guests[name] == class_]
        for place, name in enumerate(names):
            shades[name] = colour_mix(CLASSES[number % len(CLASSES)], 0.5 * place / max(len(names), 3))
    return shades, {class_: CLASSES[i % len(CLASSES)] for i, class_ in enumerate(classes)}


def step_of(span, count):
    """A round number of which about so many fit."""
    rough = span / count
    for power in range(-3, 12):
        for digit in (1, 2, 5):
            if digit * 10.0 ** power >= rough:
                return digit * 10.0 ** power
    return rough


def heading(picture, run, y):
    title = str(run.get("title") or "A lab run")
    picture.text(LEFT - 130, y, title, min(23, 1500 / len(title)), more='font-weight="600"')
    verdict = run.get("verdict")
    if verdict:
        colour = VERDICTS.get(verdict, QUIET)
        picture.rect(RIGHT - 96, y - 22, 96, 30, colour, 'rx="15"')
        picture.text(RIGHT - 48, y - 2, verdict.upper(), 13, PAPER, "middle", 'font-weight="600" letter-spacing="1"')
    guard = run.get("guard")
    words = [{"none": "no guard"}.get(guard, f"guard: {guard}")] if guard else []
    count = len(run.get("guests") or [])
    words += [f"{count} guest{'s' if count != 1 else ''}"] if count else []
    words.append(f"{picture.end - picture.begin:.0f} s")
    picture.text(LEFT - 130, y + 22, "  ·  ".join(words), 13, QUIET)


def legend(picture, x, y, entries):
    """Entries are (kind of sign, colour or mark, text); wraps; returns the y below."""
    for sign, what, text in entries:
        width = 24 + 6.9 * len(text) + 16
        if x + width > RIGHT + 10:
            x, y = LEFT, y + 22
        if sign in ("mark", "undone"):
            picture.mark(x + 8, y - 4, what, real=sign == "mark")
        elif sign == "box":
            picture.rect(x + 1, y - 10, 14, 12, what, 'rx="2"')
        elif sign == "hatch":
            picture.rect(x + 1, y - 10, 14, 12, what, 'rx="2"')
            picture.rect(x + 1, y - 10, 14, 12, "url(#hatch)", 'rx="2"')
        else:
            picture.line([(x, y - 4), (x + 16, y - 4)], what, 2.6 if sign == "bold" else 2,
                         'stroke-dasharray="5 4"' if sign == "dashed" else "")
        picture.text(x + 22, y, text, 12, INK)
        x += width
    return y + 22


def band_strip(band):
    return colour_mix(BAND_INKS[band], 0.5)


def backdrop(picture, bands, top, bottom, strip):
    """The bands behind a panel; with their names above it, where there is room for them."""
    picture.rect(LEFT, top, RIGHT - LEFT, bottom - top, "#fbfcfd")
    for begin, end, band in bands:
        x, width = picture.x(begin), picture.x(end) - picture.x(begin)
        picture.rect(x, top, width, bottom - top, BANDS[band], f'class="band {band}"', f"{band} for {end - begin:.1f} s")
        if strip:
            picture.rect(x, top - 16, width, 16, band_strip(band), "", band)
            if width > 8 * len(band):
                picture.text(x + width / 2, top - 4, band, 11, "#3a2c20", "middle")
    step = step_of(picture.end - picture.begin, 12)
    for i in range(int((picture.end - picture.begin) / step + 1e-6) + 1):
        x = picture.x(picture.begin + i * step)
        picture.line([(x, top), (x, bottom)], "#22303c", 1, 'opacity="0.08"')


def scale(picture, top, bottom, most, unit, suffix, title):
    """Horizontal lines, their figures, and the panel's name."""
    step = step_of(most / unit, 5)
    for i in range(int(most / unit / step + 1e-6) + 1):
        y = bottom - (bottom - top) * i * step * unit / most
        picture.line([(LEFT, y), (RIGHT, y)], "#22303c", 1, 'opacity="0.08"')
        picture.text(LEFT - 8, y + 4, f"{i * step:g}{suffix}", 11, QUIET, "end")
    picture.text(LEFT - 130, top + 4, title, 13, INK, more='font-weight="600"')


def memory_panel(picture, top, samples, guests, shades, events):
    samples = [sample for sample in samples if sample.get("memory")]
    bottom = top + MEMORY_HEIGHT
    if not samples:
        scale(picture, top, bottom, GIB, GIB, "", "Memory, GiB")
        picture.text((LEFT + RIGHT) / 2, (top + bottom) / 2, "no samples", 13, QUIET, "middle")
        return bottom
    layers = memory_layers(samples, guests)
    sums = [sum(values) for values in zip(*[layer[1] for layer in layers])]
    most = max([sample["memory"].get("total") or 0 for sample in samples] + sums + [1])
    scale(picture, top, bottom, most, GIB, "", "Memory, GiB")
    xs = [picture.x(sample["time"]) for sample in samples]

    def points(values):
        return [(x, bottom - MEMORY_HEIGHT * value / most) for x, value in zip(xs, values)]
    below = [0] * len(samples)
    for name, values in layers:
        above = [a + b for a, b in zip(below, values)]
        if any(values):
            picture.area(points(above) + points(below)[::-1], shades.get(name, OTHER),
                         f'class="layer" data-vm={quoteattr(name)} stroke="{PAPER}" stroke-width="0.8"',
                         f"{name or 'other used memory'}: at most {max(values) / GIB:.2f} GiB")
        below = above
    for before, after in zip(samples, samples[1:]):
        if after["time"] - before["time"] > LATE:
            x = picture.x(before["time"])
            picture.rect(x, top, picture.x(after["time"]) - x, MEMORY_HEIGHT, "url(#gap)", 'class="gap"',
                         f"no sample for {after['time'] - before['time']:.1f} s")
    swap = [(s["memory"].get("swap_total") or 0) - (s["memory"].get("swap_free") or 0) for s in samples]
    available = [sample["memory"].get("available") or 0 for sample in samples]
    if any(swap):
        picture.line(points(swap), SWAP, 2, 'class="swap" stroke-dasharray="6 4"')
    floor_line(picture, top, most, events)
    picture.line(points(available), PAPER, 5, 'opacity="0.75"')
    picture.line(points(available), INK, 2.6, 'class="available"')
    return bottom


def floor_line(picture, top, most, events):
    floor = floor_of(events)
    if floor is not None and floor <= most:
        y = top + MEMORY_HEIGHT * (1 - floor / most)
        picture.line([(LEFT, y), (RIGHT, y)], FLOOR, 1.4, 'class="floor" stroke-dasharray="2 4"')


def lane_marks(picture, y, marks, name):
    """In their order; one of the same kind as one that it would cover adds to that one's text."""
    placed = []  # [x, kind, texts, real], those that touch
    for time, kind, text, real in marks:
        x = picture.x(time)
        words = f"{time - picture.begin:.1f} s  {text}"
        near = [mark for mark in placed if mark[0] > x - MARK_STEP and mark[1] == kind and mark[3] == real]
        if near:
            near[-1][2].append(words)
            continue
        x = max([x] + [mark[0] + MARK_STEP for mark in placed[-1:]])
        placed.append([min(x, RIGHT), kind, [words], real])
    for x, kind, texts, real in placed:
        picture.mark(x, y, kind, "\n".join(texts), real, name)
    return placed[-1][0] if placed else LEFT


def lane(picture, y, name, guests, shades, samples, marks):
    """A bar for each life, hatched where it stood still, and the marks on it."""
    middle, last = y + LANE_HEIGHT / 2, samples[-1]["time"] if samples else picture.end
    spans = present_spans(name, samples, marks)
    picture.add(f'<g class="lane" data-vm={quoteattr(name)}>')
    short = name if len(name) <= 17 else name[:16] + "…"
    picture.text(LEFT - 12, middle + 4, short, 13, INK, "end")
    picture.line([(LEFT, middle), (RIGHT, middle)], "#22303c", 1, 'opacity="0.12"')
    for begin, end in spans:
        x, width = picture.x(begin), picture.x(end) - picture.x(begin)
        picture.rect(x, middle - 7, width, 14, shades[name], 'rx="3" class="running"', f"{name} ({guests[name]})")
        for hold, release in paused_spans(name, marks, samples, end):
            hold, release = max(hold, begin), min(release, end)
            if release > hold:
                left = picture.x(hold)
                picture.rect(left, middle - 7, picture.x(release) - left, 14, "url(#hatch)",
                             f'class="paused" stroke="{shades[name]}" stroke-width="0.8"',
                             f"{name} stands still for {release - hold:.1f} s")
    added, words = lane_end(spans, marks, last)
    x = lane_marks(picture, middle, sorted(marks + added), name)
    if not spans:
        words = "never seen" if samples else ""
    x = max(x, picture.x(spans[-1][1]) if spans else LEFT)
    if words and x + 20 + 7 * len(words) < RIGHT:
        picture.text(x + 13, middle + 4, words, 12, QUIET, more=f'paint-order="stroke" stroke="{PAPER}" stroke-width="3"')
    picture.add("</g>")


def host_lane(picture, y, samples, marks):
    """What concerns no guest, over a thin bar for as long as the guard was there."""
    middle = y + LANE_HEIGHT / 2
    picture.add('<g class="lane host">')
    picture.text(LEFT - 12, middle + 4, "host", 13, QUIET, "end", 'font-style="italic"')
    for before, after in zip(samples, samples[1:]):
        if before.get("guard") and before["guard"] == after.get("guard"):
            x = picture.x(before["time"])
            picture.rect(x, middle - 2, picture.x(after["time"]) - x + 0.3, 4, "#8795a1", "", f"guard, pid {before['guard']}")
    lane_marks(picture, middle, marks, HOST)
    picture.add("</g>")


def psi_panel(picture, top, samples):
    bottom = top + PSI_HEIGHT
    seen = [sample for sample in samples if sample.get("psi")]
    most = max([10.0] + [sample["psi"].get("some") or 0 for sample in seen]) * 1.08
    scale(picture, top, bottom, most, 1, " %", "Pressure")
    picture.text(LEFT - 130, top + 22, "memory stall,", 11, QUIET)
    picture.text(LEFT - 130, top + 36, "avg10", 11, QUIET)
    if not seen:
        picture.text((LEFT + RIGHT) / 2, (top + bottom) / 2, "no samples", 13, QUIET, "middle")
    for key, colour in (("some", SOME), ("full", FULL)):
        points = [(picture.x(s["time"]), bottom - PSI_HEIGHT * (s["psi"].get(key) or 0) / most) for s in seen]
        if points:
            picture.area([(points[0][0], bottom), *points, (points[-1][0], bottom)], colour, 'opacity="0.15"')
            picture.line(points, colour, 2, f'class="psi {key}"')
    step = step_of(picture.end - picture.begin, 12)
    for i in range(int((picture.end - picture.begin) / step + 1e-6) + 1):
        picture.text(picture.x(picture.begin + i * step), bottom + 18, f"{i * step:g} s", 11, QUIET, "middle")
    return bottom


def footer(picture, y, run, dropped):
    lines = [str(line) for line in run.get("lines") or []]
    if dropped:
        lines.append(f"{dropped} lines of the record had no room and are missing")
    if lines:
        picture.text(LEFT - 130, y, "Verdict", 13, INK, more='font-weight="600"')
    for line in lines:
        for number, piece in enumerate(textwrap.wrap(line, 150) or [""]):
            if number == 0:
                picture.add(f'<circle cx="{LEFT + 4}" cy="{y - 4}" r="2.2" fill="{VERDICTS.get(run.get("verdict"), QUIET)}"/>')
            picture.text(LEFT + 14, y, piece, 13, INK)
            y += 20
    return y


def legends(picture, y, samples, classes, events, marks, bands):
    """Of what is in the picture, and of nothing else."""
    entries = [("box", colour, class_) for class_, colour in classes.items()]
    if any(sample.get("memory") for sample in samples):
        entries += [("box", OTHER, "other used memory"), ("bold", INK, "available")]
    if any(s["memory"].get("swap_total", 0) != s["memory"].get("swap_free", 0) for s in samples if s.get("memory")):
        entries.append(("dashed", SWAP, "swap used"))
    if floor_of(events) is not None:
        entries.append(("dashed", FLOOR, f"floor, {floor_of(events) / GIB:.2f} GiB"))
    if any(sample.get("psi") for sample in samples):
        entries += [("line", SOME, "some tasks stalled"), ("line", FULL, "all tasks stalled")]
    y = legend(picture, LEFT, y, entries) if entries else y
    kinds = {mark[1] for lane_ in marks.values() for mark in lane_}
    entries = [("mark", kind, MARKS[kind][0]) for kind in MARKS if kind in kinds]
    if kinds & {"pause", "freeze"}:
        entries.append(("hatch", "#8795a1", "stands still"))
    if not all(mark[3] for lane_ in marks.values() for mark in lane_):
        entries.append(("undone", "note", "dry run, or failed"))
    if any(after["time"] - before["time"] > LATE for before, after in zip(samples, samples[1:])):
        entries.append(("box", "url(#gap)", "no sample"))
    entries += [("box", band_strip(band), band) for band in BANDS if band in {span[2] for span in bands}]
    return legend(picture, LEFT, y, entries) if entries else y


DEFINITIONS = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="3.4" height="6" fill="#ffffff" opacity="0.78"/></pattern>'
    '<pattern id="gap" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="1" height="5" fill="#22303c" opacity="0.25"/></pattern></defs>')


def draw(folder):
    """The picture as text."""
    run = read_run(os.path.join(folder, "run.json"))
    record = read_lines(os.path.join(folder, "record.jsonl"))
    events = read_lines(os.path.join(folder, "events.jsonl"))
    samples = [line for line in record if line.get("kind") == "sample"]
    kernel = [line for line in record if line.get("kind") == "kernel"]
    times = [line["time"] for line in samples + events] or [line["time"] for line in kernel] or [0]
    picture = Picture(min(times), max(times))
    guests = guest_list(run, samples)
    shades, classes = colours_of(guests)
    marks = mark_list(events, kernel, samples, guests)
    bands = band_spans(events, picture.begin, picture.end)

    heading(picture, run, 42)
    y = legends(picture, 96, samples, classes, events, marks, bands) + (18 if bands else 2)
    backdrop(picture, bands, y, y + MEMORY_HEIGHT, True)
    y = memory_panel(picture, y, samples, guests, shades, events) + GAP
    host = bool(marks[HOST]) or any(sample.get("guard") for sample in samples)
    if guests or host:
        backdrop(picture, bands, y, y + LANE_HEIGHT * (len(guests) + host), False)
        picture.text(LEFT - 130, y - 10, "Guests", 13, INK, more='font-weight="600"')
        for name in guests:
            lane(picture, y, name, guests, shades, samples, marks[name])
            y += LANE_HEIGHT
        if host:
            host_lane(picture, y, samples, marks[HOST])
            y += LANE_HEIGHT
        y += 30
    backdrop(picture, bands, y, y + PSI_HEIGHT, False)
    y = psi_panel(picture, y, samples)
    height = footer(picture, y + 52, run, sum(line.get("dropped", 0) for line in record)) + 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" font-family={quoteattr(FONT)}>\n{DEFINITIONS}\n'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(picture.parts) + "\n</svg>\n")


def main(arguments):
    if len(arguments) != 1:
        print("usage: timeline.py FOLDER", file=sys.stderr)
        return 2
    path = os.path.join(arguments[0], "timeline.svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(draw(arguments[0]))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
