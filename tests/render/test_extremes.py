"""Every scene is drawn in every form, whatever numbers are in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.render.characters import picture
from service.render.extremes import HUGE, TINY, drawable
from service.render.figure import FigureOptions, drawn
from service.render.scene import Quantity, Scene
from service.render.views.fit import FitScene, Ribbon
from service.render.views.loss import LossScene
from service.render.views.path import PathScene
from service.render.views.residuals import ResidualsScene

AWKWARD = [0.0, -0.0, 5e-324, -1e-323, 2e-308, 1e-300, 1e-290, 1.0, -1.0, 1e15, 1e150, 1e299]
AWKWARD += [1e300, 1e307, -1e308, 1.7e308, -1.7976931348623157e308]
NONE = [np.nan, np.inf, -np.inf]
FINITE = st.sampled_from(AWKWARD)
ANY = st.sampled_from([*AWKWARD, *NONE])
X, Y = Quantity("x"), Quantity("y")


def column(size: int, of: st.SearchStrategy[float] = ANY) -> Any:
    return st.lists(of, min_size=size, max_size=size).map(np.array)


def ordered(size: int) -> Any:
    return column(size, FINITE).map(np.sort)


RIBBON = st.none() | st.builds(Ribbon, st.just(0.95), column(5), column(5))
SCENES: st.SearchStrategy[Scene] = st.one_of(
    st.builds(
        FitScene,
        title=st.just("t"),
        x=st.just(X),
        y=st.just(Y),
        data_x=column(4, FINITE),
        data_y=column(4, FINITE),
        sigma=st.none() | column(4, FINITE.map(abs)),
        curve_x=ordered(5),
        curve_y=column(5),
        confidence=RIBBON,
        prediction=RIBBON,
        log_x=st.booleans(),
    ),
    st.builds(
        LossScene,
        title=st.just("t"),
        epoch=st.just(np.arange(1.0, 5.0)),
        loss=column(4),
        best=st.none() | st.tuples(st.just(2.0), FINITE),
        lost=st.none() | st.just(4.0),
    ),
    st.builds(
        ResidualsScene,
        title=st.just("t"),
        prediction=st.just(Y),
        residual=st.just(Y),
        at=column(4, FINITE),
        residuals=column(4, FINITE),
        normal=st.just(np.array([-1.0, -0.3, 0.3, 1.0])),
        ordered=ordered(4),
        line=st.tuples(ANY, ANY),
    ),
    st.builds(
        PathScene,
        title=st.just("t"),
        names=st.just(("a", "b")),
        axes=st.tuples(ordered(4), ordered(4)),
        surface=column(16).map(lambda values: values.reshape(4, 4)),
        path=column(6, FINITE).map(lambda values: values.reshape(3, 2)),
        epochs=st.just((1, 3)),
        left=st.none() | column(2, FINITE),
        minimum=st.none() | column(2, FINITE),
    ),
)


@given(SCENES)
@settings(max_examples=150, deadline=None)
def test_characters(scene: Scene) -> None:
    assert picture(scene)


@pytest.mark.filterwarnings("ignore::UserWarning")  # matplotlib's, of axes without width
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(SCENES, st.sampled_from(["svg", "png"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pictures(scene: Scene, form: str) -> None:
    assert drawn(scene, FigureOptions(format=form, width=300, height=200))


def test_what_an_axis_can_have_stays_as_it_is_and_the_rest_is_said() -> None:
    numbers: npt.NDArray[np.float64] = np.array([1.0, HUGE, TINY, np.nan, np.inf])
    plain = LossScene("t", np.arange(5.0), numbers, None, None)
    assert drawable(plain) is plain
    odd = LossScene("t", np.arange(2.0), np.array([1.7e308, 5e-324]), (1.0, -1e308), None)
    shown = drawable(odd)
    assert isinstance(shown, LossScene)
    assert shown.loss.tolist() == [HUGE, 0.0]
    assert shown.best == (1.0, -HUGE)
    assert "beyond 1e+300" in shown.notes[0]
