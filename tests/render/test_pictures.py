"""Each picture by its structure: what it says, what it shows, and that it is the same each time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from service.render import characters
from service.render.figure import PALETTES, FigureOptions, drawn, figure_text
from service.render.scene import Quantity, Scene
from service.render.views.fit import FitScene
from service.render.views.loss import LossScene, loss_of_fit, loss_scene
from service.render.views.path import PathScene
from service.render.views.residuals import ResidualsScene
from service.schemas.answers import Fit
from tests.render.made import THERMOMETER, descent, fitted
from tests.render.odd import NAMES, NUMBERS, fits
from tests.render.test_scenes import given as scene_of
from tests.render.test_scenes import seen

SVG = "{http://www.w3.org/2000/svg}"
JUMPS, CRAWLS = descent(1e-2, 100), descent(1e-4, 300)
SCENES: dict[str, Callable[[], Scene]] = {
    "fit": lambda: seen("fit", THERMOMETER, units={"t_u": "°F", "t_c": "°C"}),
    "residuals": lambda: seen("residuals", THERMOMETER),
    "loss": lambda: loss_of_fit(fitted(CRAWLS)),
    "loss-diverged": lambda: loss_of_fit(fitted(JUMPS)),
    "loss-nan": lambda: loss_of_fit(
        fitted({**JUMPS, "on_divergence": "continue", "dtype": "float32"})
    ),
    "path": lambda: seen("path", CRAWLS),
    "path-jumps": lambda: seen("path", JUMPS),
    "path-of-one": lambda: seen(
        "path", {**THERMOMETER, "model": "t_c = w * t_u", "params": {"w": 1.0}}
    ),
    "losses": lambda: scene_of(view="losses"),
}


class Picture:
    """An SVG, taken apart."""

    def __init__(self, scene: Scene, **paper: Any) -> None:
        self.bytes = drawn(scene, FigureOptions(**paper))
        self.root = ElementTree.fromstring(self.bytes)
        self.texts = ["".join(text.itertext()) for text in self.root.iter(f"{SVG}text")]

    def points(self, gid: str) -> int:
        """Marks of the series of that name."""
        (group,) = [g for g in self.root.iter(f"{SVG}g") if g.get("id") == gid]
        return len(list(group.iter(f"{SVG}use")))

    def corners(self, gid: str) -> int:
        """Of the line of that name."""
        (group,) = [g for g in self.root.iter(f"{SVG}g") if g.get("id") == gid]
        path = next(group.iter(f"{SVG}path")).get("d") or ""
        return len(re.findall("[ML]", path))


def test_the_fit() -> None:
    picture = Picture(SCENES["fit"]())
    said = ["t_u [°F]", "t_c [°C]", "data", "fit", "95 % band for the curve"]
    for text in ["t_c = w * t_u + b", *said, "95 % band for new points"]:
        assert text in picture.texts
    assert picture.points("data") == 11


def test_the_loss_has_its_best_marked() -> None:
    scene = SCENES["loss"]()
    assert isinstance(scene, LossScene)
    picture = Picture(scene)
    assert {"epoch", "loss"} <= set(picture.texts)
    assert scene.best is not None
    assert f"best: {figure_text(scene.best[1])}" in picture.texts


def test_divergence_is_shown() -> None:
    diverged = Picture(SCENES["loss-diverged"]())
    assert "it diverged after 5 epochs" in diverged.texts
    assert "10²¹" in diverged.texts
    lost = Picture(SCENES["loss-nan"]())
    assert any(text.startswith("not finite from epoch") for text in lost.texts)


def test_the_residuals() -> None:
    picture = Picture(SCENES["residuals"]())
    names = {"prediction of t_c", "residual", "standard normal quantile"}
    assert names <= set(picture.texts)
    assert picture.points("residuals") == picture.points("quantiles") == 11


def test_the_path() -> None:
    picture = Picture(SCENES["path"]())
    assert {"w", "b", "start", "end", "lowest loss", "epochs 0 to 300"} <= set(picture.texts)
    jumps = Picture(SCENES["path-jumps"]())
    assert "the path leaves the plot for w = 2570, b = 45.2" in jumps.texts
    assert "end" not in jumps.texts
    assert jumps.points("path") == 3  # the start, the first step, and one beyond the frame
    one = Picture(SCENES["path-of-one"]())
    assert {"w", "loss", "lowest loss"} <= set(one.texts)


def test_the_losses() -> None:
    picture = Picture(SCENES["losses"]())
    assert {"mse: r²", "mae: |r|", "residual r", "derivative by r"} <= set(picture.texts)
    for gid in ("loss-mse", "slope-mse", "loss-mae", "slope-mae"):
        assert picture.corners(gid) >= 2


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("theme", PALETTES)
def test_every_picture_is_the_same_each_time(name: str, theme: Any) -> None:
    scene = SCENES[name]()
    picture = Picture(scene, theme=theme)
    svg = picture.bytes
    assert svg == drawn(scene, FigureOptions("svg", theme))
    assert b"dc:date" not in svg
    assert b"Matplotlib v" not in svg.split(b"<defs>")[0]
    assert picture.root.get("role") == "img"
    assert picture.root.get("aria-label") == scene.title
    png = drawn(scene, FigureOptions("png", theme, 640, 400))
    assert png == drawn(scene, FigureOptions("png", theme, 640, 400))
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (640, 400)
        corner = image.convert("RGB").getpixel((1, 398))
    paper = PALETTES[theme].background
    assert corner == tuple(int(paper[i : i + 2], 16) for i in (1, 3, 5))


def test_a_transparent_picture_is() -> None:
    png = drawn(SCENES["losses"](), FigureOptions("png", transparent=True))
    with Image.open(io.BytesIO(png)) as image:
        corner = image.convert("RGBA").getpixel((1, 1))
    assert isinstance(corner, tuple)
    assert corner[3] == 0


def test_the_settings_of_matplotlib_are_left_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    drawn(SCENES["losses"](), FigureOptions("svg", "dark"))
    assert dict(matplotlib.rcParams) == before


def test_names_are_no_mathematics_and_no_markup() -> None:
    scene = loss_scene("$x_{1}$ <script>&", np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    picture = Picture(scene)
    assert "$x_{1}$ <script>&" in picture.texts
    assert b"<script" not in picture.bytes


@given(fits(), st.integers(40, 120))
def test_the_loss_of_any_fit_can_be_drawn(fit: Fit, width: int) -> None:
    _in_characters(loss_of_fit(fit), width)


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=9),
    NAMES,
    st.booleans(),
    st.integers(40, 120),
)
def test_any_scene_can_be_drawn_in_characters(
    rows: list[tuple[float, float, float]], name: str, log: bool, width: int
) -> None:
    x, y, z = (np.array([row[i] for row in rows], dtype=np.float64) for i in range(3))
    quantity = Quantity(name, name)
    _in_characters(FitScene(name, quantity, quantity, x, y, None, x, z, log_x=log), width)
    _in_characters(ResidualsScene(name, quantity, quantity, x, y, x, z, (0.0, 1.0)), width)


def _in_characters(scene: Scene, width: int) -> None:
    for line in characters.picture(scene, width=width).split("\n"):
        assert cell_len(line) <= width, line
        assert all(c.isprintable() for c in line)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("width", [40, 80, 132])
def test_every_picture_in_characters_fits(name: str, width: int) -> None:
    _in_characters(SCENES[name](), width)


ODD = [
    np.array([]),
    np.array([1.0]),
    np.array([np.nan, np.nan]),
    np.array([1e300, -1e300]),
    np.array([5e-324, 1e-320]),
    np.array([0.0, 0.0, 0.0]),
    np.array([1.0, np.inf, 2.0]),
]


@pytest.mark.parametrize("column", ODD, ids=str)
def test_odd_numbers_can_be_drawn(column: np.ndarray[Any, Any]) -> None:
    x, quantity = np.arange(float(column.size)), Quantity("x")
    _parses(FitScene("t", quantity, quantity, x, column, None, x, column))
    _parses(FitScene("t", quantity, quantity, x, x, x, x, x, sigma_x=np.abs(x)))
    _parses(loss_scene("t", x, column))


def test_a_surface_that_is_flat_or_no_number_can_be_drawn() -> None:
    axis = np.linspace(0.0, 1.0, 5)
    path = np.array([[0.1, 0.1], [0.5, 0.5]])
    for value in (1.0, np.nan, np.inf):
        surface = np.full((5, 5), value)
        scene = PathScene("t", ("a", "b"), (axis, axis), surface, path, (0, 1), None, None)
        _parses(scene)
        _in_characters(scene, 80)


def _parses(scene: Scene) -> None:
    assert Picture(scene).root.tag == f"{SVG}svg"
