"""Strategies for what the definitions let pass, drawn from their schemas outward."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.names import (
    AGREED_REPLICAS_ANNOTATION,
    APPLIED_SPEC_ANNOTATION,
    PASSED_ON_ANNOTATION,
    RETIRING_ANNOTATION,
    SPEC_HASH_ANNOTATION,
)

MOST_WORKERS = 5

SCHEMAS = {
    crd["spec"]["names"]["plural"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in build_crds()
}
TEXTS = st.text("ab-.$(){}\n'\"[é", max_size=6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
VARIABLES = st.sampled_from(
    ["DASK_WORKER_NAME", "DASK_DISTRIBUTED__SCHEDULER__PRELOAD", "DASK_K8S_AGENT", "X"]
)
BOOKKEEPING = st.sampled_from(
    [
        AGREED_REPLICAS_ANNOTATION,
        APPLIED_SPEC_ANNOTATION,
        PASSED_ON_ANNOTATION,
        RETIRING_ANNOTATION,
        SPEC_HASH_ANNOTATION,
        "dask.org/cluster-name",
        "dask.org/component",
        "team",
    ]
)


def draw_schema(schema: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """A strategy for what a schema lets pass."""
    if "enum" in schema:
        drawn: st.SearchStrategy[Any] = st.sampled_from(schema["enum"])
    elif schema["type"] == "object":
        drawn = _draw_object(schema)
    elif schema["type"] == "array":
        least = schema.get("minItems", 0)
        drawn = st.lists(draw_schema(schema["items"], name), min_size=least, max_size=least + 1)
    elif schema["type"] == "integer":
        most = MOST_WORKERS if name in ("replicas", "minimum", "maximum") else 10**6
        drawn = st.integers(schema.get("minimum", -(10**6)), most)
    elif schema["type"] == "boolean":
        drawn = st.booleans()
    else:
        drawn = VARIABLES if name == "name" else TEXTS
        drawn = drawn.filter(lambda text: len(text) >= schema.get("minLength", 0))
    return drawn | st.none() if schema.get("nullable") else drawn


def _draw_object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(BOOKKEEPING, draw_schema(schema["additionalProperties"]), max_size=3)
    properties = {k: draw_schema(v, k) for k, v in schema.get("properties", {}).items()}
    required = set(schema.get("required", ())) | {
        k for k, v in schema.get("properties", {}).items() if "default" in v
    }
    known = st.fixed_dictionaries(
        {k: v for k, v in properties.items() if k in required},
        optional={k: v for k, v in properties.items() if k not in required},
    )
    if not schema.get("x-kubernetes-preserve-unknown-fields"):
        return known
    # Fields that the schema does not know hold anything.
    unknown = st.dictionaries(
        st.sampled_from(["volumes", "hostNetwork", "x"]), JSON_VALUES, max_size=2
    )
    return st.builds(lambda more, own: {**more, **own}, unknown, known)
