from zerosum.cli.show import renamed, show
from zerosum.plots.tables import table


def test_a_table_in_a_file_is_as_wide_as_its_text(capsys):
    made = table("name", "what it is")
    made.add_row("long", "x" * 120)
    show(made)
    assert "x" * 120 in capsys.readouterr().out


def test_a_new_name_is_told_on_standard_error(capsys):
    assert renamed("--raw", "--no-ema")
    shown, said = capsys.readouterr()
    assert shown == ""
    assert "--raw is now called --no-ema" in said


def test_names_in_a_table_do_nothing_to_a_terminal(capsys):
    made = table("name", "what it is")
    made.add_row("\x1b[2Jcat", "\u202eold")
    show(made)
    printed = capsys.readouterr().out
    assert r"\x1b[2Jcat" in printed
    assert r"\u202eold" in printed
    assert "\x1b" not in printed
