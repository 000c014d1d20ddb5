"""Units of manuals and the base units in which everything is kept.

Owns one table: vendor's unit -> base unit and exact factor. Nothing else converts units.
"""

from fractions import Fraction

BASE_UNITS: dict[str, tuple[str, Fraction]] = {
    "": ("", Fraction(1)),
    "1": ("1", Fraction(1)),
    "%": ("%", Fraction(1)),
    "W": ("W", Fraction(1)),
    "kW": ("W", Fraction(1000)),
    "MW": ("W", Fraction(1_000_000)),
    "var": ("var", Fraction(1)),
    "kvar": ("var", Fraction(1000)),
    "VA": ("VA", Fraction(1)),
    "kVA": ("VA", Fraction(1000)),
    "Wh": ("Wh", Fraction(1)),
    "kWh": ("Wh", Fraction(1000)),
    "MWh": ("Wh", Fraction(1_000_000)),
    "VAh": ("VAh", Fraction(1)),
    "Ah": ("Ah", Fraction(1)),
    "varh": ("varh", Fraction(1)),
    "kvarh": ("varh", Fraction(1000)),
    "V": ("V", Fraction(1)),
    "mV": ("V", Fraction(1, 1000)),
    "A": ("A", Fraction(1)),
    "mA": ("A", Fraction(1, 1000)),
    "Hz": ("Hz", Fraction(1)),
    "°C": ("°C", Fraction(1)),
    "Ω": ("Ω", Fraction(1)),
    "kΩ": ("Ω", Fraction(1000)),
    "MΩ": ("Ω", Fraction(1_000_000)),
    "s": ("s", Fraction(1)),
    "min": ("min", Fraction(1)),
    "h": ("h", Fraction(1)),
    "W/m²": ("W/m²", Fraction(1)),
    "MJ/m²": ("J/m²", Fraction(1_000_000)),
    "m/s": ("m/s", Fraction(1)),
    "°": ("°", Fraction(1)),
    "kg": ("kg", Fraction(1)),
    "epoch": ("epoch", Fraction(1)),
}
"""Vendor's unit -> (base unit, exact factor). `epoch` is seconds since 1970, in UTC or in wall time."""
