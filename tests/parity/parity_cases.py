"""The whole table."""

from __future__ import annotations

from dataclasses import replace

from parity_custom import CUSTOM, definition_step
from parity_every import every_kind_steps
from parity_kind import Kind
from parity_kinds import KINDS
from parity_step import Scenario, Step
from parity_stories import STORIES
from parity_thorough import thorough_steps


def build_scenarios(kinds: list[Kind]) -> list[Scenario]:
    """The scenarios of every kind."""
    found = []
    for kind in kinds:
        short = {"customresourcedefinitions": "crds", "persistentvolumeclaims": "claims"}
        name = short.get(kind.plural, kind.plural)
        before = [definition_step()] if kind.is_custom else []
        after = (
            ()
            if kind.namespaced and not kind.is_custom
            else (f"{kind.path}?labelSelector=parity={{ns}}",)
        )
        if kind.plural == "namespaces":
            after = tuple(f"{kind.path}/{kind.name(name)}" for name in ("one", "applied", "held"))
        after += (
            (f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CUSTOM}",)
            if kind.is_custom
            else ()
        )
        for suffix, steps in (
            ("", every_kind_steps(kind)),
            ("-more", thorough_steps(kind) if kind.is_full else []),
        ):
            if steps:
                steps = [replace(step, differs=kind.differs.get(step.name, "")) for step in steps]
                ready = [Step("ready", "GET", kind.path, until=200)] if kind.is_custom else []
                found.append(Scenario(name + suffix, [*before, *ready, *steps], after))
    return found


SCENARIOS = [*build_scenarios(KINDS), *STORIES]
