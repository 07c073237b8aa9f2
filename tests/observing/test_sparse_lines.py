"""Lines that a client can cause at will are counted, and written once a second."""

from fleet_encoder.logs import Sparse


def test_one_line_a_second_with_the_number_of_those_left_out() -> None:
    now = 0.0
    lines = Sparse(lambda: now)
    assert lines.count() == 0
    assert [lines.count() for _ in range(3)] == [None] * 3
    now = 0.9
    assert lines.count() is None
    now = 1.0
    assert lines.count() == 4
    now = 5.0
    assert lines.count() == 0
