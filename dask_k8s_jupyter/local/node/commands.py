"""Commands in running containers (``kubectl exec``, ``kubectl cp``), over one websocket each.

The websocket speaks ``v5.channel.k8s.io``: the first byte of a message names its stream (0 input,
1 output, 2 errors, 3 the result as a Status), and 255 says that a stream has ended.

Guarantees that a command ends with its websocket. Refuses terminals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from .configuring import Configuration
    from .containers import Container

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _RESULT, _END = 0, 1, 2, 3, 255
_CHUNK = 64 * 1024
_CLOSE_S = 0.5


async def start_command(
    configuration: Configuration, command: Sequence[str], *, has_input: bool
) -> asyncio.subprocess.Process:
    """Start a command with what a container was started with."""
    return await asyncio.create_subprocess_exec(
        *configuration.translate(command),
        stdin=asyncio.subprocess.PIPE if has_input else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=configuration.variables,
        cwd=configuration.folder,
        start_new_session=True,
    )


async def run_to_end(
    process: asyncio.subprocess.Process, timeout_s: float | None
) -> tuple[int | None, str]:
    """Exit code of a command, and all that it said; asyncio.TimeoutError when it takes longer."""
    output, errors = await asyncio.wait_for(process.communicate(), timeout_s)
    return process.returncode, (output + errors).decode(errors="replace")


async def run_command(request: web.BaseRequest, container: Container) -> web.StreamResponse:
    """Run the command of a request in a container, its streams over the request's websocket."""
    channel = web.WebSocketResponse(
        protocols=PROTOCOLS, max_msg_size=0, compress=False, timeout=_CLOSE_S
    )
    await channel.prepare(request)
    command = request.query.getall("command", [])
    has_input = request.query.get("stdin") in ("true", "1")
    try:
        if not command:
            raise ValueError("you must specify at least one command for the container")
        process = await container.start_command(command, has_input=has_input)
    except (OSError, ValueError) as error:
        name = command[0] if command else ""
        await _send_result(channel, f'exec: "{name}": {error}', None)
        await channel.close()
        return channel
    try:
        await _carry(channel, process)
    except ConnectionError:
        pass
    finally:
        # The client may have left before the command has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await channel.close()
    return channel


async def _carry(channel: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    receiving = asyncio.ensure_future(_receive(channel, process))
    outputs = asyncio.ensure_future(_send_all(channel, process))
    try:
        await asyncio.wait({receiving, outputs}, return_when=asyncio.FIRST_COMPLETED)
        if outputs.done():
            await outputs
            code = await process.wait()
            await _send_result(channel, f"command terminated with exit code {code}", code)
    finally:
        receiving.cancel()
        outputs.cancel()
        await asyncio.gather(receiving, outputs, return_exceptions=True)


async def _send_all(channel: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    await asyncio.gather(
        _send(process.stdout, _STDOUT, channel), _send(process.stderr, _STDERR, channel)
    )


async def _send(
    stream: asyncio.StreamReader | None, number: int, channel: web.WebSocketResponse
) -> None:
    while stream is not None and (block := await stream.read(_CHUNK)):
        await channel.send_bytes(bytes([number]) + block)


async def _receive(channel: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    """Pass the input on until the client leaves."""
    async for message in channel:
        if message.type is not WSMsgType.BINARY or not message.data or process.stdin is None:
            continue
        number, block = message.data[0], message.data[1:]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if number == _STDIN and block:
                process.stdin.write(block)
                await process.stdin.drain()
            elif number == _END and block[:1] == bytes([_STDIN]):
                process.stdin.close()


async def _send_result(channel: web.WebSocketResponse, message: str, code: int | None) -> None:
    status: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if code is None:
        status |= {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    elif code:
        shown = code if code > 0 else 128 - code
        cause = {"reason": "ExitCode", "message": str(shown)}
        status |= {"status": "Failure", "reason": "NonZeroExitCode", "message": message}
        status["details"] = {"causes": [cause]}
    await channel.send_bytes(bytes([_RESULT]) + orjson.dumps(status))
