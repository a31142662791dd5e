"""Lifecycle hooks of containers: what is done right after a start, and before an end.

Guarantees that a hook that fails says so, and that none outlasts the time it is given. What a
failure means for the container is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import aiohttp

from .probes import build_url, find_port

# Runs a command in the container within so many seconds; None for as long as it takes.
RunHookCommand = Callable[[list[str], "float | None"], Awaitable["str | None"]]


async def run_hook(
    hook: Mapping[str, Any],
    container: Mapping[str, Any],
    pod_ip: str,
    session: aiohttp.ClientSession,
    run_command: RunHookCommand,
    timeout_s: float | None = None,
) -> str | None:
    """Run a hook; returns why it failed, or None.

    Parameters
    ----------
    run_command
        Runs a command in the container; returns why it failed, or None.
    timeout_s
        How long it may take, in seconds; None for ever.
    """
    try:
        if "sleep" in hook:
            seconds = float(hook["sleep"].get("seconds") or 0)
            await asyncio.sleep(seconds if timeout_s is None else min(seconds, timeout_s))
            return None
        if "exec" in hook:
            return await run_command(list(hook["exec"].get("command") or ()), timeout_s)
        if "httpGet" in hook:
            return await _get(hook["httpGet"], container, pod_ip, session, timeout_s)
    except ValueError as error:
        return str(error)
    return f"invalid handler: {hook}"


async def run_while(
    process: asyncio.subprocess.Process, hook: Coroutine[Any, Any, str | None]
) -> str | None:
    """Run a hook for as long as a process lives; returns why it failed, or None."""
    running = asyncio.ensure_future(hook)
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        for task in (running, ended):
            task.cancel()
        await asyncio.gather(running, ended, return_exceptions=True)


async def _get(
    action: Mapping[str, Any],
    container: Mapping[str, Any],
    pod_ip: str,
    session: aiohttp.ClientSession,
    timeout_s: float | None,
) -> str | None:
    """Send a request; whatever the answer says, an answer is a success."""
    url = build_url(action, pod_ip, find_port(container, action["port"]))
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with session.get(
            url, headers=headers, timeout=timeout, ssl=False, allow_redirects=False
        ):
            return None
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        return f'Get "{url}": {error or type(error).__name__}'
