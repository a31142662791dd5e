"""What is not known for certain is asked of the API before anything is decided by it."""

import contextlib

import pytest

from dask_k8s_operator.controller.apply import Applier
from dask_k8s_operator.controller.ask import Asker
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.doubts import Doubts
from dask_k8s_operator.kube.errors import (
    ApiError,
    ApiUnreachableError,
    InvalidError,
    KubeError,
    NotFoundError,
    TooManyRequestsError,
    UnsupportedKindError,
)
from dask_k8s_operator.reconcile.plan import Delete, Patch, Plan
from dask_k8s_operator.resources.agent_protocol import SchedulerReport
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS

GROUP = {"metadata": {"namespace": "team", "name": "demo-default", "uid": "u"}, "spec": {}}
OWNER = (DASK_WORKER_GROUPS, "team", "demo-default")
NOT_FOUND = NotFoundError(404, "NotFound", "no such Pod")
UNREACHABLE = ApiUnreachableError("https://api", "the line broke")


class Api:
    """Fails each change and each question as it is told, and counts the questions."""

    def __init__(self, failure=None, answers=()):
        self.failure, self.answers, self.asked = failure, list(answers), []

    async def patch(self, *_, **__):
        raise self.failure

    delete = patch

    async def get(self, kind, name, namespace):
        self.asked.append((kind, namespace, name))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def cache(make):
    cache = Cache()
    cache.informed(PODS, None, make.pod("w-1", resourceVersion="5"))
    return cache


async def apply(api, cache, *writes):
    doubts = Doubts(api, cache)
    applier = Applier(api, cache, doubts, clock=lambda: 0.0, random_hex=lambda count: "0" * count)
    with contextlib.suppress(KubeError):
        await applier.apply(DASK_WORKER_GROUPS, GROUP, Plan(steps=(writes,)))
    return doubts


UNMARK = Patch(PODS, "team", "w-1", {"metadata": {"annotations": {"mark": None}}})
REMOVE = Delete(PODS, "team", "w-1", "uid-of-w-1")


@pytest.mark.parametrize("write", [UNMARK, REMOVE], ids=["patch", "delete"])
@pytest.mark.parametrize("answer", ["changed", "gone"])
async def test_what_got_no_answer_is_looked_at_once(make, cache, write, answer):
    there = make.pod("w-1", resourceVersion="6") if answer == "changed" else NOT_FOUND
    api = Api(UNREACHABLE, [there])
    doubts = await apply(api, cache, write)
    await doubts.settle(OWNER)
    await doubts.settle(OWNER)
    assert api.asked == [(PODS, "team", "w-1")]
    known = cache.get(PODS, "team", "w-1")
    assert known is (there if answer == "changed" else None)


@pytest.mark.parametrize(
    "failure",
    [
        InvalidError(422, "Invalid", "no"),
        TooManyRequestsError(429, "TooManyRequests", "later"),
        NOT_FOUND,
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_what_was_answered_is_not_asked_again(cache, failure):
    doubts = await apply(api := Api(failure), cache, UNMARK)
    await doubts.settle(OWNER)
    assert not api.asked


async def test_what_no_watch_tells_of_is_not_looked_at(cache):
    doubts = await apply(api := Api(UNREACHABLE), cache, Patch(SECRETS, "team", "x", {}))
    await doubts.settle(OWNER)
    assert not api.asked


async def test_nothing_is_settled_while_the_api_does_not_say(make, cache):
    unavailable = ApiError(503, "ServiceUnavailable", "not now")
    api = Api(unavailable, [unavailable, make.pod("w-1", resourceVersion="6")])
    doubts = await apply(api, cache, UNMARK)
    with pytest.raises(ApiError, match="not now"):
        await doubts.settle(OWNER)
    await doubts.settle(OWNER)
    assert cache.get(PODS, "team", "w-1")["metadata"]["resourceVersion"] == "6"


async def test_doubts_end_with_the_group(cache):
    doubts = await apply(api := Api(UNREACHABLE), cache, UNMARK)
    doubts.forget(OWNER)
    await doubts.settle(OWNER)
    assert not api.asked


class Schedulers:
    """Whoever is asked has no workers."""

    async def report(self, place):
        return SchedulerReport()


async def test_a_page_that_is_not_found_is_no_word_about_a_scheduler(make):
    cache = Cache()
    cache.informed(DASK_CLUSTERS, None, make.cluster())
    api = Api(answers=[UnsupportedKindError(404, "", "page not found")])
    with pytest.raises(UnsupportedKindError):
        await Asker(api, Schedulers(), cache).report(make.group())


async def test_after_one_question_without_an_answer_no_other_is_asked(make, cache):
    cache.informed(PODS, None, make.pod("w-2", resourceVersion="5"))
    writes = (REMOVE, Delete(PODS, "team", "w-2", "uid-of-w-2"))
    api = Api(UNREACHABLE, [UNREACHABLE] * 2)
    doubts = await apply(api, cache, *writes)
    with pytest.raises(ApiUnreachableError):
        await doubts.settle(OWNER)
    assert len(api.asked) <= 2


@pytest.mark.parametrize("known", ["none", "leaving", "pending", "ready"])
@pytest.mark.parametrize("there", ["gone", "pending", "ready"])
async def test_only_the_api_says_that_no_scheduler_runs(make, known, there):
    cache, group = Cache(), make.group()
    cache.informed(DASK_CLUSTERS, None, make.cluster())
    if known != "none":
        cache.informed(PODS, None, make.scheduler_pod(known, ip="10.0.0.1"))
    pod = NOT_FOUND if there == "gone" else make.scheduler_pod(there, ip="10.0.0.2")
    api = Api(answers=[NOT_FOUND] if known == "ready" else [pod, NOT_FOUND])
    report = await Asker(api, Schedulers(), cache).report(group)
    assert report.is_absent is (known != "ready" and there != "ready")


async def test_what_is_in_doubt_is_asked_in_the_order_of_the_plan(cache):
    names = [f"w-{number}" for number in range(20)]
    api = Api(UNREACHABLE, [NOT_FOUND] * len(names))
    doubts = await apply(api, cache, *(Delete(PODS, "team", name, "u") for name in names))
    await doubts.settle(OWNER)
    assert [name for _, _, name in api.asked] == names
