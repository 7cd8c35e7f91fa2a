"""Figures by matplotlib: size, colours, and serialization. Imported where one is drawn.

Uses matplotlib's objects without pyplot, so that no state is kept. Colours are Okabe and Ito's
(Color Universal Design, 2008), distinguishable for the colour-blind.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from service.render.digits import number
from service.render.extremes import drawable
from service.render.scene import Scene
from service.schemas.names import Theme

DPI = 100
BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY = "#56B4E9"
_LONGEST_TITLE = 90


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme."""

    background: str
    ink: str
    quiet: str
    """Of the frame, the ticks and the notes."""
    grid: str
    curve: str
    band: str
    points: str
    accent: str
    """The colour of highlights."""
    second: str
    surface: tuple[str, str]
    """Of a surface, from low to high."""
    contours: str
    series: tuple[str, ...]
    """Of several curves, in order."""


PALETTES: Mapping[Theme, Palette] = {
    "light": Palette(
        background="#ffffff",
        ink="#1f2328",
        quiet="#59636e",
        grid="#e4e7eb",
        curve=BLUE,
        band=BLUE,
        points="#1f2328",
        accent=VERMILLION,
        second=GREEN,
        surface=("#f7fafd", "#86b6da"),
        contours="#6b7f95",
        series=(BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY),
    ),
    "dark": Palette(
        background="#0f1419",
        ink="#e6e9ed",
        quiet="#9aa4af",
        grid="#262d35",
        curve=SKY,
        band=SKY,
        points="#e6e9ed",
        accent=ORANGE,
        second="#2fbf94",
        surface=("#131c26", "#2c6391"),
        contours="#5f7890",
        series=(SKY, ORANGE, "#2fbf94", PURPLE, VERMILLION, "#f0e442"),
    ),
}


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """The options of a picture."""

    format: str = "svg"
    theme: Theme = "light"
    width: int = 800
    """Pixels."""
    height: int = 500
    transparent: bool = False


def drawn(scene: Scene, options: FigureOptions) -> bytes:
    """The picture as an SVG, a PNG or a PDF: the same bytes for the same scene."""
    scene, palette = drawable(scene), PALETTES[options.theme]
    with matplotlib.rc_context(_settings(palette)), warnings.catch_warnings():
        # A letter that the font lacks is a box in a PNG, and whole in an SVG.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure = Figure(
            figsize=(options.width / DPI, options.height / DPI),
            dpi=DPI,
            layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08),
        )
        figure.patch.set_alpha(0.0 if options.transparent else 1.0)
        scene.draw(figure, palette)
        _add_title(figure, scene, palette)
        out = io.BytesIO()
        if options.format == "png":
            FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})  # type: ignore[no-untyped-call]
            return out.getvalue()
        if options.format == "pdf":
            about = {**dict.fromkeys(_PDF_METADATA), "Title": _short(scene.title, _LONGEST_TITLE)}
            FigureCanvasPdf(figure).print_pdf(out, metadata=about)  # type: ignore[no-untyped-call]
            return out.getvalue()
        FigureCanvasSVG(figure).print_svg(out, metadata=dict.fromkeys(_METADATA))  # type: ignore[no-untyped-call]
        return _accessible(out.getvalue(), scene)


_METADATA = ("Date", "Creator", "Format", "Type")
_PDF_METADATA = ("CreationDate", "Creator", "Producer")
"""Metadata to omit, so that the same scene gives the same bytes."""


def plain(text: str) -> str:
    """The text without mathtext, since `$` may occur in a name."""
    return text.replace("$", r"\$")


def name_axes(axes: Axes, x: object, y: object) -> None:
    """The names of the axes, with their units."""
    axes.set_xlabel(plain(_short(str(x), 60)))
    axes.set_ylabel(plain(_short(str(y), 44)))


def style_axes(
    axes: Axes, palette: Palette, *, log: str = "", whole: str = "", grid: str = "both",
    most: int = 7,
) -> None:  # fmt: skip
    """Sets readable ticks and few lines. `log` has "x" or "y" for an axis by
    powers of ten, `whole` for one of whole numbers."""
    if grid:
        axes.grid(axis=grid, color=palette.grid, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        axis.set_major_formatter(FuncFormatter(_tick))
        if name not in log:
            axis.set_major_locator(
                MaxNLocator(nbins=most, steps=[1, 2, 5, 10], integer=name in whole)
            )
            continue
        low, high = sorted(map(float, axis.get_view_interval()))
        narrow = low > 0 and high < 100 * low
        axis.set_major_locator(
            LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=most + 1)
        )
        axis.set_minor_formatter(NullFormatter())


