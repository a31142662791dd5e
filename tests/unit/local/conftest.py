"""The backend of the embedded API, in short words for tests."""

import copy
from ipaddress import ip_network

import pytest

from dask_k8s_jupyter.local.api import reading
from dask_k8s_jupyter.local.api.backend import Backend
from dask_k8s_jupyter.local.api.bootstrap import create_first_objects
from dask_k8s_jupyter.local.api.garbage import DeleteOptions
from dask_k8s_jupyter.local.api.reading import WriteOptions
from dask_k8s_operator.resources.crds import build_crds


@pytest.fixture
def api():
    backend = Backend(ip_network("127.64.128.0/17"))
    create_first_objects(backend)
    return Api(backend)


class Api:
    """Short words for the tests."""

    def __init__(self, backend):
        self.backend = backend
        self.store = backend.store

    def resource(self, plural):
        return next(r for r in self.backend.registry if r.plural == plural)

    def create(self, plural, value, namespace="default", **options):
        resource = self.resource(plural)
        place = namespace if resource.namespaced else ""
        # The backend keeps what it is given.
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        own = head | copy.deepcopy(value)
        return self.backend.create(resource, place, own, WriteOptions(**options)).object

    def pod(self, name, **metadata):
        spec = {"containers": [{"name": "c", "image": "x"}]}
        return self.create("pods", {"metadata": {"name": name, **metadata}, "spec": spec})

    def get(self, plural, name, namespace="default"):
        return self.backend.get(self.resource(plural), namespace, name).object

    def patch(self, plural, name, body, kind="merge", subresource="", **options):
        types = {
            "merge": reading.MERGE_PATCH,
            "json": reading.JSON_PATCH,
            "strategic": reading.STRATEGIC_PATCH,
            "apply": reading.APPLY_PATCH,
        }
        if kind == "apply":
            resource = self.resource(plural)
            body = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        record = self.backend.patch(
            self.resource(plural),
            "default",
            name,
            types[kind],
            body,
            subresource,
            WriteOptions(**options),
        )
        return record.object

    def delete(self, plural, name, namespace="default", **options):
        resource = self.resource(plural)
        place = namespace if resource.namespaced else ""
        result = self.backend.collector.delete(resource, place, name, DeleteOptions(**options))
        self.backend.collector.drain()
        return result

    def names(self, plural, namespace="default"):
        records = self.store.collection(self.resource(plural).storage_key).select(namespace, None)
        return [record.object["metadata"]["name"] for record in records]

    def install(self):
        for crd in build_crds():
            self.create("customresourcedefinitions", crd)
