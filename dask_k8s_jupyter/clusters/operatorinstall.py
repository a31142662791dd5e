"""Installs, observes and uninstalls the operator with nothing but the Kubernetes API.

Guarantees the manifests of ``operator/manifests``, in an order that works on an empty cluster and
on one with an earlier release, and that whoever waits is told for what. Refuses to delete a
namespace in which others live, and to decide whether clusters may be lost: the caller asks that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dask_k8s_jupyter.errors import (
    ClusterStartError,
    ImageNotFoundError,
    KubernetesUnreachableError,
    PermissionMissingError,
    PodCrashedError,
    StartTimeoutError,
)
from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube.errors import ConflictError, ForbiddenError, NotFoundError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_KINDS,
    DEPLOYMENTS,
    PODS,
    Kind,
)
from dask_k8s_operator.resources.manifests import (
    DEFAULT_IMAGE,
    DEFAULT_NAMESPACE,
    NAME,
    build_operator_manifests,
)

from .apply import Kinds, apply_manifest, find_kinds
from .operatorparts import (
    build_served_kind,
    find_definitions,
    find_parts,
    mark,
    select_others,
)
from .rollout import Rollout, judge_rollout
from .signal import Signal, wait_any

Manifest = dict[str, Any]
Say = Callable[[str], None]

OPERATOR_SELECTOR = f"app.kubernetes.io/name={NAME}"
LOOK_S = 0.2
_START_ERRORS: dict[str, type[ClusterStartError]] = {
    "ImagePullBackOff": ImageNotFoundError,
    "InvalidImageName": ImageNotFoundError,
    "CrashLoopBackOff": PodCrashedError,
}
_ASK_ADMINISTRATOR = (
    "Who installs the operator has to be an administrator of the cluster "
    "(ClusterRole cluster-admin): ask one to run this, or to `kubectl apply -k operator/manifests`"
)


async def apply_operator(
    client: KubeClient,
    namespace: str = DEFAULT_NAMESPACE,
    image: str = DEFAULT_IMAGE,
    *,
    single_namespace: bool = False,
    with_definitions: bool = True,
    say: Say = lambda sentence: None,
) -> list[str]:
    """Apply the definitions and the operator; returns what was applied, as ``Kind/name``.

    Parameters
    ----------
    client
        Connection to the API, as an administrator.
    namespace
        Where the operator runs.
    image
        Image with the operator in it.
    single_namespace
        Whether it serves only its own namespace, which has to be there; else all.
    with_definitions
        False where an administrator has installed them, and we may not.
    say
        Told what is done.

    Raises
    ------
    PermissionMissingError
        When we are no administrator.

    Examples
    --------
    >>> async def install(client):
    ...     await apply_operator(client)
    ...     await wait_operator(client)
    """
    definitions = build_crds() if with_definitions else []
    manifests = build_operator_manifests(namespace, image, single_namespace=single_namespace)
    everything = [mark(manifest) for manifest in (*definitions, *manifests)]
    try:
        kinds = await find_kinds(client, everything)
        for step, doing in _order(everything):
            say(doing)
            await asyncio.gather(*(_apply(client, kinds, manifest) for manifest in step))
        say("waiting until Kubernetes serves the definitions")
        await asyncio.gather(*(_wait_established(client, crd) for crd in definitions))
    except ForbiddenError as error:
        raise _build_not_administrator(error) from error
    return [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in everything]


def _order(manifests: Sequence[Manifest]) -> list[tuple[list[Manifest], str]]:
    """What others need first; the operator itself last, when it may do all that it does."""
    first = ("Namespace", "CustomResourceDefinition")
    last = ("Deployment",)
    return [
        ([m for m in manifests if m["kind"] in first], "applying namespace and definitions"),
        ([m for m in manifests if m["kind"] not in first + last], "applying account and roles"),
        ([m for m in manifests if m["kind"] in last], "applying the Deployment"),
    ]


async def prune_operator(
    client: KubeClient,
    namespace: str = DEFAULT_NAMESPACE,
    *,
    single_namespace: bool = False,
) -> list[str]:
    """Delete what another release had installed and this one has not; the definitions stay.

    Returns
    -------
    list of str
        What was deleted, as ``Kind/name``.
    """
    manifests = build_operator_manifests(namespace, single_namespace=single_namespace)
    try:
        return await _delete_others(client, namespace, manifests, single_namespace)
    except ForbiddenError as error:
        raise _build_not_administrator(error) from error


async def _delete_others(
    client: KubeClient, namespace: str, manifests: list[Manifest], single_namespace: bool
) -> list[str]:
    parts = await find_parts(client, namespace, single_namespace=single_namespace)
    others = select_others(parts, manifests)
    await asyncio.gather(*(_delete_and_wait(client, kind, it["metadata"]) for kind, it in others))
    return [f"{kind.kind}/{item['metadata']['name']}" for kind, item in others]


async def _apply(client: KubeClient, kinds: Kinds, manifest: Manifest) -> None:
    await apply_manifest(client, kinds[manifest["apiVersion"], manifest["kind"]], manifest)


async def _wait_established(client: KubeClient, crd: Manifest) -> None:
    """A moment, in which the API builds the new routes; a watch would be of all definitions."""
    while True:
        live = await client.get(CUSTOM_RESOURCE_DEFINITIONS, crd["metadata"]["name"])
        conditions = (live.get("status") or {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        await asyncio.sleep(LOOK_S)


async def wait_operator(
    client: KubeClient,
    namespace: str = DEFAULT_NAMESPACE,
    timeout_s: float = 120.0,
    say: Say = lambda sentence: None,
) -> None:
    """Wait until the operator's Deployment has rolled out.

    Raises
    ------
    ClusterStartError
        When its Pod cannot start, or time is up; the message has Kubernetes' reason.
    """
    changes = Signal()

    def tell(*_: Any) -> None:
        changes.tell()

    deployments = Informer(
        client, DEPLOYMENTS, namespace, field_selector=f"metadata.name={NAME}", on_change=tell
    )
    pods = Informer(client, PODS, namespace, label_selector=OPERATOR_SELECTOR, on_change=tell)
    tasks = [asyncio.ensure_future(informer.run()) for informer in (deployments, pods)]
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout_s
    try:
        await _wait_synced(client, (deployments, pods), timeout_s)
        while True:
            change = changes.next()
            found = [pods.objects[key] for key in sorted(pods.objects)]
            rollout = judge_rollout(deployments.objects.get((namespace, NAME)), found)
            if rollout.is_ready:
                return
            if rollout.trouble or loop.time() >= ends:
                raise _build_rollout_error(namespace, rollout, timeout_s)
            say(rollout.reason)
            await wait_any(change, timeout_s=ends - loop.time())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_synced(client: KubeClient, informers: Iterable[Informer], timeout_s: float) -> None:
    synced = asyncio.gather(*(informer.wait_synced() for informer in informers))
    try:
        await asyncio.wait_for(synced, timeout_s)
    except asyncio.TimeoutError as error:
        raise KubernetesUnreachableError(
            f"{client.host} has not answered for {timeout_s:.0f} s"
        ) from error


def _build_rollout_error(namespace: str, rollout: Rollout, timeout_s: float) -> ClusterStartError:
    where = f"Deployment {namespace}/{NAME}"
    if not rollout.trouble:
        return StartTimeoutError(
            f"{where} is not ready after {timeout_s:.0f} s: {rollout.reason}",
            fix=f"See `kubectl describe pods -n {namespace} -l {OPERATOR_SELECTOR}`",
        )
    fix = f"See `kubectl logs -n {namespace} deployment/{NAME}`"
    error_type = _START_ERRORS.get(rollout.trouble, ClusterStartError)
    if error_type is ImageNotFoundError:
        fix = "Give an image that the nodes can pull with --image"
    return error_type(f"{where} cannot start: {rollout.reason}", fix=fix)


def _build_not_administrator(error: ForbiddenError) -> PermissionMissingError:
    return PermissionMissingError(
        f"You may not {error.target} (Kubernetes says: {error.message})", fix=_ASK_ADMINISTRATOR
    )


async def find_losses(client: KubeClient, namespace: str | None = None) -> dict[str, list[str]]:
    """What the operator tends: ``namespace/name`` of clusters and jobs, by kind."""
    found: dict[str, list[str]] = {}
    for kind in (DASK_CLUSTERS, DASK_JOBS, *await _find_other_kinds(client)):
        try:
            items = (await client.list(kind, namespace if kind.namespaced else None)).items
        except NotFoundError:
            continue
        metadata = [item["metadata"] for item in items]
        names = (f"{each.get('namespace', '')}/{each['name']}" for each in metadata)
        found[kind.kind] = sorted(name.lstrip("/") for name in names)
    return found


async def _find_other_kinds(client: KubeClient) -> list[Kind]:
    """Kinds that another release has defined."""
    known = {kind.plural for kind in DASK_KINDS}
    try:
        definitions = await find_definitions(client)
    except ForbiddenError:  # whoever may not even see them deletes none
        return []
    others = [crd for crd in definitions if crd["spec"]["names"]["plural"] not in known]
    return [build_served_kind(crd) for crd in others]


async def delete_operator(
    client: KubeClient,
    namespace: str = DEFAULT_NAMESPACE,
    *,
    single_namespace: bool = False,
    keep_definitions: bool = False,
    say: Say = lambda sentence: None,
) -> list[str]:
    """Delete the operator, and unless told otherwise the definitions with every cluster.

    Parameters
    ----------
    client, namespace, single_namespace
        As for ``apply_operator``.
    keep_definitions
        Whether the definitions stay, and with them all clusters.
    say
        Told what is waited for.

    Returns
    -------
    list of str
        What was deleted, as ``Kind/name``.
    """
    try:
        manifests = build_operator_manifests(namespace, single_namespace=single_namespace)
        definitions = [] if keep_definitions else await _list_definitions(client)
        say("what other releases had goes")
        others = await _delete_others(client, namespace, manifests, single_namespace)
        return [*others, *await _delete_all(client, definitions, manifests, say)]
    except ForbiddenError as error:
        raise _build_not_administrator(error) from error


async def _list_definitions(client: KubeClient) -> list[Manifest]:
    """Those of this release and of others."""
    own = build_crds()
    names = {crd["metadata"]["name"] for crd in own}
    marked = await find_definitions(client)
    kind = {
        "apiVersion": CUSTOM_RESOURCE_DEFINITIONS.api_version,
        "kind": "CustomResourceDefinition",
    }
    return [*own, *({**kind, **crd} for crd in marked if crd["metadata"]["name"] not in names)]


async def _delete_all(
    client: KubeClient, definitions: list[Manifest], manifests: list[Manifest], say: Say
) -> list[str]:
    kinds = await find_kinds(client, [*definitions, *manifests])
    rest = [manifest for manifest in manifests[::-1] if manifest["kind"] != "Namespace"]
    own_namespaces = [manifest for manifest in manifests if manifest["kind"] == "Namespace"]
    deleted: list[str] = []
    for step, doing in (
        (definitions, "the definitions and all clusters go"),
        (rest, "the operator and its roles go"),
        (own_namespaces, "its Pods and its namespace go"),
    ):
        say(doing)
        for manifest in step:
            kind, metadata = kinds[manifest["apiVersion"], manifest["kind"]], manifest["metadata"]
            if manifest in own_namespaces and await _has_others(client, metadata["name"]):
                continue  # with all that lives there
            if await _delete_and_wait(client, kind, metadata):
                deleted.append(f"{kind.kind}/{metadata['name']}")
    return deleted


async def _delete_and_wait(client: KubeClient, kind: Kind, metadata: Manifest) -> bool:
    """Delete an object and wait until it is gone; False when it was not there."""
    name, namespace = metadata["name"], metadata.get("namespace")
    try:
        uid = (await client.get(kind, name, namespace))["metadata"]["uid"]
    except NotFoundError:
        return False
    try:
        await client.delete(kind, name, namespace, propagation="Background", uid=uid)
        while True:
            if (await client.get(kind, name, namespace))["metadata"]["uid"] != uid:
                return True
            await asyncio.sleep(LOOK_S)
    except (NotFoundError, ConflictError):  # gone, or another has its name already
        return True


async def _has_others(client: KubeClient, namespace: str) -> bool:
    """Whether a namespace is not ours alone."""
    if namespace != DEFAULT_NAMESPACE:
        return True  # somebody's, who only lodges the operator
    lists = [client.list(PODS, namespace, label_selector=f"app.kubernetes.io/name!={NAME}")]
    lists += [client.list(kind, namespace) for kind in (DEPLOYMENTS, *DASK_KINDS)]
    for listed in await asyncio.gather(*lists, return_exceptions=True):
        if isinstance(listed, NotFoundError):  # of a kind whose definition is gone
            continue
        if isinstance(listed, BaseException):
            raise listed
        if listed.items:
            return True
    return False
