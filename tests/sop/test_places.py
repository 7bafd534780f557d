"""Which group somebody is invited to, for every state the groups may be in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sop.inviting import Place, choose

places = st.lists(
    st.builds(
        Place,
        id=st.integers(1, 9),
        external_id=st.just("g"),
        name=st.just("群"),
        capacity=st.integers(2, 60),
        members=st.integers(0, 60),
        kept=st.integers(0, 20),
        inside=st.booleans(),
        invited=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda place: place.id,
)


@given(places)
def test_never_twice_never_a_member_never_beyond_capacity(found: list[Place]) -> None:
    choice = choose(found)
    if choice.outcome == "invite":
        assert choice.place is not None
        assert choice.place.members + choice.place.kept + 1 < choice.place.capacity
        assert not any(place.inside or place.invited for place in found)
        earlier = found[: found.index(choice.place)]
        assert not any(place.free for place in earlier)
    else:
        assert choice.scarce is False


@given(places)
def test_who_could_be_invited_is(found: list[Place]) -> None:
    strangers = not any(place.inside or place.invited for place in found)
    wanted = {
        "invite": strangers and any(place.free for place in found),
        "full": strangers and bool(found) and not any(place.free for place in found),
        "nowhere": not found,
    }
    outcome = choose(found).outcome
    assert wanted.get(outcome, not strangers)


@given(places, st.integers(2, 60))
def test_the_last_group_is_told_of_before_it_is_full(found: list[Place], capacity: int) -> None:
    last = Place(id=99, external_id="l", name="末", capacity=capacity, members=0, kept=capacity - 2)
    full = [place for place in found if not (place.free or place.inside or place.invited)]
    choice = choose([*full, last])
    assert (choice.place, choice.scarce) == (last, True)
