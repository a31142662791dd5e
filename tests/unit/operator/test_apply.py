"""Plans are written side by side; what is refused reads the same whichever answer came first."""

import asyncio
import contextlib

import pytest

from dask_k8s_operator.controller.apply import Applier
from dask_k8s_operator.controller.cache import MEMORY_S, Cache
from dask_k8s_operator.controller.doubts import Doubts
from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnsupportedKindError,
)
from dask_k8s_operator.reconcile.plan import Create, Delete, Notice, Patch, Plan
from dask_k8s_operator.resources.kinds import (
    CONFIG_MAPS,
    DASK_CLUSTERS,
    EVENTS,
    PODS,
    SECRETS,
    SERVICES,
)
from dask_k8s_operator.resources.names import WORKER_GROUP_LABEL


class RefusingClient:
    """Refuses every creation, the kinds in the order that it is given."""

    def __init__(self, order):
        self.order = order
        self.asked = []

    async def create(self, kind, body):
        self.asked.append(kind)
        for _ in range(self.order.index(kind)):
            await asyncio.sleep(0)
        raise ForbiddenError(403, "Forbidden", f"no more {kind.plural}")


def build_applier(client):
    cache = Cache()
    doubts = Doubts(client, cache)
    return Applier(client, cache, doubts, clock=lambda: 0.0, random_hex=lambda count: "0" * count)


def build_body(name):
    return {"metadata": {"namespace": "a", "name": name, "uid": f"uid-{name}"}}


@pytest.mark.parametrize("order", [(SERVICES, SECRETS, PODS), (PODS, SERVICES, SECRETS)])
async def test_refusals_come_in_the_order_of_the_plan(order):
    client = RefusingClient(order)
    applier = build_applier(client)
    step = tuple(Create(kind, build_body(kind.plural)) for kind in (SECRETS, SERVICES, PODS))
    refusals = await applier.apply(DASK_CLUSTERS, build_body("x"), Plan(steps=(step,)))
    assert [refusal.message for refusal in refusals] == [
        "no more secrets",
        "no more services",
        "no more pods",
    ]


async def test_what_comes_after_a_refused_step_is_not_tried():
    client = RefusingClient((PODS, SERVICES))
    applier = build_applier(client)
    steps = ((Create(PODS, build_body("x")),), (Create(SERVICES, build_body("x")),))
    await applier.apply(DASK_CLUSTERS, build_body("x"), Plan(steps=steps))
    assert client.asked == [PODS]


class ChangingClient:
    """Answers a change of a Secret with an error; every other change is done."""

    def __init__(self, error, **there):
        self.error, self.there, self.statuses = error, there, []

    async def patch(self, kind, name, body, namespace, **options):
        if kind == SECRETS and self.error:
            raise self.error
        if kind == SECRETS:
            return build_body(name)
        is_still_there, *changes = body
        uid = build_body(name)["metadata"]["uid"]
        assert is_still_there == {"op": "test", "path": "/metadata/uid", "value": uid}
        told = {change["path"].rpartition("/")[2]: change["value"] for change in changes}
        self.statuses.append(told)
        self.there |= told
        return {**build_body(name), "status": self.there}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, {"until": "later", "message": "new"}),
        (ApiError(503, "Unavailable", "no"), {"message": "new"}),
        (ForbiddenError(403, "Forbidden", "no"), {"message": "new"}),
        (NotFoundError(404, "NotFound", "no"), {"message": "new"}),
    ],
)
async def test_a_status_tells_only_what_was_written(error, told):
    client = ChangingClient(error, until="soon")
    applier = build_applier(client)
    renewal = Patch(SECRETS, "a", "x-tls", {"data": {}})
    status = {"until": "later", "message": "new"}
    plan = Plan(steps=((renewal,),), status=status, proofs=((renewal, ("until",)),))
    item = {**build_body("x"), "status": {"until": "soon"}}
    with contextlib.suppress(ApiError):
        await applier.apply(DASK_CLUSTERS, item, plan)
    assert client.statuses == [told]


class StrictClient:
    """Refuses a status."""

    def __init__(self, status, message):
        self.error = InvalidError(status, "Invalid", message)

    async def patch(self, kind, name, body, namespace, **options):
        raise self.error


NOT_APPLIED = "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    ("status", "message", "raised"),
    [
        (422, NOT_APPLIED, ConflictError),
        (422, "status.phase: Invalid value", InvalidError),
        (400, 'admission webhook "x" denied the request', InvalidError),
    ],
)
async def test_a_status_that_is_not_for_the_namesake_is_a_conflict(status, message, raised):
    client = StrictClient(status, message)
    applier = build_applier(client)
    with pytest.raises(raised):
        await applier.apply(DASK_CLUSTERS, build_body("x"), Plan(status={"phase": "Running"}))


