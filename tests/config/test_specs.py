import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, field_validator

from zerosum.config.base import explain
from zerosum.config.specs import (
    LOSSES,
    ONE_SIDED,
    PENALTIES,
    POLICIES,
    PenaltySpec,
    language_here,
    parse_augment,
    parse_loggers,
    parse_penalties,
    read_mix,
    read_steps,
)
from zerosum.errors import UserError
from zerosum.game.augment import check_channels


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("none", []),
        ("r1:0.1", [PenaltySpec("r1", 0.1)]),
        ("r1:0.1,r2:1e-2", [PenaltySpec("r1", 0.1), PenaltySpec("r2", 0.01)]),
        (" dragan:10 , r2:3 ", [PenaltySpec("dragan", 10), PenaltySpec("r2", 3)]),
        ("gradient-penalty:10", [PenaltySpec("gradient-penalty", 10)]),
        ("gradient-penalty:10:one-sided", [PenaltySpec("gradient-penalty", 10, one_sided=True)]),
    ],
)
def test_penalties_are_read(text, specs):
    assert parse_penalties(text) == tuple(specs)


@given(st.lists(st.sampled_from(PENALTIES), min_size=1, unique=True), st.floats(1e-6, 1e6))
def test_any_choice_of_penalties_is_read_in_its_order(names, weight):
    specs = parse_penalties(",".join(f"{name}:{weight!r}" for name in names))
    assert [spec.name for spec in specs] == names
    assert {spec.weight for spec in specs} == {weight}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "NAME:WEIGHT with commas between, such as r1:0.1,r2:0.1; names: dragan, gradient-pe"),
        ("0.1", "NAME:WEIGHT"),
        ("r1:1,", "NAME:WEIGHT"),
        ("none,r1:1", "NAME:WEIGHT"),
        ("R1:1", r"\(did you mean r1\?\)"),
        ("gradient_penalty:10", r"\(did you mean gradient-penalty\?\)"),
        ("r1", "a weight above 0 after r1, such as r1:0.1"),
        ("r1:", "a weight above 0"),
        ("r1:much", "a weight above 0"),
        ("r1:0", "a weight above 0"),
        ("r1:-1", "a weight above 0"),
        ("r1:nan", "a weight above 0"),
        ("r1:inf", "a weight above 0"),
        ("r2:one-sided", "a weight above 0 after r2"),
        ("gradient-penalty:one-sided:10", "a weight above 0 after gradient-penalty"),
        ("r1:1:one-sided", "nothing after the weight of r1"),
        ("gradient-penalty:10:two-sided", "gradient-penalty:10:one-sided"),
        ("gradient-penalty:10:one-sided:1", "nothing after the weight"),
        ("r1:1,r2:1,r1:2", "each penalty once, but r1 is there twice"),
    ],
)
def test_other_texts_are_refused_and_say_what_was_expected(text, message):
    with pytest.raises(ValueError, match=f"^expected .*{message}"):
        parse_penalties(text)


def test_no_hint_is_given_where_nothing_is_near():
    with pytest.raises(ValueError, match=r"names: [a-z0-9, -]*$"):
        parse_penalties("quality:1")


def test_the_message_reads_well_after_a_flag():
    class Config(BaseModel):
        penalty: str

        @field_validator("penalty")
        @classmethod
        def _is_readable(cls, text: str) -> str:
            parse_penalties(text)
            return text

    with pytest.raises(ValidationError) as caught:
        Config(penalty="r3:1")
    assert explain(caught.value) == (
        "--penalty: received 'r3:1', expected none, or NAME:WEIGHT with commas between, such as "
        "r1:0.1,r2:0.1; names: dragan, gradient-penalty, r1, r2 (did you mean r2?)."
    )


def test_names_are_fit_for_a_flag():
    for name in (*LOSSES, *PENALTIES, ONE_SIDED):
        assert name == name.lower()
        assert not set(name) & set(" :,_=")


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


class TestLoggers:
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("none", ()),
            (" none ", ()),
            ("wandb", ("wandb",)),
            ("trackio, tensorboard", ("trackio", "tensorboard")),
        ],
    )
    def test_names_are_read_in_their_order(self, text, names):
        assert parse_loggers(text) == names

    @pytest.mark.parametrize("text", ["", "wandb,", "none,wandb", "tensorbord"])
    def test_other_names_are_answered_with_all(self, text):
        with pytest.raises(ValueError, match=r"^expected none, or names .*wandb, trackio"):
            parse_loggers(text)

    def test_a_name_that_stands_there_twice_is_refused(self):
        with pytest.raises(ValueError, match=r"^expected each name once, but wandb"):
            parse_loggers("wandb,wandb")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh"),
    ],
)
def test_the_locale_decides(monkeypatch, variables, expected):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language_here() == expected


def test_steps_are_read_by_the_numbers_of_directions():
    assert read_steps(["3:+2", " 1:-0.5 ", "12:1e-1"]) == {3: 2.0, 1: -0.5, 12: 0.1}
    assert read_steps(None) is None


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["x"], "direction was 'x': expected its number and a step"),
        (["3"], "direction was '3'"),
        (["3:"], "direction was '3:'"),
        (["-1:2"], "direction was '-1:2'"),
        (["²:2"], "direction was '²:2'"),
        (["1.5:2"], "direction was"),
        (["1:nan"], "direction was '1:nan'"),
        (["1:inf"], "direction was"),
        (["1:2", "01:3"], "Direction 1 is there twice"),
    ],
)
def test_what_is_no_step(texts, said):
    with pytest.raises(UserError, match=said):
        read_steps(texts)


def test_a_mix_is_two_numbers():
    assert read_mix("12:40") == (12, 40)
    assert read_mix(None) is None


@pytest.mark.parametrize("text", ["", "12", "12:", "-1:2", "1:2:3", "a:b", "1.0:2"])
def test_what_is_no_mix(text):
    with pytest.raises(UserError, match="expected the numbers of two samples"):
        read_mix(text)
