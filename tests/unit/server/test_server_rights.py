"""Who may only look sees, and is told what else is not allowed; half a wish is no failure."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.errors import PermissionMissingError
from dask_k8s_jupyter.server.context import observe_context
from dask_k8s_jupyter.server.handlers import ClustersHandler
from dask_k8s_jupyter.server.validate import read_create
from dask_k8s_operator.kube.errors import ForbiddenError, UnauthorizedError

REQUEST = {"namespace": "team-a", "name": "demo", "n_workers": 1}


class FakeClient:
    """A Kubernetes where some verbs are allowed; as a hub, it is its own connection."""

    namespace = "team-a"
    host = "https://10.0.0.1"

    def __init__(self, *verbs):
        self.verbs = verbs
        self.checked = 0

    async def client(self):
        return self

    async def check_again(self):
        self.checked += 1
        return False

    async def request(self, method, path):
        if not self.verbs:
            raise UnauthorizedError(401, "Unauthorized", "Unauthorized")
        return {"resources": [{"name": "daskclusters", "kind": "DaskCluster"}]}

    async def can_i(self, verb, kind, namespace=None, *, name=None, subresource=None):
        return verb in self.verbs

    async def list(self, kind):
        raise ForbiddenError(403, "Forbidden", "may not list namespaces")


@pytest.mark.parametrize(
    ("verbs", "can"),
    [
        (("get", "list", "watch"), {"create": False, "scale": False, "delete": False}),
        (("get", "list", "watch", "patch"), {"create": False, "scale": True, "delete": False}),
        (
            ("get", "list", "watch", "patch", "create", "delete"),
            {"create": True, "scale": True, "delete": True},
        ),
    ],
)
async def test_seeing_needs_no_more_than_the_right_to_see(verbs, can):
    context = await observe_context(FakeClient(*verbs), "")
    assert context["problem"] is None
    assert context["namespace"] == "team-a"
    assert context["can"] == can


async def test_who_may_not_see_is_told_what_is_missing():
    context = await observe_context(FakeClient("create"), "team-a")
    assert context["problem"]["code"] == "forbidden"


async def test_credentials_that_are_refused_are_looked_for_again():
    hub = FakeClient()
    assert (await observe_context(hub, ""))["problem"]["code"] == "unauthorized"
    assert hub.checked == 1


async def test_a_cluster_that_was_made_and_does_not_adapt_is_told_as_both(monkeypatch):
    async def adapt_cluster(client, namespace, name, minimum, maximum):
        raise PermissionMissingError("You may not create daskautoscalers", fix="Ask for it")

    monkeypatch.setattr(actions, "adapt_cluster", adapt_cluster)
    wanted = read_create({**REQUEST, "adapt": {"minimum": 1, "maximum": 4}})
    problem = await ClustersHandler._adapt_new(None, None, wanted)
    assert problem.code == "forbidden"
    assert problem.message.startswith("demo was made, but it does not adapt: You may not create")
    assert await ClustersHandler._adapt_new(None, None, read_create(REQUEST)) is None
