"""The keys of the ``kubernetes`` section of Dask's configuration, with their defaults.

They can be set as all of Dask's configuration: YAML in ``~/.config/dask``, environment variables
(``DASK_KUBERNETES__IMAGE``, ``DASK_KUBERNETES__COUNT__START``), ``dask.config.set``. Names and
defaults are those that dask-kubernetes has.

Guarantees that defaults never override what somebody set. Refuses to know what the keys are for:
whoever reads one says so.
"""

from __future__ import annotations

from typing import Any

import dask.config

# The server extension hands its base URL to the kernels that it starts, in this variable.
BASE_URL_VARIABLE = "DASK_K8S_JUPYTER_BASE_URL"
# Far beyond what one scheduler serves; it stops a slip of the keyboard, not a large cluster.
MAX_WORKERS = 10_000

DEFAULTS: dict[str, Any] = {
    "kubernetes": {
        # {user}, {uuid} (ten hexadecimal digits) and environment variables are filled in.
        "name": "dask-{user}-{uuid}",
        # None: that of the kubeconfig's context or of the Pod, else "default".
        "namespace": None,
        "image": "ghcr.io/dask/dask:latest",
        "count": {"start": 0, "max": None},
        "resources": {},
        "env": {},
        "worker-command": "dask worker",
        "scheduler-service-type": "ClusterIP",
        # None: forward a port unless the scheduler can be reached directly; True and False force.
        "port-forward-cluster-ip": None,
        "create-mode": "CREATE_OR_CONNECT",
        # Of the clusters that we create; one that we connect to stays unless told otherwise.
        "shutdown-on-close": True,
        # Seconds without work until the cluster is deleted; None or 0: never.
        "idle-timeout": None,
        # Seconds.
        "resource-timeout": 60,
        "custom-cluster-spec": None,
        # None: any free port.
        "scheduler-forward-port": None,
        "scheduler-jupyter": False,
        # Whether clusters that we create are encrypted, with certificates of their own.
        "tls": False,
        # From here on: of classic clusters only (dask_k8s_jupyter.classic).
        # Where the scheduler runs: "remote" in a Pod, "local" in this process.
        "deploy-mode": "remote",
        # How long a remote scheduler lives on when neither its cluster manager nor a client is
        # heard of, as when the kernel was killed; None or 0: for ever.
        "owner-timeout": "5 minutes",
        # Where a local scheduler listens; port 0 is any free one.
        "host": "0.0.0.0",  # noqa: S104  workers come from other machines
        "port": 0,
        "interface": None,
        "protocol": "tcp://",
        "dashboard-address": ":8787",
        # A Pod in place of pod_template=, or the path of a YAML file with one.
        "worker-template": {},
        "worker-template-path": None,
        # In place of "name", for the sake of configuration that has it.
        "worker-name": None,
        # Merged over what is made for the scheduler; empty: the template of the workers is used.
        "scheduler-template": {},
        "scheduler-service-template": {},
        "scheduler-pdb-template": {},
        # Seconds that the scheduler may take to start; 0: any time.
        "scheduler-service-wait-timeout": 30,
        "scheduler-service-name-resolution-retries": 20,
    }
}

dask.config.update_defaults(DEFAULTS)


def get(key: str, override: Any = None) -> Any:
    """Read a key of the section, unless ``override`` says otherwise (None: it does not).

    Examples
    --------
    >>> get("resource-timeout"), get("resource-timeout", 5)
    (60, 5)
    """
    if override is not None:
        return override
    path = f"kubernetes.{key}"
    try:
        return dask.config.get(path)
    except KeyError:
        # A `dask.config.set` that ends restores what was before it: nothing, where this module was
        # first imported inside.
        dask.config.update(dask.config.config, DEFAULTS, priority="old")
        return dask.config.get(path)
