"""Finds what a Helm release of the Dask chart consists of, by the traces that Helm leaves.

Helm writes its name for a release onto every object (annotation ``meta.helm.sh/release-name``) and
keeps a record of each revision in a Secret. Guarantees that neither the helm program nor a
permission to read Secrets is needed: the record, where we may read it, only makes messages better.
Refuses to change anything.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask_k8s_jupyter.errors import ClusterNotFoundError, WorkerGroupNotFoundError, explain
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError
from dask_k8s_operator.resources.kinds import DEPLOYMENTS, SECRETS, SERVICES

Manifest = Mapping[str, Any]

RELEASE_ANNOTATION = "meta.helm.sh/release-name"
# "release" is the chart's own label; the last one is what charts by Kubernetes' convention have.
RELEASE_LABELS = ("release", "app.kubernetes.io/instance")
RECORD_LABELS = "owner=helm"
RECORD_TYPE = "helm.sh/release.v1"
CHART = "dask"


@dataclass(frozen=True)
class ReleaseRecord:
    """What Helm noted of one revision of a release.

    Parameters
    ----------
    name, namespace
        The release.
    revision
        Counted from 1.
    status
        ``"deployed"`` when all went well.
    chart, chart_version
        Where it comes from.
    """

    name: str
    namespace: str
    revision: int
    status: str
    chart: str
    chart_version: str


@dataclass(frozen=True)
class Release:
    """The objects of a release that make its Dask cluster.

    Parameters
    ----------
    name, namespace
        The release.
    scheduler
        Deployment of the scheduler.
    service
        Service of the scheduler.
    workers
        Deployments of workers by the name of their group; the chart's own group is ``""``.
    """

    name: str
    namespace: str
    scheduler: Manifest
    service: Manifest
    workers: Mapping[str, Manifest]

    def find_workers(self, group: str | None) -> Manifest:
        """Find the Deployment of a worker group by its short name or by that of the Deployment.

        Raises
        ------
        WorkerGroupNotFoundError
            When the release has no such group.
        """
        for short, deployment in self.workers.items():
            if (group or "") == short or group == deployment["metadata"]["name"]:
                return deployment
        known = ", ".join(sorted(short or "the default one" for short in self.workers))
        raise WorkerGroupNotFoundError(
            f"worker_group: Helm release {self.namespace}/{self.name} "
            f"has no worker group {group!r}",
            fix=f"It has {known or 'no workers'}",
        )


def parse_record(secret: Manifest) -> ReleaseRecord | None:
    """Parse the record in one of Helm's Secrets; None when it cannot be read."""
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        # Helm packs since 2.0, and reads what is not packed.
        text = gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
        release = json.loads(text)
        chart = (release.get("chart") or {}).get("metadata") or {}
        return ReleaseRecord(
            name=release["name"],
            namespace=release.get("namespace") or secret["metadata"].get("namespace", ""),
            revision=int(release.get("version", 0)),
            status=(release.get("info") or {}).get("status", ""),
            chart=chart.get("name", ""),
            chart_version=chart.get("version", ""),
        )
    except (KeyError, TypeError, ValueError, OSError, EOFError, binascii.Error):
        return None


async def list_records(
    client: KubeClient, namespace: str | None = None, name: str | None = None
) -> list[ReleaseRecord] | None:
    """List the newest record of each release; None where we may not read Secrets.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Where; None for all namespaces.
    name
        One release; None for all.
    """
    selector = f"{RECORD_LABELS},name={name}" if name else RECORD_LABELS
    try:
        secrets = await client.list(SECRETS, namespace, label_selector=selector)
    except ForbiddenError:
        return None
    newest: dict[tuple[str, str], ReleaseRecord] = {}
    for secret in secrets.items:
        record = parse_record(secret) if secret.get("type") == RECORD_TYPE else None
        if record is None:
            continue
        key = (record.namespace, record.name)
        if key not in newest or newest[key].revision < record.revision:
            newest[key] = record
    return [newest[key] for key in sorted(newest)]


