"""The page's arithmetic under node: one process for all that a test asks."""

from __future__ import annotations

import json
import subprocess
from typing import Any

# JSON has no NaN, no infinities and no -0.
SHOW = """
const show = (key, x) => typeof x === 'number' && (!Number.isFinite(x) || Object.is(x, -0))
  ? (Object.is(x, -0) ? '-0' : String(x)) : ArrayBuffer.isView(x) ? [...x] : x;
const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));
"""


def node(core: str, script: str, given: Any) -> Any:
    """What the function body `script` returns of `core` and `given`, with numbers as `number` reads them."""
    program = f"{core}\n{SHOW}\nprocess.stdout.write(JSON.stringify((() => {{ {script} }})(), show));"
    done = subprocess.run(["node", "-e", program], input=json.dumps(given), capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def number(x: Any) -> float:
    """A number that JavaScript wrote."""
    return float(x)
