"""Every failure that a person can meet has its row in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dask_k8s_jupyter import errors

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text()


def kinds_of(kind: type) -> set[type]:
    return {kind}.union(*(kinds_of(sub) for sub in kind.__subclasses__()))


KINDS = sorted(
    (
        kind
        for kind in kinds_of(errors.DaskKubernetesError) - {errors.DaskKubernetesError}
        if kind.__module__ == errors.__name__
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_is_documented_and_in_the_tree(kind):
    assert f"`{kind.__name__}`" in DOCUMENT
    assert re.search(rf"\b{kind.__name__}\b.*\b{kind.code}\b", errors.__doc__)


@pytest.mark.parametrize("kind", [k for k in KINDS if not issubclass(k, errors.ClusterStartError)])
def test_the_words_are_those_that_are_said(kind):
    assert kind.title in DOCUMENT


def test_what_the_sidebar_says_by_itself_is_documented():
    said = (ROOT / "labextension" / "src" / "api" / "requests.ts").read_text()
    codes = set(re.findall(r"code: '([a-z-]+)'", said)) - {"error"}
    assert codes >= {"server-unreachable", "extension-missing", "signed-out"}
    for code in codes:
        assert f"`{code}`" in DOCUMENT
