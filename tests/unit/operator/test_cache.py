"""The cache shows our own writes at once, and gives in to the watch when that has caught up."""

import pytest

from dask_k8s_operator.controller.cache import MEMORY_S, Cache
from dask_k8s_operator.resources.kinds import CONFIG_MAPS, DASK_WORKER_GROUPS, PODS


class World:
    """A cache with a clock and watches of its own."""

    def __init__(self):
        self.now = self.progress = 1000.0
        self.changes = []
        self.cache = Cache(
            lambda kind, old, new, is_ours: self.changes.append((old, new, is_ours)),
            progress_s=lambda kind: self.progress,
            clock=lambda: self.now,
        )

    def version(self, name="x"):
        found = self.cache.get(PODS, "a", name)
        return found and found["metadata"].get("resourceVersion")


@pytest.fixture
def world():
    return World()


def pod(version, uid="1", group="g", name="x"):
    metadata = {
        "namespace": "a",
        "name": name,
        "uid": uid,
        "labels": {"dask.org/workergroup-name": group},
    }
    return {"metadata": {**metadata, "resourceVersion": version} if version else metadata}


def test_a_created_pod_is_there_before_the_watch_says_so(world):
    world.cache.remember(PODS, pod("5"))
    assert world.version() == "5"
    world.cache.informed(PODS, None, pod("5"))
    world.cache.informed(PODS, pod("5"), pod("6"))
    assert world.version() == "6"


def test_late_news_does_not_undo_what_we_wrote(world):
    world.cache.informed(PODS, None, pod("3"))
    world.cache.remember(PODS, pod("9"))
    world.cache.informed(PODS, pod("3"), pod("4"))
    assert world.version() == "9"
    world.cache.informed(PODS, pod("4"), pod("10"))
    assert world.version() == "10"


def test_an_answer_older_than_the_watch_changes_nothing(world):
    world.cache.informed(PODS, None, pod("9"))
    world.cache.remember(PODS, pod("8"))
    assert world.version() == "9"


def test_a_deleted_pod_does_not_come_back_by_late_news(world):
    world.cache.informed(PODS, None, pod("3"))
    world.cache.remember_deleted(PODS, "a", "x", "1")
    world.cache.informed(PODS, pod("3"), pod("4"))
    assert world.version() is None
    world.cache.informed(PODS, pod("4"), None)
    world.cache.informed(PODS, None, pod("7", uid="2"))
    assert world.version() == "7"


def test_the_end_of_a_namesake_does_not_take_the_new_object(world):
    world.cache.informed(PODS, None, pod("3", uid="old"))
    world.cache.remember(PODS, pod("8", uid="new"))
    world.cache.informed(PODS, pod("3", uid="old"), None)
    assert world.version() == "8"


def test_a_deletion_of_another_object_than_the_one_seen_is_ignored(world):
    world.cache.informed(PODS, None, pod("3", uid="new"))
    world.cache.remember_deleted(PODS, "a", "x", "old")
    assert world.version() == "3"


@pytest.mark.parametrize(
    ("progress_s", "asks"), [(0, False), (MEMORY_S, False), (MEMORY_S + 1, True)]
)
@pytest.mark.parametrize("there", [None, "7"])
def test_what_the_watch_never_shows_is_asked_for_once_it_has_moved_on(
    world, progress_s, asks, there
):
    world.cache.remember_uncertain(PODS, pod(None))
    world.now += 3600
    world.progress += progress_s
    assert world.cache.overdue() == ([(PODS, "a", "x")] if asks else [])
    assert world.cache.get(PODS, "a", "x") is not None
    world.cache.settle(PODS, "a", "x", pod(there) if there else None)
    assert world.version() == there
    assert (world.cache.get(PODS, "a", "x") is not None) is bool(there)
    # A watch that lags tells of the time before.
    world.cache.informed(PODS, None, pod("6"))
    assert world.version() == (there or "6")


def test_what_the_watch_has_shown_meanwhile_stands(world):
    world.cache.remember_uncertain(PODS, pod(None))
    world.cache.informed(PODS, None, pod("8"))
    world.cache.settle(PODS, "a", "x", None)
    assert world.version() == "8"


def test_an_uncertain_creation_ends_with_the_first_news_of_it(world):
    world.cache.remember_uncertain(PODS, pod(None))
    world.cache.informed(PODS, None, pod("2"))
    assert world.version() == "2"


def test_kinds_that_are_not_watched_are_not_remembered(world):
    world.cache.remember(CONFIG_MAPS, pod("2"))
    assert world.cache.get(CONFIG_MAPS, "a", "x") is None


