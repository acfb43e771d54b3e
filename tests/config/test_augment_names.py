import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum.config.specs import POLICIES, parse_augment
from zerosum.errors import UserError
from zerosum.game.augment import check_channels


@given(st.sets(st.sampled_from(POLICIES)), st.randoms(), st.sampled_from([",", ", ", " ,"]))
def test_names_are_read_in_any_order_and_given_in_one(names, shuffler, separator):
    shuffled = sorted(names)
    shuffler.shuffle(shuffled)
    assert parse_augment(separator.join(shuffled)) == tuple(n for n in POLICIES if n in names)


@pytest.mark.parametrize("text", ["", "  ", ",", "none", " none "])
def test_nothing_is_no_augmentation(text):
    assert parse_augment(text) == ()


def test_a_comma_at_the_end_does_no_harm():
    assert parse_augment("cutout,color,") == ("color", "cutout")


@pytest.mark.parametrize(("received", "meant"), [("colour", "color"), ("Translate", "translation")])
def test_an_unknown_name_is_answered_with_the_closest_and_all_names(received, meant):
    names = "color, translation, cutout"
    with pytest.raises(ValueError, match=rf"^expected .*{names} \(did you mean {meant}\?\)$"):
        parse_augment(f"cutout,{received}")


@pytest.mark.parametrize("text", ["zzz", "none,color"])
def test_where_nothing_is_near_no_guess_is_made(text):
    with pytest.raises(ValueError, match=r"^expected none, or names.*cutout$"):
        parse_augment(text)


def test_a_name_that_stands_there_twice_is_refused():
    with pytest.raises(
        ValueError, match=r"^expected each augmentation once, but color is there twice"
    ):
        parse_augment("color,cutout,color")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_only_color_asks_what_the_channels_are(channels):
    check_channels(("translation", "cutout"), channels)
    if channels in (1, 3, 4):
        check_channels(POLICIES, channels)
    else:
        with pytest.raises(UserError, match=f"'color'.*of {channels} channels.*--augment"):
            check_channels(POLICIES, channels)
