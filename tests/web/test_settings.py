"""What stands in the playground's fields is what is fitted; and the fields of noise, bounds and
groups, in a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.web.browser import Browser
from tests.web.playground import Playground

pytestmark = pytest.mark.thorough

DECAYS = "t [s],u [V],s,w,run\n" + "".join(
    f"{t},{u},0.1,{1 + t},{run}\n"
    for run, us in (("a", (5.02, 3.04, 1.81, 1.12, 0.66)), ("b", (8.1, 4.85, 2.96, 1.79, 1.1)))
    for t, u in enumerate(us)
)
SILENTLY = """
for (const [id, value] of Object.entries(arguments[0])) {
  const field = document.getElementById(id) ?? document.querySelector(id);
  if (field.type === 'checkbox') field.checked = value; else field.value = value;
}
"""


@pytest.fixture
def page(browser: Browser) -> Playground:
    """The page without replays, which are slow."""
    browser.prefers(reduced_motion="reduce")
    return Playground(browser)


def sent(page: Playground) -> dict[str, Any]:
    """The request as its curl command has it."""
    command = str(page.browser.js("return document.getElementById('curl').textContent"))
    return dict(json.loads(command.split(" -d '")[1].rsplit("' ", 1)[0].replace("'\\''", "'")))


def test_what_is_written_without_an_event_is_fitted(page: Playground) -> None:
    """As by a password manager, or a browser that restores a page."""
    values = {
        "csv": "t_u,t_c\n1,2.1\n2,3.9\n3,6.2\n4,8.1\n",
        "formula": "t_c = a * t_u + c",
        "optimizer": "adam",
        "epochs-number": "77",
        "loss": "mae",
        "more": '{"seed": 3}',
    }
    page.browser.js(SILENTLY, {name: values.pop(name) for name in ("csv",)})
    page.run()
    page.browser.js(SILENTLY, values)
    page.run()
    asked = sent(page)
    assert asked["data"]["t_c"] == [2.1, 3.9, 6.2, 8.1]
    assert asked["model"] == "t_c = a * t_u + c"
    assert (asked["optimizer"]["name"], asked["epochs"]) == ("adam", 77)
    assert (asked["loss"], asked["seed"]) == ("mae", 3)
    page.browser.js(SILENTLY, {"#start [name=a][data-part=value]": "2", "rate-number": "0.25"})
    page.run()
    assert (sent(page)["params"]["a"], sent(page)["optimizer"]["learning_rate"]) == (2, 0.25)


def test_ctrl_enter_fits_what_is_being_written(page: Playground) -> None:
    formula = page.browser.one("#formula")
    formula.send_keys(Keys.CONTROL, "a")
    formula.send_keys("t_c = k * t_u")
    before = page.runs
    keys = ActionChains(page.browser.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER)
    keys.key_up(Keys.CONTROL).perform()
    page.ended(before)
    assert sent(page)["model"] == "t_c = k * t_u"
    assert [row.text.split()[0] for row in page.browser.all("#params tbody tr")] == ["k"]
    assert not page.browser.one("#stale").is_displayed()
    page.type("epochs-number", "7")
    assert page.browser.one("#stale").is_displayed()


def test_sigma_bounds_and_fixed_params(page: Playground) -> None:
    page.drop(DECAYS)
    page.choose("target", "u")
    page.choose("model", "exponential_decay")
    page.browser.one("#noise summary").click()
    page.choose("sigma-kind", "column")
    page.choose("sigma-column", "s")
    page.browser.one("#sigma-absolute").click()
    page.browser.js(SILENTLY, {
        "#start [name=c][data-part=value]": "0", "#start [name=c][data-part=fixed]": True,
        "#start [name=k][data-part=min]": "0.1", "#start [name=k][data-part=max]": "2",
    })  # fmt: skip
    page.run()
    asked = sent(page)
    assert (asked["sigma"], asked["sigma_absolute"]) == ("s", True)
    assert asked["params"] == {"c": {"value": 0, "fixed": True}, "k": {"min": 0.1, "max": 2}}
    assert "k [1/s]" in page.text("#params")
    page.choose("sigma-kind", "number")
    page.type("sigma-number", "0.2")
    page.run()
    assert sent(page)["sigma"] == 0.2
    page.choose("sigma-kind", "weights")
    page.choose("sigma-column", "w")
    page.run()
    assert sent(page)["weights"] == "w"
    assert "sigma_absolute" not in sent(page)


def test_groups_have_a_row_and_a_curve_each(page: Playground) -> None:
    page.drop(DECAYS)
    page.choose("target", "u")
    page.choose("model", "exponential_decay")
    page.browser.one("#groups summary").click()
    page.browser.one("#group-columns [name=run]").click()
    page.browser.one("#shared [name=k]").click()
    page.browser.js(SILENTLY, {
        "#start [name=c][data-part=value]": "0", "#start [name=c][data-part=fixed]": True,
    })  # fmt: skip
    page.run()
    assert sent(page)["group_by"] == {"column": "run", "shared": ["k"]}
    rows = [row.get_attribute("data-group") for row in page.browser.all("#params tbody tr")]
    assert rows == ["a", "b", None]
    assert "k [1/s], shared" in page.text("#params")
    page.browser.wait("document.getElementById('fit-key').textContent.includes(' b ')")
    page.type("predict-at", "1\n2")
    page.browser.wait("document.querySelectorAll('#predict-table tbody tr').length === 2")
    assert page.text("#predict-table thead").startswith("t [s] u [V]")


def test_several_columns_and_predictions(page: Playground) -> None:
    page.drop("a,b,y\n1,2,3.1\n2,1,3.0\n3,5,8.2\n4,2,5.9\n5,1,6.1\n6,3,9\n")
    page.choose("model", "several")
    assert page.browser.one("#formula").get_attribute("value") == "y = b0 + b1 * a + b2 * b"
    page.run()
    page.type("predict-at", "1 2\n3, 4")
    page.browser.wait("document.querySelectorAll('#predict-table tbody tr').length === 2")
    assert "±" in page.text("#predict-table tbody")
    page.type("predict-at", "1")
    page.browser.wait("document.getElementById('predict-error').textContent")
    assert page.text("#predict-error") == "Line 1: “1” is not 2 numbers."


def test_a_suggested_member_without_a_field_is_shown(page: Playground) -> None:
    page.browser.one("#further summary").click()
    page.type("more", '{"optimizer": {"momentum": 0.5}, "time_limit_s": 9}')
    page.run()
    assert sent(page)["optimizer"] == {"name": "sgd", "learning_rate": 0.01, "momentum": 0.5}
    assert page.text("#further-summary") == "optimizer, time_limit_s"
    page.type("more", "{")
    before = page.runs
    page.browser.one("#run").click()
    assert "not a JSON object" in page.text("#more-error")
    assert page.runs == before


ERRORS = "x,y,sx,sy\n1,4.7,0.2,0.3\n2,6.5,0.2,0.3\n3,8.2,0.3,0.3\n4,9.7,0.3,0.6\n5,11.6,0.3,0.6\n"


def test_errors_in_both_are_fitted_and_drawn(page: Playground) -> None:
    page.drop(ERRORS)
    page.choose("input", "x")
    page.choose("target", "y")
    plain = page.drawing("fit-chart")
    page.browser.one("#noise summary").click()
    page.choose("sigma-kind", "column")
    page.choose("sigma-column", "sy")
    page.browser.one("#sigma-absolute").click()
    assert page.text("label[for=sigma-x-kind]") == "σ of x"
    page.choose("sigma-x-kind", "column")
    page.choose("sigma-x-column", "sx")
    page.run()
    assert (sent(page)["sigma"], sent(page)["sigma_x"]) == ("sy", {"x": "sx"})
    assert page.browser.one("#fit-bars").is_displayed()
    assert page.drawing("fit-chart") != plain
    page.choose("sigma-x-kind", "number")
    page.type("sigma-x-number", "0.25")
    page.run()
    assert sent(page)["sigma_x"] == {"x": 0.25}
    page.choose("sigma-x-kind", "")
    page.choose("sigma-kind", "")
    page.run()
    assert not {"sigma", "sigma_x"} & set(sent(page))
    assert not page.browser.one("#fit-bars").is_displayed()


def test_priors(page: Playground) -> None:
    page.drop(ERRORS)
    page.choose("input", "x")
    page.choose("target", "y")
    page.browser.one("#noise summary").click()
    page.choose("sigma-kind", "column")
    page.choose("sigma-column", "sy")
    page.browser.one("#sigma-absolute").click()
    page.browser.one("#priors summary").click()
    page.browser.js(SILENTLY, {
        "#prior-rows [name=w][data-part=mean]": "2", "#prior-rows [name=w][data-part=sd]": "0.1",
        "#start [name=w][data-part=value]": "1",
    })  # fmt: skip
    page.run()
    assert sent(page)["params"] == {"w": {"value": 1, "prior": {"mean": 2, "sd": 0.1}}}
    assert page.text("#priors-summary") == "w"
    page.browser.js(SILENTLY, {
        "#prior-rows [name=w][data-part=mean]": "", "#prior-rows [name=w][data-part=sd]": "",
    })  # fmt: skip
    page.run()
    assert sent(page)["params"] == {"w": 1}


def test_a_wide_table_is_stacked_and_its_groups_are_turned_over(page: Playground) -> None:
    names = [f"w{i}" for i in range(12)]
    rows = [[t, *(i + 2 * t + 0.1 * ((i + t) % 3) for i in range(12))] for t in range(6)]
    text = "\n".join([",".join(["t", *names]), *(",".join(map(str, row)) for row in rows)])
    page.drop(text + "\n")
    page.browser.js("document.getElementById('reading').open = true")
    page.browser.js("document.body.dataset.reading = 'waiting'")
    page.type("stack", "well")
    page.browser.wait("document.body.dataset.reading === 'false'")
    page.choose("target", "value")
    page.choose("input", "t")
    page.browser.one("#groups summary").click()
    page.browser.one("#group-columns [name=well]").click()
    page.run()
    page.browser.wait("document.getElementById('fit-key').textContent.includes(' w7 ')")
    assert page.text("#group-page").splitlines() == ["1–8 of 12", "9–12 of 12"]
    page.choose("group-page", "8")
    page.browser.wait("document.getElementById('fit-key').textContent.includes(' w11 ')")
    assert " w7 " not in str(page.text("#fit-key"))
