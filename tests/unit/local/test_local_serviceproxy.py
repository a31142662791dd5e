"""Where the proxy of Services listens, when a port is taken and when it is interrupted."""

import asyncio
import errno

import pytest

from dask_k8s_jupyter.local.node.serviceproxy import ServiceProxy

ADDRESS = ("127.64.129.9", 80)
ROUTES = {ADDRESS: [("127.64.1.1", 8080)]}


class Server:
    """Stands for a listening server; may refuse to begin, or take for ever."""

    def __init__(self, error=None, *, is_slow=False):
        self.error = error
        self.is_slow = is_slow
        self.began = asyncio.Event()
        self.is_serving = self.is_closed = False

    async def start_serving(self):
        if self.error is not None:
            raise self.error
        self.is_serving = True
        self.began.set()
        if self.is_slow:
            await asyncio.Event().wait()

    def close(self):
        self.is_closed = True


@pytest.fixture
def answer(monkeypatch):
    """Say what becomes of every attempt to listen, one after the other."""
    answers = []

    async def start_server(*_, **options):
        found = answers.pop(0)
        if isinstance(found, OSError):
            raise found
        if options.get("start_serving", True):
            await found.start_serving()
        return found

    monkeypatch.setattr(asyncio, "start_server", start_server)
    return answers.append


def _taken():
    return OSError(errno.EADDRINUSE, "Address already in use")


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_port_that_was_taken_is_tried_again_and_told_of_once(answer, is_late, caplog):
    proxy, server = ServiceProxy(), Server()
    for _ in range(2):
        # Whether it is taken shows when it is asked for, or only when it is to be listened on.
        answer(Server(_taken()) if is_late else _taken())
        await proxy.set_routes(ROUTES)
        assert proxy.is_lacking
    answer(server)
    await proxy.set_routes(ROUTES)
    assert server.is_serving
    assert not proxy.is_lacking
    assert caplog.text.count("cannot listen on 127.64.129.9:80") == 1
    await proxy.close()
    assert server.is_closed


async def test_a_taken_port_that_is_wanted_no_more_is_not_missed(answer):
    proxy = ServiceProxy()
    answer(_taken())
    await proxy.set_routes(ROUTES)
    await proxy.set_routes({})
    assert not proxy.is_lacking


async def test_a_port_that_this_user_must_not_have_is_not_tried_again(answer):
    proxy = ServiceProxy()
    answer(PermissionError(errno.EACCES, "Permission denied"))
    await proxy.set_routes(ROUTES)
    assert not proxy.is_lacking
    await proxy.set_routes(ROUTES)


async def test_a_server_that_is_made_while_the_node_stops_is_closed(answer):
    proxy, server = ServiceProxy(), Server(is_slow=True)
    answer(server)
    setting = asyncio.ensure_future(proxy.set_routes(ROUTES))
    await server.began.wait()
    setting.cancel()
    await asyncio.gather(setting, return_exceptions=True)
    await proxy.close()
    assert server.is_closed
