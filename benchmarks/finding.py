"""Say one figure of a benchmark that has an aim for some of its figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure, and its aim where there is one."""

    what: str
    value: float
    unit: str
    bound: float | None = None
    sign: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.sign == "≤" else self.value >= self.bound

    def line(self) -> str:
        """Return its line of the table."""
        verdict = {True: "yes", False: "MISSED", None: ""}[self.is_met]
        aim = "" if self.bound is None else f"{self.sign} {self.bound:,g} {self.unit}"
        form = ",.0f" if self.value >= 100 else ",.2f"
        return f"{self.what:48} {self.value:>10{form}} {self.unit:4} {aim:>12}  {verdict}".rstrip()
