"""The pictures of the documentation: the states, and the example panel as a browser shows it. ``make pictures``.

python docs/pictures.py    write them into docs/pictures; the panel needs Pebble and Chromium
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Final

from panel_pictures import take_pictures

from certcore.model.lifecycle import TRANSITIONS, USER_ACTIONS, Action, Status

HERE = Path(__file__).parent
_WIDTH: Final = 980
_HEIGHT: Final = 400
#: Half the width and half the height of the box of a status.
_BOX: Final = (62, 23)

_S = Status
#: The middle of each status.
_PLACES: Final[Mapping[Status, tuple[int, int]]] = MappingProxyType(
    {
        _S.DRAFT: (110, 170),
        _S.PENDING: (350, 170),
        _S.PROCESSING: (600, 170),
        _S.ACTIVE: (830, 170),
        _S.REVOKED: (830, 50),
        _S.ERROR: (475, 310),
        _S.EXPIRED: (830, 310),
    }
)
#: The way of each arrow, and where its label stands: x, y and the side on which the text begins.
_ROUTES: Final[Mapping[tuple[Status, Status], tuple[str, int, int, str]]] = MappingProxyType(
    {
        (_S.DRAFT, _S.PENDING): ("M172,160 H284", 228, 152, "middle"),
        (_S.PENDING, _S.DRAFT): ("M288,182 H176", 230, 199, "middle"),
        (_S.PENDING, _S.PROCESSING): ("M412,160 H534", 472, 152, "middle"),
        (_S.PROCESSING, _S.PENDING): ("M538,182 H416", 476, 199, "middle"),
        (_S.PENDING, _S.ACTIVE): ("M380,147 Q385,108 425,108 H765 Q800,108 804,143", 590, 101, "middle"),
        (_S.PROCESSING, _S.ACTIVE): ("M662,170 H764", 713, 162, "middle"),
        (_S.PENDING, _S.ERROR): ("M365,193 L453,284", 421, 240, "start"),
        (_S.ERROR, _S.PENDING): ("M430,287 L342,196", 375, 256, "end"),
        (_S.PROCESSING, _S.ERROR): ("M590,193 L501,284", 562, 244, "start"),
        (_S.ERROR, _S.DRAFT): ("M413,310 H150 Q110,310 110,270 V197", 265, 303, "middle"),
        (_S.ACTIVE, _S.EXPIRED): ("M818,193 V283", 808, 243, "end"),
        (_S.EXPIRED, _S.ACTIVE): ("M842,287 V197", 852, 243, "start"),
        (_S.ACTIVE, _S.REVOKED): ("M830,147 V77", 840, 118, "start"),
        (_S.REVOKED, _S.PENDING): ("M768,50 H390 Q350,50 350,90 V143", 560, 43, "middle"),
    }
)
#: Fill and line of each status, as its badge on a page has them.
_COLOURS: Final[Mapping[Status, tuple[str, str]]] = MappingProxyType(
    {
        _S.DRAFT: ("#eef0f3", "#6b7280"),
        _S.PENDING: ("#fff4d6", "#a16207"),
        _S.PROCESSING: ("#e0ecff", "#1d4ed8"),
        _S.ACTIVE: ("#dcf5e4", "#15803d"),
        _S.EXPIRED: ("#fde8e8", "#b91c1c"),
        _S.ERROR: ("#fde8e8", "#b91c1c"),
        _S.REVOKED: ("#ece7f7", "#6d28d9"),
    }
)
_BY_USER: Final = "#1d4ed8"
_BY_ENGINE: Final = "#4b5563"
_STYLE: Final = 'font-family="system-ui, sans-serif" font-size="13"'


def _moves() -> dict[tuple[Status, Status], list[Action]]:
    """What leads from one status to another one."""
    moves: dict[tuple[Status, Status], list[Action]] = {}
    for (status, action), after in TRANSITIONS.items():
        if status is not after:
            moves.setdefault((status, after), []).append(action)
    return moves


def _label(actions: list[Action], x: int, y: int, anchor: str) -> str:
    parts = [
        f'<tspan fill="{_BY_USER if action in USER_ACTIONS else _BY_ENGINE}">{escape(action)}</tspan>'
        for action in actions
    ]
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{", ".join(parts)}</text>'


def _elements() -> Iterator[str]:
    moves = _moves()
    if moves.keys() != _ROUTES.keys() or set(_PLACES) != set(Status):
        unknown = sorted(f"{before} → {after}" for before, after in moves.keys() ^ _ROUTES.keys())
        raise SystemExit(f"docs/pictures.py has no place for these states, or draws what is gone: {unknown}")
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="12" fill="#ffffff"/>'
    yield '<circle cx="16" cy="170" r="6" fill="#4b5563"/>'
    yield f'<path d="M22,170 H44" fill="none" stroke="{_BY_ENGINE}" stroke-width="1.5" marker-end="url(#tip)"/>'
    for (before, after), actions in moves.items():
        way, x, y, anchor = _ROUTES[before, after]
        yield f'<path d="{way}" fill="none" stroke="{_BY_ENGINE}" stroke-width="1.5" marker-end="url(#tip)"/>'
        yield _label(actions, x, y, anchor)
    wide, high = _BOX
    for status, (x, y) in _PLACES.items():
        fill, line = _COLOURS[status]
        yield (
            f'<rect x="{x - wide}" y="{y - high}" width="{2 * wide}" height="{2 * high}" rx="10" '
            f'fill="{fill}" stroke="{line}" stroke-width="1.5"/>'
        )
        yield (
            f'<text x="{x}" y="{y + 5}" text-anchor="middle" font-size="15" font-weight="600" fill="{line}">'
            f"{escape(status)}</text>"
        )
    yield f'<text x="30" y="378" fill="{_BY_USER}">blue: a user does it</text>'
    yield f'<text x="180" y="378" fill="{_BY_ENGINE}">grey: it happens by itself</text>'


def state_picture() -> str:
    """The statuses of a certificate, and what leads from one to another, as SVG (without self-loops)."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" {_STYLE}>',
            "<title>The states of a certificate</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8" markerHeight="8"',
            'orient="auto">',
            f'<path d="M0,0 L8,4 L0,8 z" fill="{_BY_ENGINE}"/></marker></defs>',
            *_elements(),
            "</svg>",
            "",
        ]
    )


def main() -> int:
    """Write the pictures."""
    (HERE / "pictures").mkdir(exist_ok=True)
    (HERE / "pictures/states.svg").write_text(state_picture(), encoding="utf-8")
    take_pictures(HERE / "pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
