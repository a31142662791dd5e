"""Watches, and the race for a Lease."""

from __future__ import annotations

from parity_kind import MERGE, TABLE
from parity_step import Scenario, Step
from parity_story import LEASES, MAPS_AT, named

WATCHES = Scenario(
    "watches",
    [
        Step("one", "POST", MAPS_AT, named("one") | {"data": {"a": "1"}}),
        Step("label", "PATCH", f"{MAPS_AT}/one", {"metadata": {"labels": {"in": "yes"}}}, MERGE),
        Step("change", "PATCH", f"{MAPS_AT}/one", {"data": {"a": "2"}}, MERGE),
        Step("unlabel", "PATCH", f"{MAPS_AT}/one", {"metadata": {"labels": {"in": "no"}}}, MERGE),
        Step("two", "POST", MAPS_AT, named("two")),
        Step("delete", "DELETE", f"{MAPS_AT}/one"),
        Step(
            "all",
            "GET",
            f"{MAPS_AT}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&fieldSelector=metadata.name=one",
        ),
        Step(
            "selected",
            "GET",
            f"{MAPS_AT}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&labelSelector=in=yes",
        ),
        Step(
            "from-now",
            "GET",
            f"{MAPS_AT}?watch=1&timeoutSeconds=1&resourceVersion=${{two.metadata.resourceVersion}}",
        ),
        Step(
            "compacted",
            "GET",
            f"{MAPS_AT}?watch=1&timeoutSeconds=1&resourceVersion=1",
            differs="history",
        ),
        Step(
            "list-old",
            "GET",
            f"{MAPS_AT}?resourceVersion=1&resourceVersionMatch=Exact",
            differs="exact-version",
        ),
        Step("list-match-alone", "GET", f"{MAPS_AT}?resourceVersionMatch=Exact"),
        Step(
            "list-future",
            "GET",
            f"{MAPS_AT}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name=two",
            differs="future-version",
        ),
        Step(
            "partial",
            "GET",
            f"{MAPS_AT}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&fieldSelector=metadata.name=one",
            headers={"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"},
        ),
    ],
)
LEASE = Scenario(
    "leader",
    [
        Step(
            "create",
            "POST",
            LEASES,
            named(
                "leader",
                spec={
                    "holderIdentity": "a",
                    "leaseDurationSeconds": 15,
                    "acquireTime": "2026-01-01T00:00:00.000000Z",
                    "renewTime": "2026-01-01T00:00:00.000000Z",
                    "leaseTransitions": 0,
                },
            ),
        ),
        Step(
            "renew",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${create.metadata.resourceVersion}",
                },
                "spec": {
                    "holderIdentity": "a",
                    "leaseDurationSeconds": 15,
                    "renewTime": "2026-01-01T00:00:02.000000Z",
                    "leaseTransitions": 0,
                },
            },
        ),
        Step(
            "steal-stale",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${create.metadata.resourceVersion}",
                },
                "spec": {"holderIdentity": "b"},
            },
        ),
        Step(
            "steal",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${renew.metadata.resourceVersion}",
                },
                "spec": {"holderIdentity": "b", "leaseTransitions": 1},
            },
        ),
        Step(
            "steal-blind",
            "PUT",
            f"{LEASES}/leader",
            {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "c"}},
        ),
        Step(
            "put-new",
            "PUT",
            f"{LEASES}/new",
            {"metadata": {"name": "new"}, "spec": {"holderIdentity": "c"}},
        ),
        Step("table", "GET", LEASES, headers=TABLE),
    ],
)
