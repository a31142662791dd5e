"""Further requests, for the kinds that stand for the others."""

from __future__ import annotations

import json

import yaml
from parity_kind import APPLY, JSON_PATCH, MERGE, PARTIAL, STRATEGIC, TABLE, Kind, merged, without
from parity_step import Step


def _reading_steps(kind: Kind) -> list[Step]:
    """Reads of single objects, pages and selections, right and wrong."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    return [
        Step("create", "POST", path, one),
        Step("create-two", "POST", path, kind.build("two", labels={"parity": "{ns}", "tier": "b"})),
        Step("get", "GET", here, pause_s=kind.pause_s, until_text=kind.first_words),
        Step("get-partial", "GET", here, headers=PARTIAL),
        Step("get-xml", "GET", here, headers={"Accept": "application/xml"}),
        Step("list-page", "GET", f"{path}?labelSelector=parity={{ns}}&limit=1"),
        Step(
            "list-next",
            "GET",
            f"{path}?labelSelector=parity={{ns}}&limit=1&continue=${{list-page.metadata.continue}}",
        ),
        Step("list-bad-continue", "GET", f"{path}?limit=1&continue=nonsense"),
        Step("list-bad-limit", "GET", f"{path}?limit=many"),
        Step("list-in", "GET", f"{path}?labelSelector=parity={{ns}},tier in (a,b)"),
        Step("list-not", "GET", f"{path}?labelSelector=parity={{ns}},!tier"),
        Step("list-bad-selector", "GET", f"{path}?labelSelector=a in b"),
        Step("list-field", "GET", f"{path}?fieldSelector=metadata.name={kind.name('two')}"),
        Step("list-bad-field", "GET", f"{path}?fieldSelector=spec.nothing=1"),
        Step(
            "list-partial",
            "GET",
            f"{path}?labelSelector=parity={{ns}}",
            headers={"Accept": PARTIAL["Accept"].replace("Metadata;", "MetadataList;")},
        ),
        Step("list-bad-version", "GET", f"{path}?resourceVersion=abc"),
    ]


def _putting_steps(kind: Kind) -> list[Step]:
    """PUT, right and wrong."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    return [
        Step("put-missing-name", "PUT", here, without(one, "name")),
        Step("put-other-name", "PUT", here, kind.build("two")),
        Step(
            "put-missing",
            "PUT",
            f"{path}/{kind.name('missing')}",
            kind.build("missing", resourceVersion="1"),
        ),
        Step(
            "put-wrong-uid",
            "PUT",
            here,
            kind.build(
                "one",
                uid="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                resourceVersion="${get.metadata.resourceVersion}",
            ),
        ),
        Step(
            "put-changed",
            "PUT",
            here,
            merged(
                kind.build(
                    "one", resourceVersion="${get.metadata.resourceVersion}", annotations={"x": "y"}
                ),
                kind.change,
            ),
            renews="get",
        ),
    ]


def _patching_steps(kind: Kind) -> list[Step]:
    """JSON and strategic merge patches, right and wrong."""
    here = f"{kind.path}/{kind.name('one')}"
    label = [{"op": "add", "path": "/metadata/labels/json", "value": "x"}]
    return [
        Step("patch-json", "PATCH", here, label, JSON_PATCH),
        Step(
            "patch-json-test",
            "PATCH",
            here,
            [{"op": "test", "path": "/metadata/name", "value": "x"}],
            JSON_PATCH,
        ),
        Step(
            "patch-json-bad-path",
            "PATCH",
            here,
            [{"op": "remove", "path": "/metadata/nothing"}],
            JSON_PATCH,
        ),
        Step(
            "patch-json-bad-op", "PATCH", here, [{"op": "twist", "path": "/metadata"}], JSON_PATCH
        ),
        Step("patch-json-not-list", "PATCH", here, {"a": "b"}, JSON_PATCH),
        Step(
            "patch-strategic",
            "PATCH",
            here,
            {"metadata": {"labels": {"json": None}, "annotations": {"s": "t"}}},
            STRATEGIC,
        ),
    ]


