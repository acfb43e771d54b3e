"""Spaces by closed forms, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum.errors import UserError
from zerosum.recipes import RECIPES
from zerosum.sweeps import space
from zerosum.sweeps.space import Choices, Range, read_space

WGAN = RECIPES["wgan"]


def test_the_example_of_the_help():
    assert read_space("lr=1e-4..1e-3:log,n-critic=1,2,5,clip=0.01..0.3:log", WGAN) == {
        "learning_rate": Range(low=1e-4, high=1e-3, log=True),
        "n_critic": Choices(texts=("1", "2", "5")),
        "clip": Range(low=0.01, high=0.3, log=True),
    }


def test_whole_numbers_are_whole_where_both_ends_are():
    found = read_space("latent-size=16..128:log,ema_half_life=0..20000", WGAN)
    assert found["latent_size"].whole
    assert found["ema_half_life"] == Range(low=0, high=20_000)
    assert not read_space("learning-rate=0.1..1", WGAN)["learning_rate"].whole


def test_a_setting_of_several_parts_takes_blanks():
    found = read_space("betas=0.5 0.999,0  0.9", RECIPES["dcgan"])["betas"]
    assert found == Choices(texts=("0.5 0.999", "0 0.9"), several=True)
    assert found.samples == (("0.5", "0.999"), ("0", "0.9"))
    config = RECIPES["dcgan"].configure({"betas": found.samples[1]})
    assert config.betas == (0.0, 0.9)


def test_python_gives_lists_and_values():
    found = read_space({"betas": [(0.5, 0.999), (0, 0.9)], "lr": "1e-4..1e-3"}, RECIPES["dcgan"])
    assert found["betas"] == read_space("betas=0.5 0.999,0 0.9", RECIPES["dcgan"])["betas"]
    assert found["learning_rate"] == Range(low=1e-4, high=1e-3)
    with_commas = read_space({"augment": ["color", "color,translation"]}, RECIPES["dcgan"])
    assert with_commas["augment"].samples == ("color", "color,translation")


def test_none_is_no_value():
    found = read_space("d-learning-rate=none,1e-4", RECIPES["dcgan"])["d_learning_rate"]
    assert found.samples == (None, "1e-4")
    found = read_space("penalty=none,r1:0.1", RECIPES["dcgan"])["penalty"]
    assert found.samples == ("none", "r1:0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with ''"),
        ("1e-4..1e-3", "begins with '1e-4..1e-3'"),
        ("learning-rat=1,2", "Did you mean 'learning-rate'"),
        ("lr=1..2,learning-rate=3,4", "twice"),
        ("clip=1,2,clip=3", "twice"),
        ("clip=2..1", "LOW below HIGH"),
        ("clip=1..2:lin", "LOW below HIGH"),
        ("clip=1..inf", "LOW below HIGH"),
        ("clip=nan..1", "LOW below HIGH"),
        ("clip=0..1:log", "begins above 0"),
        ("clip=0.1..1,2", "expected one range"),
        ("clip=1,,2", "expected one range"),
        ("clip=", "expected one range"),
        ("clip=1,1", "each choice once"),
        ("clip=1", "leaves nothing to choose"),
        ("betas=0..1", "several parts"),
        ("seed=0,1,2", "--seeds 3"),
        ("data=mnist,fashion-mnist", "cannot be swept"),
        ("epochs=1..5", "same budget"),
    ],
)
def test_what_is_no_space_is_refused(text, message):
    recipe = RECIPES["dcgan" if "betas" in text else "wgan"]
    with pytest.raises(UserError, match=None) as caught:
        read_space(text, recipe)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("over", "message"), [(7, "received 7"), ({}, "nothing in --over"), ({"clip": 1}, "clip=1")]
)
def test_what_is_no_space_in_python(over, message):
    with pytest.raises(UserError, match=message):
        read_space(over, WGAN)


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(
    st.lists(st.one_of(finite, st.integers(-(10**9), 10**9)), min_size=2, max_size=2, unique=True)
)
def test_a_range_reads_what_it_writes(ends):
    low, high = sorted(ends)
    both = isinstance(low, int) and isinstance(high, int)
    if not both:
        low, high = float(low), float(high)
    if low == high:
        return
    found = space.read_range("clip", str(Range(low=low, high=high)))
    assert found == Range(low=low, high=high)
    assert found.whole == both


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.dictionaries(words, st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_text_is_cut_where_it_was_joined(settings):
    joined = ",".join(f"{name}={','.join(values)}" for name, values in settings.items())
    assert space.split(joined) == settings


def test_json_and_text_lead_back():
    text = "learning-rate=0.0001..0.001:log,n-critic=1,2,5,ema-half-life=0..100"
    found = read_space(text, WGAN)
    assert space.from_json(space.as_json(found)) == found
    assert space.as_text(found) == text


def test_every_value_is_tried_on_the_recipe():
    small = read_space("n-critic=1,2,5,clip=0.01..0.3", WGAN)
    assert len(list(space.combinations(small))) == 6
    wide = {f"s{index}": Choices(texts=("a", "b", "c")) for index in range(9)}
    rows = list(space.combinations(wide))
    assert len(rows) == 3
    assert {row["s8"] for row in rows} == {"a", "b", "c"}


def test_what_the_recipe_refuses_is_refused_before_anything_is_trained():
    def require(text, recipe="wgan", **settings):
        found = read_space(text, RECIPES[recipe])
        space.require_fitting(found, RECIPES[recipe], settings, {})

    require("n-critic=1,2,5,clip=0.01..0.3:log")
    with pytest.raises(UserError, match="would change nothing"):
        require("betas=0 0.9,0.5 0.999")
    with pytest.raises(UserError, match="n-critic 0"):
        require("n-critic=0..3")
    with pytest.raises(UserError, match="in --over too"):
        require("clip=0.01..0.3", clip=0.1)
