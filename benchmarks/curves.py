"""Curves and bars in a small SVG file that can be read on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

__all__ = ["Bar", "Curve", "bars", "drawing"]

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 140, 46, 72
STYLE = """
  .card { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d1d9e0 }
  .c0 { --c: #0b7285 } .c1 { --c: #b35900 } .c2 { --c: #6f42c1 } .c3 { --c: #2b7a2b } .c4 { --c: #b02a5b }
  .c5 { --c: #59636e }
  @media (prefers-color-scheme: dark) {
    .card { fill: #151b23 } .ink { fill: #f0f6fc } .faint { fill: #9198a1 } .grid { stroke: #3d444d }
    .c0 { --c: #3bc9db } .c1 { --c: #ffa94d } .c2 { --c: #b197fc } .c3 { --c: #69db7c } .c4 { --c: #f783ac }
    .c5 { --c: #9198a1 }
  }
  polyline { fill: none; stroke: var(--c); stroke-width: 2 } circle, .name, .bar { fill: var(--c) }
  text { font: 13px system-ui, sans-serif } .small { font-size: 11px } .title { font-size: 15px; font-weight: 600 }
"""


class Curve(NamedTuple):
    """A row of points, with its name."""

    name: str
    points: Sequence[tuple[float, float]]


class Bar(NamedTuple):
    """A value, and what is written beside it. Bars with the same name have the same colour."""

    name: str
    value: float
    shown: str


def drawing(curves: Sequence[Curve], *, title: str, across: str, up: str, note: str, stops: Sequence[str] = ()) -> str:
    """The SVG text. Both axes start at 0, except where `stops` names the places 0, 1, 2 ... of the one across."""
    step = _step(max(y for curve in curves for _, y in curve.points))
    most_x = max(x for curve in curves for x, _ in curve.points) or 1
    most_y = step * ceil(max(y for curve in curves for _, y in curve.points) / step)

    def place(x: float, y: float) -> tuple[float, float]:
        wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + wide * x / most_x, 1), round(TOP + high * (1 - y / most_y), 1)

    def parts() -> Iterator[str]:
        yield from _head(title, f"{title}: {up} by {across}", HEIGHT)
        for number in range(round(most_y / step) + 1):
            x, y = place(0, number * step)
            yield f'<line class="grid" x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
            yield f'<text class="faint" x="{x - 8}" y="{y + 4}" text-anchor="end">{number * step:,g}</text>'
        numbers = range(0, floor(most_x) + 1, 5 if most_x > 10 and not stops else 1)
        for number, name in zip(numbers, stops or map(str, numbers), strict=True):
            x, y = place(number, 0)
            yield f'<text class="faint" x="{x}" y="{y + 18}" text-anchor="middle">{escape(name)}</text>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text class="ink" x="{middle}" y="{HEIGHT - 34}" text-anchor="middle">{escape(across)}</text>'
        yield (
            f'<text class="ink" transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(up)}</text>'
        )
        yield f'<text class="faint small" x="{LEFT}" y="{HEIGHT - 12}">{escape(note)}</text>'
        names = _apart([place(*curve.points[-1])[1] for curve in curves])
        for index, (curve, at) in enumerate(zip(curves, names, strict=True)):
            points = [place(*point) for point in curve.points]
            yield f'<g class="c{index}"><polyline points="{" ".join(f"{x},{y}" for x, y in points)}"/>'
            yield from (f'<circle cx="{x}" cy="{y}" r="2.5"/>' for x, y in points)
            yield f'<text class="name" x="{points[-1][0] + 10}" y="{at + 4}">{escape(curve.name)}</text></g>'
        yield "</svg>"

    return "\n".join(parts()) + "\n"


def bars(groups: Sequence[tuple[str, Sequence[Bar]]], *, title: str, across: str, note: str) -> str:
    """The SVG text of bars that lie, in groups, each from 0 on."""
    high, gap, left, right = 20, 30, 130, 110
    most = max(bar.value for _, group in groups for bar in group)
    names = list(dict.fromkeys(bar.name for _, group in groups for bar in group))
    bottom = TOP + sum(gap + high * len(group) for _, group in groups)

    def parts() -> Iterator[str]:
        yield from _head(title, f"{title}: {across}", bottom + 60)
        y = TOP
        for group, found in groups:
            yield f'<text class="ink" x="16" y="{y + 18}">{escape(group)}</text>'
            y += gap
            for bar in found:
                wide = round(max((WIDTH - left - right) * bar.value / most, 1), 1)
                yield f'<text class="faint" x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(bar.name)}</text>'
                yield f'<g class="c{names.index(bar.name)}">'
                yield f'<rect class="bar" x="{left}" y="{y}" width="{wide}" height="{high - 5}"/></g>'
                yield f'<text class="ink" x="{left + wide + 8}" y="{y + 12}">{escape(bar.shown)}</text>'
                y += high
        yield f'<text class="ink" x="{left}" y="{bottom + 26}">{escape(across)}</text>'
        yield f'<text class="faint small" x="{left}" y="{bottom + 48}">{escape(note)}</text>'
        yield "</svg>"

    return "\n".join(parts()) + "\n"


def _head(title: str, told: str, height: float) -> Iterator[str]:
    """The beginning of a file: its size, its title, for the ear as well, and its card."""
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">'
    yield f'<title id="title">{escape(told)}</title>'
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>'
    yield f'<text class="ink title" x="16" y="26">{escape(title)}</text>'


def _step(most: float) -> float:
    """A round distance between lines, so that there are about five of them."""
    rough = most / 5
    power = 10 ** floor(log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def _apart(heights: Sequence[float], distance: float = 16) -> list[float]:
    """The heights of the names, moved so that none covers another."""
    placed: dict[int, float] = {}
    last = float("inf")
    for index in sorted(range(len(heights)), key=lambda one: -heights[one]):
        placed[index] = last = min(heights[index], last - distance)
    return [placed[index] for index in range(len(heights))]
