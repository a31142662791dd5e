"""Whether an operator is alive, as far as we may see, and of which release its definitions are.

Looks at its Lease, which everybody may read where its manifests say so; then at its Deployment and
its Pods, which an administrator may. Guarantees that what cannot be seen is not called healthy.
Refuses to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from dask_k8s_jupyter.state import format_age, parse_time
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError, ForbiddenError, NotFoundError
from dask_k8s_operator.resources.crds import read_release
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DEPLOYMENTS, GROUP, LEASES, PODS
from dask_k8s_operator.resources.manifests import DEFAULT_NAMESPACE, NAME

from .operatorinstall import OPERATOR_SELECTOR
from .rollout import judge_rollout

Resource = Mapping[str, Any]
# A holder renews several times within a lease's duration; clocks may differ by a little.
LEASE_PATIENCE = 2.0
LEASE_DURATION_S = 15.0


@dataclass(frozen=True)
class OperatorState:
    """What is to be seen of an operator.

    Parameters
    ----------
    outcome
        ``"running"``, ``"broken"``, ``"missing"`` or ``"unknown"`` (we may not look).
    message
        A sentence about it.
    image
        The image it runs, where that can be seen.

    Examples
    --------
    >>> OperatorState("unknown", "Whether an operator runs, you may not see").image is None
    True
    """

    outcome: Literal["running", "broken", "missing", "unknown"]
    message: str
    image: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The state as a JSON object."""
        return asdict(self)


async def observe_release(client: KubeClient) -> str | None:
    """Which release the installed definitions are of; None when they are not ours.

    Raises
    ------
    NotFoundError
        When there are none.
    """
    path = f"/openapi/v3/apis/{GROUP}/{DASK_CLUSTERS.version}"
    schemas = ((await client.request("GET", path)).get("components") or {}).get("schemas") or {}
    for schema in schemas.values():
        kinds = schema.get("x-kubernetes-group-version-kind") or []
        if any(kind.get("kind") == DASK_CLUSTERS.kind for kind in kinds):
            return read_release(str(schema.get("description") or ""))
    return None


async def observe_operator(
    client: KubeClient, now: datetime, namespace: str = DEFAULT_NAMESPACE
) -> OperatorState:
    """Find out whether an operator is alive.

    Parameters
    ----------
    client
        Connection to the API.
    now
        The time, with a time zone.
    namespace
        Where its Lease is.
    """
    lease, (deployments, pods) = await asyncio.gather(
        _read_lease(client, namespace), _read_workloads(client, namespace)
    )
    return judge_operator(lease, deployments, pods, now)


def judge_operator(
    lease: Resource | None,
    deployments: Iterable[Resource] | None,
    pods: Iterable[Resource] | None,
    now: datetime,
) -> OperatorState:
    """Judge an operator by what is to be seen of it; None stands for what we may not see.

    Examples
    --------
    >>> from datetime import timezone
    >>> judge_operator(None, [], [], datetime.now(timezone.utc)).outcome
    'missing'
    """
    found, its_pods = list(deployments or ()), list(pods or ())
    image = _read_image(found or its_pods)
    held = _judge_lease(lease, now) if lease is not None else None
    if held is not None and held.outcome == "running":
        return OperatorState("running", held.message, image)
    for deployment in found:
        rollout = judge_rollout(deployment, its_pods)
        if not rollout.is_ready:
            message = f"The operator {_path(deployment)} is not ready: {rollout.reason}"
            return OperatorState("broken", message, image)
    if held is not None:
        return OperatorState("broken", held.message, image)
    if found:
        return OperatorState("running", f"The operator {_path(found[0])} runs", image)
    return _judge_bare_pods(None if pods is None else its_pods, image)


def _judge_bare_pods(pods: list[Resource] | None, image: str | None) -> OperatorState:
    """The embedded Kubernetes runs the operator as a Pod alone."""
    if pods is None:
        return OperatorState("unknown", "Whether an operator runs, you may not see")
    ready = [pod for pod in pods if _is_ready(pod)]
    if ready:
        return OperatorState("running", f"The operator {_path(ready[0])} runs", image)
    if pods:
        return OperatorState("broken", f"The operator {_path(pods[0])} is not ready", image)
    return OperatorState("missing", "There is no operator in the cluster")


def _judge_lease(lease: Resource, now: datetime) -> OperatorState | None:
    spec = lease.get("spec") or {}
    renewed = parse_time(spec.get("renewTime"))
    holder = spec.get("holderIdentity")
    if renewed is None:
        return None
    age_s = (now - renewed).total_seconds()
    if not holder:  # the last one ended in order; the next takes it within seconds
        return OperatorState("broken", f"No operator leads since {format_age(age_s)}")
    duration_s = float(spec.get("leaseDurationSeconds") or LEASE_DURATION_S)
    if age_s <= duration_s * LEASE_PATIENCE:
        return OperatorState("running", f"The operator {holder} leads (seen {_ago(age_s)})")
    return OperatorState("broken", f"The operator {holder} gave its last sign {_ago(age_s)}")


def _ago(age_s: float) -> str:
    return f"{format_age(age_s)} ago"


async def _read_lease(client: KubeClient, namespace: str) -> Resource | None:
    try:
        return await client.get(LEASES, NAME, namespace)
    except (NotFoundError, ForbiddenError):
        return None


async def _read_workloads(
    client: KubeClient, namespace: str
) -> tuple[list[Resource] | None, list[Resource] | None]:
    """Deployments and Pods of operators anywhere, else in the usual namespace, if we may look."""
    for scope in (None, namespace):
        try:
            deployments, pods = await asyncio.gather(
                client.list(DEPLOYMENTS, scope, label_selector=OPERATOR_SELECTOR),
                client.list(PODS, scope, label_selector=OPERATOR_SELECTOR),
            )
        except ForbiddenError:
            continue
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        return list(deployments.items), list(pods.items)
    return None, None


def _read_image(workloads: list[Resource]) -> str | None:
    for workload in workloads:
        spec = workload.get("spec") or {}
        spec = (spec.get("template") or {}).get("spec") or spec
        for container in spec.get("containers") or []:
            return str(container.get("image"))
    return None


def _is_ready(pod: Resource) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _path(resource: Resource) -> str:
    return f"{resource['metadata']['namespace']}/{resource['metadata']['name']}"
