"""What a doctor says of what it sees. Pure.

Guarantees that whatever is wrong comes with what to do, and that what could not be looked at is
neither well nor wrong. Refuses to look: that is ``doctor``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dask_k8s_jupyter.errors import USER_ROLE

from .dashboard import DEFAULT_TEMPLATE
from .operatorstate import OperatorState
from .permissions import Need, Purpose, build_grant

Outcome = Literal["ok", "warning", "failed", "unknown"]

# CEL rules in definitions are on from here; 1.31 is the oldest that the tests run on.
OLDEST_KUBERNETES = (1, 25)
_INSTALL = "An administrator runs `dask-k8s operator install`"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check
        What was looked at, in a word or two.
    outcome
        ``"ok"``; ``"warning"``: works, but; ``"failed"``; ``"unknown"``: could not be looked at.
    message
        What was seen.
    fix
        What to do; None where nothing is to be done.

    Examples
    --------
    >>> Finding("version", "ok", "Kubernetes 1.36").is_bad
    False
    """

    check: str
    outcome: Outcome
    message: str
    fix: str | None = None

    @property
    def is_bad(self) -> bool:
        """Whether this keeps Dask clusters from working."""
        return self.outcome == "failed"

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def judge_version(version: Mapping[str, Any]) -> Finding:
    """Judge the API's version.

    Examples
    --------
    >>> judge_version({"major": "1", "minor": "31+", "gitVersion": "v1.31.2-eks"}).outcome
    'ok'
    """
    said = str(version.get("gitVersion") or "of unknown version")
    digits = [
        "".join(c for c in str(version.get(part) or "") if c.isdigit())
        for part in ("major", "minor")
    ]
    known = tuple(int(part) for part in digits if part)
    if len(known) == 2 and known < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        return Finding(
            "version",
            "failed",
            f"Kubernetes {said} is older than {oldest}: it does not check Dask resources",
            f"Use a Kubernetes of {oldest} or newer",
        )
    return Finding("version", "ok", f"Kubernetes {said}")


def judge_release(installed: str | None, ours: str) -> Finding:
    """Judge the release of the definitions against this package's.

    Examples
    --------
    >>> judge_release("0.1.0", "0.1.0").message
    'It knows Dask clusters (definitions of 0.1.0)'
    """
    if installed == ours:
        said = f"It knows Dask clusters (definitions of {installed})"
        return Finding("definitions", "ok", said)
    if installed is None:
        return Finding(
            "definitions",
            "warning",
            "The definitions of Dask clusters are of another operator, or of a release without "
            "status: nobody may be able to say why a cluster waits",
            _INSTALL,
        )
    is_older = _order(installed) < _order(ours)
    upgrade = f"Upgrade this package: `pip install 'dask-k8s-jupyter>={installed}'`"
    return Finding(
        "definitions",
        "warning",
        f"The definitions of Dask clusters are of release {installed}, this is {ours}",
        _INSTALL if is_older else upgrade,
    )


def _order(release: str) -> tuple[int, ...]:
    numbers = ("".join(c for c in part if c.isdigit()) for part in release.split("."))
    return tuple(int(number or 0) for number in numbers)


def judge_operator_state(state: OperatorState, namespace: str) -> Finding:
    """Judge what is to be seen of the operator."""
    if state.outcome == "running":
        return Finding("operator", "ok", state.message)
    if state.outcome == "missing":
        return Finding("operator", "failed", state.message, _INSTALL)
    if state.outcome == "unknown":
        fix = f"An administrator sees it with `dask-k8s operator status -n {namespace}`"
        return Finding("operator", "unknown", state.message, fix)
    fix = f"An administrator looks: `kubectl logs -n {namespace} deployment/dask-operator`"
    return Finding("operator", "failed", state.message, fix)


def judge_permission(
    purpose: Purpose, missing: Sequence[Need], namespace: str, user: str | None
) -> Finding:
    """Judge whether we may do something."""
    if not missing:
        return Finding("permissions", "ok", f"You may {purpose.wish} in namespace {namespace}")
    needs = "; ".join(map(str, missing))
    return Finding(
        "permissions",
        "failed" if purpose.is_essential else "warning",
        f"You may not {purpose.wish} in namespace {namespace}: missing is {needs}",
        f"An administrator grants it: `{build_grant(user, namespace, USER_ROLE)}`",
    )


def judge_versions(image: str, there: Mapping[str, str], here: Mapping[str, str]) -> Finding:
    """Judge the versions in an image against those here.

    Parameters
    ----------
    image
        Name of the image.
    there, here
        Versions of ``python``, ``dask`` and ``distributed``.

    Examples
    --------
    >>> versions = {"python": "3.11.2", "dask": "2026.8.0", "distributed": "2026.8.0"}
    >>> judge_versions("acme/dask:7", versions, versions).outcome
    'ok'
    """
    said = ", ".join(f"{name} {there[name]}" for name in ("dask", "distributed") if name in there)
    python = _minor(there.get("python", ""))
    differences = [
        f"{name} {there[name]} there and {here[name]} here"
        for name in ("dask", "distributed")
        if name in there and there[name] != here.get(name)
    ]
    is_python_different = bool(python) and python != _minor(here["python"])
    if is_python_different:
        differences.insert(0, f"Python {python} there and {_minor(here['python'])} here")
    if not differences:
        return Finding("image", "ok", f"{image} has {said} and Python {python}, as here")
    return Finding(
        "image",
        # A function pickled by one Python often cannot be read by another; Dask's own protocol is
        # kinder.
        "failed" if is_python_different else "warning",
        f"{image} has {'; '.join(differences)}",
        f"Use an image such as ghcr.io/dask/dask:{here['dask']}-py{_minor(here['python'])}, "
        "or install the image's versions here",
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def judge_dashboard(status: int, text: str, where: str) -> Finding:
    """Judge what a dashboard answered.

    Parameters
    ----------
    status, text
        The HTTP answer to ``/status``.
    where
        How a person here opens it.
    """
    has_bokeh = "Dask needs" not in text
    if status == 200 and has_bokeh:
        return Finding("dashboard", "ok", f"The dashboard answers; {where}")
    if not has_bokeh:
        return Finding(
            "dashboard",
            "warning",
            "The image has no bokeh, so there is no dashboard",
            "Install bokeh in the image",
        )
    return Finding(
        "dashboard",
        "failed",
        f"The dashboard answers with HTTP {status}",
        "Look at the scheduler's log: `dask-k8s logs NAME`",
    )


def judge_dashboard_link(template: str, environ: Mapping[str, str]) -> Finding | None:
    """Judge ``distributed.dashboard.link``; None where it can be filled in."""
    values = {**environ, "scheme": "http", "host": "127.0.0.1", "port": 8787}
    try:
        template.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        return Finding(
            "dashboard",
            "warning",
            f"distributed.dashboard.link is {template!r}, which cannot be filled in ({error!r}): "
            f"{DEFAULT_TEMPLATE} is taken",
            "Set the variable it names, or remove the setting: the sidebar needs none",
        )
    return None
