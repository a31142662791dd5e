"""Owners and what becomes of what they own."""

from __future__ import annotations

from parity_kind import JSON_PATCH, MERGE, merged
from parity_step import Scenario, Step
from parity_story import MAPS_AT, named, owned

_ORDERS = [
    ("background", "Background"),
    ("foreground", "Foreground"),
    ("orphan", "Orphan"),
]
GARBAGE = Scenario(
    "ownership",
    [
        step
        for name, policy in _ORDERS
        for step in (
            Step(name, "POST", MAPS_AT, named(name)),
            Step(
                f"{name}-child",
                "POST",
                MAPS_AT,
                owned(f"{name}-child", "ConfigMap", name, blockOwnerDeletion=True),
            ),
            Step(
                f"{name}-held",
                "POST",
                MAPS_AT,
                merged(
                    owned(f"{name}-held", "ConfigMap", name, blockOwnerDeletion=True),
                    {"metadata": {"finalizers": ["example.org/hold"]}},
                ),
            ),
            Step(f"{name}-delete", "DELETE", f"{MAPS_AT}/{name}", {"propagationPolicy": policy}),
            Step(
                f"{name}-child-after",
                "GET",
                f"{MAPS_AT}/{name}-child",
                until=200 if policy == "Orphan" else 404,
                pause_s=1,
            ),
            Step(
                f"{name}-after",
                "GET",
                f"{MAPS_AT}/{name}",
                until=200 if policy == "Foreground" else 404,
                pause_s=0.3,
            ),
            Step(
                f"{name}-held-after",
                "GET",
                f"{MAPS_AT}/{name}-held",
                pause_s=0.3,
                until_text="" if policy == "Orphan" else "deletionTimestamp",
            ),
            Step(
                f"{name}-release",
                "PATCH",
                f"{MAPS_AT}/{name}-held",
                {"metadata": {"finalizers": None}},
                MERGE,
            ),
            Step(f"{name}-gone", "GET", f"{MAPS_AT}/{name}", until=404),
        )
    ]
    + [
        Step(
            "no-owner",
            "POST",
            MAPS_AT,
            {
                "metadata": {
                    "name": "alone",
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": "nobody",
                            "uid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                        }
                    ],
                }
            },
        ),
        Step("no-owner-after", "GET", f"{MAPS_AT}/alone", until=404),
        Step(
            "two-controllers",
            "POST",
            MAPS_AT,
            {
                "metadata": {
                    "name": "pair",
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": n,
                            "uid": f"{n}aaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                            "controller": True,
                        }
                        for n in ("a", "b")
                    ],
                }
            },
        ),
        Step(
            "finalize-late",
            "POST",
            MAPS_AT,
            {"metadata": {"name": "late", "finalizers": ["example.org/a"]}},
        ),
        Step("finalize-late-delete", "DELETE", f"{MAPS_AT}/late"),
        Step(
            "finalize-late-add",
            "PATCH",
            f"{MAPS_AT}/late",
            [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.org/b"}],
            JSON_PATCH,
        ),
        Step(
            "finalize-late-label",
            "PATCH",
            f"{MAPS_AT}/late",
            {"metadata": {"labels": {"still": "here"}}},
            MERGE,
        ),
        Step("finalize-late-delete-again", "DELETE", f"{MAPS_AT}/late"),
        Step(
            "finalize-late-end",
            "PATCH",
            f"{MAPS_AT}/late",
            [{"op": "remove", "path": "/metadata/finalizers"}],
            JSON_PATCH,
        ),
        Step("finalize-late-gone", "GET", f"{MAPS_AT}/late"),
    ],
)
