"""Builds a DaskJob: a command, and the cluster that it runs on. Pure.

Guarantees that what is built passes the API's own checks, or InvalidSpecError names the argument.
Refuses to run anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_operator.resources.kinds import DASK_JOBS

from .checks import Env, build_env, check_image

Manifest = dict[str, Any]


def make_job_spec(
    cluster: Mapping[str, Any], command: Sequence[str], *, image: str, env: Env = None
) -> Manifest:
    """Build a DaskJob that runs a command with a cluster of its own.

    Parameters
    ----------
    cluster
        A whole DaskCluster, as ``make_cluster_spec`` builds it; the job takes its name.
    command
        What to run. A bare ``Client()`` in it finds the cluster.
    image
        Image of the command.
    env
        Environment of the command: name to value, or a list as in a Pod.

    Raises
    ------
    InvalidSpecError
        When there is no command, or the image is none.

    Examples
    --------
    >>> from dask_k8s_jupyter.clusters.spec import make_cluster_spec
    >>> job = make_job_spec(make_cluster_spec("nightly"), ["python", "x.py"], image="acme/dask:7")
    >>> job["spec"]["job"]["spec"]["containers"][0]["args"]
    ['python', 'x.py']
    """
    if not command:
        raise InvalidSpecError("command: a command is needed, such as `python script.py`")
    container = {
        "name": "job",
        "image": check_image(image),
        "imagePullPolicy": "IfNotPresent",
        "args": [str(word) for word in command],
        "env": build_env(env),
    }
    return {
        "apiVersion": DASK_JOBS.api_version,
        "kind": DASK_JOBS.kind,
        "metadata": {"name": cluster["metadata"]["name"]},
        "spec": {
            "job": {"spec": {"restartPolicy": "OnFailure", "containers": [container]}},
            "cluster": {"spec": cluster["spec"]},
        },
    }
