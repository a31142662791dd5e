"""What doctor started for a moment goes again, also when nobody said that it was made."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.clusters.trial import try_cluster
from dask_k8s_jupyter.errors import DaskKubernetesError, KubernetesUnreachableError, RefusedError
from dask_k8s_operator.kube.errors import ApiError, ApiUnreachableError, ForbiddenError


class Client:
    """Makes a cluster, or does not, and fails."""

    def __init__(self, error, makes):
        self.error, self.makes = error, makes
        self.there, self.deleted = set(), []

    async def create(self, kind, body, namespace):
        if self.makes:
            self.there.add(body["metadata"]["name"])
        raise self.error

    async def delete(self, kind, name, namespace, *, uid=None):
        self.deleted.append(name)
        self.there.remove(name)


@pytest.mark.parametrize(
    ("error", "raised", "makes", "deletions"),
    [
        (ApiUnreachableError("host", "cut"), KubernetesUnreachableError, True, 1),
        (ApiError(500, "InternalError", "request timed out"), DaskKubernetesError, True, 1),
        (ForbiddenError(403, "Forbidden", "exceeded quota"), RefusedError, False, 0),
    ],
)
async def test_a_trial_whose_answer_was_lost_is_deleted(error, raised, makes, deletions):
    client = Client(error, makes)
    with pytest.raises(raised):
        async with try_cluster(client, "team", "dask:1", 1.0, lambda reason: None):
            pass
    assert not client.there
    assert len(client.deleted) == deletions
