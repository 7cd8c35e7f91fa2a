"""The example in JavaScript of docs/reference/languages.md, run by Node against a service."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.client import Descent

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "languages.md"


def test_the_example_in_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    (example,) = re.findall(r"```js\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "fit.mjs").write_text(example, "utf-8")
    with Descent.local(workers=1) as client:
        done = subprocess.run(
            [node, "fit.mjs", client.url], cwd=tmp_path, capture_output=True, text=True
        )
    assert (done.stdout, done.stderr) == ("1.94 doubtful\n", "")
