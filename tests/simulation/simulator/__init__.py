"""A Kubernetes, its nodes, its users and Dask's schedulers, simulated in virtual time.

One seed is one history: what users do, what goes wrong and when. The controller inside is the real
one. Nothing here opens a socket, waits, or reads a clock.
"""
