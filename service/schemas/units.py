"""Units of measurement as instruments write them, to tell `V(s)` from `V(in)` in a header."""

from __future__ import annotations

import re

_PREFIXED = (
    "m g s A K mol M Hz N Pa J W C V F Ω ohm Ohm S Wb T H lm lx Bq Gy Sv kat L l eV Da bar U IU "
    "rad cal B b Torr cd"
)
_PLAIN = (
    "% ‰ min h d a day days hr hrs hour hours sec secs second seconds minute minutes week weeks "
    "month months year years yr yrs deg degree degrees ° °C °F degC degF C F u amu atm psi psig "
    "mmHg ppm ppb ppt pH AU a.u. arb arb.u. count counts cts cps cpm rpm px pixel pixels dB dBm "
    "dBV dBc ft yd mi lb oz inch inches gal Å Angstrom angstrom volt volts Volt Volts ampere "
    "amperes amp amps Ampere watt watts Watt joule joules ohms Ohms farad henry coulomb newton "
    "pascal hertz Hertz kelvin Kelvin celsius Celsius fahrenheit Fahrenheit percent gram grams "
    "metre metres meter meters mole moles molar Seconds Second SEC VOLT AMPERE OHM HERTZ OD RFU "
    "RLU Oe G sr rev cycles cells Sequence # TS RN"
)
_PREFIX = "(?:da|[yzafpnuµμmcdhkMGTPEZY])?"
_SYMBOL = "|".join(
    [
        f"{_PREFIX}(?:{'|'.join(map(re.escape, _PREFIXED.split()))})",
        "[Dd]eg [CFK]",
        *map(re.escape, sorted(_PLAIN.split(), key=len, reverse=True)),
    ]
)
_FACTOR = rf"(?:{_SYMBOL})(?:\^?(?:[-⁻][1-9¹²³⁴]|[2-9²³⁴]))?"
_UNIT = re.compile(rf"(?:1/)?{_FACTOR}(?:[ ·*/.]{{1,3}}{_FACTOR}){{0,6}}")
_LONGEST = 40


def is_unit(text: str) -> bool:
    """Whether a text is a product of powers of known units: `V`, `µmol/min`, `m s^-2`, `1/s`."""
    text = text.strip()
    return len(text) <= _LONGEST and bool(_UNIT.fullmatch(text))
