"""Environments of the peers that training is measured against: one each, so that no peer's pins touch ours."""

import subprocess
import sys
from pathlib import Path

import torch

#: What pip installs for a peer after torch. RecBole 1.2.1 names types that NumPy 2 no longer has.
REQUIREMENTS = {
    "rectools": ("rectools[torch]==0.19.0",),
    "recbole": ("recbole==1.2.1", "numpy<2", "pandas<3"),
}


def make_environment(folder: Path, peer: str) -> Path:
    """Return the Python of `folder/.venv-PEER`, made with pip when it is not there yet; torch is pinned as ours is.

    Raises CalledProcessError when pip cannot install; the next call then starts anew.
    """
    environment = folder / f".venv-{peer}"
    python, ready = environment / "bin" / "python", environment / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        pinned = f"torch=={torch.__version__.partition('+')[0]}"
        subprocess.run([*install, pinned], check=True)
        subprocess.run([*install, pinned, *REQUIREMENTS[peer]], check=True)
        ready.touch()
    return python
