import pytest

from zerosum.cli.main import run as command


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")


def test_a_report_lies_in_its_run_or_where_it_is_asked_for(run, tmp_path, capsys):
    run.directory.report_path.unlink()
    assert command(["report", str(run.path)]) == 0
    assert "Wrote" in capsys.readouterr().out
    assert "Training report" in run.directory.report_path.read_text()
    out = tmp_path / "new" / "page.html"
    assert command(["report", str(run.path), "--out", str(out), "--language", "zh"]) == 0
    assert "训练报告" in out.read_text()
    assert command(["report", str(run.path), "--out", str(out), "--neighbours"]) == 0
    assert "Nearest training images" in out.read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "page.txt"], "ends in .html"),
        (["--language", "fr"], "--language"),
        (["--recipe", "vanilla"], "leave out --recipe"),
    ],
)
def test_mistakes_are_explained(run, flags, said, capsys):
    assert command(["report", str(run.path), *flags]) == 2
    assert said in capsys.readouterr().err


def test_no_run_is_said(tmp_path, capsys):
    assert command(["report", str(tmp_path / "none")]) == 2
    assert "There is no run" in capsys.readouterr().err


def test_a_port_that_is_none_is_said(tmp_path, capsys):
    assert command(["watch", str(tmp_path), "--port", "70000"]) == 2
    assert "65535" in capsys.readouterr().err
