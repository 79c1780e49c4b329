"""FPGA families: what yosys calls them, and how long a level of logic takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.config import HlsConfig

UNCERTAINTY = "27%"
"""What is kept free of the period where nobody says otherwise: what Vitis HLS keeps free."""


@dataclass(frozen=True)
class Family:
    """A family of parts.

    Attributes:
        name: for people.
        pattern: of its part numbers.
        yosys: its name in `synth_xilinx`; empty where yosys does not know it.
        level: ns of a look-up table and the wire to it, of the usual speed grade.
        register: ns that a path takes beside its levels: out of a register, into the next.
    """

    name: str
    pattern: str
    yosys: str
    level: float
    register: float


FAMILIES = (
    Family("Versal", r"xc[aq]?v(c|e|m|p|h)\d", "", 0.38, 0.25),
    Family("UltraScale+", r"x[aqc][aq]?(u\d|vu\d+p|ku\d+p|zu|k\d|au\d|vu19p)", "xcup", 0.42, 0.25),
    Family("UltraScale", r"x[aqc][aq]?(vu|ku)\d", "xcu", 0.5, 0.3),
    Family("7 series", r"x[aqc][aq]?7", "xc7", 0.65, 0.5),
)


def family_of(part: str) -> Family:
    """The family of a part number.

    Raises:
        ConfigurationError: no family has such parts.
    """
    for family in FAMILIES:
        if re.match(family.pattern, part):
            return family
    allowed = "parts of " + ", ".join(family.name for family in FAMILIES)
    raise ConfigurationError("part", f"is {part!r}, of a family that is not known", allowed=allowed)


@dataclass(frozen=True)
class Clock:
    """What fits a cycle.

    Attributes:
        period: ns.
        uncertainty: ns of it that are kept free.
        family: of the part.
    """

    period: float
    uncertainty: float
    family: Family

    @classmethod
    def of(cls, config: HlsConfig) -> Clock:
        """The clock of a configuration."""
        stated = UNCERTAINTY if config.clock_uncertainty is None else config.clock_uncertainty
        text = str(stated)
        free = config.clock_period * float(text[:-1]) / 100 if text.endswith("%") else float(text)
        return cls(float(config.clock_period), free, family_of(config.part))

    @property
    def levels(self) -> float:
        """Levels of logic between two registers, at least one."""
        return max(1.0, float(int((self.period - self.uncertainty - self.family.register) / self.family.level + 1e-9)))

    def reached(self, levels: float) -> float:
        """The period in ns that a longest path of so many levels asks for."""
        return levels * self.family.level + self.family.register

    def describe(self) -> str:
        """One sentence."""
        return (
            f"{self.levels:g} levels of logic in a cycle: {self.period:g} ns less {self.uncertainty:g} ns, "
            f"{self.family.level:g} ns a level and {self.family.register:g} ns at registers ({self.family.name})"
        )
