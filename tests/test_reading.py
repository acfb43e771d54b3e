import os
import socket
import stat

import pytest

from zerosum.errors import UserError
from zerosum.reading import expanded, is_file, open_file, parse_json, read_bytes, read_json

NEEDS_FIFOS = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


class TestOpening:
    def test_a_file_is_read_whole(self, tmp_path):
        (tmp_path / "file").write_bytes(b"\0\r\n\xff")
        assert read_bytes(tmp_path / "file") == b"\0\r\n\xff"
        with open_file(tmp_path / "file") as file:
            assert file.read(2) == b"\0\r"

    def test_a_link_to_a_file_is_one(self, tmp_path):
        (tmp_path / "file").write_bytes(b"1")
        (tmp_path / "link").symlink_to(tmp_path / "file")
        assert read_json(tmp_path / "link") == 1

    def test_where_one_may_not_look_no_file_is(self, tmp_path):
        (tmp_path / "file").touch()
        assert is_file(tmp_path / "file")
        assert not is_file(tmp_path)
        assert not is_file(tmp_path / ("x" * 300) / "file")

    @NEEDS_FIFOS
    def test_a_named_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="it is a named pipe and no file"):
            read_bytes(tmp_path / "pipe")

    @NEEDS_FIFOS
    def test_nor_is_one_that_takes_the_place_of_a_file_meanwhile(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe")
        was = os.stat_result((stat.S_IFREG | 0o600, *[0] * 9))
        monkeypatch.setattr("pathlib.Path.stat", lambda path, **how: was)
        with pytest.raises(OSError, match="named pipe"):
            open_file(tmp_path / "pipe")

    @pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets that are files")
    def test_a_socket_is_none(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # their paths may not be long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            with pytest.raises(OSError, match="it is a socket and no file"):
                read_bytes("socket")

    @pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")  # noqa: PTH110
    def test_a_device_is_none(self):
        with pytest.raises(OSError, match="it is a device and no file"):
            read_bytes("/dev/zero")

    def test_a_folder_says_so(self, tmp_path):
        with pytest.raises(IsADirectoryError):
            read_bytes(tmp_path)
        with pytest.raises(FileNotFoundError):
            read_bytes(tmp_path / "nothing")


class TestJson:
    def test_is_what_json_says(self):
        assert parse_json(b'{"a": [1, -2.5, null, "\xc3\xa9", 18446744073709551616]}') == {
            "a": [1, -2.5, None, "é", 2**64]
        }

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"[" * 100_000, "nested too deep"),
            (b'{"a":' * 100_000, "nested too deep"),
            (b"9" * 5000, "a number of 5,000 digits"),
            (b"-" + b"9" * 400, "a number of 401 digits"),
            (b"[NaN]", "NaN is no number"),
            (b"-Infinity", "-Infinity is no number"),
            (b"[1e999]", "1e999 is beyond all numbers"),
            (b"-1.5E400", "-1.5E400 is beyond all numbers"),
            (b'"\xc3("', "decode"),
            (b"", "Expecting value"),
        ],
        ids=[
            "lists",
            "objects",
            "digits",
            "no float",
            "NaN",
            "infinity",
            "too large",
            "too low",
            "bytes",
            "nothing",
        ],
    )
    def test_of_strangers_is_one_kind_of_error(self, content, said):
        with pytest.raises(ValueError, match=said):
            parse_json(content)


class TestHomes:
    def test_a_path_has_no_nul(self, train_tiny):
        with pytest.raises(
            UserError, match=r"The path 'a\\x00b' cannot be read: no path has a NUL"
        ):
            expanded("a\0b")
        with pytest.raises(UserError, match="no path has a NUL"):
            train_tiny("a\0b")

    def test_the_users_own(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert expanded("~/runs") == tmp_path / "runs"
        assert str(expanded("runs/~")) == "runs/~"

    @pytest.mark.skipif(os.name == "nt", reason="Windows makes a home of any name")
    def test_nobodys_is_said_so(self):
        with pytest.raises(UserError, match=r"'~nobody-here/run' begins with '~nobody-here', and"):
            expanded("~nobody-here/run")
