"""Looks along the whole way from here to a running Dask cluster.

Guarantees a finding for every check, those included that could not be made because an earlier one
failed, and that the only thing it ever creates is one small cluster, which it deletes. Refuses to
mend anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import dask.config

from dask_k8s_jupyter import config
from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_operator import __version__
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import NAMESPACES
from dask_k8s_operator.resources.manifests import DEFAULT_NAMESPACE
from dask_k8s_operator.resources.names import scheduler_host

from . import trial
from .dashboard import BASE_URL_VARIABLE, DEFAULT_TEMPLATE, build_dashboard_link
from .findings import (
    Finding,
    judge_dashboard,
    judge_dashboard_link,
    judge_operator_state,
    judge_permission,
    judge_release,
    judge_version,
    judge_versions,
)
from .operatorstate import observe_operator, observe_release
from .permissions import find_missing, read_user
from .reach import is_inside

Say = Callable[[str], None]

LATER_CHECKS = ("image", "name resolution", "dashboard")


@dataclass(frozen=True)
class Examination:
    """What to examine.

    Parameters
    ----------
    kubeconfig, context
        As for ``KubeClient.connect``.
    namespace
        Where clusters should run; None for the configured one, else that of the context.
    image
        Image to try; None for the configured one.
    operator_namespace
        Where the operator's Lease is.
    creates
        Whether a small cluster may be started for a moment.
    timeout_s
        How long that may take to start.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    image: str | None = None
    operator_namespace: str = DEFAULT_NAMESPACE
    creates: bool = True
    timeout_s: float = 120.0


async def examine(asked: Examination, say: Say = lambda sentence: None) -> AsyncIterator[Finding]:
    """Check one thing after the other.

    Parameters
    ----------
    asked
        What to examine.
    say
        Told what is waited for.

    Examples
    --------
    >>> async def list_failures():
    ...     return [f.message async for f in examine(Examination()) if f.is_bad]
    """
    try:
        client = await KubeClient.connect(asked.kubeconfig, asked.context)
    except KubeError as error:
        yield _failed("configuration", error)
        yield _unmade("Nothing else could be looked at")
        return
    async with client:
        yield Finding("configuration", "ok", f"Kubernetes is at {client.host} ({client.source})")
        try:
            version = await client.request("GET", "/version")
            user = await read_user(client)
            # Everybody may ask what they may do, unless nobody knows them.
            await client.can_i("list", NAMESPACES)
        except KubeError as error:
            yield _failed("connection", error)
            yield _unmade("Nothing else could be looked at")
            return
        yield Finding(
            "connection", "ok", f"It answers, and knows you{f' as {user}' if user else ''}"
        )
        yield judge_version(version)
        async for finding in _examine_dask(client, asked, user, say):
            yield finding


async def _examine_dask(
    client: KubeClient, asked: Examination, user: str | None, say: Say
) -> AsyncIterator[Finding]:
    namespace = str(config.get("namespace", asked.namespace) or client.namespace)
    is_ready = True
    async for finding in _examine_ground(client, asked, namespace, user):
        is_ready = is_ready and not finding.is_bad
        yield finding
    link = judge_dashboard_link(
        dask.config.get("distributed.dashboard.link", DEFAULT_TEMPLATE), os.environ
    )
    if link is not None:
        yield link
    if not is_ready:
        yield _unmade(f"Not looked at, as no cluster can run: {', '.join(LATER_CHECKS)}")
        return
    async for finding in _examine_cluster(client, asked, namespace, say):
        yield finding


async def _examine_ground(
    client: KubeClient, asked: Examination, namespace: str, user: str | None
) -> AsyncIterator[Finding]:
    """What has to be there before any cluster is."""
    try:
        yield judge_release(await observe_release(client), __version__)
    except NotFoundError:
        error = explain_missing_definitions(client)
        yield Finding("definitions", "failed", error.message, error.fix)
    except KubeError as error:
        yield _failed("definitions", error)
    try:
        state = await observe_operator(client, datetime.now(timezone.utc), asked.operator_namespace)
        yield judge_operator_state(state, asked.operator_namespace)
    except KubeError as error:
        yield _failed("operator", error)
    missing_namespace = await _find_missing_namespace(client, namespace)
    if missing_namespace is not None:
        yield missing_namespace
    try:
        for purpose, missing in (await find_missing(client, namespace)).items():
            yield judge_permission(purpose, missing, namespace, user)
    except KubeError as error:
        yield _failed("permissions", error)


