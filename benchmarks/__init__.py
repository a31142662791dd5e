"""Claims of speed, as ratios against a peer in one run. Tests are never timed."""
