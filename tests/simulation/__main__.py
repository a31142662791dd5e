"""Runs histories, or tells one.

python tests/simulation --histories 100000 --processes 2
python tests/simulation --seed 7
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from simulator.history import Outcome, run_history
from simulator.telling import tell_line


def main() -> int:
    """Run what the arguments ask for; the exit code says whether all rules held."""
    parser = argparse.ArgumentParser(
        prog="python tests/simulation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seed", type=int, default=None, help="only this history, told in full")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--histories", type=int, default=1000, help="how many seeds from there")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--digests", action="store_true", help="tell each history's digest")
    parser.add_argument("--most-failures", type=int, default=10, help="stop after so many")
    options = parser.parse_args()
    if options.seed is not None:
        return _tell(run_history(options.seed))
    return _run_many(options)


def _tell(outcome: Outcome) -> int:
    for line in outcome.lines:
        print(tell_line(line))
    print(f"digest {outcome.digest}")
    print(f"seed {outcome.seed}: {outcome.broken or 'all rules held'}")
    return 1 if outcome.broken else 0


def _run(seed: int) -> tuple[int, str | None, str, float, int, int, int, int]:
    outcome = run_history(seed)
    story = outcome.describe() if outcome.broken else None
    counts = (outcome.acts, outcome.writes, outcome.faults, outcome.operators)
    return (seed, story, outcome.digest, outcome.virtual_s, *counts)


def _run_many(options: argparse.Namespace) -> int:
    seeds = range(options.first, options.first + options.histories)
    began, failed, ran, totals = time.perf_counter(), [], 0, [0.0] * 5
    digest = hashlib.sha256()
    with ProcessPoolExecutor(options.processes) as pool:
        for seed, story, history, *counts in pool.map(_run, seeds, chunksize=25):
            ran += 1
            digest.update(history.encode())
            if options.digests:
                print(f"digest {history} of seed {seed}")
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
            if story:
                failed.append(seed)
                print(story, flush=True)
            if ran % 1000 == 0:
                print(f"{ran} histories, {len(failed)} failed", file=sys.stderr, flush=True)
            if len(failed) >= options.most_failures:
                pool.shutdown(cancel_futures=True)
                break
    names = ("virtual s", "acts", "writes", "faults", "operators")
    told = ", ".join(f"{total:.0f} {name}" for name, total in zip(names, totals, strict=True))
    print(f"{ran} histories in {time.perf_counter() - began:.1f} s: {told}")
    print(f"digest {digest.hexdigest()} of them all")
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
