"""What is wrong, in words that a person can act on, ready for JSON.

Guarantees that every surface tells a failure with the words of its exception. Refuses to invent
words of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dask_k8s_jupyter.errors import OperatorSilentError, explain


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Parameters
    ----------
    code
        For programs, such as ``"api-unreachable"``; those of ``dask_k8s_jupyter.errors``.
    title
        A few words.
    message
        One or two sentences: what failed, on which object.
    fix
        What to do, with commands in backticks; None where nothing is known.
    """

    code: str
    title: str
    message: str
    fix: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """The same as a JSON object."""
        return asdict(self)


def build_problem(exc: BaseException) -> Problem:
    """Say an exception as a problem.

    Examples
    --------
    >>> build_problem(ValueError("a name is needed")).message
    'a name is needed'
    """
    error = explain(exc)
    return Problem(error.code, error.title, error.message, error.fix)


def build_operator_silent_problem(clusters: Sequence[tuple[str, str]]) -> Problem:
    """Say that nobody makes the resources true.

    Parameters
    ----------
    clusters
        Namespace and name of each cluster that nobody has answered; at least one.

    Examples
    --------
    >>> build_operator_silent_problem([("team-a", "demo")]).code
    'operator-silent'
    """
    namespace, name = clusters[0]
    others = f" and {len(clusters) - 1} more" if len(clusters) > 1 else ""
    return build_problem(
        OperatorSilentError(
            f"Nobody has acted on DaskCluster {namespace}/{name}{others}. "
            "Clusters can be made, but nothing will start them"
        )
    )
