"""For all tests: compiled kernels are kept in a folder of this run, not in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["TINYGRAD_SQ_CACHE"] = str(tmp_path_factory.mktemp("kernels"))
    yield
    del os.environ["TINYGRAD_SQ_CACHE"]
