"""Plans are written side by side; what is refused reads the same whichever answer came first."""

import asyncio
import contextlib

import pytest

from dask_k8s_operator.controller.apply import Applier
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.kube.errors import ApiError, ForbiddenError, NotFoundError
from dask_k8s_operator.reconcile.plan import Create, Patch, Plan
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS, SECRETS, SERVICES


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


def build_body(name):
    return {"metadata": {"namespace": "a", "name": name}}


@pytest.mark.parametrize("order", [(SERVICES, SECRETS, PODS), (PODS, SERVICES, SECRETS)])
async def test_refusals_come_in_the_order_of_the_plan(order):
    client = RefusingClient(order)
    applier = Applier(client, Cache(), clock=lambda: 0.0, random_hex=lambda count: "0" * count)
    step = tuple(Create(kind, build_body(kind.plural)) for kind in (SECRETS, SERVICES, PODS))
    refusals = await applier.apply(DASK_CLUSTERS, build_body("x"), Plan(steps=(step,)))
    assert [refusal.message for refusal in refusals] == [
        "no more secrets",
        "no more services",
        "no more pods",
    ]


async def test_what_comes_after_a_refused_step_is_not_tried():
    client = RefusingClient((PODS, SERVICES))
    applier = Applier(client, Cache(), clock=lambda: 0.0, random_hex=lambda count: "0" * count)
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
        if "status" not in body:
            return build_body(name)
        self.statuses.append(body["status"])
        self.there |= body["status"]
        return {
            **build_body(name),
            "status": {k: v for k, v in self.there.items() if v is not None},
        }


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
    applier = Applier(client, Cache(), clock=lambda: 0.0, random_hex=lambda count: "0" * count)
    renewal = Patch(SECRETS, "a", "x-tls", {"data": {}})
    status = {"until": "later", "message": "new"}
    plan = Plan(steps=((renewal,),), status=status, proofs=((renewal, ("until",)),))
    item = {**build_body("x"), "status": {"until": "soon"}}
    with contextlib.suppress(ApiError):
        await applier.apply(DASK_CLUSTERS, item, plan)
    assert client.statuses == [told]
