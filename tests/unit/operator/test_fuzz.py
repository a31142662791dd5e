"""Whatever the definitions let pass: no crash, no hot loop, nothing half made.

Resources are drawn from the schemas outward, unknown fields of Pods and Services with anything in
them. A small world applies the plans, refusing some of them as an API server would.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from drawn_specs import BOOKKEEPING, SCHEMAS, TEXTS, draw_schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dask_k8s_operator.controller.apply import diff_status
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.observe import (
    observe_autoscaler,
    observe_cluster,
    observe_group,
    observe_job,
)
from dask_k8s_operator.reconcile.autoscaler import decide_autoscaler
from dask_k8s_operator.reconcile.cluster import AgentParts, decide_cluster
from dask_k8s_operator.reconcile.job import decide_job
from dask_k8s_operator.reconcile.plan import Create, Delete, Patch, Plan, Refusal
from dask_k8s_operator.reconcile.workergroup import decide_group
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_KINDS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
    Kind,
)
from dask_k8s_operator.resources.owners import is_owned_by

NOW = 1_800_000_000.0
# More passes than this over the same objects would be a loop.
MOST_PASSES = 12


def draw_resource(kind: Kind, name: str, **fixed: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A strategy for whole resources, the status left over from anything that fits included."""
    schema = SCHEMAS[kind.plural]["properties"]
    texts = st.dictionaries(BOOKKEEPING, TEXTS, max_size=3)
    return st.builds(
        lambda spec, status, labels, annotations: {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": name,
                "namespace": "team",
                "uid": f"uid-{kind.plural}",
                "generation": 1,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": {**spec, **fixed},
            **({"status": status} if status else {}),
        },
        draw_schema(schema["spec"]),
        st.just({}) | draw_schema(schema["status"]),
        texts,
        texts,
    )


class World:
    """Objects, and what becomes of plans about them."""

    def __init__(self, items: list[tuple[Kind, dict[str, Any]]], refused: set[str]) -> None:
        self.cache = Cache()
        self.refused = refused
        self.digits = (f"{i:010x}" for i in itertools.count())
        self.refusals: dict[tuple[Kind, str], tuple[Refusal, ...]] = {}
        for kind, item in items:
            self.cache.informed(kind, None, item)

    def decide(self, kind: Kind, item: dict[str, Any]) -> Plan:
        refusals = self.refusals.get((kind, item["metadata"]["name"]), ())
        if kind == DASK_CLUSTERS:
            observed = observe_cluster(self.cache, item, refusals)
            return decide_cluster(observed, NOW, AgentParts("", ""))
        if kind == DASK_WORKER_GROUPS:
            return decide_group(observe_group(self.cache, item, refusals), NOW, self.digits)
        if kind == DASK_AUTOSCALERS:
            return decide_autoscaler(observe_autoscaler(self.cache, item), NOW)
        return decide_job(observe_job(self.cache, item, refusals), NOW)

    def pass_over(self) -> int:
        """Reconcile every object once; returns how much was written."""
        written = 0
        for kind in DASK_KINDS:
            for item in self._all(kind):
                plan = self.decide(kind, copy.deepcopy(item))
                written += self._apply(kind, item, plan)
        return written

    def find(self, kind: Kind) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return list(self.cache._objects[kind.plural].values())

    def _all(self, kind: Kind) -> list[dict[str, Any]]:
        names = ("x", "x-default", "demo")
        found = [self.cache.get(kind, "team", name) for name in names]
        return [item for item in found if item is not None]

    def _apply(self, kind: Kind, item: dict[str, Any], plan: Plan) -> int:
        name, written = item["metadata"]["name"], 0
        self.refusals[kind, name] = ()
        for write in [write for step in plan.steps for write in step]:
            if isinstance(write, Create) and write.kind.plural in self.refused:
                self.refusals[kind, name] = (Refusal(f"creation of {write.kind.kind}", "no"),)
                break
            written += self._write(write)
        if self.refusals[kind, name]:
            written = 0  # tried again in growing intervals, with all that goes before it
        now = self.cache.get(kind, "team", name)
        if now is not None and plan.status is not None:
            if diff_status(now.get("status"), plan.status):
                written += 1
            self._put(kind, now, {**now, "status": plan.status})
        return written

    def _write(self, write: Any) -> int:
        if isinstance(write, Create):
            body = copy.deepcopy(write.body)
            body["metadata"]["uid"] = f"uid-{write.kind.plural}-{body['metadata']['name']}"
            if self.cache.get(write.kind, "team", body["metadata"]["name"]) is None:
                self._put(write.kind, None, body)
            return 1
        before = self.cache.get(write.kind, write.namespace, write.name)
        if before is None:
            return 0
        after = None if isinstance(write, Delete) else _patched(before, write)
        self._put(write.kind, before, after)
        return 1

    def _put(self, kind: Kind, before: Any, after: Any) -> None:
        self.cache.informed(kind, before, after)


