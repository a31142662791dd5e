"""The panel's HTML. Pure.

Guarantees colours and distances of JupyterLab's theme, a name for everything that only shows a
colour, and that words from elsewhere stay words. Refuses scripts and pictures from elsewhere.
"""

from __future__ import annotations

from html import escape

from dask_k8s_jupyter.state import (
    ClusterView,
    Problem,
    WorkerCounts,
    format_cores,
    format_memory,
    format_workers,
)

STYLE = """<style>
.dask-k8s-panel {
  border: var(--jp-border-width, 1px) solid var(--jp-border-color2, #ddd);
  border-radius: var(--jp-border-radius, 2px);
  color: var(--jp-ui-font-color1, #222);
  font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  max-width: 640px;
  overflow: visible;
  padding: 10px 14px;
}
.dask-k8s-panel .widget-html-content { line-height: 1.5 }
.dask-k8s-head { align-items: baseline; display: flex; gap: 8px }
.dask-k8s-name { flex: 1; font-weight: 600; overflow-wrap: anywhere }
.dask-k8s-count { font-variant-numeric: tabular-nums; white-space: nowrap }
.dask-k8s-dot { border-radius: 50%; flex: none; height: 8px; width: 8px }
.dask-k8s-quiet { color: var(--jp-ui-font-color2, #666); overflow-wrap: anywhere }
.dask-k8s-quiet a { color: var(--jp-content-link-color, #06c) }
.dask-k8s-said { min-height: 1.5em; overflow-wrap: anywhere }
.dask-k8s-note {
  border-left: 3px solid var(--jp-warn-color1, #b7791f); overflow-wrap: anywhere; padding-left: 6px
}
.dask-k8s-bar {
  background: var(--jp-border-color2, #ddd); display: flex; height: 3px; margin: 4px 0
}
.dask-k8s-log {
  background: var(--jp-layout-color2, #f3f3f3); color: var(--jp-content-font-color1, #222);
  font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 12px);
  margin: 0; max-height: 240px; overflow: auto; padding: 8px; white-space: pre-wrap
}
</style>"""

_GREY = "var(--jp-ui-font-color3, #999)"
_COLOURS = {
    "running": "var(--jp-success-color1, #2a8a4a)",
    "waiting": "var(--jp-warn-color1, #b7791f)",
    "failing": "var(--jp-error-color1, #c62828)",
}


def render_head(name: str, view: ClusterView | None, over: str | None) -> str:
    """Draw the first line: how it is, what it is called, how many of how many.

    Parameters
    ----------
    name
        Of the cluster.
    view
        What is known; None while nothing is.
    over
        The last word of a cluster that is gone, such as "closed"; None for one that is not.
    """
    state = over or (view.state if view else "waiting")
    colour = _COLOURS.get(state, _GREY)
    count = over or (format_workers(view.workers.ready, view.workers.desired) if view else "")
    return (
        '<div class="dask-k8s-head">'
        f'<span class="dask-k8s-dot" role="img" aria-label="{escape(state)}" '
        f'title="{escape(state)}" style="background: {colour}"></span>'
        f'<span class="dask-k8s-name">{escape(name)}</span>'
        f'<span class="dask-k8s-count">{escape(count)}</span></div>'
    )


def render_details(view: ClusterView | None, dashboard_link: str | None) -> str:
    """Draw the quiet line: where, how large, which address."""
    if view is None:
        return '<div class="dask-k8s-quiet">Asking Kubernetes…</div>'
    parts = [escape(view.namespace)]
    if ranges := [(name, f"{of.minimum}–{of.maximum}") for name, of in view.list_ranges()]:
        adapts = (f"{name} {said}" if name else said for name, said in ranges)
        parts.append(escape(f"adaptive {', '.join(adapts)}"))
    parts += [format_cores(view.cores)] if view.cores else []
    parts += [format_memory(view.memory_bytes)] if view.memory_bytes else []
    if view.scheduler_address:
        parts.append(escape(view.scheduler_address))
    if dashboard_link and view.scheduler_ready:
        link = escape(dashboard_link)
        parts.append(f'<a href="{link}" target="_blank" rel="noopener">Dashboard</a>')
    return f'<div class="dask-k8s-quiet">{" · ".join(parts)}</div>'


def render_progress(workers: WorkerCounts) -> str:
    """Draw the bar: ready, then what is under way, of what is wanted.

    Examples
    --------
    >>> 'aria-valuenow="2"' in render_progress(WorkerCounts(desired=4, ready=2))
    True
    """
    whole = max(workers.desired, workers.ready + workers.retiring, 1)
    ready, coming = workers.ready / whole, max(0, workers.desired - workers.ready) / whole
    amber = _COLOURS["waiting"]
    dashes = f"repeating-linear-gradient(90deg, {amber} 0 4px, transparent 4px 7px)"
    label = format_workers(workers.ready, workers.desired)
    return (
        '<div class="dask-k8s-bar" role="progressbar" aria-valuemin="0" '
        f'aria-valuenow="{workers.ready}" aria-valuemax="{whole}" aria-label="{label}">'
        f'<span style="background: {_COLOURS["running"]}; width: {ready:.1%}"></span>'
        f'<span style="background: {dashes}; width: {coming:.1%}"></span></div>'
    )


def render_said(view: ClusterView | None, problem: Problem | None, failure: str | None) -> str:
    """Draw the line that says what is in the way, the nearest to the person first.

    Parameters
    ----------
    view
        What is known of the cluster.
    problem
        What is wrong with the whole.
    failure
        What came of the last click, when nothing came of it.
    """
    words, colour = "", "inherit"
    if failure:
        words, colour = failure, _COLOURS["failing"]
    elif problem:
        words = f"{problem.title}: {problem.message}" + (f". {problem.fix}" if problem.fix else "")
        colour = _COLOURS["failing"]
    elif view and view.reason:
        words, colour = view.reason, _COLOURS.get(view.state, "inherit")
    return (
        '<div class="dask-k8s-said" role="status" aria-live="polite" '
        f'style="color: {colour}">{escape(words)}</div>'
    )


def render_note(words: str) -> str:
    """Draw a note, whole: its end says as much as its beginning.

    Examples
    --------
    >>> "&lt;b&gt;" in render_note("<b>")
    True
    """
    return f'<div class="dask-k8s-note" role="status">{escape(words)}</div>'


def render_log(text: str) -> str:
    """Draw a log as it was written.

    Examples
    --------
    >>> "&lt;b&gt;" in render_log("<b>")
    True
    """
    said = escape(text) or "Nothing written yet"
    return f'<pre class="dask-k8s-log" tabindex="0" aria-label="Log">{said}</pre>'
