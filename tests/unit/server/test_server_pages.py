"""The page in the place of a dashboard."""

from __future__ import annotations

from dask_k8s_jupyter.server.pages import build_unavailable_page


def test_words_from_elsewhere_stay_words():
    page = build_unavailable_page("<i>", "<script>x</script>", "<b>", looks_again=False)
    assert "<script" not in page
    assert "<i>" not in page
    assert "<b>" not in page


def test_it_looks_again_only_where_that_can_help():
    assert "refresh" in build_unavailable_page("t", "m", None, looks_again=True)
    assert "refresh" not in build_unavailable_page("t", "m", "Do this", looks_again=False)
    assert "Do this" in build_unavailable_page("t", "m", "Do this", looks_again=False)
