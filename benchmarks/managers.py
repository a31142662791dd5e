"""What the cluster manager costs: ``python -m benchmarks.managers [RUNS]``.

Two ratios in one run: importing us against importing distributed, and the way from nothing to the
first result with ``KubeCluster(n_workers=2)`` on the embedded Kubernetes against
``LocalCluster(n_workers=2)``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

from distributed import Client, LocalCluster

from dask_k8s_jupyter import KubeCluster
from dask_k8s_jupyter.local import LocalKubernetes

from .ratios import measure_ratio


def import_package(package: str) -> None:
    """Import it in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", f"import {package}"], check=True)


def compute_on_kubernetes() -> None:
    """Make a cluster, compute one thing, let the cluster go."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    with KubeCluster(name=name, n_workers=2, quiet=True) as cluster, Client(cluster) as client:
        client.wait_for_workers(2)
        assert client.submit(sum, range(10)).result() == 45


def compute_locally() -> None:
    """The same with processes that nobody manages."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        assert client.submit(sum, range(10)).result() == 45


def main(runs: int) -> None:
    """Measure and print both ratios."""
    imports = measure_ratio(
        lambda: import_package("dask_k8s_jupyter"), lambda: import_package("distributed"), runs
    )
    print(imports.describe("import dask_k8s_jupyter / import distributed", 1.2))
    with LocalKubernetes.in_thread(operator=True) as kube:
        os.environ["KUBECONFIG"] = str(kube.kubeconfig)
        starts = measure_ratio(compute_on_kubernetes, compute_locally, runs)
    print(starts.describe("KubeCluster(2) / LocalCluster(2) to the first result", 4.0))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