def test_children_are_found_by_their_parent(world):
    world.cache.informed(PODS, None, pod("1", group="g", name="x"))
    world.cache.informed(PODS, None, pod("2", group="h", name="y"))
    assert [p["metadata"]["name"] for p in world.cache.children(PODS, "a", "g")] == ["x"]
    world.cache.informed(PODS, pod("1"), pod("3", group="h", name="x"))
    assert world.cache.children(PODS, "a", "g") == ()
    assert len(world.cache.children(PODS, "a", "h")) == 2
    group = {"metadata": {"namespace": "a", "name": "g"}, "spec": {"cluster": "c"}}
    world.cache.informed(DASK_WORKER_GROUPS, None, group)
    assert world.cache.children(DASK_WORKER_GROUPS, "a", "c") == (group,)


def test_every_change_of_the_picture_is_told_once(world):
    world.cache.remember(PODS, pod("5"))
    world.cache.informed(PODS, None, pod("4"))
    world.cache.remember_deleted(PODS, "a", "x", "1")
    told = [(bool(old), bool(new), is_ours) for old, new, is_ours in world.changes]
    assert told == [(False, True, True), (True, False, True)]


def test_what_a_write_has_told_already_is_not_told_again_by_its_watch(world):
    world.cache.informed(PODS, None, pod("4"))
    world.cache.remember(PODS, pod("5"))
    world.cache.informed(PODS, pod("4"), pod("5"))
    world.cache.informed(PODS, pod("5"), pod("6"))
    assert [is_ours for _, _, is_ours in world.changes] == [False, True, False]


def test_an_answer_that_comes_after_the_end_of_its_object_does_not_revive_it(world):
    world.cache.informed(PODS, None, pod("5"))
    world.cache.informed(PODS, pod("5"), None)
    world.cache.remember(PODS, pod("4"))
    world.cache.remember_uncertain(PODS, pod(None))
    assert world.version() is None


def test_the_end_of_a_namesake_does_not_hide_what_we_make_next(world):
    world.cache.informed(PODS, None, pod("5"))
    world.cache.informed(PODS, pod("5"), None)
    world.cache.remember(PODS, pod("8", uid="2"))
    assert world.version() == "8"


def test_what_the_api_says_is_gone_is_not_brought_back_by_a_watch_that_is_behind(world):
    world.cache.remember(PODS, pod("9"))
    for _ in range(2):
        world.now = world.progress = world.now + MEMORY_S + 1
        assert world.cache.overdue() == [(PODS, "a", "x")]
        world.cache.settle(PODS, "a", "x", None)
    # Twice is enough: then nothing is kept of it.
    world.now = world.progress = world.now + MEMORY_S + 1
    assert world.cache.overdue() == []
    world.cache.remember(PODS, pod("19"))
    world.now = world.progress = world.now + MEMORY_S + 1
    world.cache.settle(PODS, "a", "x", None)
    world.cache.informed(PODS, pod("18"), pod("19"))
    assert world.version() is None
    world.cache.informed(PODS, pod("19"), None)
    world.cache.informed(PODS, None, pod("22", uid="2"))
    assert world.version() == "22"


@pytest.mark.parametrize("there", [None, "9", "12"])
def test_a_write_is_kept_until_the_api_has_said_what_became_of_it(world, there):
    world.cache.remember(PODS, pod("9"))
    world.now = world.progress = world.now + MEMORY_S + 1
    assert world.cache.overdue() == [(PODS, "a", "x")]
    assert world.version() == "9"
    world.cache.settle(PODS, "a", "x", pod(there) if there else None)
    assert world.version() == there
    assert world.cache.overdue() == []


def test_a_write_of_ours_is_newer_than_what_was_asked_for_before_it(world):
    world.cache.remember(PODS, pod("9"))
    world.now = world.progress = world.now + MEMORY_S + 1
    assert world.cache.overdue()
    world.cache.remember(PODS, pod("12"))
    world.cache.settle(PODS, "a", "x", pod("10"))
    assert world.version() == "12"


def test_only_pods_are_remembered_without_certainty(world):
    world.cache.remember_uncertain(DASK_WORKER_GROUPS, pod(None))
    assert world.cache.get(DASK_WORKER_GROUPS, "a", "x") is None


def test_a_pod_that_was_never_certain_to_be_there_can_be_found_gone(world):
    unborn = pod(None)
    del unborn["metadata"]["uid"]
    world.cache.remember_uncertain(PODS, unborn)
    world.cache.remember_deleted(PODS, "a", "x", "")
    assert world.version() is None
    assert world.cache.get(PODS, "a", "x") is None
