"""Nested lists, tuples and dicts: apart and together again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_sq.tree import flatten, flatten_like


class Pair(NamedTuple):
    left: Any
    right: Any


trees = st.recursive(
    st.integers(),
    lambda branches: (
        st.lists(branches)
        | st.lists(branches).map(tuple)
        | st.dictionaries(st.text(), branches)
        | st.builds(Pair, branches, branches)
    ),
)


@given(tree=trees)
def test_together_again(tree: Any) -> None:
    """rebuild(leaves) is the tree that was flattened, of the same types at every level; with other leaves it has those
    in their places."""
    leaves, rebuild = flatten(tree)
    assert rebuild(leaves) == tree
    assert repr(rebuild(leaves)) == repr(tree)
    renamed = rebuild([f"leaf {i}" for i in range(len(leaves))])
    assert flatten(renamed)[0] == [f"leaf {i}" for i in range(len(leaves))]
    assert flatten_like(tree, tree, "v") == leaves


def test_a_scalar_is_a_tree() -> None:
    """One leaf, and what is put in its place comes back."""
    leaves, rebuild = flatten(3.0)
    assert (leaves, rebuild([4.0])) == ([3.0], 4.0)


def test_arrays_are_nested_lists() -> None:
    """An array stands for its rows; one without dimensions is a scalar."""
    leaves, rebuild = flatten({"a": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array(5.0), "c": np.float64(6.0)})
    assert leaves == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert rebuild(leaves) == {"a": [[1.0, 2.0], [3.0, 4.0]], "b": 5.0, "c": 6.0}


def test_dicts_are_matched_by_their_keys() -> None:
    """The leaves of a tree stand in the order of the model's, lists, tuples and arrays alike."""
    model = {"a": [1, (2, 3)], "b": 4}
    assert flatten_like({"b": 40, "a": ([10, np.array([20, 30])])}, model, "v") == [10, 20, 30, 40]
    assert flatten_like([10, 20], np.array([1.0, 2.0]), "v") == [10, 20]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": [1, [2, 3]]}, r"v: expected the keys 'a', 'b', got 'a'"),
        ({"a": [1, [2, 3]], "c": 4}, r"v: expected the keys 'a', 'b', got 'a', 'c'"),
        ([1, 2], r"v: expected a dict with the keys 'a', 'b', got a list"),
        ({"a": [1, [2]], "b": 4}, r"v\['a'\]\[1\]: expected a list of 2, got a list of 1"),
        ({"a": [1, 2], "b": 4}, r"v\['a'\]\[1\]: expected a list of 2, got an int"),
        ({"a": [1, {"x": 2}], "b": 4}, r"v\['a'\]\[1\]: expected a list of 2, got a dict"),
        ({"a": [1, [2, 3]], "b": [4]}, r"v\['b'\]: expected a scalar, got a list"),
        ({"a": [{}, [2, 3]], "b": 4}, r"v\['a'\]\[0\]: expected a scalar, got a dict"),
    ],
)
def test_another_structure_is_refused(tree: Any, message: str) -> None:
    """The message says where the two differ, and how."""
    with pytest.raises(ValueError, match=message):
        flatten_like(tree, {"a": [1, (2, 3)], "b": 4}, "v")
