"""Whose folder may be removed: only one whose owner has surely died."""

import pytest

from dask_k8s_jupyter.local.leftovers import is_abandoned


@pytest.mark.parametrize(
    ("owner", "alive", "abandoned"),
    [
        ("7 100 here", {7: "100"}, False),
        ("7 100 here", {}, True),
        # The number belongs to another process by now.
        ("7 100 here", {7: "250"}, True),
        # Another host, another container: its process 7 cannot be seen from here.
        ("7 100 there", {}, False),
        ("7 100 there", {7: "250"}, False),
        # Half written, or not ours at all.
        ("", {}, False),
        ("7 100", {}, False),
        ("x 100 here", {}, False),
    ],
)
def test_a_folder_is_abandoned_when_its_owner_has_surely_died(owner, alive, abandoned):
    assert is_abandoned(owner, "here", lambda pid: alive.get(pid, "")) is abandoned
