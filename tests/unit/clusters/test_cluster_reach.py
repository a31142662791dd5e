"""Where schedulers and dashboards are, from here."""

from __future__ import annotations

from types import SimpleNamespace

import dask
import pytest

from dask_k8s_jupyter.clusters.dashboard import (
    BASE_URL_VARIABLE,
    build_dashboard_link,
    build_jupyter_link,
)
from dask_k8s_jupyter.clusters.reach import is_inside

ADDRESS = ("127.0.0.1", 40001)


@pytest.mark.parametrize(
    ("service_host", "service_port", "client_host", "expected"),
    [
        (None, None, "https://10.96.0.1:443", False),
        ("10.96.0.1", "443", "https://10.96.0.1:443", True),
        ("10.96.0.1", "443", "https://other.example.com:6443", False),
        ("fd00::1", "443", "https://[fd00::1]:443", True),
    ],
)
def test_inside_means_in_a_pod_of_that_very_cluster(
    service_host: str | None,
    service_port: str | None,
    client_host: str,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("HOST", service_host), ("PORT", service_port)):
        monkeypatch.delenv(f"KUBERNETES_SERVICE_{name}", raising=False)
        if value is not None:
            monkeypatch.setenv(f"KUBERNETES_SERVICE_{name}", value)
    assert is_inside(SimpleNamespace(host=client_host)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base_url", "template", "address", "expected"),
    [
        (
            "/notebook/default/demo/",
            "{scheme}://{host}:{port}/status",
            ADDRESS,
            "/notebook/default/demo/dask-k8s/dashboard/team-a/demo/status",
        ),
        ("/", "unused", None, "/dask-k8s/dashboard/team-a/demo/status"),
        (None, "{scheme}://{host}:{port}/status", ADDRESS, "http://127.0.0.1:40001/status"),
        (None, "{TEAM}/proxy/{port}/status", ADDRESS, "blue/proxy/40001/status"),
        (None, "{NO_SUCH_VARIABLE}/{port}", ADDRESS, "http://127.0.0.1:40001/status"),
        (None, "unused", None, ""),
    ],
)
def test_a_dashboard_link_is_one_that_this_browser_can_open(
    base_url: str | None,
    template: str,
    address: tuple[str, int] | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(BASE_URL_VARIABLE, raising=False)
    monkeypatch.setenv("TEAM", "blue")
    if base_url:
        monkeypatch.setenv(BASE_URL_VARIABLE, base_url)
    with dask.config.set({"distributed.dashboard.link": template}):
        assert build_dashboard_link("team-a", "demo", address) == expected


@pytest.mark.parametrize(
    ("template", "address", "expected"),
    [
        ("{scheme}://{host}:{port}/status", ADDRESS, "http://127.0.0.1:40001/jupyter/lab"),
        ("https://{port}.dask.acme.com/status", ADDRESS, "https://40001.dask.acme.com/jupyter/lab"),
        # Under a path of somebody else's it would find none of its own files.
        ("/user/me/proxy/{port}/status", ADDRESS, "http://127.0.0.1:40001/jupyter/lab"),
        ("https://acme.com/{port}/status", ADDRESS, "http://127.0.0.1:40001/jupyter/lab"),
        ("unused", None, ""),
    ],
)
def test_a_link_to_the_schedulers_jupyter_is_one_that_its_pages_work_at(
    template: str,
    address: tuple[str, int] | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(BASE_URL_VARIABLE, "/notebook/default/demo/")
    with dask.config.set({"distributed.dashboard.link": template}):
        assert build_jupyter_link(address) == expected
