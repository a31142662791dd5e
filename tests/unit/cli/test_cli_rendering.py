"""What is printed, from what is known."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from dask_k8s_jupyter.cli import create, delete, doctor, events, listing, operator, output, scale
from dask_k8s_jupyter.cli.waiting import has_all_workers
from dask_k8s_jupyter.clusters.findings import Finding
from dask_k8s_jupyter.errors import DaskKubernetesError, ImageNotFoundError, StartTimeoutError
from dask_k8s_jupyter.state import ClusterView, build_cluster_view

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)


def draw(
    desired: int = 2,
    *,
    state: str = "False",
    group: int | None = None,
    adapts: dict[str, tuple[int, int]] | None = None,
    **counts: int,
) -> ClusterView:
    """A cluster with its default group, and perhaps another one."""
    worker: dict[str, Any] = {
        "replicas": desired,
        "spec": {"containers": [{"name": "worker", "resources": {"limits": {"cpu": "2"}}}]},
    }
    cluster = {
        "metadata": {
            "name": "demo",
            "namespace": "team-a",
            "uid": "1",
            "creationTimestamp": "2026-11-20T09:46:00Z",
            "generation": 1,
        },
        "spec": {"worker": worker},
        "status": {
            "observedGeneration": 1,
            "message": "1 Pod does not fit: Insufficient cpu",
            "conditions": [{"type": "Ready", "status": state}],
        },
    }
    groups = [
        {
            "metadata": {"name": "demo-default"},
            "spec": {"cluster": "demo", "worker": worker},
            "status": {"workers": counts},
        }
    ]
    if group is not None:
        spec = {"cluster": "demo", "worker": {"replicas": group}}
        groups.append({"metadata": {"name": "demo-gpu"}, "spec": spec})
    autoscalers = {
        f"demo-{name}": {"metadata": {}, "spec": {"minimum": low, "maximum": high}}
        for name, (low, high) in (adapts or {}).items()
    }
    return build_cluster_view(cluster, groups, autoscalers, NOW)


def test_a_row_says_state_workers_and_reason() -> None:
    row = listing.draw_row(draw(ready=1, running=1, pending=1, adapts={"default": (1, 4)}), NOW)
    assert row == (
        *("team-a", "demo", "waiting", "1/2", "4 cores", "", "1 to 4", "14 min"),
        "1 Pod does not fit: Insufficient cpu",
    )


def test_a_row_says_which_groups_adapt() -> None:
    view = draw(group=1, ready=1, running=1, adapts={"gpu": (0, 8)})
    assert listing.draw_row(view, NOW)[6] == "gpu 0 to 8"
    view = draw(group=1, ready=1, running=1, adapts={"default": (1, 4), "gpu": (0, 8)})
    assert listing.draw_row(view, NOW)[6] == "1 to 4, gpu 0 to 8"


def test_an_event_is_one_line_however_many_it_has() -> None:
    event = {
        "time": "2026-11-20T09:59:00Z",
        "type": "Warning",
        "object": "Pod/x",
        "reason": "Failed",
        "message": "two\nlines",
        "count": 3,
    }
    row = events.draw_row(event, NOW)
    assert row == ("1 min", "Warning", "Pod/x", "Failed", "3", "two lines")


def test_a_piped_table_is_not_folded_and_takes_texts_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_table(("NAME", "REASON"), [("demo", "long " * 100 + "[red]x[/] :smile:")])
    head, row = capsys.readouterr().out.splitlines()
    assert head == "NAME  REASON"
    assert row == "demo  " + "long " * 100 + "[red]x[/] :smile:"


@pytest.mark.parametrize(
    ("view", "group", "workers", "is_lost"),
    [
        (draw(2, ready=2, running=2), None, 1, False),
        (draw(2, ready=2, running=2), None, 0, True),
        (draw(2, ready=2, running=2), "default", 0, True),
        (draw(2, ready=2, running=2), "demo-default", 0, True),
        (draw(2, ready=0, pending=2), None, 0, False),
        (draw(2, group=1, ready=2, running=2), None, 0, False),
        (draw(0, group=1, running=1), "gpu", 0, True),
        (draw(0, group=1, running=1), "demo-gpu", 0, True),
    ],
)
def test_scaling_asks_only_when_the_last_workers_go(
    view: ClusterView, group: str | None, workers: int, is_lost: bool
) -> None:
    # A group's running workers are counted in its status, which the other group has not.
    assert bool(scale.describe_loss(view, group, workers)) is is_lost


@pytest.mark.parametrize(
    ("views", "question"),
    [
        ([draw(2)], "Delete team-a/demo?"),
        (
            [draw(2, running=1)],
            "Delete team-a/demo? What its 1 running worker computes and holds is lost.",
        ),
        (
            [draw(2, running=2), draw(1, running=1)],
            "Delete team-a/demo, team-a/demo? "
            "What their 3 running workers compute and hold is lost.",
        ),
    ],
)
def test_deleting_says_what_is_lost(views: list[ClusterView], question: str) -> None:
    assert delete.describe_loss(views) == question


@pytest.mark.parametrize(
    ("losses", "keeps", "question"),
    [
        (
            {"DaskCluster": [], "DaskJob": []},
            False,
            "This deletes the operator and the definitions; no cluster is there. Uninstall?",
        ),
        (
            {"DaskCluster": [f"a/{n}" for n in range(7)], "DaskJob": ["b/x"]},
            False,
            "This deletes 7 DaskClusters (a/0, a/1, a/2, a/3, a/4 and 2 more) and 1 DaskJob (b/x) "
            "with all Pods, and the definitions. Uninstall?",
        ),
        (
            {"DaskCluster": ["a/demo"]},
            True,
            "This deletes the operator and its roles; 1 DaskCluster (a/demo) stay, with nobody to "
            "tend them. Uninstall?",
        ),
        ({}, True, "This deletes the operator and its roles. Uninstall?"),
    ],
)
def test_uninstalling_says_what_is_lost(
    losses: dict[str, list[str]], keeps: bool, question: str
) -> None:
    assert operator.describe_loss(losses, keeps) == question


@pytest.mark.parametrize(
    ("view", "is_so"),
    [
        (draw(2, state="True", ready=2, running=2), True),
        (draw(2, state="False", ready=2, running=2), False),
        (draw(2, state="True", ready=1, running=2), False),
        (draw(1, state="True", ready=2, running=2), False),
        (draw(1, state="True", ready=1, running=2, retiring=1), False),
        (draw(1, state="True", ready=1, running=1, pending=1), False),
        (draw(0, state="True"), True),
    ],
)
def test_a_cluster_has_all_workers_when_none_has_to_come_or_go(
    view: ClusterView, is_so: bool
) -> None:
    assert has_all_workers(view) is is_so


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (StartTimeoutError("slow"), "Wait longer with --timeout SECONDS"),
        (ImageNotFoundError("no image"), "imagePullSecrets"),
        (DaskKubernetesError("odd"), "It is still there"),
    ],
)
def test_a_cluster_that_did_not_start_is_said_to_be_still_there(
    error: DaskKubernetesError, advice: str
) -> None:
    fix = create.advise_to_delete(error, "team-a", "demo")
    assert advice in fix
    assert "`dask-k8s delete demo -n team-a`" in fix


def test_the_same_advice_is_given_once() -> None:
    finding = Finding("permissions", "failed", "You may not", "Ask")
    assert "Ask" in doctor.draw_finding(finding).plain
    assert "Ask" not in doctor.draw_finding(finding, "Ask").plain


@pytest.mark.parametrize(
    ("outcomes", "summary"),
    [
        (["ok", "ok"], "All is well."),
        (["ok", "unknown"], "All is well, as far as could be seen."),
        (["ok", "warning"], "It works; 1 thing could be better."),
        (["failed", "warning"], "1 thing has to be mended."),
        (["failed", "failed"], "2 things have to be mended."),
    ],
)
def test_a_summary_counts(outcomes: list[Any], summary: str) -> None:
    findings = [Finding("x", outcome, "x") for outcome in outcomes]
    assert doctor.summarize(findings) == summary
