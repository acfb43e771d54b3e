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
