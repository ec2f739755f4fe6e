"""Graphviz's `dot`: finding the executable and running it. Nothing global is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path


class DotError(RuntimeError):
    """There is no `dot` to lay a graph out with, or it failed, or it took too long."""


def executable() -> str:
    """The path of a `dot`: that of the variable TINYGRAD_SQ_DOT, else graphviz-pure's, else the one on PATH.

    Raises DotError if there is none, or if the variable names a file that is not there.
    """
    if chosen := os.environ.get("TINYGRAD_SQ_DOT"):
        if found := shutil.which(chosen):
            return found
        raise DotError(f"TINYGRAD_SQ_DOT is {chosen!r}, which is no executable file")
    if found := _of_graphviz_pure() or shutil.which("dot"):
        return found
    raise DotError(
        "there is no Graphviz to lay the graph out with; install one with: pip install graphviz-pure\n"
        "(or set TINYGRAD_SQ_DOT to the path of a dot). The DOT text needs none: draw_dot(root).source"
    )


def _of_graphviz_pure() -> str | None:
    try:
        files = metadata.distribution("graphviz-pure").files or ()
    except metadata.PackageNotFoundError:
        return None
    paths = [str(file.locate()) for file in files if Path(file).stem == "graphviz-pure"]
    return next(filter(shutil.which, paths), None)


def run(source: str, format: str, timeout: float = 60.0) -> bytes:
    """What `dot -Tformat` makes of DOT text: "json" (a layout), "svg", "png", ...

    Raises DotError if there is no dot, if it fails, and if it takes more than `timeout` seconds.
    """
    command = [executable(), f"-T{format}"]
    try:
        result = subprocess.run(command, input=source.encode(), capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise DotError(
            f"{command[0]} was still laying the graph out after {timeout:g} s; draw a part of it: pass an inner value"
        ) from None
    except OSError as error:
        raise DotError(f"{command[0]} does not run: {error}") from error
    if result.returncode:
        message = result.stderr.decode(errors="replace").strip() or "no message"
        raise DotError(f"{command[0]} failed with code {result.returncode}: {message:.500}")
    return result.stdout
