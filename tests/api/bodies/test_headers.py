from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schemas.headers import LONGEST_UNIT, identifier, split, unnamed


@pytest.mark.parametrize(
    ("cell", "name", "unit"),
    [
        ("time", "time", ""),
        ("time [s]", "time", "s"),
        ("time[s]", "time", "s"),
        ("t_u (°C)", "t_u", "°C"),
        ("t_u(°C)", "t_u", "°C"),
        ("flow rate [l/min]", "flow_rate", "l/min"),
        ("c (mol l⁻¹)", "c", "mol l⁻¹"),
        ("log(dose)", "log_dose", ""),
        ("log (dose)", "log", "dose"),
        ("[s]", "s", ""),
        ("x []", "x", ""),
        ("a (b) (c)", "a_b", "c"),
        ("x" + " [" + "u" * 100 + "]", "x", "u" * LONGEST_UNIT),
    ],
)
def test_a_unit_is_parted_from_its_name(cell: str, name: str, unit: str) -> None:
    assert split(cell) == (name, unit)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("t_c", "t_c"),
        ("_x", "_x"),
        ("__x", "x"),
        ("Δ T", "Δ_T"),
        ("µ", "μ"),
        ("x²", "x2"),
        ("2nd run", "_2nd_run"),
        ("%", ""),
        ("a.b-c/d", "a_b_c_d"),
        (" x ", "x"),
        ("weiß", "weiß"),
    ],
)
def test_a_name_is_one_that_a_formula_can_use(text: str, name: str) -> None:
    assert identifier(text) == name


@given(st.text(max_size=10))
def test_any_name_is(text: str) -> None:
    name = identifier(text)
    assert name == "" or (name.isidentifier() and not name.startswith("__"))


def test_columns_without_a_header() -> None:
    assert [unnamed(count) for count in (1, 2, 3)] == [["y"], ["x", "y"], ["x1", "x2", "y"]]
