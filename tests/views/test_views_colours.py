"""The colours for people who see red and green alike, and the contrast of letters, on light and dark pages."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from minirt.views.theme import INK, LOOKS, SOFT_INK, STATUSES, Paint

EXTENSION = Path(__file__).parents[2] / "kernel/share/jupyter/labextensions/minirt-lab/static/remoteEntry.js"
DARK = dict(re.findall(r'"(#[0-9a-f]{6})": "(#[0-9a-f]{6})"', EXTENSION.read_text()))
LIGHT = {colour: colour for colour in DARK}
Triple = tuple[float, ...]
# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
}
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def linear(colour: str) -> Triple:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def times(matrix: tuple[Triple, ...], vector: Triple) -> Triple:
    return tuple(min(1.0, max(0.0, sum(a * b for a, b in zip(row, vector, strict=True)))) for row in matrix)


def lab(rgb: Triple) -> Triple:
    """CIE L*a*b*, where a distance of 2 can just be seen side by side."""
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (part / white for part, white in zip(times(XYZ, rgb), (0.95047, 1, 1.08883), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: Triple, other: Triple) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1, contrast ratio."""
    low, high = sorted(sum(a * b for a, b in zip(XYZ[1], linear(colour), strict=True)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def solid(paints: dict[str, Paint]) -> dict[str, Paint]:
    return {
        name: paint for name, paint in paints.items() if "none" not in (paint.fill, paint.stroke) and not paint.dash
    }


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("paints", [LOOKS, STATUSES], ids=["looks", "statuses"])
def test_what_means_something_else_looks_other(paints: dict[str, Paint], theme: dict[str, str], sight: str) -> None:
    """Fill or outline differ well for those who confuse red and green; what is of one colour differs in its icon."""
    for (name, one), (other_name, other) in combinations(solid(paints).items(), 2):
        if one.accent == other.accent:
            assert one.icon != other.icon or one.fill != other.fill, (name, other_name)
            continue
        seen = [[lab(times(SIGHTS[sight], linear(theme[c]))) for c in (p.fill, p.stroke)] for p in (one, other)]
        assert max(distance(a, b) for a, b in zip(*seen, strict=True)) >= 10, (name, other_name)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_letters_and_icons_can_be_read(theme: dict[str, str]) -> None:
    """WCAG 2.1: 4.5 to 1 for letters (1.4.3), 3 to 1 for signs (1.4.11)."""
    for name, paint in (*LOOKS.items(), *STATUSES.items()):
        if paint.fill == "none":
            continue
        fill = theme[paint.fill]
        assert contrast(theme[INK], fill) >= 7, name
        assert contrast(theme[SOFT_INK], fill) >= 4.5, name
        assert contrast(theme[paint.accent], fill) >= 3, name