def _patched(item: dict[str, Any], write: Patch) -> dict[str, Any]:
    item = copy.deepcopy(item)
    if isinstance(write.body, list):
        for change in write.body:
            key = change["path"].rpartition("/")[2]
            item["spec"]["worker"].pop(key, None)
            if change["op"] == "add":
                item["spec"]["worker"][key] = change["value"]
        return item
    return _merged(item, write.body)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return patch
    merged = {**target, **{k: _merged(target.get(k, {}), v) for k, v in patch.items()}}
    return {k: v for k, v in merged.items() if v is not None or k not in patch}


RESOURCES = st.one_of(
    st.tuples(st.just(DASK_CLUSTERS), draw_resource(DASK_CLUSTERS, "x")),
    st.tuples(st.just(DASK_WORKER_GROUPS), draw_resource(DASK_WORKER_GROUPS, "x", cluster="x")),
    st.tuples(st.just(DASK_JOBS), draw_resource(DASK_JOBS, "x")),
    st.tuples(st.just(DASK_AUTOSCALERS), draw_resource(DASK_AUTOSCALERS, "x", cluster="x")),
)


PODS_OF_THE_GROUP = st.lists(
    st.builds(
        lambda phase, annotations, is_ready: {
            "metadata": {
                "namespace": "team",
                "labels": {"dask.org/workergroup-name": "x", "dask.org/cluster-name": "x"},
                "annotations": annotations,
                "ownerReferences": [{"kind": "DaskWorkerGroup", "uid": "uid-daskworkergroups"}],
            },
            "spec": {"containers": [{"name": "worker"}]},
            "status": {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": str(is_ready)}],
            },
        },
        st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        st.dictionaries(BOOKKEEPING, TEXTS, max_size=3),
        st.booleans(),
    ),
    max_size=4,
)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking these takes minutes
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    items=st.lists(RESOURCES, min_size=1, max_size=3, unique_by=lambda pair: pair[0]),
    pods=PODS_OF_THE_GROUP,
    refused=st.sets(st.sampled_from(["pods", "services", "daskworkergroups", "secrets"])),
)
def test_whatever_the_schema_lets_pass_settles_with_a_condition(items, pods, refused):
    for number, pod in enumerate(pods):
        pod["metadata"] |= {"name": f"w{number}", "uid": f"uid-w{number}"}
    world = World([*items, *((PODS, pod) for pod in pods)], refused)
    written = [world.pass_over() for _ in range(MOST_PASSES)]
    assert written[-1] == 0, written
    for kind, item in items:
        now = world.cache.get(kind, "team", item["metadata"]["name"])
        if now is None:
            continue  # a finished job whose time to live was over
        assert now["status"]["conditions"], "it says nothing"
    names = {item["metadata"]["name"] for _, item in items} | {"x-default"}
    owners = [world.cache.get(kind, "team", name) for kind in DASK_KINDS for name in names]
    for made in (world.find(PODS), world.find(SERVICES)):
        for child in made:
            is_orphan = not any(owner and is_owned_by(child, owner) for owner in owners)
            # A Pod of a group that never was is Kubernetes' own to collect.
            assert not is_orphan or child in pods


@pytest.mark.parametrize("plural", SCHEMAS)
def test_the_strategies_reach_what_the_schema_has(plural):
    drawn = draw_schema(SCHEMAS[plural]["properties"]["spec"])
    assert drawn.validate() is None
