"""The convention of the documentation's commands, on small pages."""

from __future__ import annotations

import pytest

from tests.docs.console import Mismatch, compare, read

COMMANDS = """
```sh
$ cat a.csv
x,y
1,2
$ descent fit a.csv && echo yes
$ printf '1 2' | descent predict - --fit a.json
$ descent serve
$ descent --install-completion
$ export DESCENT_URL=localhost:8000
```
"""


def test_what_is_run_and_what_is_not():
    assert [command.text for command in read(COMMANDS)] == [
        "cat a.csv",
        "descent fit a.csv && echo yes",
        "printf '1 2' | descent predict - --fit a.json",
    ]


PAGE = """
```sh
$ start='{"a": 1,
  "b": 2'
$ curl -s --json "$start}" localhost:8000/fit
{"loss": 1,
 "w": 2}
$ curl -s localhost:8000/livez
ok
```

```sh
$ make serve
```
"""


def test_a_command_ends_with_its_quotes_and_knows_the_variables_before_it():
    first, second = read(PAGE)
    assert first.text == 'curl -s --json "$start}" localhost:8000/fit'
    assert first.setup == ('start=\'{"a": 1,\n  "b": 2\'',)
    assert first.answer.split() == ['{"loss":', "1,", '"w":', "2}"]
    assert (second.text, second.answer) == ("curl -s localhost:8000/livez", "ok")
    assert PAGE.splitlines()[second.line - 1] == "$ curl -s localhost:8000/livez"


@pytest.mark.parametrize(
    ("documented", "real"),
    [
        ('{"loss": 1763.8848}', '{"loss":1763.8845454545458}'),
        ('{"loss": 9.0901e34, "w": "NaN"}', '{"loss":9.090108538197845e+34,"w":"NaN"}'),
        ('{"a": 1, … "c": 3}', '{"a":1,"b":{"c":2},"c":3}'),
        ('{… "b": 2 …}', '{"a":1,"b":2,"c":3}'),
        ("…", "anything at all"),
        ('"a: 55 times …"', '"a: 55 times that in b"'),
    ],
)
def test_an_answer_is_as_documented(documented: str, real: str):
    assert compare(documented, real) == {}


@pytest.mark.parametrize(
    ("documented", "real"),
    [
        ('{"loss": 1763.9}', '{"loss":1763.8845454545458}'),
        ('{"a": 1}', '{"a":1,"b":2}'),
        ('{"a": 1,', '{"a":1,"b":2}'),
        ('{… "b": 3 …}', '{"a":1,"b":2,"c":3}'),
        ('{"a": 1 … "a": 1}', '{"a":1}'),
        ('{"b": 2 …}', '{"a":1,"b":2}'),
        ('{"w": "NaN"}', '{"w":1}'),
        ("", "something"),
    ],
)
def test_an_answer_is_not_as_documented(documented: str, real: str):
    assert isinstance(compare(documented, real), Mismatch)


def test_a_documented_id_stands_for_the_real_one():
    documented, real = "job_aaaaaaaaaaaaaaaaaaaaaa", "job_b-bbbbbbbbbbbbbbbbbb_b"
    found = compare(f'{{"id": "{documented}" …', f'{{"id":"{real}","status":"queued"}}')
    assert found == {documented: real}
