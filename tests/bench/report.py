"""What a bench hands back, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Cell = str | float | int | None

DIGITS = 3
HOLDS = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True)
class Bar:
    """A figure that Undercroft is held to."""

    what: str
    measured: float | None
    required: str
    holds: bool | None
    unit: str = ""

    @classmethod
    def at_most(cls, what: str, measured: float | None, limit: float, unit: str = "") -> Bar:
        """Returns a bar that holds while `measured` does not exceed `limit`."""
        return cls(
            what, measured, f"≤ {limit:g} {unit}".rstrip(), None if measured is None else measured <= limit, unit
        )

    @classmethod
    def at_least(cls, what: str, measured: float | None, limit: float, unit: str = "") -> Bar:
        """Returns a bar that holds while `measured` does not fall below `limit`."""
        return cls(
            what, measured, f"≥ {limit:g} {unit}".rstrip(), None if measured is None else measured >= limit, unit
        )


@dataclass(frozen=True)
class Table:
    """Figures of all contenders, one row each."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True)
class Section:
    """What one bench found."""

    bars: list[Bar] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def render(sections: Sequence[Section]) -> str:
    """Returns the table of bars and, under it, the figures behind them."""
    bars = [bar for section in sections for bar in section.bars]
    rows = [(bar.what, f"{text(bar.measured)} {bar.unit}".rstrip(), bar.required, HOLDS[bar.holds]) for bar in bars]
    parts = [grid(("bar", "measured", "required", "holds"), rows)]
    parts += [block(table) for section in sections for table in section.tables]
    return "\n\n".join(parts)


def block(table: Table) -> str:
    """Lays out a table under its title."""
    return f"{table.title}\n{grid(table.columns, table.rows)}"


def grid(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Lays out a table: names to the left, figures to the right."""
    lines = [list(columns), *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        " | ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def text(cell: Cell) -> str:
    """Writes a cell; a fraction with three digits, or all before the point."""
    if cell is None:
        return "-"
    if not isinstance(cell, float):
        return str(cell)
    whole = len(str(int(abs(cell))))
    return f"{cell:.{max(0, DIGITS - whole)}f}"
