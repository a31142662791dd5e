"""Quantities (``500m``, ``2Gi``) as exact numbers, and as the API gives them back. Pure."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def is_quantity(text: str) -> bool:
    """Whether a text is a quantity."""
    return _QUANTITY.fullmatch(text.strip()) is not None


@lru_cache(maxsize=4096)
def parse(text: str) -> Fraction:
    """Read a quantity; ValueError when it is none.

    Examples
    --------
    >>> parse("500m"), parse("2Gi")
    (Fraction(1, 2), Fraction(2147483648, 1))
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, exponent, suffix = match.groups()
    if exponent:
        return Fraction(number + exponent)
    if suffix and suffix.endswith("i"):
        return Fraction(number) * Fraction(1024 ** _BINARY.index(suffix))
    power = _DECIMAL.index(suffix or "") - 3
    return Fraction(number) * (Fraction(1000**power) if power >= 0 else Fraction(1, 1000**-power))


def show(amount: Fraction, *, is_binary: bool = False) -> str:
    """Write a number as a quantity, with the largest suffix that leaves it whole.

    Examples
    --------
    >>> show(Fraction(1, 2)), show(Fraction(2048), is_binary=True), show(Fraction(100000))
    ('500m', '2Ki', '100k')
    """
    suffixes, base = (_BINARY, 1024) if is_binary else (_DECIMAL, 1000)
    power = 0
    if not is_binary:
        amount *= 10**9
    if amount.denominator != 1:
        amount = Fraction(-((-amount.numerator) // amount.denominator))
    while amount and amount % base == 0 and power + 1 < len(suffixes):
        amount, power = amount / base, power + 1
    return f"{amount.numerator}{suffixes[power]}" if amount else "0"


def canonical(text: str) -> str:
    """Write a quantity as the API gives it back.

    Examples
    --------
    >>> [canonical(text) for text in ("0.5", "1000m", "1024Mi", "2", "1.5Gi", "100000", "1e3")]
    ['500m', '1', '1Gi', '2', '1536Mi', '100k', '1e3']
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2]:
        return text.strip()
    is_binary = (match[3] or "").endswith("i")
    amount = parse(text)
    return show(amount, is_binary=is_binary and amount.denominator == 1)
