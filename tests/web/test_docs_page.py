"""/docs in a browser: Swagger UI from this host, and its examples run."""

from __future__ import annotations

import pytest

from tests.web.browser import Browser

RESOLVED = """
(() => {
  const at = document.querySelector('#' + arguments[0]);
  const path = at?.querySelector('.opblock-summary-path')?.dataset.path;
  const method = at?.querySelector('.opblock-summary-method')?.textContent.toLowerCase();
  return path && ui.specSelectors.specResolvedSubtree(['paths', path, method])?.has('operationId')
    && at.querySelector('.execute:not(:disabled)') !== null;
})()
"""
"""Swagger UI shows an operation a moment before it can run it."""
STATUS = "#{} .live-responses-table .response .response-col_status"


def try_out(browser: Browser, operation: str, example: str | None = None) -> str:
    """Opens an operation and presses Execute; the displayed status."""
    browser.wait(f"document.querySelector('#{operation} .opblock-summary-control')")
    if "is-open" not in str(browser.one(f"#{operation}").get_attribute("class")):
        browser.js(f"document.querySelector('#{operation} .opblock-summary-control').click()")
    browser.wait(RESOLVED.strip(), operation)
    if example is not None:
        browser.js(
            "const list = document.querySelector(arguments[0] + ' .examples-select-element');"
            "const set = Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set;"
            "set.call(list, arguments[1]);"
            "list.dispatchEvent(new Event('change', {bubbles: true}));",
            f"#{operation}",
            example,
        )
        browser.wait(
            f"document.querySelector('#{operation} .examples-select-element').value"
            " === arguments[0]",
            example,
        )
    if browser.all(f"#{operation} .btn-clear"):
        browser.js(f"document.querySelector('#{operation} .btn-clear').click()")
    browser.js(f"document.querySelector('#{operation} .execute').click()")
    return str(browser.wait(f"document.querySelector('{STATUS.format(operation)}')?.textContent"))


def _thorough(*given: object) -> object:
    return pytest.param(*given, marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    ("operation", "examples"),
    [
        ("operations-fits-fit", ["smallest"]),
        _thorough("operations-fits-fit", ["thermometer", "gradient_descent", "background"]),
        _thorough("operations-compute-predict", ["thermometer"]),
        _thorough("operations-compute-loss", ["thermometer", "residuals", "surface"]),
        _thorough("operations-compute-gradient", ["thermometer", "numeric", "check", "explain"]),
        _thorough("operations-jobs-list_jobs", [None]),
        _thorough("operations-catalogue-list_models", [None]),
        _thorough("operations-operations-readyz", [None]),
    ],
)
def test_examples_run_one_after_another(
    browser: Browser, operation: str, examples: list[str | None]
) -> None:
    browser.open("/docs")
    found = [try_out(browser, operation, example)[:3] for example in examples]
    assert found == ["202" if example == "background" else "200" for example in examples]
