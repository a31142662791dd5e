"""What the cluster manager costs: ``python -m benchmarks.managers [RUNS]``.

Ratios in one run: importing us, and importing ``KubeCluster`` from us, against importing
distributed; the way from nothing to the first result with ``KubeCluster(n_workers=2)`` on the
embedded Kubernetes against ``LocalCluster(n_workers=2)``. And what an idle cluster with a client
asks of the API, by verb.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from typing import Any

from distributed import Client, LocalCluster

from dask_k8s_jupyter import KubeCluster
from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.kube.transport import Transport

from .promises import Promises
from .ratios import measure_ratio

IDLE_S = 30.0


def run_python(statement: str) -> None:
    """Run a statement in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", statement], check=True)


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


def count_requests_while_idle() -> Counter[str]:
    """Count by verb what this process asks of the API beside a cluster that does nothing."""
    asked: Counter[str] = Counter()
    ask = Transport.open

    def counting(
        self: Transport, method: str, path: str, target: Any, *rest: Any, **more: Any
    ) -> Any:
        asked[target.verb] += 1
        return ask(self, method, path, target, *rest, **more)

    Transport.open = counting  # type: ignore[method-assign]
    with (
        KubeCluster(name="bench-idle", n_workers=2, quiet=True) as cluster,
        Client(cluster) as user,
    ):
        user.wait_for_workers(2)
        assert user.submit(sum, range(10)).result() == 45
        time.sleep(5.0)
        before = Counter(asked)
        assert before, "nothing was counted while the cluster was made"
        time.sleep(IDLE_S)
        while_idle = asked - before
    Transport.open = ask  # type: ignore[method-assign]
    return while_idle


def main(runs: int) -> int:
    """Measure and print; 1 when a promise is not kept."""
    promises = Promises()
    for statement in ("import dask_k8s_jupyter", "from dask_k8s_jupyter import KubeCluster"):
        imports = measure_ratio(
            lambda text=statement: run_python(text),  # type: ignore[misc]
            lambda: run_python("import distributed"),
            runs,
        )
        promises.say_ratio(f"{statement} / import distributed", imports, 1.2)
    with LocalKubernetes.in_thread(operator=True) as kube:
        os.environ["KUBECONFIG"] = str(kube.kubeconfig)
        starts = measure_ratio(compute_on_kubernetes, compute_locally, runs)
        promises.say_ratio("KubeCluster(2) / LocalCluster(2) to the first result", starts, 4.0)
        asked = count_requests_while_idle()
    others = sum(asked.values()) - asked["watch"]
    seen = f"requests in {IDLE_S:g} s beside an idle cluster: {dict(asked)}"
    promises.judge(f"{seen}; promised none but watches", is_kept=not others)
    return promises.exit_code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
