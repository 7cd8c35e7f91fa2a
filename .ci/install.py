"""What `make install` calls to fill the virtual environment whose Python runs this.

install.py torch BUILD      torch: `cpu` is its CPU build wherever there is one, else the name of a
                            build that uv knows (cu130, auto), or `default`, what pip finds
install.py pip ARGUMENT...  anything else, by pip

It says beforehand how much torch is, and says in a line why something cannot be installed.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PIP = [sys.executable, "-m", "pip"]
CONSTRAINED = ["--constraint", "constraints.txt"]
GIGABYTE = 1e9
CPU_GB, CUDA_GB = 3.0, 9.0
"""What an environment takes on disk with either build, and room to unpack it."""
LINES = 15
"""Of an installer's output, how many are shown."""
LIBRARIES = ("nvidia-", "cuda-")
"""What a CUDA build depends on."""

REASONS = (
    (("No space left", "Errno 28"), "the disk is full"),
    (
        (
            "NewConnectionError", "Name or service not known", "name resolution", "ConnectTimeout",
            "ProxyError", "dns error", "error sending request", "Network is unreachable",
        ),
        "the package index was not reached; is there a network, or a mirror in PIP_INDEX_URL?",
    ),
    (("CERTIFICATE_VERIFY_FAILED", "SSLError"), "the package index's certificate is not trusted"),
    (
        ("Failed building wheel", "Failed to build", "error: command", "Microsoft Visual C++"),
        "a package has no wheel for this Python and machine, and cannot be built without a "
        "compiler; try another Python (make PYTHON=python3.12)",
    ),
    (
        ("No matching distribution", "No solution found", "none)", "ResolutionImpossible"),
        "there is no build of it for this Python and machine; try another Python "
        "(make PYTHON=python3.12)",
    ),
)  # fmt: skip
"""What is found in the output, and what it means."""


def reason(output: str) -> str | None:
    """Why an installation failed, where its output tells."""
    for signs, meaning in REASONS:
        if any(sign in output for sign in signs):
            return meaning
    return None


def needs_cuda(report: dict[str, Any]) -> bool:
    """Whether the torch of pip's report (see `pip install --report`) brings CUDA with it."""
    from pip._vendor.packaging.requirements import Requirement

    for item in report["install"]:
        for text in item["metadata"].get("requires_dist", ()):
            wanted = Requirement(text)
            here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if here and wanted.name.startswith(LIBRARIES):
                return True
    return False


def run(command: Sequence[str]) -> None:
    """Runs an installer; where it fails, says why and exits."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write("\n".join(done.stdout.splitlines()[-LINES:]) + "\n")
        why = reason(done.stdout)
        raise SystemExit(f"\nNot installed: {why}." if why else "\nNot installed: see above.")


def check_disk(gigabytes: float) -> None:
    """Exits where there is too little room for the environment."""
    free = shutil.disk_usage(sys.prefix).free / GIGABYTE
    if free < gigabytes:
        raise SystemExit(
            f"Not installed: {sys.prefix} has {free:.1f} GB left, and about {gigabytes:.0f} GB "
            "are needed."
        )


def what_pip_finds() -> dict[str, Any] | None:
    """pip's report on torch, without what it depends on; None where it finds none."""
    asked = ["install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed", "--report", "-"]
    done = subprocess.run([*PIP, *asked, *CONSTRAINED, "torch"], capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def install_torch(build: str) -> None:
    """Installs torch: see the module."""
    by_pip = [*PIP, "install", *CONSTRAINED, "torch"]
    found = what_pip_finds() if build in ("cpu", "default") else None
    if found is not None and (build == "default" or not needs_cuda(found)):
        check_disk(CUDA_GB if needs_cuda(found) else CPU_GB)
        tell(needs_cuda(found))
        return run(by_pip)
    check_disk(CPU_GB if build == "cpu" else CUDA_GB)
    tell(build != "cpu")
    run([*PIP, "install", *CONSTRAINED, "uv"])
    by_uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    command = [*by_uv, f"--torch-backend={build}", *CONSTRAINED, "torch"]
    if build != "cpu" or found is None:
        return run(command)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print("No CPU build was found; the package index's is with CUDA, about 3 GB to fetch.")
        check_disk(CUDA_GB)
        run(by_pip)
    return None


def tell(cuda: bool) -> None:
    """Says what is about to be fetched."""
    if cuda:
        print("Fetching torch with CUDA: about 3 GB (without: make TORCH=cpu).", flush=True)
    else:
        other = " (with CUDA, 3 GB: make TORCH=cu130)" if platform.system() == "Linux" else ""
        print(f"Fetching torch's CPU build: about 0.2 GB{other}.", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        install_torch(sys.argv[2])
    else:
        run([*PIP, *sys.argv[2:]])
