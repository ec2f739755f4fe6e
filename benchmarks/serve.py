"""What every worker does: read commands, one JSON object a line, and answer each with one JSON line."""

import json
import sys
from collections.abc import Callable
from typing import Any


def serve(tasks: dict[str, Callable[..., Any]]) -> None:
    """Answer {"task": name, "argument": ...} with the task's result, or with the name of the error it raised."""
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = {"result": tasks[arguments.pop("task")](**arguments)}
        except (RecursionError, MemoryError) as error:  # the limits of a peer are a result, its faults are not
            answer = {"limit": type(error).__name__}
        print(json.dumps(answer), flush=True)


def seconds_each(work: Callable[[], Any], clock: Callable[[], float], at_least: float = 0.25) -> float:
    """Mean time of one call of `work`, over as many calls as fill `at_least` seconds."""
    calls = 0
    start = now = clock()
    while now < start + at_least:
        work()
        calls += 1
        now = clock()
    return (now - start) / calls
