"""Names and labels of everything that belongs to a Dask cluster.

Guarantees that the names of children are valid wherever Kubernetes puts them (object names, label
values, host names) whenever the parent's name passed the check here. Refuses to repair a bad name:
a person chose it, a person mends it.
"""

from __future__ import annotations

import re

CLUSTER_NAME_LABEL = "dask.org/cluster-name"
COMPONENT_LABEL = "dask.org/component"
WORKER_GROUP_LABEL = "dask.org/workergroup-name"
ISTIO_INJECT_LABEL = "sidecar.istio.io/inject"

# On a worker Pod: since when (RFC 3339) it is meant to go. Written before anything else happens.
RETIRING_ANNOTATION = "dask.org/retiring-since"
# On a cluster's default group: the cluster's worker.replicas that the two last agreed on.
AGREED_REPLICAS_ANNOTATION = "dask.org/agreed-replicas"
# On cluster and default group: the state of the other from which it was last written. Who has not
# seen that state yet leaves both alone.
AS_OF_ANNOTATION = "dask.org/as-of"
# On scheduler and worker Pods: which spec they were made from.
SPEC_HASH_ANNOTATION = "dask.org/spec-hash"
# On Pods of an encrypted cluster: the authority of the scheduler, as made, or beside which the
# worker was made. A worker reads the Secret only when it starts, so it may hold newer ones by then.
AUTHORITY_ANNOTATION = "dask.org/authority"
# On children: the keys of labels and annotations that came from their parent, so that those can go.
PASSED_ON_ANNOTATION = "dask.org/passed-on"
# On a Service: the spec last applied, so that what is taken out of the cluster's goes here too.
APPLIED_SPEC_ANNOTATION = "dask.org/applied-spec"
AGENT_SOURCE_KEY = "agent.py"
AGENT_TOKEN_KEY = "token"  # noqa: S105  the key's name, not a token

# In every container of a worker Pod: what the worker is to call itself, the Pod's name by default.
WORKER_NAME_VARIABLE = "DASK_WORKER_NAME"

SCHEDULER = "scheduler"
WORKER = "worker"
WORKER_GROUP = "workergroup"
JOB_RUNNER = "job-runner"

COMM_PORT = 8786
DASHBOARD_PORT = 8787
WORKER_DASHBOARD_PORT = 8788
COMM_PORT_NAME = "tcp-comm"
DASHBOARD_PORT_NAMES = ("http-dashboard", "dashboard")

MAX_NAME_LENGTH = 63
# "-scheduler" is the longest suffix that a child of a cluster gets.
MAX_CLUSTER_NAME_LENGTH = MAX_NAME_LENGTH - len("-scheduler")
# A group's name is a label value. Its Pods' names are longer by 18, which Kubernetes allows (253).
MAX_GROUP_NAME_LENGTH = MAX_NAME_LENGTH

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def explain_bad_name(name: str, max_length: int = MAX_CLUSTER_NAME_LENGTH) -> str | None:
    """Say in one sentence what is wrong with a name, or None when nothing is.

    Examples
    --------
    >>> explain_bad_name("training") is None
    True
    >>> explain_bad_name("My")[:25]
    "'My' is not a valid name:"
    """
    if not name:
        return "a name is needed"
    if len(name) > max_length:
        return f"{name!r} has {len(name)} characters, at most {max_length} fit"
    if not _NAME.fullmatch(name):
        return (
            f"{name!r} is not a valid name: use lower-case letters, digits and '-', "
            "with a letter or digit first and last"
        )
    return None


def scheduler_name(cluster: str) -> str:
    """Name of a cluster's scheduler Pod and of its Service."""
    return f"{cluster}-scheduler"


def default_group_name(cluster: str) -> str:
    """Name of the worker group that a cluster makes for itself."""
    return group_name(cluster, "default")


def group_name(cluster: str, group: str) -> str:
    """Full name of a worker group from its short one."""
    return f"{cluster}-{group}"


def short_group_name(cluster: str, group: str) -> str:
    """What a person calls a group: its name without that of the cluster.

    Examples
    --------
    >>> short_group_name("training", "training-highmem")
    'highmem'
    >>> short_group_name("training", "borrowed")
    'borrowed'
    """
    return group.removeprefix(f"{cluster}-")


def worker_name(group: str, hex_digits: str) -> str:
    """Name of a worker Pod; ``hex_digits`` are ten random hexadecimal digits."""
    return f"{group}-worker-{hex_digits}"


def runner_name(job: str) -> str:
    """Name of a job's runner Pod."""
    return f"{job}-runner"


def agent_name(cluster: str) -> str:
    """Name of the ConfigMap with the agent's source and of the Secret with its token."""
    return f"{cluster}-agent"


def tls_name(cluster: str) -> str:
    """Name of the Secret with a cluster's certificates."""
    return f"{cluster}-tls"


def scheduler_host(cluster: str, namespace: str) -> str:
    """DNS name of a cluster's scheduler inside Kubernetes."""
    return f"{scheduler_name(cluster)}.{namespace}.svc.cluster.local"


def scheduler_address(cluster: str, namespace: str, scheme: str = "tcp") -> str:
    """Address that workers and clients inside Kubernetes connect to.

    Examples
    --------
    >>> scheduler_address("demo", "default")
    'tcp://demo-scheduler.default.svc.cluster.local:8786'
    """
    return f"{scheme}://{scheduler_host(cluster, namespace)}:{COMM_PORT}"
