"""What the tunnel carries: ``python -m benchmarks.tunnel [RUNS]``.

On the Kubernetes that KUBECONFIG points at, with an image that holds Python (DASK_TEST_IMAGE): 1 GB
each way through our port-forward and through ``kubectl port-forward``, in turn, read and written by
a process of its own, which does nothing else with them: the ends share the processors with the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import ApiError
from dask_k8s_operator.resources.kinds import PODS

from .promises import Promises
from .ratios import measure_ratio

PORT = 8786
TRANSFER_BYTES = 1 << 30
SERVER = """
import socket, threading
def serve(connection):
    wish = connection.recv(1)
    left = %(bytes)d
    chunk = b"x" * (1 << 20)
    while left:
        if wish == b"S":
            connection.sendall(chunk)
            left -= len(chunk)
        else:
            left -= len(connection.recv(min(left, 1 << 20)))
    if wish == b"D":
        connection.sendall(b"k")
    connection.close()
listener = socket.create_server(("0.0.0.0", 8786))
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
CLIENT = """
import socket, sys
wish, port = sys.argv[1].encode(), int(sys.argv[2])
connection = socket.create_connection(("127.0.0.1", port))
connection.sendall(wish)
left, chunk = %(bytes)d, bytearray(b"x" * (1 << 20))
while left:
    if wish == b"S":
        left -= connection.recv_into(chunk) or sys.exit("it ended early")
    else:
        connection.sendall(chunk)
        left -= len(chunk)
if wish == b"D":
    assert connection.recv(1) == b"k"
"""


def transfer(direction: str, port: int) -> None:
    """Carry the bytes: "S" lets the Pod send them, "D" sends them to the Pod."""
    script = CLIENT % {"bytes": TRANSFER_BYTES}
    subprocess.run([sys.executable, "-c", script, direction, str(port)], check=True)


async def start_pod(client: KubeClient, name: str, image: str) -> None:
    """Start the Pod at the other end, and wait until it listens."""
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", SERVER % {"bytes": TRANSFER_BYTES}],
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    await client.create(PODS, {"metadata": {"name": name}, "spec": spec}, client.namespace)
    while True:
        with contextlib.suppress(ApiError):
            if "listening" in await client.logs(name, client.namespace):
                return
        await asyncio.sleep(0.2)


@contextlib.contextmanager
def run_kubectl(namespace: str, pod: str) -> Iterator[int]:
    """Let kubectl forward a port; gives the local one."""
    command = ["kubectl", f"--namespace={namespace}", "port-forward", f"pod/{pod}", f":{PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            # Forwarding from 127.0.0.1:40001 -> 8786
            line = process.stdout.readline() if process.stdout else ""
            # What it goes on to say of each connection must not fill the pipe.
            threading.Thread(target=lambda: list(process.stdout or ()), daemon=True).start()
            yield int(line.split(" -> ")[0].rpartition(":")[2])
        finally:
            process.terminate()


@contextlib.contextmanager
def run_loop() -> Iterator[Callable[..., object]]:
    """An event loop in a thread of its own, as a KubeCluster has one; gives what runs in it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def main(runs: int) -> int:
    """Measure and print both directions; 1 when a promise is not kept."""
    promises = Promises()
    pod, image = f"bench-{uuid.uuid4().hex[:8]}", os.environ["DASK_TEST_IMAGE"]
    with run_loop() as run:
        client = run(KubeClient.connect())
        assert isinstance(client, KubeClient)
        try:
            run(start_pod(client, pod, image))
            tunnel = PortForward(client, client.namespace, port=PORT, pod=pod)
            run(tunnel.start())
            port = tunnel.address[1]
            with run_kubectl(client.namespace, pod) as kubectls:
                for direction, what in (("S", "1 GB from the Pod"), ("D", "1 GB to the Pod")):
                    ratio = measure_ratio(
                        lambda to=direction: transfer(to, port),  # type: ignore[misc]
                        lambda to=direction: transfer(to, kubectls),  # type: ignore[misc]
                        runs,
                    )
                    promises.say_ratio(f"{what}: our tunnel / kubectl port-forward", ratio, 1 / 1.5)
            run(tunnel.close())
        finally:
            run(client.delete(PODS, pod, client.namespace))
            run(client.close())
    return promises.exit_code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
