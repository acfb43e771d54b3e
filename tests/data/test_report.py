from zerosum.data.report import Note, Report, Tally, few_levels, values_in_words


def test_a_tally_counts_and_names_the_first_in_natural_order():
    tally = Tally()
    for name in ("10.png", "9.png"):
        tally.add("made gray", name)
    tally.add("enlarged to 8×8", "x\n.png")
    assert [str(note) for note in tally.notes()] == [
        "2 made gray, such as 9.png",
        "1 enlarged to 8×8, such as x\\n.png",
    ]


def test_lines_say_what_there_is_and_nothing_else():
    assert Report().lines() == []
    report = Report(origin="photos", sizes=((4, 6), (8, 8)), values="0 to 4,095 of 65,535")
    report = report.with_more(left_out=[Note(what="files", count=2, example="a.heic")])
    assert report.lines() == [
        "  from      photos",
        "  sizes     4×6 to 8×8",
        "  values    0 to 4,095 of 65,535",
        "  left out  2 files, such as a.heic",
    ]


def test_two_sides_are_told_together():
    one = Report(sizes=((4, 4),), values="0 to 9 of 65,535", held_out="a")
    both = one.joined(Report(sizes=((2, 2), (8, 8)), warnings=("odd.",)))
    assert (both.sizes, both.values, both.warnings) == (((2, 2), (8, 8)), one.values, ("odd.",))


def test_what_is_so_on_both_sides_is_told_once():
    one, other = (
        Report(changed=(Note(what="made gray", count=count, example=example),))
        for count, example in ((2, "A/1.png"), (3, "B/1.png"))
    )
    assert [str(note) for note in one.joined(other).changed] == ["5 made gray, such as A/1.png"]


def test_values_and_what_becomes_of_them():
    assert values_in_words(0, 4095, 65535, None) == "0 to 4,095 of 65,535"
    assert "which become black and white" in values_in_words(-5, 5, 1, "auto")
    assert "of which 0 becomes black and 1,000 white" in values_in_words(-5, 5, 1, (0, 1000))


def test_few_levels_are_warned_of():
    said = few_levels(64, 16, 17, "0 to 4,095 of 65,535")
    assert "17 levels of gray are left of 256, the brightest 16" in said
    assert "--range" in said
    assert few_levels(64, 255, 256, "") == ""