def explain_missing_definitions(client: KubeClient) -> DaskKubernetesError:
    """Say that Kubernetes knows no Dask clusters."""
    from dask_k8s_jupyter.errors import NotInstalledError

    return NotInstalledError(f"{client.host} does not know Dask clusters")


async def _find_missing_namespace(client: KubeClient, namespace: str) -> Finding | None:
    try:
        await client.get(NAMESPACES, namespace)
    except ForbiddenError:
        return None  # most people may not look
    except NotFoundError:
        fix = f"Create it with `kubectl create namespace {namespace}`, or name another with -n"
        return Finding("namespace", "failed", f"There is no namespace {namespace}", fix)
    return Finding("namespace", "ok", f"Namespace {namespace} is there")


async def _examine_cluster(
    client: KubeClient, asked: Examination, namespace: str, say: Say
) -> AsyncIterator[Finding]:
    """Look at a cluster that runs, else at a small one that is started for it."""
    image = str(config.get("image", asked.image))
    async with contextlib.AsyncExitStack() as stack:
        try:
            name = await trial.find_running(client, namespace, image)
            if name is not None:
                message = f"{namespace}/{name} runs {image}: looking at that"
                yield Finding("cluster", "ok", message)
            elif asked.creates:
                say(f"a scheduler and a worker from {image}, for a moment")
                opened = trial.try_cluster(client, namespace, image, asked.timeout_s, say)
                name = await stack.enter_async_context(opened)
                message = f"A scheduler and a worker from {image} started"
                yield Finding("cluster", "ok", message)
                found = f"Workers find the scheduler as {scheduler_host(name, namespace)}"
                yield Finding("name resolution", "ok", found)
            else:
                message = f"No cluster runs {image}; not looked at: {', '.join(LATER_CHECKS)}"
                yield Finding("cluster", "unknown", message, "Leave --passive out to start one")
                return
        except (KubeError, DaskKubernetesError) as error:
            yield _failed("cluster", error)
            yield _unmade(f"Not looked at, as no cluster runs: {', '.join(LATER_CHECKS)}")
            return
        yield await _examine_way(client, namespace, name)
        yield await _examine_versions(client, namespace, name, image, say)
        yield await _examine_dashboard(client, namespace, name)
        say("the trial is over, deleting it")


async def _examine_way(client: KubeClient, namespace: str, name: str) -> Finding:
    host = scheduler_host(name, namespace)
    if not is_inside(client):
        return Finding(
            "name resolution",
            "ok",
            "This machine is outside of Kubernetes: schedulers are reached through its API",
        )
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except socket.gaierror as error:
        return Finding(
            "name resolution",
            "failed",
            f"{host} cannot be resolved here: {error.strerror}",
            "Check this Pod's dnsPolicy (ClusterFirst) and the cluster's DNS, or set "
            "kubernetes.port-forward-cluster-ip to true",
        )
    return Finding("name resolution", "ok", f"{host} is found from this Pod")


async def _examine_versions(
    client: KubeClient, namespace: str, name: str, image: str, say: Say
) -> Finding:
    say("asking the scheduler for its versions")
    try:
        there = await trial.read_versions_there(client, namespace, name)
    except (KubeError, DaskKubernetesError) as error:
        return _failed("image", error)
    return judge_versions(image, there, trial.read_versions_here())


async def _examine_dashboard(client: KubeClient, namespace: str, name: str) -> Finding:
    try:
        status, text, address = await trial.read_dashboard(client, namespace, name)
    except (KubeError, DaskKubernetesError) as error:
        return _failed("dashboard", error)
    return judge_dashboard(status, text, _describe_link(namespace, name, address))


def _describe_link(namespace: str, name: str, address: tuple[str, int]) -> str:
    link = build_dashboard_link(namespace, name, address)
    if os.environ.get(BASE_URL_VARIABLE):
        return f"it opens through this notebook server as {link}"
    if link != DEFAULT_TEMPLATE.format(scheme="http", host=address[0], port=address[1]):
        return f"distributed.dashboard.link says that it opens as {link}"
    return "here it opens through a forwarded port: `dask-k8s port-forward NAME`"


def _failed(check: str, error: Exception) -> Finding:
    explained = explain(error)
    return Finding(check, "failed", explained.message, explained.fix)


def _unmade(message: str) -> Finding:
    return Finding("rest", "unknown", message)
