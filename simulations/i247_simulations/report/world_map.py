"""Show on a map where hubs and members are and how much went between them. Pure."""

from __future__ import annotations

from math import hypot, sqrt
from typing import Final

from i247_simulations.metrics import carried
from i247_simulations.report.atlas import Place, land, projected
from i247_simulations.report.figures import Canvas, figure, path, text
from i247_simulations.report.markup import Markup, esc, joined, table, tag
from i247_simulations.report.words import count, listed, size
from i247_simulations.results import Result


def map_figure(result: Result, label: str) -> Markup:
    """Return the world with hubs, members, and flows between hubs."""
    known = {name: (place.longitude, place.latitude) for name, place in result.whole.places.items()}
    hubs = {name: known[name] for name in result.hubs if name in known}
    members = {code: known[code] for code in result.members if code in known}
    sent = carried(result)
    ways = between_hubs(result)
    most, widest = max(sent.values(), default=1) or 1, max(ways.values(), default=1) or 1

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        where = _Frame(canvas)
        drawn = [tag("rect", x=0, y=0, width=canvas.width, height=where.height, rx=6, class_="sea"), where.land()]
        spots = {name: where.at(place) for name, place in (members | hubs).items()}
        for code in members:
            drawn += [path([spots[code], spots[hub]], "tie") for hub in result.homes.get(code, ()) if hub in hubs]
        for (one, other), length in sorted(ways.items(), key=lambda way: way[1]):
            if one in hubs and other in hubs:
                drawn.append(
                    _bow(spots[one], spots[other], 0.8 + 6 * length / widest, f"{one} and {other}: {size(length)}")
                )
        small = 1.5 if canvas.is_narrow else 2.3
        for code in members:
            x, y = spots[code]
            title = tag("title", esc(f"{code}, at home at {listed(result.homes.get(code, ()))}"))
            drawn.append(tag("circle", title, cx=x, cy=y, r=small, class_="member"))
        for hub in hubs:
            x, y = spots[hub]
            radius = (4 if canvas.is_narrow else 5) + (4 if canvas.is_narrow else 8) * sqrt(sent.get(hub, 0) / most)
            title = tag("title", esc(f"{hub}: {count(sent.get(hub, 0))} frames sent"))
            drawn.append(tag("circle", title, cx=x, cy=y, r=radius, class_="hub"))
        order = sorted(hubs, key=lambda hub: (-sent.get(hub, 0), hub))
        drawn += _names([(hub, spots[hub]) for hub in order], canvas, where.height)
        return joined(drawn), where.height

    homeless = [name for name in (*result.hubs, *result.members) if name not in hubs and name not in members]
    note = "Circles are hubs, larger the more frames they sent; lines between them are wider the more bytes went. "
    note += "Small dots are members, joined to their homes. "
    note += f"Not on the map, since no place of theirs is known: {listed(homeless, 12)}. " if homeless else ""
    note += "Outline of the land: Natural Earth, public domain; borders are not shown."
    return figure(label, draw, note=note, numbers=_numbers(result))


def between_hubs(result: Result) -> dict[tuple[str, str], int]:
    """Return the bytes between each two hubs, both ways together."""
    found: dict[tuple[str, str], int] = {}
    for flow in result.flows:
        if flow.sender in result.hubs and flow.receiver in result.hubs:
            one, other = sorted((flow.sender, flow.receiver))
            found[one, other] = found.get((one, other), 0) + flow.bytes
    return found


class _Frame:
    """The part of the map that is shown, and its scale."""

    def __init__(self, canvas: Canvas) -> None:
        left, self._top = -2.72, projected((0, 80))[1]
        self._left, self._scale = left, canvas.width / 5.44
        self.height = round((self._top - projected((0, -56))[1]) * self._scale)

    def at(self, place: Place) -> tuple[float, float]:
        x, y = projected(place)
        return (x - self._left) * self._scale, (self._top - y) * self._scale

    def land(self) -> Markup:
        rings = ("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in map(self.at, ring)) + "Z" for ring in land())
        return tag("path", d="".join(rings), class_="land")


def _bow(one: tuple[float, float], other: tuple[float, float], width: float, title: str) -> Markup:
    """Return a bowed line, so that lines over the same way can be told apart."""
    (x1, y1), (x2, y2) = one, other
    length = hypot(x2 - x1, y2 - y1) or 1
    lift = min(0.18 * length, 60)
    x, y = (x1 + x2) / 2 + (y2 - y1) / length * lift, (y1 + y2) / 2 - abs(x2 - x1) / length * lift
    way = f"M{x1:.1f} {y1:.1f}Q{x:.1f} {y:.1f} {x2:.1f} {y2:.1f}"
    return tag("path", tag("title", esc(title)), d=way, stroke_width=width, class_="flow")


def _names(hubs: list[tuple[str, tuple[float, float]]], canvas: Canvas, height: float) -> list[Markup]:
    """Return the names of hubs beside them, each where it covers no other; one without room is left out."""
    letter, high, off = (6.2, 12, 9) if canvas.is_narrow else (7.6, 15, 15)
    taken = [(x - off / 2, y - off / 2, x + off / 2, y + off / 2) for _, (x, y) in hubs]
    drawn = []
    for hub, (x, y) in hubs:
        wide = letter * len(hub)
        places = (
            (x + off, y + 4, "start"),
            (x - off, y + 4, "end"),
            (x, y - off, "middle"),
            (x, y + off + high - 3, "middle"),
        )
        for left, floor, anchor in places:
            begin = left - {"start": 0, "end": wide, "middle": wide / 2}[anchor]
            box = begin, floor - high + 3, begin + wide, floor + 3
            if box[0] >= 0 and box[2] <= canvas.width and box[1] >= 0 and box[3] <= height and not _hits(box, taken):
                taken.append(box)
                drawn.append(text(left, floor, hub, anchor=anchor, kind="halo"))
                break
    return drawn


def _hits(box: Box, others: list[Box]) -> bool:
    return any(box[0] < one[2] and one[0] < box[2] and box[1] < one[3] and one[1] < box[3] for one in others)


def _numbers(result: Result) -> Markup:
    busiest = sorted(result.flows, key=lambda one: (-one.bytes, one.sender, one.receiver))[:FLOWS_SHOWN]
    rows = [(f"{one.sender} → {one.receiver}", count(one.frames), size(one.bytes)) for one in busiest]
    rest = len(result.flows) - len(busiest)
    caption = f"The {len(busiest)} busiest of {len(result.flows)} ways" if rest else "All ways"
    return table(("From and to", "Frames", "Bytes"), rows, caption=caption)


Box = tuple[float, float, float, float]
FLOWS_SHOWN: Final = 40
