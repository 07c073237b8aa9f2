"""How the wanted frames are cut into parts: every frame once, cuts at keyframes, equal work."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_encoder.media.chunks import MAX_DECODERS, Span, chunks, decoder_count, spans

FRAMES = st.integers(1, 3000).flatmap(
    lambda total: st.tuples(
        st.lists(st.integers(0, total - 1), max_size=120),
        st.lists(st.integers(0, total - 1), max_size=60).map(lambda keys: sorted(set(keys))),
    )
)


@given(FRAMES, st.integers(1, 40))
def test_every_wanted_frame_is_in_one_chunk_and_behind_its_keyframe(
    video: tuple[list[int], list[int]], count: int
) -> None:
    indices, keyframes = video
    parts = chunks(spans(indices, keyframes), count)
    assert len(parts) <= count
    assert [number for part in parts for span in part for number in span.frames] == sorted(set(indices))
    for part in parts:
        for span in part:
            assert span.start <= span.frames[0]
            assert span.start in {0, *keyframes}
    for part in parts[1:]:  # a chunk begins at the last keyframe before its first frame: nothing is decoded in vain
        starts = sorted({0, *keyframes})
        assert part[0].start == starts[bisect_right(starts, part[0].frames[0]) - 1]


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(1, 20)), min_size=1, max_size=9),
    st.integers(1, 9),
)
def test_no_way_to_cut_has_a_cheaper_heaviest_chunk(groups: list[tuple[int, int]], count: int) -> None:
    """Against every possible cut."""
    parts, start = [], 0
    for length, wanted in groups:
        parts.append(Span(start, tuple(range(start, start + length, max(1, length // wanted)))))
        start += length + 50
    costs = [part.cost for part in parts]

    def best(first: int, chunks_left: int) -> int:
        rest = sum(costs[first:])
        if chunks_left == 1 or first == len(costs):
            return rest
        cuts = range(first + 1, len(costs) + 1)
        return min(max(sum(costs[first:cut]), best(cut, chunks_left - 1)) for cut in cuts)

    heaviest = max(sum(span.cost for span in chunk) for chunk in chunks(parts, count))
    assert heaviest == best(0, count)


def test_work_is_balanced_by_what_must_be_decoded_not_by_frames_wanted() -> None:
    """One frame at the end of each long group of pictures, many in the short ones."""
    keyframes = [0, 300, 600, 610, 620, 630]
    indices = [290, 590, *range(600, 640)]
    assert [[span.start for span in chunk] for chunk in chunks(spans(indices, keyframes), 2)] == [[0], [300, 600]]


def test_a_group_of_pictures_is_never_cut() -> None:
    assert chunks(spans(range(0, 500, 10), [0]), 16) == [[Span(0, tuple(range(0, 500, 10)))]]


def test_groups_without_a_wanted_frame_are_skipped() -> None:
    (part,) = chunks(spans([5, 950], range(0, 1000, 100)), 1)
    assert part == [Span(0, (5,)), Span(900, (950,))]


def test_decoding_on_beats_seeking_over_a_few_frames() -> None:
    (part,) = chunks(spans([98, 103], [0, 100]), 1)
    assert part == [Span(0, (98, 103))]


def test_a_file_that_does_not_begin_with_a_keyframe() -> None:
    assert spans([0, 3, 20], [17, 42]) == [Span(0, (0, 3)), Span(17, (20,))]


def test_nothing_wanted() -> None:
    assert chunks(spans([], [0, 10]), 4) == []
    assert decoder_count(0, 16, []) == 1


HOUR = range(0, 108_000, 15), range(0, 108_000, 250)


@pytest.mark.parametrize(
    ("setting", "cpus", "expected"), [(0, 1, 1), (0, 4, 4), (0, 64, MAX_DECODERS), (1, 64, 1), (3, 2, 3), (40, 2, 40)]
)
def test_automatic_stays_within_the_cpus_and_a_number_given_is_kept(setting: int, cpus: int, expected: int) -> None:
    assert decoder_count(setting, cpus, spans(*HOUR)) == expected


@given(FRAMES, st.integers(0, 64), st.integers(1, 512))
def test_never_more_decoders_than_parts(video: tuple[list[int], list[int]], setting: int, cpus: int) -> None:
    parts = spans(*video)
    count = decoder_count(setting, cpus, parts)
    assert 1 <= count <= max(1, len(parts))
    if setting:
        assert count <= setting
    else:
        assert count <= min(cpus, MAX_DECODERS)


@pytest.mark.parametrize("setting", [0, 16])
def test_short_work_gets_few_decoders(setting: int) -> None:
    """Also where an operator computed the number: it is a cap."""
    assert decoder_count(setting, 16, spans(range(0, 50, 5), range(0, 50, 10))) == 1
    assert decoder_count(setting, 16, spans(range(0, 250, 12), range(0, 250, 10))) <= 4
    assert decoder_count(setting, 16, spans(range(0, 1500, 12), range(0, 1500, 100))) > 8
