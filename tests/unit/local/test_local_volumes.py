"""What volumes hold and where containers find them, as far as it is decided without a Pod."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dask_k8s_jupyter.local import guard
from dask_k8s_jupyter.local.api.podcells import find_pod_status
from dask_k8s_jupyter.local.node.environment import Downward
from dask_k8s_jupyter.local.node.fit import sum_requests
from dask_k8s_jupyter.local.node.mounts import (
    Mount,
    MountError,
    MountLinks,
    find_mounts,
    translate,
)
from dask_k8s_jupyter.local.node.volumes import (
    VolumeError,
    VolumeScene,
    build_files,
    list_volume_sources,
    write_volume,
)

CONF = {"data": {"a": "text"}, "binaryData": {"b": base64.b64encode(b"\xff").decode()}}
WORD = {"data": {"word": base64.b64encode(b"secret").decode()}}
KNOWN = {("ConfigMap", "conf"): CONF, ("Secret", "word"): WORD}
POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "1"}},
    "spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "2"}}}]},
}
DOWNWARD = Downward("local", "127.64.0.1", "127.64.1.1", {"cpu": 4.0})
SCENE = VolumeScene(POD, DOWNWARD, lambda kind, name: KNOWN.get((kind, name)), "token")


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({}, {}),
        ({"emptyDir": {}}, {}),
        ({"configMap": {"name": "conf"}}, {"a": (b"text", 0o644), "b": (b"\xff", 0o644)}),
        (
            {
                "configMap": {
                    "name": "conf",
                    "defaultMode": 0o400,
                    "items": [
                        {"key": "a", "path": "x/y"},
                        {"key": "b", "path": "b", "mode": 0o700},
                    ],
                }
            },
            {"x/y": (b"text", 0o400), "b": (b"\xff", 0o700)},
        ),
        ({"secret": {"secretName": "word"}}, {"word": (b"secret", 0o644)}),
        ({"secret": {"secretName": "gone", "optional": True}}, {}),
        (
            {
                "downwardAPI": {
                    "items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]
                }
            },
            {"l": (b'a="1"\nb="2"', 0o644)},
        ),
        (
            {
                "projected": {
                    "defaultMode": 0o600,
                    "sources": [
                        {"secret": {"name": "word"}},
                        {"serviceAccountToken": {"path": "token"}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "cpus",
                                        "resourceFieldRef": {
                                            "containerName": "main",
                                            "resource": "limits.cpu",
                                        },
                                    }
                                ]
                            }
                        },
                    ],
                }
            },
            {"word": (b"secret", 0o600), "token": (b"token", 0o600), "cpus": (b"2", 0o600)},
        ),
    ],
)
def test_a_volume_holds_what_its_sources_say(volume, files):
    assert build_files({"name": "v", **volume}, SCENE) == files


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        (
            {"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "word", "items": [{"key": "word", "path": "../out"}]}},
            "invalid path ../out",
        ),
    ],
)
def test_a_volume_that_cannot_be_made_says_why(volume, words):
    with pytest.raises(VolumeError, match=words):
        build_files({"name": "v", **volume}, SCENE)


def test_the_sources_of_volumes_are_read_once_each():
    volumes = [
        {"name": "a", "configMap": {"name": "conf"}},
        {"name": "b", "projected": {"sources": [{"configMap": {"name": "conf"}}]}},
        {"name": "c", "secret": {"secretName": "word"}},
        {"name": "d", "emptyDir": {}},
    ]
    found = list_volume_sources({"spec": {"volumes": volumes}})
    assert found == [("ConfigMap", "conf"), ("Secret", "word")]


def test_files_are_the_users_alone_and_may_be_written_again(tmp_path):
    for content in (b"old", b"new"):
        write_volume(tmp_path / "v", {"x/run": (content, 0o755)})
    file = tmp_path / "v" / "x" / "run"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o700)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("/data", "/v/d"),
        ("/data/", "/v/d/"),
        ("cat /data/x>/data/y", "cat /v/d/x>/v/d/y"),
        ("--dir=/data", "--dir=/v/d"),
        ("'/data','/data/sub/x'", "'/v/d','/v/s/x'"),
        ("/database /data.bak /data-2 x/data", "/database /data.bak /data-2 x/data"),
        ("see /data.", "see /v/d."),
        ("nothing", "nothing"),
    ],
)
def test_a_path_is_replaced_where_it_is_one(text, translated):
    mounts = [Mount("/data/sub", Path("/v/s")), Mount("/data", Path("/v/d"))]
    assert translate(text, mounts) == translated


def _pod(volume, **mount):
    container = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/data", **mount}]}
    return {"metadata": POD["metadata"], "spec": {"containers": [container], "volumes": [volume]}}


@pytest.mark.parametrize(
    ("volume", "mount", "target"),
    [
        ({"emptyDir": {}}, {}, "/pods/v"),
        ({"emptyDir": {}}, {"subPath": "a/b"}, "/pods/v/a/b"),
        ({"emptyDir": {}}, {"subPathExpr": "$(NAME)/b"}, "/pods/v/me/b"),
        ({"hostPath": {"path": "/srv"}}, {"subPath": "x"}, "/srv/x"),
    ],
)
def test_a_mount_leads_into_the_volume(volume, mount, target):
    pod = _pod({"name": "v", **volume}, **mount)
    (found,) = find_mounts(pod["spec"]["containers"][0], pod, Path("/pods"), {"NAME": "me"})
    assert (found.path, str(found.target), found.variable) == (
        "/data",
        target,
        "DASK_K8S_LOCAL_MOUNT_DATA",
    )


def test_files_that_cannot_be_opened_for_writing_are_written_again(tmp_path):
    for content in (b"old", b"new"):
        write_volume(tmp_path / "v", {"x/a": (content, 0o400)})
        if content == b"old":
            reader = (tmp_path / "v" / "x" / "a").open("rb")
    with reader:
        assert reader.read() == b"old"
    assert (tmp_path / "v" / "x" / "a").read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["v"]


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("x/y/z", "x")])
def test_a_path_below_a_file_is_refused_by_name(tmp_path, names):
    with pytest.raises(
        VolumeError, match=r"conflicting paths: [ax] is a file, and [ax]/.* is below"
    ):
        write_volume(tmp_path / "v", dict.fromkeys(names, (b"", 0o644)))


def test_a_file_that_cannot_be_written_says_why(tmp_path):
    (tmp_path / "v" / "a" / "b").mkdir(parents=True)
    with pytest.raises(VolumeError, match=r"cannot write .*/v/a: Is a directory"):
        write_volume(tmp_path / "v", {"a": (b"", 0o644)})
    assert [each.name for each in tmp_path.iterdir()] == ["v"]


@pytest.mark.parametrize(
    ("volume", "mount", "words"),
    [
        ({"emptyDir": {}}, {"mountPath": "/"}, "n/p: the root"),
        ({"emptyDir": {}}, {"subPath": "../x"}, "leads out"),
        ({"nfs": {"path": "/x"}}, {}, "no volumes of the kind nfs"),
    ],
)
def test_what_cannot_be_mounted_is_refused(volume, mount, words):
    pod = _pod({"name": "v", **volume}, **mount)
    with pytest.raises(MountError, match=words):
        find_mounts(pod["spec"]["containers"][0], pod, Path("/pods"), {})


def test_pods_with_the_same_content_share_a_link_until_the_last_has_gone(tmp_path):
    folder, path = tmp_path / "cluster", tmp_path / "conf"
    (folder / "node").mkdir(parents=True)
    links = MountLinks(folder / "node" / "links")
    one, two = (Mount(str(path), folder / name, "same") for name in ("one", "two"))
    assert links.claim("1", one)
    assert links.claim("2", two)
    assert not links.claim("3", Mount(str(path), folder / "three", "other"))
    assert not links.claim("4", Mount(str(tmp_path / "mine"), folder / "four"))
    links.release("1")
    assert path.readlink() == folder / "two"
    links.release("2")
    assert not path.is_symlink()


def test_nothing_that_is_there_is_replaced_and_a_crash_leaves_no_link(tmp_path):
    folder = tmp_path / "cluster"
    (folder / "node").mkdir(parents=True)
    links = MountLinks(folder / "node" / "links")
    (tmp_path / "taken").write_text("mine")
    assert not links.claim("1", Mount(str(tmp_path / "taken"), folder / "x", "same"))
    assert not links.claim("1", Mount(str(tmp_path / "no" / "parent"), folder / "x", "same"))
    for name in ("ours", "theirs"):
        assert links.claim("1", Mount(str(tmp_path / name), folder / "x", "same"))
    (tmp_path / "theirs").unlink()
    (tmp_path / "theirs").symlink_to(tmp_path)
    guard.remove_links(str(folder))
    assert not (tmp_path / "ours").is_symlink()
    assert (tmp_path / "theirs").is_symlink()
    assert (tmp_path / "taken").read_text() == "mine"


def _requests(cpu, **more):
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("init", "cpus"),
    [
        ([], 1.0),
        ([_requests("3")], 3.0),
        ([_requests("500m", restartPolicy="Always")], 1.5),
        ([_requests("500m", restartPolicy="Always"), _requests("1")], 1.5),
        ([_requests("500m", restartPolicy="Always"), _requests("2")], 2.5),
        ([_requests("2"), _requests("500m", restartPolicy="Always")], 2.0),
    ],
)
def test_sidecars_take_room_beside_the_others(init, cpus):
    pod = {"spec": {"containers": [_requests("1")], "initContainers": init}}
    assert sum_requests(pod)["cpu"] == cpus


RUNNING = {"state": {"running": {}}, "ready": True, "started": True}
DONE = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


@pytest.mark.parametrize(
    ("init", "main", "shown"),
    [
        ([{"state": {"running": {}}}, {}], {}, ("0/1", "Init:0/2", "0")),
        ([DONE, {"state": {"running": {}}, "restartCount": 2}], {}, ("0/1", "Init:1/2", "2")),
        (
            [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}, {}],
            {},
            ("0/1", "Init:Error", "0"),
        ),
        (
            [{"state": {"terminated": {"exitCode": 137, "signal": 9}}}, {}],
            {},
            ("0/1", "Init:Signal:9", "0"),
        ),
        (
            [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, {}],
            {},
            ("0/1", "Init:CrashLoopBackOff", "0"),
        ),
        (
            [DONE, DONE],
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            ("0/1", "PodInitializing", "0"),
        ),
        ([DONE, DONE], RUNNING, ("1/1", "Pending", "0")),
    ],
)
def test_init_containers_are_counted_in_the_status_column(init, main, shown):
    pod = {
        "metadata": {},
        "spec": {
            "containers": [{"name": "main"}],
            "initContainers": [{"name": "a"}, {"name": "b"}],
        },
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "main", **main}],
            "initContainerStatuses": [{"name": n, **s} for n, s in zip("ab", init, strict=True)],
        },
    }
    assert find_pod_status(pod) == shown


def test_a_sidecar_counts_among_the_containers():
    pod = {
        "metadata": {},
        "spec": {
            "containers": [{"name": "main"}],
            "initContainers": [{"name": "side", "restartPolicy": "Always"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "main", **RUNNING}],
            "initContainerStatuses": [{"name": "side", **RUNNING, "restartCount": 1}],
        },
    }
    assert find_pod_status(pod) == ("2/2", "Running", "1")
