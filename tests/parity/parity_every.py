"""The requests that every kind is asked, good and bad."""

from __future__ import annotations

from parity_kind import APPLY, MERGE, TABLE, Kind, merged, without
from parity_step import Step


def _living_steps(kind: Kind) -> list[Step]:
    """An object that is created, read and changed."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    selected = f"{path}?labelSelector=parity={{ns}}"
    return [
        Step("create", "POST", path, one),
        Step("create-again", "POST", path, one),
        Step("create-dry-run", "POST", f"{path}?dryRun=All", kind.build("dry")),
        Step("get-after-dry-run", "GET", f"{path}/{kind.name('dry')}"),
        Step("get", "GET", here, pause_s=kind.pause_s, until_text=kind.first_words),
        Step("get-missing", "GET", f"{path}/{kind.name('missing')}"),
        Step("get-table", "GET", here, headers=TABLE),
        Step("list", "GET", selected),
        Step("list-table", "GET", selected, headers=TABLE),
        Step("put-unchanged", "PUT", here, '"$${get}"', renews="get"),
        Step("patch-merge", "PATCH", here, {"metadata": {"labels": {"a": "b"}}}, MERGE),
        Step("patch-change", "PATCH", here, kind.change, MERGE),
        Step("get-changed", "GET", here),
        Step("put-stale", "PUT", here, '"$${get}"'),
        Step("patch-missing", "PATCH", f"{path}/{kind.name('missing')}", {}, MERGE),
        Step("patch-unknown-type", "PATCH", here, {}, "application/json"),
    ]


def _refused_steps(kind: Kind) -> list[Step]:
    """Server-side apply, and what may not be created."""
    path, one = kind.path, kind.build("one")
    return [
        Step(
            "apply",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=a",
            kind.build("applied"),
            APPLY,
        ),
        Step(
            "apply-again",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=a",
            kind.build("applied"),
            APPLY,
        ),
        Step(
            "apply-conflict",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=b",
            kind.build("applied", labels={"parity": "other"}),
            APPLY,
        ),
        Step("create-bad-name", "POST", path, kind.build("one", name="Not_A/Name")),
        Step("create-no-name", "POST", path, without(one, "name")),
        Step("create-wrong-kind", "POST", path, one | {"kind": "Wrong"}),
        Step("create-not-json", "POST", path, "{nonsense"),
        Step(
            "create-unknown-strict",
            "POST",
            f"{path}?fieldValidation=Strict",
            kind.build("strict") | {"unknown": 1},
        ),
    ]


def _ending_steps(kind: Kind) -> list[Step]:
    """Watches, deletions, finalizers."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    selected = f"{path}?labelSelector=parity={{ns}}"
    return [
        Step(
            "watch",
            "GET",
            f"{selected}&watch=1&timeoutSeconds=1&resourceVersion=${{create.metadata.resourceVersion}}&fieldSelector=metadata.name={kind.name('one')}",
        ),
        Step("delete-wrong-uid", "DELETE", here, {"preconditions": {"uid": "other"}}),
        Step("delete-dry-run", "DELETE", f"{here}?dryRun=All"),
        Step("delete", "DELETE", here),
        Step("delete-again", "DELETE", here, until=404),
        Step("finalizer-create", "POST", path, kind.build("held", finalizers=["example.org/hold"])),
        Step("finalizer-delete", "DELETE", f"{path}/{kind.name('held')}"),
        Step(
            "finalizer-remove",
            "PATCH",
            f"{path}/{kind.name('held')}",
            {"metadata": {"finalizers": None}},
            MERGE,
        ),
        Step("finalizer-get", "GET", f"{path}/{kind.name('held')}", until=404),
        Step("delete-collection", "DELETE", selected),
        Step(
            "list-empty",
            "GET",
            selected,
            until_text="" if kind.plural == "namespaces" else '"items":[]',
        ),
        Step("post-to-name", "POST", here, one),
        Step("put-to-collection", "PUT", path, one),
    ]


def every_kind_steps(kind: Kind) -> list[Step]:
    """The requests that every kind is asked."""
    steps = [*_living_steps(kind), *_refused_steps(kind), *_ending_steps(kind)]
    for name, patch in kind.bad.items():
        body = merged(kind.build(f"bad-{name}"), patch)
        steps.append(Step(f"bad-{name}", "POST", kind.path, body))
    return steps
