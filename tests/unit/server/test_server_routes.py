"""The dashboard is shown, and nothing else of the scheduler is."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.server.routes import is_dashboard_path


@pytest.mark.parametrize(
    "path",
    [
        "status",
        "status/ws",
        "status/autoload.js",
        "individual-task-stream",
        "individual-task-stream/ws",
        "individual-workers-cpu-timeseries",
        "individual-plots.json",
        "static/js/bokeh.min.js",
        "static/extensions/panel/panel.min.js",
        "statics/css/base.css",
        "info",
        "info/main/workers.html",
        "info/worker/tcp%3A%2F%2F10.0.0.1%3A4000.html",
        "info/worker/tcp://10.0.0.1:4000.html",
        "info/task/('sum', 0).html",
        "info/call-stack/x-1.html",
        "info/logs/tcp%3A%2F%2F10.0.0.1%3A4000.html",
        "json/counts.json",
        "metrics",
        "health",
        "proxy/8788/10.0.0.1/status",
    ],
)
def test_the_dashboards_own_routes_are_shown(path):
    assert is_dashboard_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "api",
        "api/v1/get_workers",
        "api/v1/retire_workers",
        "API/v1/retire_workers",
        "agent/workers",
        "kubernetes.dask.org/drain",
        "jupyter/lab",
        "jupyter",
        "status/../api/v1/retire_workers",
        "statics/../api/v1/retire_workers",
        "statics/%2e%2e/api/v1/retire_workers",
        "statics/%252e%252e/api/v1/retire_workers",
        "statics/..%2fapi/v1/retire_workers",
        "statics\\..\\api",
        "statics//api/v1/retire_workers",
        "/api/v1/get_workers",
        "//api/v1/get_workers",
        "info/worker/../../api/v1/get_workers.html",
        "info/worker/..%2f..%2fapi%2fv1.html",
        "proxy/8788/10.0.0.1/api/v1/get_workers",
        "proxy/8788/10.0.0.1/../../api/v1/get_workers",
        "proxy/8788/10.0.0.1/proxy/8787/10.0.0.2/status",
        "proxy/8788/10.0.0.1/status/ws",
        "proxy/22/10.9.9.9/status/ws",
        "proxy/99999999/10.0.0.1/status",
        "statusx",
        "status/api",
        "status\n",
    ],
)
def test_whatever_is_not_known_is_refused(path):
    assert not is_dashboard_path(path)
