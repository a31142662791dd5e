"""What a wish writes: the autoscaler that is meant, whatever it is called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    KubernetesUnreachableError,
    NameTakenError,
    NotInstalledError,
    WorkerGroupNotFoundError,
)
from dask_k8s_operator.kube.errors import AlreadyExistsError, NotFoundError, Target


def build_autoscaler(name: str, cluster: str = "demo", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}"}
    metadata["creationTimestamp"] = fields.pop("created", "2026-01-01T00:00:00Z")
    return {"metadata": metadata, "spec": {"cluster": cluster, **fields}}


def _not_found(kind: Any, namespace: str, name: str) -> NotFoundError:
    target = Target("get", kind.plural, kind.group, namespace, name)
    return NotFoundError(404, "NotFound", "there is none", None, target)


class Kubernetes:
    """Some autoscalers, the clusters and groups that they are of, and what was written."""

    host = "https://10.0.0.1"

    def __init__(self, *autoscalers: dict[str, Any], answer: Any = None) -> None:
        self.autoscalers = {each["metadata"]["name"]: each for each in autoscalers}
        self.answer = answer
        self.written: list[tuple[Any, ...]] = []

    async def request(self, method: str, path: str) -> Any:
        return self.answer

    async def get(self, kind: Any, name: str, namespace: str) -> Any:
        if name not in ("demo", "demo-default", "demo-gpu"):
            raise _not_found(kind, namespace, name)
        return {"metadata": {"name": name}, "spec": {"cluster": "demo"}}

    async def list(self, kind: Any, namespace: str) -> Any:
        return SimpleNamespace(items=list(self.autoscalers.values()))

    async def create(self, kind: Any, body: Any, namespace: str) -> None:
        name = body["metadata"]["name"]
        if name in self.autoscalers:
            target = Target("create", "daskautoscalers", "", namespace, name)
            raise AlreadyExistsError(409, "AlreadyExists", "it exists", None, target)
        self.written.append(("create", name, body["spec"]))

    async def patch(self, kind: Any, name: str, patch: Any, namespace: str) -> None:
        self.written.append(("patch", name, patch["spec"]))

    async def delete(self, kind: Any, name: str, namespace: str, uid: str | None = None) -> None:
        self.written.append(("delete", name, uid))
        if name == "gone":
            raise _not_found(kind, namespace, name)


BOUNDS = {"minimum": 1, "maximum": 3}
OF_GPUS = build_autoscaler("demo", workerGroup="demo-gpu")
OTHERS = build_autoscaler("other", "other")


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ([OTHERS], ("create", "demo", {"cluster": "demo", **BOUNDS})),
        ([build_autoscaler("demo")], ("patch", "demo", BOUNDS)),
        ([build_autoscaler("mine"), OTHERS], ("patch", "mine", BOUNDS)),
        ([build_autoscaler("mine", workerGroup="demo-default")], ("patch", "mine", BOUNDS)),
        # The one of the cluster's name scales another group: that one is not meant.
        ([OF_GPUS], ("create", "demo-default", {"cluster": "demo", **BOUNDS})),
        (
            [
                build_autoscaler("a-young-one", created="2026-02-01T00:00:00Z"),
                build_autoscaler("old", created="2026-01-01T00:00:00Z"),
            ],
            ("patch", "old", BOUNDS),
        ),
    ],
    ids=["none", "ours", "another name", "by full name", "of another group", "the older one"],
)
async def test_adapting_writes_the_autoscaler_of_the_default_group(
    there: list[Any], written: tuple[Any, ...]
) -> None:
    kubernetes: Any = Kubernetes(*there)
    await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3)
    assert kubernetes.written == [written]


async def test_adapting_takes_nobodys_name() -> None:
    kubernetes: Any = Kubernetes(OF_GPUS, build_autoscaler("demo-default", "other"))
    with pytest.raises(NameTakenError, match="team/demo and team/demo-default scale something"):
        await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3)
    assert kubernetes.written == []


GPUS = {"cluster": "demo", **BOUNDS, "workerGroup": "demo-gpu"}
# What another cluster is called, its autoscaler may be called too.
OF_A_NAMESAKE = build_autoscaler("demo-gpu", "demo-gpu")


@pytest.mark.parametrize("group", ["gpu", "demo-gpu"])
@pytest.mark.parametrize(
    ("there", "written"),
    [
        ([build_autoscaler("demo")], ("create", "demo-gpu", GPUS)),
        ([OF_GPUS], ("patch", "demo", BOUNDS)),
        ([build_autoscaler("demo-gpu", workerGroup="demo-gpu")], ("patch", "demo-gpu", BOUNDS)),
        ([OF_A_NAMESAKE], ("create", "demo-gpu-autoscaler", GPUS)),
    ],
    ids=["beside the default's", "another name", "ours", "of a namesake"],
)
async def test_adapting_a_group_writes_an_autoscaler_of_its_own(
    group: str, there: list[Any], written: tuple[Any, ...]
) -> None:
    kubernetes: Any = Kubernetes(*there)
    await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3, group)
    assert kubernetes.written == [written]


@pytest.mark.parametrize("group", ["default", "demo-default"])
async def test_the_default_group_may_be_named_as_well(group: str) -> None:
    kubernetes: Any = Kubernetes(OTHERS)
    await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3, group)
    assert kubernetes.written == [("create", "demo", {"cluster": "demo", **BOUNDS})]


async def test_a_group_that_is_not_there_cannot_adapt() -> None:
    kubernetes: Any = Kubernetes()
    with pytest.raises(ClusterNotFoundError, match="team/demo has no worker group 'tpu'"):
        await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3, "tpu")
    assert kubernetes.written == []


async def test_adapting_a_group_takes_nobodys_name() -> None:
    others = build_autoscaler("demo-gpu-autoscaler", "other")
    kubernetes: Any = Kubernetes(OF_A_NAMESAKE, others)
    said = "DaskAutoscaler team/demo-gpu and team/demo-gpu-autoscaler scale something else"
    with pytest.raises(NameTakenError, match=said):
        await actions.adapt_cluster(kubernetes, "team", "demo", 1, 3, "gpu")


async def test_a_group_that_goes_takes_its_autoscaler_with_it() -> None:
    kubernetes: Any = Kubernetes(OF_GPUS, build_autoscaler("mine"))
    await actions.delete_worker_group(kubernetes, "team", "demo", "gpu")
    assert kubernetes.written == [("delete", "demo", "uid-demo"), ("delete", "demo-gpu", None)]


@pytest.mark.parametrize(
    ("group", "deleted"), [(None, ["mine", "gone"]), ("gpu", ["demo"]), ("demo-gpu", ["demo"])]
)
async def test_scaling_ends_every_autoscaler_of_that_group(
    group: str | None, deleted: list[str]
) -> None:
    going = build_autoscaler("going")
    going["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    late = build_autoscaler("gone", created="2026-02-01T00:00:00Z")
    kubernetes: Any = Kubernetes(OF_GPUS, build_autoscaler("mine"), late, OTHERS, going)
    await actions.scale_cluster(kubernetes, "team", "demo", 2, group)
    *ended, (verb, scaled, _) = kubernetes.written
    assert ended == [("delete", name, f"uid-{name}") for name in deleted]
    assert (verb, scaled) == ("patch", "demo-gpu" if group else "demo-default")


async def test_a_group_that_is_not_there_is_named_by_its_argument_and_nothing_is_written() -> None:
    kubernetes: Any = Kubernetes(build_autoscaler("mine"))
    with pytest.raises(WorkerGroupNotFoundError, match=r"^worker_group: .*team/demo has no .*'x'"):
        await actions.scale_cluster(kubernetes, "team", "demo", 2, "x")
    with pytest.raises(WorkerGroupNotFoundError, match=r"^name: .*team/demo has no .*'x'"):
        await actions.delete_worker_group(kubernetes, "team", "demo", "x")
    assert kubernetes.written == []


@pytest.mark.parametrize("answer", [[], "hello", {}, {"resources": [{}]}])
async def test_an_answer_that_is_none_of_kubernetes_is_told_as_such(answer: Any) -> None:
    kubernetes: Any = Kubernetes(answer=answer)
    with pytest.raises(KubernetesUnreachableError, match="not Kubernetes"):
        await actions.check_installed(kubernetes)


# Go writes an empty list as null.
@pytest.mark.parametrize("resources", [[{"name": "others", "kind": "Other"}], [], None])
async def test_an_api_without_our_kinds_lacks_the_operator(resources: Any) -> None:
    kubernetes: Any = Kubernetes(answer={"resources": resources})
    with pytest.raises(NotInstalledError, match=r"does not know daskclusters\."):
        await actions.check_installed(kubernetes)
