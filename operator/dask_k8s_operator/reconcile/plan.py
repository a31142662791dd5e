"""The outcome of a decision: what to write, in which order, and when to look again.

Guarantees that a plan is a value: two equal observations at the same time give equal plans.
Refuses to write anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..resources.kinds import Kind

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Create:
    """Make an object.

    Parameters
    ----------
    if_exists
        What becomes of one that is there and ours already: ``"keep"`` it; ``"merge"``: bring it up
        to date; ``"decide"`` again, since what it holds matters. A name that something else holds
        is refused.
    """

    kind: Kind
    body: Manifest
    if_exists: Literal["keep", "merge", "decide"] = "keep"


@dataclass(frozen=True)
class Patch:
    """Change an object: a merge patch, or a JSON patch when ``body`` is a list."""

    kind: Kind
    namespace: str
    name: str
    body: Any


@dataclass(frozen=True)
class Delete:
    """Delete the one object with this uid.

    Parameters
    ----------
    is_forced
        Delete it without waiting for its node.
    resource_version
        Delete it only as it was seen; None deletes it whatever became of it.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    is_forced: bool = False
    resource_version: str | None = None


Write = Create | Patch | Delete


def format_pointer(*keys: str) -> str:
    """Format the place of a field for a JSON patch (RFC 6901).

    Examples
    --------
    >>> format_pointer("metadata", "annotations", "dask.org/as-of")
    '/metadata/annotations/dask.org~1as-of'
    """
    return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in keys)


@dataclass(frozen=True)
class Notice:
    """A Kubernetes Event to be; ``kind`` is Normal or Warning.

    Told when nothing of the plan has failed; one ``of`` some writes also when any of them is done,
    for the next plan finds it done. What was done without an answer may go untold.
    """

    reason: str
    message: str
    kind: Literal["Normal", "Warning"] = "Normal"
    of: tuple[Write, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Refusal:
    """A write that Kubernetes refused for good, as far as it can be told."""

    what: str
    message: str

    def __str__(self) -> str:
        return f"{self.what} was refused: {self.message}"


@dataclass(frozen=True)
class Plan:
    """What to do about one object.

    Parameters
    ----------
    steps
        Writes of one step may happen at once; the next step begins when they are done.
    status
        The whole status that the object ought to have, None to leave it alone.
    proofs
        Writes with the fields of the status that are true only once the write is done; otherwise
        these stay as they are.
    drain
        Addresses of the workers that the scheduler is asked to drain, after the writes.
    undrain
        Addresses of the workers that the scheduler is asked to give work again, after the writes.
    notices
        Events, after the writes.
    look_again_s
        Seconds after which to decide again even if nothing changes; None to wait for a change.
    """

    steps: tuple[tuple[Write, ...], ...] = ()
    status: Manifest | None = None
    proofs: tuple[tuple[Write, tuple[str, ...]], ...] = ()
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    look_again_s: float | None = None


NOTHING = Plan()


def earliest(*delays_s: float | None) -> float | None:
    """Return the smallest of the delays that are given.

    Examples
    --------
    >>> earliest(None, 5.0, 2.0)
    2.0
    """
    given = [delay for delay in delays_s if delay is not None]
    return min(given) if given else None
