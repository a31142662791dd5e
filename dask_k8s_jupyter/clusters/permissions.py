"""What a person needs to be allowed for what they want to do; asks the API about each.

Guarantees that the answer is the API's own (an access review), and that every missing verb is
named. Refuses to try things out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    EVENTS,
    PODS,
    SECRETS,
    Kind,
)

_SELF_REVIEW_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class Need:
    """Verbs on one resource.

    Examples
    --------
    >>> str(Need(("get",), PODS, "log"))
    'get pods/log'
    """

    verbs: tuple[str, ...]
    kind: Kind
    subresource: str | None = None

    def __str__(self) -> str:
        resource = (
            f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
        )
        group = f".{self.kind.group}" if self.kind.group else ""
        return f"{', '.join(self.verbs)} {resource}{group}"


@dataclass(frozen=True)
class Purpose:
    """What a person wants to do, and what that needs.

    Parameters
    ----------
    wish
        As it goes on after "You may".
    needs
        All of it is needed.
    is_essential
        Whether nothing works without it.
    """

    wish: str
    needs: tuple[Need, ...]
    is_essential: bool = False


_SEE = ("get", "list", "watch")
PURPOSES = (
    Purpose("create and delete clusters", (Need(("create", "delete"), DASK_CLUSTERS),), True),
    Purpose(
        "see clusters",
        (
            Need(_SEE, DASK_CLUSTERS),
            Need(_SEE, DASK_WORKER_GROUPS),
            Need(_SEE, DASK_AUTOSCALERS),
        ),
        True,
    ),
    Purpose(
        "scale clusters",
        (Need(("patch",), DASK_CLUSTERS), Need(("patch",), DASK_WORKER_GROUPS)),
        True,
    ),
    Purpose(
        "reach schedulers and dashboards",
        (Need(("list",), PODS), Need(("get", "create"), PODS, "portforward")),
        True,
    ),
    Purpose("add worker groups", (Need(("create", "delete"), DASK_WORKER_GROUPS),)),
    Purpose("scale by load", (Need(("create", "patch", "delete"), DASK_AUTOSCALERS),)),
    Purpose("use encrypted clusters", (Need(("get",), SECRETS),)),
    Purpose("run jobs", (Need(("create", "delete", *_SEE), DASK_JOBS),)),
    Purpose("read logs", (Need(("list",), PODS), Need(("get",), PODS, "log"))),
    Purpose("read events", (Need(("list",), EVENTS),)),
)


async def find_missing(client: KubeClient, namespace: str) -> dict[Purpose, list[Need]]:
    """Ask what is missing for each purpose; an empty list where nothing is.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Where clusters should run.
    """
    wanted = sorted(
        {
            (verb, need.kind, need.subresource)
            for purpose in PURPOSES
            for need in purpose.needs
            for verb in need.verbs
        },
        key=str,
    )
    answers = await asyncio.gather(
        *(
            client.can_i(verb, kind, namespace, subresource=subresource)
            for verb, kind, subresource in wanted
        )
    )
    allowed = {asked for asked, answer in zip(wanted, answers, strict=True) if answer}
    return {purpose: _list_missing(purpose, allowed) for purpose in PURPOSES}


def _list_missing(purpose: Purpose, allowed: set[tuple[str, Kind, str | None]]) -> list[Need]:
    missing = []
    for need in purpose.needs:
        verbs = [v for v in need.verbs if (v, need.kind, need.subresource) not in allowed]
        if verbs:
            missing.append(Need(tuple(verbs), need.kind, need.subresource))
    return missing


async def read_user(client: KubeClient) -> str | None:
    """Ask who we are; None where the API is too old to tell (before 1.28)."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await client.request("POST", _SELF_REVIEW_PATH, body=review)
    except ApiError:
        return None
    user: str | None = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return user


def build_grant(user: str | None, namespace: str, role: str) -> str:
    """Write the command by which an administrator grants a role in a namespace.

    Examples
    --------
    >>> build_grant("ada", "team-a", "dask-user")
    'kubectl create rolebinding dask-users -n team-a --clusterrole=dask-user --user=ada'
    """
    subject = f"--user={user or 'YOU'}"
    if user and user.startswith(_SERVICE_ACCOUNT):
        subject = f"--serviceaccount={user.removeprefix(_SERVICE_ACCOUNT)}"
    return f"kubectl create rolebinding dask-users -n {namespace} --clusterrole={role} {subject}"
