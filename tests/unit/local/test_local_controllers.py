"""What controllers remember of their own writes: for a while, and only what was done."""

import pytest

from dask_k8s_jupyter.local.controllers.jobs import JOBS
from dask_k8s_jupyter.local.controllers.remembering import RememberingApi
from dask_k8s_jupyter.local.controllers.running import Controllers
from dask_k8s_operator.kube import WorkQueue
from dask_k8s_operator.kube.errors import ApiUnreachableError, NotFoundError
from dask_k8s_operator.resources.kinds import PODS

KEY = ("Job", "n", "owner")
POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}}


class Api:
    """Takes every write, or fails every one."""

    def __init__(self, error=None):
        self.error = error

    async def create(self, *_):
        if self.error is not None:
            raise self.error

    async def delete(self, *_):
        if self.error is not None:
            raise self.error


def _away():
    return ApiUnreachableError("https://api", "it is away")


def _build(error=None, clock=lambda: 0.0):
    return RememberingApi(Api(error), WorkQueue(), clock)


async def test_what_was_created_and_is_never_told_of_is_waited_for_half_a_minute():
    now = [100.0]
    api = _build(clock=lambda: now[0])
    await api.create(KEY, PODS, POD)
    assert api.find_wait_s(KEY) == 30.0
    now[0] = 120.0
    await api.create(KEY, PODS, {"metadata": {"name": "q"}})
    api.note_seen(KEY, "q")
    assert api.find_wait_s(KEY) == 10.0
    now[0] = 130.0
    assert api.find_wait_s(KEY) == 0.0


async def test_what_was_not_created_is_not_waited_for():
    api = _build(_away())
    with pytest.raises(ApiUnreachableError):
        await api.create(KEY, PODS, POD)
    assert api.find_wait_s(KEY) == 0.0


async def test_a_pod_that_could_not_be_deleted_counts_still():
    api = _build(_away())
    with pytest.raises(ApiUnreachableError):
        await api.delete_pod(POD)
    assert not api.deleted


async def test_a_pod_that_has_gone_already_counts_no_more():
    api = _build(NotFoundError(404, "NotFound", "gone"))
    await api.delete_pod(POD)
    assert api.deleted == {"u"}


@pytest.mark.parametrize("new", [None, {"metadata": {"name": "j", "namespace": "n", "uid": "2"}}])
def test_a_job_that_was_deleted_by_hand_is_forgotten(new):
    controllers = Controllers(Api())
    old = {"metadata": {"name": "j", "namespace": "n", "uid": "1"}}
    controllers._jobs._ended["1"] = object()
    controllers._build_listener(JOBS)(old, new)
    assert not controllers._jobs._ended


async def test_an_owner_whose_pod_was_never_told_of_is_looked_at_again(monkeypatch):
    controllers = Controllers(Api())
    again = []
    monkeypatch.setattr(controllers._queue, "add_after", lambda *asked: again.append(asked))
    controllers._api.informers["Job"].objects[KEY[1:]] = {"metadata": {}}
    await controllers._api.create(KEY, PODS, POD)
    await controllers._reconcile(KEY)
    assert [(key, 0 < wait_s <= 30) for key, wait_s in again] == [(KEY, True)]
