"""What the scheduler counts: Pods that come, are bound, end and go, in any order of news."""

import asyncio
import contextlib

import pytest

from dask_k8s_jupyter.local.node.scheduler import Scheduler

# Room for one Pod, which is what each requests.
CAPACITY = {"cpu": 1.0, "memory": 1e9, "pods": 10.0}


class Api:
    """Takes every write and remembers which Pods were bound."""

    def __init__(self):
        self.bound = []

    async def request(self, method, path, *, body):
        self.bound.append(body["metadata"]["name"])

    async def create(self, *args, **more):
        return {}

    async def patch(self, *args, **more):
        return {}


def _pod(uid, name, node=None, phase="Pending"):
    requests = {"resources": {"requests": {"cpu": "1"}}, "name": "c"}
    spec = {"containers": [requests]} | ({"nodeName": node} if node else {})
    metadata = {"uid": uid, "name": name, "namespace": "n", "creationTimestamp": uid}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("news", "bound"),
    [
        # (name, uid, what the watch says of it); rounds happen where the list says "round".
        (["a 1 new", "round", "b 2 new", "round"], ["a"]),
        (["a 1 new", "round", "a 1 bound", "a 1 gone", "b 2 new", "round"], ["a", "b"]),
        (["a 1 new", "round", "a 1 gone", "b 2 new", "round"], ["a", "b"]),
        (["a 1 new", "round", "a 1 bound", "round", "a 1 gone", "b 2 new", "round"], ["a", "b"]),
        (["a 1 new", "round", "a 1 done", "b 2 new", "round"], ["a", "b"]),
        # A Pod of the same name in its place, with no word of the end of the first.
        (["a 1 new", "round", "a 1 bound", "a 2 new", "round"], ["a", "a"]),
        (["a 1 new", "round", "a 1 bound", "b 2 new", "round"], ["a"]),
    ],
)
async def test_room_is_counted_once_and_given_back_when_a_pod_is_gone(news, bound):
    api, pods = Api(), {}
    scheduler = Scheduler(api, "local", {}, CAPACITY, pods)
    running = asyncio.ensure_future(scheduler.run())
    for piece in news:
        if piece == "round":
            for _ in range(20):
                await asyncio.sleep(0)
            continue
        name, uid, word = piece.split()
        kinds = {"new": {}, "bound": {"node": "local", "phase": "Running"}, "gone": None}
        kinds["done"] = {"node": "local", "phase": "Succeeded"}
        old, kind = pods.get(("n", name)), kinds[word]
        new = None if kind is None else _pod(uid, name, **kind)
        pods.pop(("n", name), None)
        if new is not None:
            pods[("n", name)] = new
        scheduler.note_change(old, new)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert api.bound == bound