def mark_zero(axes: Axes, zero: float, palette: Palette) -> None:
    """Labels that place of a logarithmic x axis 0, and cuts the axis to the right of it."""
    axes.xaxis.set_major_locator(_WithZero(axes.xaxis.get_major_locator(), zero))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _at: "0" if value == zero else figure_text(value, 6))
    )
    axes.plot(
        [zero * 10.0**_CUT],
        [0.0],
        transform=axes.get_xaxis_transform(),
        marker=((-1, -2), (1, 2)),
        markersize=10,
        color=palette.quiet,
        clip_on=False,
        zorder=20,
    )


_CUT = 0.25
"""Decades from 0 to where the axis is cut."""


class _WithZero(Locator):
    """The ticks of another locator at more than 0, and 0."""

    def __init__(self, others: Locator, zero: float) -> None:
        self._others, self._zero = others, zero

    def set_axis(self, axis: Any) -> None:
        super().set_axis(axis)
        self._others.set_axis(axis)

    def __call__(self) -> Any:
        return self._with_zero(self._others())

    def tick_values(self, vmin: float, vmax: float) -> Any:
        return self._with_zero(self._others.tick_values(vmin, vmax))

    def _with_zero(self, ticks: Any) -> Any:
        beyond = np.asarray(ticks)[np.asarray(ticks) > self._zero * 10.0**_CUT]
        return np.concatenate([[self._zero], beyond])


def legend(axes: Axes, palette: Palette, *, loc: Literal["best", "upper center"] = "best") -> None:
    """Adds a legend, if there are entries."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        made = axes.legend(
            handles[::-1],
            labels[::-1],
            frameon=True,
            framealpha=0.85,
            facecolor=palette.background,
            edgecolor="none",
            labelcolor=palette.ink,
            borderpad=0.3,
            handlelength=1.8,
            loc=loc,
        )
        made.set_zorder(10)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure_text(value: float, digits: int = 4) -> str:
    """A formatted number: 0.001, 500, 10⁶, 2·10⁻⁷."""
    if not value or 1e-4 <= abs(value) < 1e5 or not math.isfinite(value):
        return number(value, digits).replace("-", "−")
    head, _, power = f"{value:.{digits - 1}e}".partition("e")
    head = head.rstrip("0").rstrip(".").replace("-", "−")
    raised = "10" + str(int(power)).translate(_RAISED)
    return {"1": raised, "−1": f"−{raised}"}.get(head, f"{head}·{raised}")


def _tick(value: float, _position: object = None) -> str:
    return figure_text(value, 6)


def _add_title(figure: Figure, scene: Scene, palette: Palette) -> None:
    """The title above, the notes below."""
    title = figure.suptitle(
        plain(_short(scene.title, _LONGEST_TITLE)), x=0.012, ha="left", fontweight="bold"
    )
    room = figure.get_figwidth() * DPI * 0.97
    wide = len(_short(scene.title, _LONGEST_TITLE)) * 8.2
    title.set_fontsize(13 * min(1.0, max(room / wide, 0.55)) if wide else 13)
    if scene.notes:
        figure.supxlabel(
            plain(_short("; ".join(scene.notes), 130)),
            x=0.988,
            ha="right",
            fontsize=8.5,
            color=palette.quiet,
        )


def _short(text: str, most: int) -> str:
    shown = "".join(c if c.isprintable() else "�" for c in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _settings(palette: Palette) -> dict[Any, Any]:
    return {
        "font.family": ["DejaVu Sans", "sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Verdana"],
        "font.size": 10.5,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.quiet,
        "axes.facecolor": "none",
        "axes.linewidth": 0.9,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "figure.facecolor": palette.background,
        "savefig.facecolor": "auto",
        "savefig.edgecolor": "auto",
        "xtick.color": palette.quiet,
        "ytick.color": palette.quiet,
        "xtick.labelcolor": palette.quiet,
        "ytick.labelcolor": palette.quiet,
        "legend.fontsize": 9.5,
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "svg.hashsalt": "descent",
        "lines.solid_capstyle": "round",
        "axes.unicode_minus": True,
    }


def _accessible(svg: bytes, scene: Scene) -> bytes:
    """The SVG with its title for those who hear it, and without the doctype, which a page that
    takes it in could not."""
    text = svg.decode()
    start = text.index("<svg ")
    head, body = text[start:].split(">", 1)
    title = _short(scene.title, _LONGEST_TITLE)
    return (
        f'{head} role="img" aria-label={quoteattr(title)}>\n <title>{escape(title)}</title>{body}'
    ).encode()
