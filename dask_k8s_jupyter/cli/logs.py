"""``dask-k8s logs``: what the Pods of a cluster write.

Guarantees that lines of several Pods say whose they are. Refuses to mix them with its own words,
which go to stderr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from dask_k8s_jupyter.clusters.actions import get_cluster
from dask_k8s_jupyter.errors import ClusterNotFoundError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import InvalidError, NotFoundError
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS

from .common import (
    choose_namespace,
    cluster_argument,
    connect,
    connection_options,
    namespace_option,
    run,
)

Pod = Mapping[str, Any]
DEFAULT_TAIL = 200
COMPONENTS = ("scheduler", "worker", "all")
_DASK_CONTAINERS = (names.SCHEDULER, names.WORKER)


@click.command()
@cluster_argument
@click.argument("pod", required=False)
@namespace_option
@click.option(
    "--component",
    type=click.Choice(COMPONENTS),
    default="scheduler",
    show_default=True,
    help="Whose log, where no Pod is named.",
)
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=DEFAULT_TAIL,
    show_default=True,
    help="How many of the last lines of each Pod.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on as they are written.")
@connection_options
def logs(
    name: str,
    pod: str | None,
    namespace: str | None,
    component: str,
    tail: int,
    follow: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Show the log of the cluster NAME: its scheduler's, or that of POD."""

    async def work() -> None:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            pods = await _find_pods(client, where, name, component, pod)
            print_logs = [_print_log(client, each, len(pods) > 1, tail, follow) for each in pods]
            if follow:
                await asyncio.gather(*print_logs)
                return
            for printing in print_logs:
                await printing

    run(work())


async def _find_pods(
    client: KubeClient, namespace: str, name: str, component: str, wanted: str | None
) -> list[Pod]:
    selector = f"{names.CLUSTER_NAME_LABEL}={name}"
    if wanted is None and component != "all":
        selector += f",{names.COMPONENT_LABEL}={component}"
    pods = (await client.list(PODS, namespace, label_selector=selector)).items
    found = sorted(
        (pod for pod in pods if wanted in (None, pod["metadata"]["name"])),
        key=lambda pod: str(pod["metadata"]["name"]),
    )
    if not found:
        await get_cluster(client, namespace, name)
        what = f"Pod {wanted!r}" if wanted else f"Pod of its {component}".replace("its all", "its")
        raise ClusterNotFoundError(
            f"DaskCluster {namespace}/{name} has no {what}",
            fix=f"See `kubectl get pods -n {namespace} -l {names.CLUSTER_NAME_LABEL}={name}`",
        )
    return list(found)


async def _print_log(
    client: KubeClient, pod: Pod, is_one_of_many: bool, tail: int, follow: bool
) -> None:
    metadata = pod["metadata"]
    prefix = f"{metadata['name']} | " if is_one_of_many else ""
    containers = [container["name"] for container in pod["spec"]["containers"]]
    container = next((name for name in containers if name in _DASK_CONTAINERS), containers[0])
    where: dict[str, Any] = {"container": container, "tail_lines": tail}
    try:
        if follow:
            lines = client.stream_logs(metadata["name"], metadata["namespace"], **where)
            async for line in lines:
                click.echo(f"{prefix}{line}")
            return
        text = await client.logs(metadata["name"], metadata["namespace"], **where)
    except (InvalidError, NotFoundError) as error:
        # A container that has yet to start has written nothing: the API's sentence says so.
        click.echo(f"{metadata['name']}: {error.message}", err=True)
        return
    for line in text.splitlines():
        click.echo(f"{prefix}{line}")
