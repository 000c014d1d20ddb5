"""The real `sunledger` as a process that runs one command and ends."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = str(Path(sys.executable).with_name("sunledger"))
SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def sunledger(*words: object, **settings: str) -> Ended:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUNLEDGER_")}
    done = subprocess.run(
        [PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**kept, "COLUMNS": "100", **settings},
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def refused(ended: Ended, *words: str) -> None:
    """Check that a command did nothing, and said why in one line on standard error."""
    assert ended.code == 2, ended
    assert ended.out.strip() == ""
    assert ended.err.startswith("✕ ")
    assert ended.err.count("\n") == 1
    for word in words:
        assert word in ended.err
