"""The panel follows its cluster and does what its buttons say."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest

from dask_k8s_jupyter.state import (
    AdaptiveRange,
    ClusterChanged,
    ClusterRemoved,
    ClusterView,
    GroupView,
    Problem,
    ProblemChanged,
    WorkerCounts,
)
from dask_k8s_jupyter.widget import PanelActions, build_panel

KEY = ("team-a", "demo")


def make_view(desired=2, ready=0, *, adaptive=None, **changes):
    counts = WorkerCounts(desired=desired, ready=ready)
    group = GroupView("demo-default", "default", True, counts, 1.0, 0, None)
    view = ClusterView(
        *KEY,
        uid="u1",
        created=None,
        state="waiting",
        reason=None,
        workers=counts,
        cores=0.0,
        memory_bytes=0,
        groups=(group,),
        adaptive=adaptive,
        scheduler_ready=True,
        scheduler_address=None,
        dashboard_path="dask-k8s/dashboard/team-a/demo/status",
        image=None,
        connect_code="",
    )
    return replace(view, **changes)


class Scene:
    """A panel, what it is told and what it asks for."""

    def __init__(self, view=None, **options):
        self.views = {} if view is None else {KEY: view}
        self.subscribers = []
        self.asked = []
        self.outcome = None
        actions = PanelActions(
            scale=lambda count: self._ask("scale", count),
            adapt=lambda minimum, maximum: self._ask("adapt", minimum, maximum),
            close=lambda: self._ask("close"),
            logs=lambda: self._ask("logs"),
            close_deletes=options.pop("close_deletes", True),
        )
        self.panel = build_panel(self, namespace=KEY[0], name=KEY[1], actions=actions, **options)
        self.controls = self.panel._controls

    def subscribe(self, callback):
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def tell(self, change):
        for callback in list(self.subscribers):
            callback(change)

    def show(self, view):
        self.tell(ClusterChanged(view))

    def _ask(self, *what):
        self.asked.append(what)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    @property
    def text(self):
        drawn = (self.panel._head, self.panel._details, self.panel._progress, self.panel._said)
        return "".join(widget.value for widget in drawn)


def test_it_follows_its_cluster_and_no_other():
    scene = Scene(make_view(ready=0))
    assert "0 of 2 workers" in scene.text
    scene.show(make_view(ready=2, state="running"))
    assert "2 of 2 workers" in scene.text
    scene.show(make_view(desired=9, name="other"))
    assert "2 of 2 workers" in scene.text


def test_it_can_be_built_before_anything_is_known():
    scene = Scene()
    assert "Asking Kubernetes" in scene.text
    assert scene.controls._apply.disabled
    scene.show(make_view())
    assert "0 of 2 workers" in scene.text


def test_a_change_may_come_from_any_thread():
    scene = Scene(make_view())
    threads = [threading.Thread(target=scene.show, args=(make_view(n, n),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = scene.controls._count.value
    assert f"{shown} of {shown} worker" in scene.text


class TestNumbers:
    def test_show_the_truth_and_offer_nothing_to_ask_for(self):
        scene = Scene(make_view(3))
        assert scene.controls._count.value == 3
        assert scene.controls._apply.disabled
        scene.show(make_view(5))
        assert scene.controls._count.value == 5

    def test_become_a_wish_only_by_the_button(self):
        scene = Scene(make_view(2))
        scene.controls._count.value = 6
        assert scene.asked == []
        assert scene.controls._apply.button_style == "primary"
        scene.controls._apply.click()
        assert scene.asked == [("scale", 6)]
        assert scene.controls._apply.disabled

    def test_are_not_overwritten_while_somebody_types(self):
        scene = Scene(make_view(2))
        scene.controls._count.value = 6
        scene.show(make_view(4))
        assert scene.controls._count.value == 6
        assert not scene.controls._apply.disabled

    def test_keep_a_wish_until_it_is_true(self):
        scene = Scene(make_view(2))
        scene.controls._count.value = 6
        scene.controls._apply.click()
        scene.show(make_view(2, ready=1))
        assert scene.controls._count.value == 6
        scene.show(make_view(6, ready=1))
        assert scene.controls._count.value == 6
        scene.show(make_view(3))
        assert scene.controls._count.value == 3

    def test_can_be_asked_for_again_when_nothing_came_of_it(self):
        scene = Scene(make_view(2))
        scene.outcome = PermissionError("You may not scale")
        scene.controls._count.value = 6
        scene.controls._apply.click()
        assert "You may not scale" in scene.text
        assert not scene.controls._apply.disabled
        scene.outcome = None
        scene.controls._apply.click()
        assert "You may not scale" not in scene.text

    def test_adapt_between_two_bounds(self):
        scene = Scene(make_view(2))
        scene.controls._mode.value = "Adaptive"
        scene.controls._minimum.value, scene.controls._maximum.value = 1, 4
        assert scene.controls._apply.description == "Adapt"
        scene.controls._apply.click()
        assert scene.asked == [("adapt", 1, 4)]
        scene.show(make_view(2, adaptive=AdaptiveRange(1, 4)))
        assert scene.controls._apply.disabled
        scene.show(make_view(3))
        assert scene.controls._mode.value == "Fixed"
        assert scene.controls._count.value == 3


class TestOutcomes:
    def test_of_a_future_are_shown_when_they_come(self):
        scene = Scene(make_view(2))
        scene.outcome = Future()
        scene.controls._count.value = 6
        scene.controls._apply.click()
        scene.outcome.set_exception(RuntimeError("It went wrong later"))
        assert "It went wrong later" in scene.text

    @pytest.mark.parametrize("is_later", [False, True])
    def test_logs_are_shown_and_hidden_again(self, is_later):
        scene = Scene(make_view())
        scene.outcome = "line <1>"
        if is_later:
            scene.outcome = Future()
            scene.outcome.set_result("line <1>")
        scene.controls._log.click()
        assert "line &lt;1&gt;" in scene.panel._log.value
        assert scene.panel._log.layout.display == ""
        scene.controls._log.click()
        assert scene.panel._log.layout.display == "none"
        assert scene.asked == [("logs",)]


class TestTheEnd:
    def test_is_asked_about_where_it_deletes(self):
        scene = Scene(make_view())
        scene.controls._stop.click()
        assert scene.asked == []
        assert scene.controls._question in scene.controls.box.children
        scene.controls._keep.click()
        assert scene.controls._question not in scene.controls.box.children
        scene.controls._stop.click()
        scene.controls._really.click()
        assert scene.asked == [("close",)]

    def test_is_not_asked_about_where_it_only_lets_go(self):
        scene = Scene(make_view(), close_deletes=False)
        scene.controls._stop.click()
        assert scene.asked == [("close",)]

    def test_is_said_and_stays(self):
        scene = Scene(make_view())
        scene.tell(ClusterRemoved(*KEY, "u1"))
        assert ">deleted<" in scene.text
        assert scene.controls._stop.disabled
        assert scene.subscribers == []
        scene.panel.freeze("closed")
        assert ">deleted<" in scene.text


def test_a_problem_is_said_until_it_is_over():
    scene = Scene(make_view(reason="2 Pods do not fit"))
    scene.tell(ProblemChanged(Problem("api-unreachable", "Kubernetes cannot be reached", "no")))
    assert "Kubernetes cannot be reached" in scene.text
    scene.tell(ProblemChanged(None))
    assert "2 Pods do not fit" in scene.text


def test_a_note_is_whole_and_stays():
    scene = Scene(make_view())
    assert scene.panel._note.layout.display == "none"
    words = "Versions differ: dask 2 here, <1> in the scheduler"
    scene.panel.note(words)
    scene.show(make_view(ready=2))
    scene.panel.freeze("closed")
    assert scene.panel._note.layout.display == ""
    drawn = scene.panel._note.value
    assert "Versions differ: dask 2 here, &lt;1&gt; in the scheduler" in drawn
    assert 'class="dask-k8s-note"' in drawn


class TestTheDashboard:
    def test_is_reached_through_the_notebook_server(self, monkeypatch):
        monkeypatch.setenv("DASK_K8S_JUPYTER_BASE_URL", "/notebook/default/demo/")
        href = 'href="/notebook/default/demo/dask-k8s/dashboard/team-a/demo/status"'
        assert href in Scene(make_view()).text

    def test_is_not_linked_where_there_is_no_way(self, monkeypatch):
        monkeypatch.delenv("DASK_K8S_JUPYTER_BASE_URL", raising=False)
        assert "href" not in Scene(make_view()).text

    def test_is_linked_as_it_is_told(self):
        assert 'href="http://x/status"' in Scene(make_view(), dashboard_link="http://x/status").text
