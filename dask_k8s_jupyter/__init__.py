"""Dask clusters on Kubernetes, from inside Jupyter.

Importing this package costs what importing distributed costs: names are looked up when they are used.
"""

__version__ = "0.1.0"
