"""Links at the paths of mounts: what goes with the last Pod, and what is never touched."""

import asyncio
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from dask_k8s_jupyter.local import guard
from dask_k8s_jupyter.local.node.mounts import Mount, MountLinks
from dask_k8s_jupyter.local.node.node import Node
from dask_k8s_jupyter.local.node.settings import NodeSettings


@pytest.fixture
def links(tmp_path):
    (tmp_path / "cluster" / "node").mkdir(parents=True)
    return MountLinks(tmp_path / "cluster" / "node" / "links")


def _mount(tmp_path, name="one", path="conf"):
    return Mount(str(tmp_path / path), tmp_path / "cluster" / name, "same")


def test_a_file_that_took_the_place_of_a_link_stays(links, tmp_path):
    path = tmp_path / "conf"
    for owner in ("1", "2"):
        assert links.claim(owner, _mount(tmp_path, owner))
    path.unlink()
    path.write_text("mine")
    links.release("1")
    links.release("2")
    assert path.read_text() == "mine"


def test_a_folder_that_took_the_place_of_a_link_stays(links, tmp_path):
    assert links.claim("1", _mount(tmp_path))
    (tmp_path / "conf").unlink()
    (tmp_path / "conf").mkdir()
    links.release("1")
    assert (tmp_path / "conf").is_dir()


def test_a_link_that_somebody_else_made_since_stays(links, tmp_path):
    assert links.claim("1", _mount(tmp_path))
    (tmp_path / "conf").unlink()
    (tmp_path / "conf").symlink_to(tmp_path)
    links.release("1")
    assert (tmp_path / "conf").readlink() == tmp_path


def test_the_newest_pod_says_what_is_at_a_path(links, tmp_path):
    path = tmp_path / "conf"
    for owner in ("old", "new"):
        folder = tmp_path / "cluster" / owner
        folder.mkdir()
        (folder / "a").write_text(owner)
        assert links.claim(owner, _mount(tmp_path, owner))
    assert (path / "a").read_text() == "new"
    # A container of the older Pod that is restarted.
    assert links.claim("old", _mount(tmp_path, "old"))
    assert (path / "a").read_text() == "new"
    links.release("new")
    assert (path / "a").read_text() == "old"
    links.release("old")
    assert [each.name for each in tmp_path.iterdir()] == ["cluster"]


def test_a_link_is_there_at_every_moment_while_it_changes_hands(links, tmp_path, monkeypatch):
    assert links.claim("1", _mount(tmp_path, "one"))
    monkeypatch.setattr(Path, "replace", _refuse)
    assert not links.claim("2", _mount(tmp_path, "two"))
    assert (tmp_path / "conf").readlink() == tmp_path / "cluster" / "one"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cluster", "conf"]


def test_a_path_that_somebody_took_is_claimed_by_nobody(links, tmp_path):
    assert links.claim("1", _mount(tmp_path, "one"))
    (tmp_path / "conf").unlink()
    (tmp_path / "conf").write_text("mine")
    for owner in ("1", "2"):
        assert not links.claim(owner, _mount(tmp_path, "one"))
    assert (tmp_path / "conf").read_text() == "mine"


def _refuse(path, *_):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_link_whose_folder_has_gone_keeps_no_other_back(links, tmp_path):
    (tmp_path / "gone").mkdir()
    for path in ("gone/conf", "conf"):
        assert links.claim("1", _mount(tmp_path, path=path))
    shutil.rmtree(tmp_path / "gone")
    links.release("1")
    assert not (tmp_path / "conf").is_symlink()


@pytest.fixture
def node(tmp_path):
    settings = NodeSettings("local", "127.64.0.1", tmp_path, "m", "", b"", ("127.64.1.1", 1), {})
    with socket.socket() as listener:
        yield Node(SimpleNamespace(), settings, listener, None)


@pytest.mark.parametrize("failing", ["release", "remove_files"])
async def test_an_address_is_given_back_whatever_clearing_runs_into(node, failing, caplog):
    done = []

    def step(name):
        def run(*_):
            done.append(name)
            if name == failing:
                raise IsADirectoryError(name)

        return run

    runner = SimpleNamespace(
        place="n/p", ip=node._find_address(), remove_files=step("remove_files")
    )
    node._links = SimpleNamespace(release=step("release"))
    node._lives["u"] = asyncio.ensure_future(asyncio.sleep(0))
    await node._clear("u", runner)
    assert done == ["release", "remove_files"]
    assert node._find_address() == "127.64.1.1"
    assert "n/p could not be" in caplog.text


def test_a_link_that_cannot_be_removed_keeps_nobody_from_the_rest(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "cluster"
    (folder / "node").mkdir(parents=True)
    stuck, free = tmp_path / "stuck", tmp_path / "free"
    for link in (stuck, free):
        link.symlink_to(folder / "node")
    names = [b"/a\xff\0b", os.fsencode(stuck), os.fsencode(free)]
    (folder / "node" / "links").write_bytes(b"\n".join(names))
    unlink = Path.unlink

    def refuse(path, *args, **more):
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, *args, **more)

    monkeypatch.setattr(Path, "unlink", refuse)
    guard.remove_links(str(folder))
    assert stuck.is_symlink()
    assert not free.is_symlink()
    assert f"the link {stuck} of an ended cluster is left" in caplog.text


def test_a_register_that_cannot_be_read_is_left(tmp_path, caplog):
    (tmp_path / "node" / "links").mkdir(parents=True)
    guard.remove_links(str(tmp_path))
    assert "their register cannot be read" in caplog.text