async def find_release(
    client: KubeClient,
    namespace: str,
    name: str,
    scheduler_name: str = "scheduler",
    worker_name: str = "worker",
) -> Release:
    """Find the Dask cluster of a release.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The release.
    scheduler_name, worker_name
        What the chart's Deployments are called after the release.

    Raises
    ------
    ClusterNotFoundError
        When there is no such release, or it holds no Dask cluster.
    """
    try:
        deployments = (await client.list(DEPLOYMENTS, namespace)).items
        services = (await client.list(SERVICES, namespace)).items
        release = pick_release(namespace, name, deployments, services, scheduler_name, worker_name)
        if release is not None:
            return release
        records = await list_records(client, namespace, name)
    except KubeError as error:
        raise explain(error) from error
    raise _build_not_found(namespace, name, scheduler_name, records)


def pick_release(
    namespace: str,
    name: str,
    deployments: Sequence[Manifest],
    services: Sequence[Manifest],
    scheduler_name: str = "scheduler",
    worker_name: str = "worker",
) -> Release | None:
    """Pick the Dask cluster of a release out of all that a namespace holds; None if there is none.

    Parameters
    ----------
    namespace, name
        The release.
    deployments, services
        All of the namespace.
    scheduler_name, worker_name
        What the chart's Deployments are called after the release.
    """
    own = {
        each["metadata"]["name"]: each
        for each in deployments
        if is_of_release(each, namespace, name)
    }
    scheduler = next((own[each] for each in sorted(own) if _ends(each, scheduler_name)), None)
    if scheduler is None:
        return None
    full_name = scheduler["metadata"]["name"].removesuffix(scheduler_name).removesuffix("-")
    service = next(
        (
            each
            for each in services
            if each["metadata"]["name"] == scheduler["metadata"]["name"]
            and is_of_release(each, namespace, name)
        ),
        None,
    )
    if service is None:
        return None
    default = f"{full_name}-{worker_name}" if full_name else worker_name
    workers = {
        each.removeprefix(default).removeprefix("-"): own[each]
        for each in sorted(own)
        if each == default or each.startswith(f"{default}-")
    }
    return Release(name, namespace, scheduler, service, workers)


def is_of_release(item: Manifest, namespace: str, name: str) -> bool:
    """Whether an object belongs to a release, by Helm's annotation or by the chart's label."""
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    if RELEASE_ANNOTATION in annotations:
        where = annotations.get("meta.helm.sh/release-namespace", namespace)
        return bool(annotations[RELEASE_ANNOTATION] == name and where == namespace)
    labels = metadata.get("labels") or {}
    return any(labels.get(label) == name for label in RELEASE_LABELS)


def release_of(item: Manifest) -> str | None:
    """Name of the release that an object belongs to; None when it belongs to none."""
    metadata = item["metadata"]
    annotated = (metadata.get("annotations") or {}).get(RELEASE_ANNOTATION)
    labels = metadata.get("labels") or {}
    found = annotated or next((labels[each] for each in RELEASE_LABELS if each in labels), None)
    return None if found is None else str(found)


def _ends(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f"-{suffix}")


def _build_not_found(
    namespace: str, name: str, scheduler_name: str, records: list[ReleaseRecord] | None
) -> ClusterNotFoundError:
    fix = f"See `helm list --namespace {namespace}` (or --all-namespaces)"
    if not records:
        unsure = "" if records is not None else " that we can see"
        return ClusterNotFoundError(f"There is no Helm release {namespace}/{name}{unsure}", fix=fix)
    record = records[0]
    if record.status != "deployed":
        return ClusterNotFoundError(
            f"Helm release {namespace}/{name} is not there yet: its status is {record.status}",
            fix=f"See `helm status {name} --namespace {namespace}`",
        )
    chart = f"{record.chart} {record.chart_version}"
    return ClusterNotFoundError(
        f"Helm release {namespace}/{name} ({chart}) has no Deployment and Service of a scheduler "
        f"called {scheduler_name!r}",
        fix="Name them with `scheduler_name=` and `worker_name=`",
    )
