"""The wire contract: kinds, names, labels, manifests. Pure; imports nothing of ours."""