def _odd_patch_steps(kind: Kind) -> list[Step]:
    """Merge patches of what may not be changed, or not like this."""
    here = f"{kind.path}/{kind.name('one')}"
    return [
        Step("patch-nothing", "PATCH", here, {}, MERGE),
        Step("patch-not-json", "PATCH", here, "{nonsense", MERGE),
        Step("patch-list", "PATCH", here, [1], MERGE),
        Step(
            "patch-stale",
            "PATCH",
            here,
            {"metadata": {"resourceVersion": "1", "labels": {"q": "1"}}},
            MERGE,
        ),
        Step("patch-name", "PATCH", here, {"metadata": {"name": "other"}}, MERGE),
        Step(
            "patch-uid",
            "PATCH",
            here,
            {"metadata": {"uid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}},
            MERGE,
        ),
        Step(
            "patch-creation-time",
            "PATCH",
            here,
            {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}},
            MERGE,
        ),
        Step("patch-bad-label", "PATCH", here, {"metadata": {"labels": {"a/b/c": "x"}}}, MERGE),
        Step(
            "patch-dry-run",
            "PATCH",
            f"{here}?dryRun=All",
            {"metadata": {"labels": {"dry": "x"}}},
            MERGE,
        ),
        Step("patch-dry-run-bad", "PATCH", f"{here}?dryRun=Some", {}, MERGE),
        Step("get-after-patches", "GET", here),
    ]


def _applying_steps(kind: Kind) -> list[Step]:
    """Server-side apply, right and wrong."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    return [
        Step("apply-no-manager", "PATCH", here, one, APPLY),
        Step(
            "apply-force",
            "PATCH",
            f"{here}?fieldManager=b&force=true",
            kind.build("one", labels={"parity": "{ns}", "forced": "yes"}),
            APPLY,
        ),
        Step("apply-less", "PATCH", f"{here}?fieldManager=b&force=true", kind.build("one"), APPLY),
        Step("apply-wrong-name", "PATCH", f"{here}?fieldManager=b", kind.build("two"), APPLY),
        Step(
            "apply-no-kind",
            "PATCH",
            f"{here}?fieldManager=b",
            {"metadata": {"name": kind.name("one")}},
            APPLY,
        ),
        Step(
            "apply-yaml",
            "PATCH",
            f"{here}?fieldManager=b&force=true",
            yaml.safe_dump(one),
            APPLY,
        ),
        Step(
            "apply-unknown",
            "PATCH",
            f"{here}?fieldManager=b&force=true",
            one | {"unknown": 1},
            APPLY,
        ),
        Step(
            "apply-dry-run",
            "PATCH",
            f"{path}/{kind.name('never')}?fieldManager=b&dryRun=All",
            kind.build("never"),
            APPLY,
        ),
        Step("get-never", "GET", f"{path}/{kind.name('never')}"),
    ]


def _creating_steps(kind: Kind) -> list[Step]:
    """What may not be created, and what may though it looks odd."""
    path, one = kind.path, kind.build("one")
    return [
        Step(
            "create-generated",
            "POST",
            path,
            without(kind.build("x", generateName=kind.name("gen-")), "name"),
        ),
        Step("create-long-name", "POST", path, kind.build("n", name="n" * 260)),
        Step("create-wrong-version", "POST", path, one | {"apiVersion": "wrong/v9"}),
        Step(
            "create-no-kind",
            "POST",
            path,
            {"metadata": {"name": kind.name("nokind")}, **kind.content},
        ),
        Step("create-empty", "POST", path, ""),
        Step("create-list", "POST", path, [1]),
        Step("create-bad-label", "POST", path, kind.build("label", labels={"a b": "c"})),
        Step("create-bad-label-value", "POST", path, kind.build("label", labels={"a": "b c"})),
        Step("create-number-label", "POST", path, kind.build("label", labels={"a": 1})),
        Step("create-label-list", "POST", path, kind.build("label", labels=["a"])),
        Step("create-bad-annotation", "POST", path, kind.build("anno", annotations={"a b": "c"})),
        Step(
            "create-bad-owner",
            "POST",
            path,
            kind.build(
                "owned",
                ownerReferences=[{"kind": "Pod", "name": "x", "apiVersion": "v1", "uid": ""}],
            ),
        ),
        Step(
            "create-bad-finalizer", "POST", path, kind.build("finalized", finalizers=["nonsense"])
        ),
        Step("create-with-version", "POST", path, kind.build("versioned", resourceVersion="5")),
        Step(
            "create-wrong-namespace", "POST", path, kind.build("elsewhere", namespace="elsewhere")
        ),
        Step(
            "create-with-uid",
            "POST",
            path,
            kind.build(
                "uid",
                uid="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                creationTimestamp="2001-01-01T00:00:00Z",
                generation=7,
            ),
        ),
        Step("create-unknown", "POST", path, kind.build("unknown") | {"unknown": 1}),
        Step("create-yaml", "POST", path, yaml.safe_dump(kind.build("yaml")), "application/yaml"),
        Step("create-text", "POST", path, json.dumps(kind.build("text")), "text/plain"),
        Step("create-dry-run-bad", "POST", f"{path}?dryRun=Some", kind.build("dry")),
        Step("create-bad-validation", "POST", f"{path}?fieldValidation=Maybe", kind.build("dry")),
    ]


def _ending_steps(kind: Kind) -> list[Step]:
    """Watches and deletions, right and wrong."""
    path = kind.path
    here = f"{path}/{kind.name('one')}"
    return [
        Step("watch-bad-version", "GET", f"{path}?watch=1&resourceVersion=abc&timeoutSeconds=1"),
        Step(
            "watch-table",
            "GET",
            f"{path}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name={kind.name('two')}",
            headers=TABLE,
        ),
        Step(
            "watch-initial",
            "GET",
            f"{path}?watch=1&timeoutSeconds=3&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name={kind.name('two')}",
        ),
        Step("watch-initial-bad", "GET", f"{path}?watch=1&timeoutSeconds=1&sendInitialEvents=true"),
        Step("watch-one", "GET", f"{here}?watch=1&timeoutSeconds=1"),
        Step("unknown-subresource", "GET", f"{here}/nothing"),
        Step("unknown-method", "OPTIONS", here),
        Step("delete-wrong-version", "DELETE", here, {"preconditions": {"resourceVersion": "1"}}),
        Step("delete-bad-policy", "DELETE", f"{here}?propagationPolicy=Sideways"),
        Step("delete-bad-grace", "DELETE", f"{here}?gracePeriodSeconds=soon"),
        Step("delete-not-json", "DELETE", here, "{nonsense"),
        Step("delete-bad-dry-run", "DELETE", f"{here}?dryRun=Some"),
        Step("delete-missing", "DELETE", f"{path}/{kind.name('missing')}"),
        Step("delete-collection", "DELETE", f"{path}?labelSelector=parity={{ns}},tier=b"),
        Step("list-left", "GET", f"{path}?labelSelector=parity={{ns}}", headers=TABLE),
    ]


def thorough_steps(kind: Kind) -> list[Step]:
    """Further requests, for the kinds that stand for the others."""
    path, one = kind.path, kind.build("one")
    steps = [
        *_reading_steps(kind),
        *_putting_steps(kind),
        *_patching_steps(kind),
        *_odd_patch_steps(kind),
        *_applying_steps(kind),
        *_creating_steps(kind),
        *_ending_steps(kind),
    ]
    if kind.plural == "pods":
        # Admission has added to the Pod what this body lacks: only a Pod that was read can be put.
        steps = [step for step in steps if step.name != "put-changed"]
    if kind.namespaced:
        steps.append(
            Step("create-no-namespace", "POST", path.replace("/{ns}/", "/{ns}-missing/"), one)
        )
    return steps
