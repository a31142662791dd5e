"""Requests about what only some kinds have: subresources, ownership, access, quotas, discovery."""

from __future__ import annotations

from parity_step import Scenario

STORIES: list[Scenario] = []