class LateClient:
    """Everything that is to be made is there already, made by another operator."""

    def __init__(self, there):
        self.there = there

    async def create(self, kind, body):
        raise AlreadyExistsError(409, "AlreadyExists", "it exists")

    async def get(self, kind, name, namespace):
        return self.there


@pytest.mark.parametrize(
    ("if_exists", "expectation"),
    [("keep", contextlib.nullcontext()), ("decide", pytest.raises(ConflictError))],
)
async def test_what_was_made_meanwhile_is_kept_or_decided_about_again(if_exists, expectation):
    owners = [{"kind": "DaskCluster", "uid": "uid-x", "name": "x", "apiVersion": "v1"}]
    there = build_body("x-tls")
    there["metadata"]["ownerReferences"] = owners
    applier = build_applier(LateClient(there))
    plan = Plan(steps=((Create(SECRETS, there, if_exists),),))
    with expectation:
        await applier.apply(DASK_CLUSTERS, build_body("x"), plan)


async def test_what_is_merged_is_merged_into_what_was_seen():
    class Client(LateClient):
        merged: tuple = ()

        async def patch(self, kind, name, body, namespace, **options):
            self.merged += (body,)
            return self.there

    there = build_body("x-agent")
    there["metadata"]["ownerReferences"] = [{"kind": "DaskCluster", "uid": "uid-x"}]
    client = Client({"metadata": {**there["metadata"], "resourceVersion": "7"}})
    applier = build_applier(client)
    plan = Plan(steps=((Create(CONFIG_MAPS, {**there, "data": {"a": "b"}}, "merge"),),))
    await applier.apply(DASK_CLUSTERS, build_body("x"), plan)
    (parts,) = client.merged
    assert parts["data"] == {"a": "b"}
    assert parts["metadata"]["resourceVersion"] == "7"


async def test_what_kept_the_rest_from_being_done_is_told_before_a_conflict():
    class Client(StrictClient):
        async def create(self, kind, body):
            raise ApiError(503, "Unavailable", "no")

    applier = build_applier(Client(422, NOT_APPLIED))
    plan = Plan(steps=((Create(PODS, build_body("p")),),), status={"phase": "Pending"})
    with pytest.raises(ApiError, match="no"):
        await applier.apply(DASK_CLUSTERS, build_body("x"), plan)


class DeletingClient:
    """Deletes all Pods but some; keeps the Events."""

    def __init__(self, *keeps):
        self.keeps, self.events = keeps, []

    async def delete(self, kind, name, namespace, **_):
        if name in self.keeps:
            raise ConflictError(409, "Conflict", "it has changed")
        return {}

    async def create(self, kind, body):
        assert kind == EVENTS
        self.events.append(body["message"])
        return body


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ((), ["of all", "of p", "of both"]),
        (("p",), ["of both (1 of 2 so far)"]),
        (("q",), ["of p", "of both (1 of 2 so far)"]),
        (("p", "q"), []),
    ],
)
async def test_what_is_done_is_told_of_though_something_else_is_not(kept, told):
    client = DeletingClient(*kept)
    deletions = tuple(
        Delete(PODS, "a", name, f"uid-{name}", resource_version="1") for name in ("p", "q")
    )
    notices = (
        Notice("Updating", "of all"),
        Notice("Replaced", "of p", of=deletions[:1]),
        Notice("WorkLost", "of both", "Warning", of=deletions),
    )
    plan = Plan(steps=(deletions,), notices=notices)
    with pytest.raises(ConflictError) if kept else contextlib.nullcontext():
        await build_applier(client).apply(DASK_CLUSTERS, build_body("x"), plan)
    assert client.events == told


class AskedClient:
    """Answers what is there, or fails."""

    def __init__(self, answer):
        self.answer = answer

    async def get(self, kind, name, namespace):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "is_there"),
    [
        (NotFoundError(404, "NotFound", "no such Pod"), False),
        (ApiError(503, "Unavailable", "no"), True),
        (UnsupportedKindError(404, "", "page not found"), True),
        ({"message": "some proxy's"}, True),
        ({"metadata": {"namespace": "a", "name": "x", "uid": "u", "resourceVersion": "7"}}, True),
    ],
)
async def test_only_the_api_says_that_an_uncertain_pod_was_never_made(answer, is_there):
    seconds = [0.0]
    cache = Cache(clock=lambda: seconds[0])
    uncertain = {"metadata": {"namespace": "a", "name": "x", "labels": {WORKER_GROUP_LABEL: "g"}}}
    cache.remember_uncertain(PODS, uncertain)
    seconds[0] = MEMORY_S + 1
    await Doubts(AskedClient(answer), cache).look_up([(PODS, "a", "x")])
    assert (cache.get(PODS, "a", "x") is not None) is is_there
