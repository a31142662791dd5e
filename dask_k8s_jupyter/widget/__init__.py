"""The live panel of a cluster in a notebook, from ipywidgets.

It watches what it is given and calls what it is given; it knows neither Kubernetes nor Dask.
"""

from .panel import ClusterPanel, PanelActions, ViewSource, build_panel

__all__ = ["ClusterPanel", "PanelActions", "ViewSource", "build_panel"]
