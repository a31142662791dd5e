"""Forms on the wire: paths, Accept headers, Protocol Buffers of kubectl, SPDY frames."""

import pytest

from dask_k8s_jupyter.local.api import protobuf
from dask_k8s_jupyter.local.api.requests import Format, parse_target
from dask_k8s_jupyter.local.api.resources import Registry
from dask_k8s_jupyter.local.api.statuses import StatusError


@pytest.mark.parametrize(
    ("method", "path", "query", "target"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces/n/pods", {}, ("list", "pods", "n", "", "")),
        ("GET", "/api/v1/namespaces/n/pods", {"watch": "1"}, ("watch", "pods", "n", "", "")),
        ("GET", "/api/v1/namespaces/n/pods/p", {}, ("get", "pods", "n", "p", "")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", {}, ("get", "pods", "n", "p", "log")),
        ("PATCH", "/api/v1/namespaces/n/pods/p/status", {}, ("patch", "pods", "n", "p", "status")),
        ("DELETE", "/api/v1/namespaces/n/pods", {}, ("deletecollection", "pods", "n", "", "")),
        ("POST", "/api/v1/namespaces", {}, ("create", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/n", {}, ("get", "namespaces", "n", "n", "")),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/n/leases/l",
            {},
            ("update", "leases", "n", "l", ""),
        ),
    ],
)
def test_a_path_names_its_target(method, path, query, target):
    found = parse_target(Registry(), method, path, query)
    shown = (found.verb, found.resource.plural, found.namespace, found.name, found.subresource)
    assert shown == target


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1",
        "/api/v1/frobs",
        "/api/v1/namespaces/n/nodes",
        "/api/v1/namespaces/n/pods/p/frob",
        "/api/v1/watch/pods",
        "/apis/apps/v9/deployments",
    ],
)
def test_a_path_that_is_not_served_names_nothing(path):
    assert parse_target(Registry(), "GET", path, {}) is None


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "Object"),
        ("*/*", "Object"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
        ("application/vnd.kubernetes.protobuf;as=Table,application/json", "Object"),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            "PartialObjectMetadata",
        ),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            "APIGroupDiscoveryList",
        ),
    ],
)
def test_the_first_form_that_can_be_given_is_given(accept, kind):
    assert Format.read(accept, {}).kind == kind


def test_what_cannot_be_given_is_refused():
    with pytest.raises(StatusError) as error:
        Format.read("application/vnd.kubernetes.protobuf", {})
    assert error.value.code == 406


def _field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def test_kubectls_protocol_buffers_are_read_as_their_json():
    label = _field(1, b"team") + _field(2, b"a")
    metadata = _field(1, b"demo") + _field(2, b"") + _field(11, label)
    head = _field(1, _field(1, b"v1") + _field(2, b"Namespace"))
    body = b"k8s\x00" + head + _field(2, _field(1, metadata))
    assert protobuf.decode(body) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "demo", "labels": {"team": "a"}},
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", 400),
        (b"k8s\x00" + _field(1, _field(2, b"Frob")), 415),
        (b"k8s\x00\x0a\x7f", 400),
    ],
)
def test_other_protocol_buffers_are_refused(body, code):
    with pytest.raises(StatusError) as error:
        protobuf.decode(body)
    assert error.value.code == code
