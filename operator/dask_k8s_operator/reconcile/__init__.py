"""What ought to happen: pure functions from what is observed, and the time, to a plan.

Each kind has a module with ``Observed…``, ``decide_…`` and the questions that its controller may
have to ask a scheduler first. No clock, no client, no event loop: they come in as arguments.
"""
