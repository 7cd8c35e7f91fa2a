"""`python -m tests.security.fuzz SECONDS`: the readers of strangers' bytes under atheris, which
follows what the code does with them. Each target has its share of the time, in a process of its
own, and begins with the bodies of `seeds`; what it finds is left in a file that it names. Where
atheris is not installed, that is said."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 120


def main() -> None:
    """Every target in turn; ends with 1 where one found something."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: there is no wheel of it for this Python or machine.")
        print("`make test` changes the same bodies by hypothesis (tests/security/test_fuzz.py).")
        return
    from tests.security.targets import TARGETS

    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    failed = []
    for name in TARGETS:
        print(f"--- {name}", flush=True)
        command = [sys.executable, "-m", "tests.security.fuzz", "--target", name]
        share = str(max(5, seconds // len(TARGETS)))
        if subprocess.run([*command, share], check=False).returncode:
            failed.append(name)
    print(f"found something in: {', '.join(failed) or 'nothing'}")
    raise SystemExit(bool(failed))


def _one(name: str, seconds: str) -> None:
    import atheris

    # atheris follows what is imported while this lasts.
    with atheris.instrument_imports(include=["service"]):
        from tests.security.targets import TARGETS

    from tests.security.seeds import seeds

    corpus = tempfile.mkdtemp(prefix=f"descent-{name}-")
    for number, seed in enumerate(seeds()[name]):
        Path(corpus, f"{number:03}").write_bytes(seed)
    finds = f"-artifact_prefix={tempfile.gettempdir()}/descent-{name}-"
    limits = [f"-max_total_time={seconds}", "-rss_limit_mb=3072", "-timeout=10", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *limits, finds, "-max_len=8192", corpus], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if "--target" in sys.argv:
        _one(*sys.argv[sys.argv.index("--target") + 1 :])
    else:
        main()
