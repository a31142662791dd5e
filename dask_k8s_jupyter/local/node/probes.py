"""Probes of containers: HTTP, TCP and commands, with the kubelet's thresholds.

Guarantees that one probe of a container runs at a time and is cut off at its time-out. What a
result means for the container is the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

RunCommand = Callable[[list[str], float], Awaitable["ProbeResult"]]


@dataclass(frozen=True)
class ProbeResult:
    """Outcome of one probe, and what to say when it failed."""

    is_success: bool
    message: str = ""


@dataclass
class Threshold:
    """Counts results until enough of them agree. Pure.

    Examples
    --------
    >>> threshold = Threshold(successes=1, failures=2)
    >>> [threshold.note(result) for result in (False, False, True)]
    [None, False, True]
    """

    successes: int
    failures: int
    _run: int = 0
    _last: bool | None = None

    def note(self, is_success: bool) -> bool | None:
        """Count a result; returns the verdict once there is one, else None."""
        self._run = self._run + 1 if is_success is self._last else 1
        self._last = is_success
        needed = self.successes if is_success else self.failures
        return is_success if self._run >= needed else None


def find_port(container: Mapping[str, Any], port: Any) -> int:
    """Number of a port that a probe gives by number or by name."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for known in container.get("ports") or ():
        if known.get("name") == port:
            return int(known["containerPort"])
    raise ValueError(f"couldn't find port: {port!r}")


def build_url(action: Mapping[str, Any], pod_ip: str, port: int) -> str:
    """URL of an ``httpGet``."""
    scheme = str(action.get("scheme", "HTTP")).lower()
    path = "/" + str(action.get("path") or "/").lstrip("/")
    return f"{scheme}://{action.get('host') or pod_ip}:{port}{path}"


async def run_probe(
    probe: Mapping[str, Any],
    container: Mapping[str, Any],
    pod_ip: str,
    session: aiohttp.ClientSession,
    run_command: RunCommand,
) -> ProbeResult:
    """Probe a container once."""
    timeout_s = float(probe.get("timeoutSeconds") or 1)
    try:
        if "httpGet" in probe:
            return await _probe_http(probe["httpGet"], container, pod_ip, session, timeout_s)
        if "tcpSocket" in probe:
            return await _probe_tcp(probe["tcpSocket"], container, pod_ip, timeout_s)
        if "exec" in probe:
            return await run_command(list(probe["exec"].get("command") or ()), timeout_s)
    except ValueError as error:
        return ProbeResult(False, str(error))
    return ProbeResult(False, "the embedded node knows the probes httpGet, tcpSocket and exec")


async def _probe_http(
    action: Mapping[str, Any],
    container: Mapping[str, Any],
    pod_ip: str,
    session: aiohttp.ClientSession,
    timeout_s: float,
) -> ProbeResult:
    port = find_port(container, action["port"])
    url = build_url(action, pod_ip, port)
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
    headers.setdefault("User-Agent", "kube-probe/1.36")
    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with session.get(
            url, headers=headers, timeout=timeout, ssl=False, allow_redirects=False
        ) as answer:
            if 200 <= answer.status < 400:
                return ProbeResult(True)
            return ProbeResult(False, f"HTTP probe failed with statuscode: {answer.status}")
    except asyncio.TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    except aiohttp.ClientError as error:
        why = f"dial tcp {pod_ip}:{port}: {_explain(error)}"
    return ProbeResult(False, f'Get "{url}": {why}')


def _explain(error: Exception) -> str:
    inner = getattr(error, "os_error", None)
    if isinstance(inner, ConnectionRefusedError):
        return "connect: connection refused"
    return str(inner or error) or type(error).__name__


async def _probe_tcp(
    action: Mapping[str, Any], container: Mapping[str, Any], pod_ip: str, timeout_s: float
) -> ProbeResult:
    port = find_port(container, action["port"])
    host = action.get("host") or pod_ip
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout_s)
    except asyncio.TimeoutError:
        return ProbeResult(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        why = "connect: connection refused" if error.errno == 111 else str(error.strerror)
        return ProbeResult(False, f"dial tcp {host}:{port}: {why}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ProbeResult(True)


async def repeat_probe(
    probe: Mapping[str, Any],
    run_once: Callable[[], Awaitable[ProbeResult]],
    on_failure: Callable[[str], None],
    on_verdict: Callable[[bool], None],
) -> None:
    """Probe again and again until cancelled; tells every failure, and every change of verdict."""
    threshold = Threshold(
        int(probe.get("successThreshold") or 1), int(probe.get("failureThreshold") or 3)
    )
    verdict: bool | None = None
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while True:
        result = await run_once()
        if not result.is_success:
            on_failure(result.message)
        found = threshold.note(result.is_success)
        if found is not None and found is not verdict:
            verdict = found
            on_verdict(found)
        await asyncio.sleep(float(probe.get("periodSeconds") or 10))
