"""GET /diagnostics: what may be said of a fit, told from the table of the engine's checks."""

from __future__ import annotations

import re
from pathlib import Path

from service.api.routes.catalogue import markdown
from service.engine.diagnostics import CHECKS
from service.engine.diagnostics.finished import SEVERITIES, VERDICTS
from service.fitting import diagnostic_list
from tests.api.fakes import FakeJobs
from tests.api.in_process import fake

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "diagnostics.md").read_text(encoding="utf-8")
TEXT = {"accept": "text/plain"}


def test_the_page_of_the_docs_has_the_table_and_the_verdicts() -> None:
    assert PAGE.endswith(markdown() + "\n")
    for entry in diagnostic_list().verdicts:
        assert f"| `{entry.verdict}` | {entry.when} |" in PAGE
    assert {entry.verdict for entry in diagnostic_list().verdicts} == set(VERDICTS)


def test_each_says_all_there_is_to_say() -> None:
    for check in CHECKS:
        about = check.about
        for words in (about.seen, about.severity, about.matters, about.cure):
            assert words == " ".join(words.split())
            assert not words.endswith(".")
        assert any(severity in about.severity for severity in SEVERITIES), check.code
    assert len(diagnostic_list().diagnostics) == len({check.code for check in CHECKS})


async def test_they_are_had_in_every_form() -> None:
    async with fake(FakeJobs()) as client:
        found = (await client.get("/diagnostics")).json()
        codes = [entry["code"] for entry in found["diagnostics"]]
        assert codes[0] == "learning_rate_too_high"
        text = (await client.get("/diagnostics", headers=TEXT)).text
        assert all(code in text for code in codes)
        table = (await client.get("/diagnostics?format=csv")).text
        assert table.startswith("code,seen,severity,why_it_matters,cure\n")
        for code in codes:
            for form in ("json", "text", "csv", "oneline", "arrow"):
                answer = await client.get(f"/diagnostics/{code}?format={form}")
                assert answer.status_code == 200
            assert (await client.get(f"/diagnostics/{code}")).json()["code"] == code


async def test_an_unknown_one_names_the_nearest() -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.get("/diagnostics/at_bond")
        assert answer.status_code == 404
        assert answer.json()["type"] == "unknown-diagnostic"
        assert "did you mean 'at_bound'" in answer.json()["detail"]
        help_at = re.fullmatch(r'<(/problems/[a-z-]+)>; rel="help"', answer.headers["link"])
        assert help_at
        assert (await client.get(help_at[1])).status_code == 200
