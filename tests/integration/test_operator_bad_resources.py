"""Whatever is posted: the API refuses it with a reason, or the operator says how it stands.

Specs are drawn from the definitions' schemas outward, and good ones are damaged in one place. All
of them are there at once, so that the operator has to serve a good cluster beside them.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
import time
from collections import Counter
from typing import Any

import pytest
from cluster_readiness import wait_one_ready
from dask_resources import Dask
from drawn_specs import BOOKKEEPING, JSON_VALUES, SCHEMAS, TEXTS, draw_schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dask_k8s_operator.kube import Informer
from dask_k8s_operator.kube.errors import InvalidError, NotFoundError
from dask_k8s_operator.resources.kinds import (
    CONFIG_MAPS,
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_KINDS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
    Kind,
)

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

EACH = 13
# Of a loop there would be hundreds.
MOST_CHANGES = 60
MOST_PODS = 12
# What is said before anything can be known.
BEGINNINGS = ("is being made", "the rest start")
MADE = (*DASK_KINDS, PODS, SERVICES, SECRETS, CONFIG_MAPS)

Drawn = tuple[Kind, dict[str, Any]]


def good_specs(dask: Dask) -> dict[Kind, dict[str, Any]]:
    """A spec of each kind with which nothing is wrong; what joins a cluster joins ``host``."""
    cluster = dask.cluster_spec(1)
    runner = dask.container("job", "python", "-c", "print('done')")
    job = {"containers": [runner], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    return {
        DASK_CLUSTERS: cluster,
        DASK_WORKER_GROUPS: {"cluster": "host", "worker": cluster["worker"]},
        DASK_JOBS: {"job": {"spec": job}, "cluster": {"spec": dask.cluster_spec(0)}},
        DASK_AUTOSCALERS: {"cluster": "host", "minimum": 0, "maximum": 1},
    }


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document, the whole of it left out."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    found = [path] if path else []
    return [*found, *(p for key, nested in items for p in paths_of(nested, (*path, key)))]


def damaged(spec: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(spec)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(changed)


def draw_damaged(kind: Kind, spec: dict[str, Any]) -> st.SearchStrategy[Drawn]:
    values = JSON_VALUES | st.just("$(DASK_WORKER_NAME)")
    return st.tuples(
        st.just(kind),
        st.builds(damaged, st.just(spec), st.sampled_from(paths_of(spec)), values),
    )


def draw_from_schema(kind: Kind) -> st.SearchStrategy[Drawn]:
    schema = SCHEMAS[kind.plural]["properties"]["spec"]
    joins = {} if kind in (DASK_CLUSTERS, DASK_JOBS) else {"cluster": "host"}
    return st.tuples(st.just(kind), draw_schema(schema).map(lambda spec: {**spec, **joins}))


def draw_all(strategy: st.SearchStrategy[Any], number: int) -> list[Any]:
    """The same examples at every run."""
    found: list[Any] = []

    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def note(drawn: Any) -> None:
        found.append(drawn)

    note()
    return found


def draw_resources(dask: Dask) -> list[tuple[Kind, dict[str, Any]]]:
    specs = good_specs(dask)
    labels = st.dictionaries(BOOKKEEPING, st.sampled_from(["", "a", "1-2", "é"]), max_size=2)
    annotations = st.dictionaries(BOOKKEEPING, TEXTS, max_size=2)
    metadata = st.fixed_dictionaries({}, optional={"labels": labels, "annotations": annotations})
    drawn = []
    for strategy in (
        st.one_of(*(draw_from_schema(kind) for kind in DASK_KINDS)),
        st.one_of(*(draw_damaged(kind, spec) for kind, spec in specs.items())),
    ):
        drawn += draw_all(st.tuples(strategy, metadata), EACH)
    taken, refused = specs[DASK_CLUSTERS], {**specs[DASK_CLUSTERS], "suspend": "perhaps"}
    drawn += [((DASK_CLUSTERS, taken), {}), ((DASK_CLUSTERS, refused), {})]
    return [
        (
            kind,
            {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": f"x{number}", **more},
                "spec": spec,
            },
        )
        for number, ((kind, spec), more) in enumerate(drawn)
    ]


class Diary:
    """How often each object was changed, and how many Pods were made for it."""

    def __init__(self, dask: Dask) -> None:
        self.changes: Counter[str] = Counter()
        self.pods: Counter[str] = Counter()
        self.informers = [
            Informer(dask.client, kind, dask.namespace, on_change=self._note(kind))
            for kind in (*DASK_KINDS, PODS)
        ]

    def _note(self, kind: Kind) -> Any:
        def note(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
            name = (new or old or {})["metadata"]["name"]
            if kind != PODS:
                self.changes[f"{kind.kind} {name}"] += 1
            elif old is None:
                self.pods[name.partition("-")[0]] += 1

        return note


async def test_each_is_refused_or_described_and_none_holds_the_others_up(dask):
    resources = draw_resources(dask)
    await dask.create(DASK_CLUSTERS, "host", dask.cluster_spec(0))
    diary, began = Diary(dask), time.monotonic()
    following = [asyncio.ensure_future(informer.run()) for informer in diary.informers]
    try:
        await asyncio.gather(*(informer.wait_synced() for informer in diary.informers))
        accepted = await post(dask, resources)
        await asyncio.gather(*(wait_described(dask, *item) for item in accepted))
        await serve_a_good_one(dask)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    # What fails again and again is tried ever less often: later minutes add little.
    minutes = (time.monotonic() - began) / 60
    assert not [item for item in diary.changes.items() if item[1] > MOST_CHANGES + 10 * minutes]
    assert not [item for item in diary.pods.items() if item[1] > MOST_PODS + 2 * minutes]
    await delete_without_rest(dask, accepted)


async def post(dask: Dask, resources: list[Drawn]) -> list[tuple[Kind, str]]:
    """Post them; gives those that the API has taken."""
    accepted = []
    for kind, body in resources:
        try:
            made = await dask.client.create(kind, body, dask.namespace)
        except InvalidError as error:
            # It says of which field it speaks.
            assert "spec" in str(error) or "metadata" in str(error), body
        else:
            accepted.append((kind, made["metadata"]["name"]))
    # Either way there is something to be seen: the last but one is good, the last is not.
    assert 1 < len(accepted) < len(resources) - 1
    assert accepted[-1] == (resources[-2][0], resources[-2][1]["metadata"]["name"])
    return accepted


async def wait_described(dask: Dask, kind: Kind, name: str) -> None:
    """Wait for a status that says more than that somebody has begun."""

    async def is_described() -> bool:
        item = await dask.get(kind, name)
        if item is None:
            return True  # one that is idle or over may be gone by itself
        status = item.get("status", {})
        is_beginning = any(words in status.get("message", "") for words in BEGINNINGS)
        return bool(status.get("conditions")) and not is_beginning

    await dask.wait_until(is_described, what=f"{kind.kind} {name} says how it stands")


async def serve_a_good_one(dask: Dask) -> None:
    await dask.create(DASK_CLUSTERS, "good", dask.cluster_spec(1))
    await wait_one_ready(dask, "good", 1)
    async with dask.connected("good") as client:
        assert await client.submit(sum, [1, 2]) == 3


async def delete_without_rest(dask: Dask, accepted: list[tuple[Kind, str]]) -> None:
    for kind, name in accepted:
        with contextlib.suppress(NotFoundError):
            await dask.client.delete(kind, name, dask.namespace, propagation="Background")

    async def left() -> set[str]:
        """What is there of theirs, all of which begins with their names."""
        found = set()
        for kind in MADE:
            items = (await dask.client.list(kind, dask.namespace)).items
            found |= {f"{kind.kind} {item['metadata']['name']}" for item in items}
        return {name for name in found if re.search(r" x\d", name)}

    await dask.wait_for(left, set())
