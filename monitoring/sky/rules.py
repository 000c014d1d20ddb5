"""The light rule as it is asked for and said: which evidence, which threshold.

Owns reading `irradiance:50`, `expected:5`, `elevation:5` and `auto`, and the Chinese words for them.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from store.problem import Problem, ProblemsError


class Basis(StrEnum):
    """Which evidence decides whether there was enough light; AUTO takes the best that can be trusted.

    MEASURED is the sensor's word alone, whatever it says; where it says nothing no time counts.
    HABIT is what the same time of day brought on other days, OUTPUT a machine of the plant that runs: they
    only help where the evidence asked for is missing.
    """

    AUTO = "auto"
    IRRADIANCE = "irradiance"
    MEASURED = "measured"
    EXPECTED = "expected"
    ELEVATION = "elevation"
    HABIT = "habit"
    OUTPUT = "output"


THRESHOLDS = {Basis.IRRADIANCE: 50.0, Basis.MEASURED: 50.0, Basis.EXPECTED: 5.0, Basis.ELEVATION: 5.0}
"""Defaults: irradiance [W/m²], expected power [% of rated], elevation of the sun [degrees]."""
_LIMITS = {
    Basis.IRRADIANCE: (0.0, 1000.0),
    Basis.MEASURED: (0.0, 1000.0),
    Basis.EXPECTED: (0.0, 90.0),
    Basis.ELEVATION: (-1.0, 60.0),
}
_WORDS = {
    Basis.IRRADIANCE: "实测辐照度不低于 {0:g} W/m²",
    Basis.MEASURED: "只按实测辐照度，不低于 {0:g} W/m²",
    Basis.EXPECTED: "应发功率（同时段其他电站或逆变器出力的中位数）不低于额定的 {0:g} %",
    Basis.ELEVATION: "太阳高度角不低于 {0:g}°",
    Basis.HABIT: "往日同一时刻有日照",
    Basis.OUTPUT: "同站有逆变器在发电",
    Basis.AUTO: "依次采用：可信的实测辐照度、应发功率、太阳高度角",
}


@dataclass(frozen=True, slots=True)
class LightRule:
    """A light rule: the evidence and its threshold in the evidence's own unit."""

    basis: Basis = Basis.AUTO
    threshold: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `auto`, `irradiance[:W/m²]`, `measured[:W/m²]`, `expected[:%]` or `elevation[:degrees]`.

        Raises ProblemsError with what may be written.
        """
        name, _, number = text.strip().lower().partition(":")
        how = "写成 auto、irradiance:50、measured:50（W/m²）、expected:5（额定的 %）或 elevation:5（度）"
        wrong = ProblemsError([Problem("--rule", f"“{text}” 不是日照规则", how)])
        if name == Basis.AUTO and not number:
            return cls()
        if name not in set(THRESHOLDS):
            raise wrong
        basis = Basis(name)
        try:
            threshold = float(number) if number else THRESHOLDS[basis]
        except ValueError as error:
            raise wrong from error
        low, high = _LIMITS[basis]
        if not math.isfinite(threshold) or not low <= threshold <= high:
            raise ProblemsError([Problem("--rule", f"“{text}” 的门槛不在 {low:g} 到 {high:g} 之间", how)])
        return cls(basis, threshold)

    def threshold_of(self, basis: Basis) -> float:
        """Return the threshold for an evidence under this rule: its own, or the default."""
        return self.threshold if basis is self.basis else THRESHOLDS[basis]

    @property
    def label(self) -> str:
        """The rule in Chinese."""
        return self.words(self.basis)

    def words(self, basis: Basis) -> str:
        """Return what one evidence means under this rule, in Chinese."""
        threshold = self.threshold_of(basis) if basis in THRESHOLDS else 0.0
        return _WORDS[basis].format(threshold)

    def __str__(self) -> str:
        return str(self.basis) if self.basis is Basis.AUTO else f"{self.basis}:{self.threshold:g}"


AUTO = LightRule()
"""The rule in force where nobody asks for another."""
