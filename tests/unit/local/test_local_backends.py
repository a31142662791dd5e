"""Who is behind a Service is the same for names and for Endpoints."""

import pytest

from dask_k8s_jupyter.local.backends import selects
from dask_k8s_jupyter.local.controllers.endpoints import build_endpoints
from dask_k8s_jupyter.local.node.servicenames import build_line, find_all_endpoints


def _pod(phase="Running", *, is_ready=True, **metadata):
    ports = [{"name": "http", "containerPort": 8080}, {"name": "8081", "containerPort": 9}]
    condition = {"type": "Ready", "status": "True" if is_ready else "False"}
    own = {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}
    return {
        "metadata": own | metadata,
        "spec": {"containers": [{"name": "c", "ports": ports}]},
        "status": {"podIP": "127.64.1.1", "phase": phase, "conditions": [condition]},
    }


@pytest.mark.parametrize(
    ("pod", "spec", "port"),
    [
        (_pod(), {}, 8080),
        (_pod(), {"ports": [{"port": 80, "targetPort": 8081}]}, 8081),
        # A text is a name.
        (_pod(), {"ports": [{"port": 80, "targetPort": "8081"}]}, 9),
        (_pod(is_ready=False), {}, None),
        (_pod(is_ready=False), {"publishNotReadyAddresses": True}, 8080),
        (_pod(deletionTimestamp="now"), {}, None),
        (_pod("Succeeded"), {"publishNotReadyAddresses": True}, None),
        (_pod("Failed"), {}, None),
        (_pod(labels={}), {}, None),
        (_pod(namespace="other"), {}, None),
    ],
)
def test_a_name_and_endpoints_lead_to_the_same_port(pod, spec, port):
    plain = {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}
    service = {"metadata": {"name": "s", "namespace": "n"}, "spec": plain | spec}
    ((_, behind),) = find_all_endpoints([service], [pod])
    assert build_line(service, behind).endswith(f" 80={port}\n" if port else "n s  \n")
    subsets = build_endpoints(service, [pod] if selects(service, pod) else [])["subsets"]
    found = [each["ports"][0]["port"] for each in subsets if each.get("addresses")]
    assert found == ([port] if port else [])
