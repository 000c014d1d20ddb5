"""Foreign programs that benches stand beside: each in an environment of its own, outside the tree.

Owns making and finding those environments. They are cached by their requirements, so a second run installs
nothing; what a peer needs never enters our own environment or locks.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path


def cache_folder() -> Path:
    """Return where benches keep what they install: `$XDG_CACHE_HOME/sunledger/bench`."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "sunledger" / "bench"


def debian_peer(name: str, *packages: str) -> Path:
    """Return the folder into which Debian packages of a peer are unpacked; nothing is installed.

    Raises CalledProcessError when apt cannot fetch them.
    """
    folder = cache_folder() / f"{name}-debian"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", *packages], cwd=folder, check=True, capture_output=True)
        for archive in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(folder / "root")], check=True)
        (folder / "ready").touch()
    return folder / "root"


def peer_python(name: str, *requirements: str) -> Path:
    """Return the interpreter of a peer's environment, made on first use with exact requirements.

    Raises CalledProcessError when pip cannot install them; a half-made environment is made anew.
    """
    digest = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{digest}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
        ready.touch()
    return python
