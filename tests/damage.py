"""Bytes damaged at random, for readers that must refuse them cleanly."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

Damage = list[tuple[float, int, bytes]]
"""Where, as a share of all bytes; how many to remove there; what to put in their place."""


def damages(pieces: Sequence[bytes], removed: int, inserted: int) -> st.SearchStrategy[Damage]:
    """Up to four spots, at each of which up to so many bytes are removed, and a piece or up to so
    many random bytes inserted.
    """
    new = st.sampled_from(pieces) | st.binary(max_size=inserted)
    return st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, removed), new), min_size=1, max_size=4
    )


def damaged(data: bytes, damage: Damage, reach: int | None = None) -> bytes:
    """Return damaged bytes; with a `reach` only the first so many, more often near the start."""
    content = bytearray(data)
    for share, removed, inserted in damage:
        where = int(share * len(content))
        if reach is not None:
            where = int(share**2 * min(len(content), reach))
        content[where : where + removed] = inserted
    return bytes(content)
