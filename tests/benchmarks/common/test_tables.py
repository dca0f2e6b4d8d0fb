"""Tables: the best of a column, and the layout for a terminal."""

from benchmarks.common.tables import Table, format_table


def test_best_is_as_written_and_of_own_rows() -> None:
    rows = [
        {"method": "a", "score": "0.9", "ms": "12", "alone": "1"},
        {"method": "b", "score": "0.9", "ms": "7", "alone": "-"},
        {"method": "c", "score": "-", "ms": "-", "alone": "-"},
        {"method": "quoted", "score": "1.0", "ms": "1", "alone": "2"},
    ]
    table = Table("t", rows, best={"score": max, "ms": min, "alone": max}, quoted=1)
    assert table.best_cells == {"score": "0.9", "ms": "7"}


def test_layout() -> None:
    rows = [{"a": "x", "b": "long", "c": "1"}, {"a": "yy", "b": "z", "c": "10"}]
    assert format_table(Table("Title", rows, left=2)).splitlines() == [
        *("Title", "a   b      c", "x   long   1", "yy  z     10")
    ]
