"""Scripts run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys


def output_under_any_hash_seed(script: str) -> str:
    """What `script` prints, which must be the same under every PYTHONHASHSEED."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(outputs) == 1
    return outputs.pop()
