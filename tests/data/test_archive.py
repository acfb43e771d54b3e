import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from zerosum.data import load
from zerosum.errors import UserError

KINDS = ["zip", "tar", "tar.gz", "tgz", "tar.xz"]


def png(level: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), level).save(stream, "PNG")
    return stream.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    compression = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, compression) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_what_the_folder_gives(tmp_path, paint, kind):
    folder = paint("cat/10.png", "cat/9.png", "dog/deep/1.png", ".hidden/1.png")
    (folder / "dog" / "broken.png").touch()
    files = [path for path in folder.rglob("*") if path.is_file()]
    members = {f"./top/{path.relative_to(folder)}": path.read_bytes() for path in files}
    archived = load(pack(tmp_path / f"pets.{kind}", members))
    expected = load(folder)
    assert archived.fingerprint() == expected.fingerprint()
    assert archived.classes == expected.classes == ("cat", "dog")
    assert archived.name == "pets"
    assert archived.skipped == ("top/dog/broken.png: the file is empty",)


def test_nothing_is_extracted(tmp_path, monkeypatch):
    path = pack(tmp_path / "some.tar.gz", {"1.png": png()})
    monkeypatch.chdir(tmp_path)
    load(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    ["../1.png", "a/../../1.png", "/etc/1.png", "C:/1.png", "..", "\\\\h\\1.png"],
)
def test_a_member_that_climbs_out_is_refused_by_name(tmp_path, kind, name):
    path = pack(tmp_path / f"some.{kind}", {"1.png": png(), name: png()})
    with pytest.raises(UserError, match="is refused: its member") as caught:
        load(path)
    assert name in str(caught.value)


def test_links_and_devices_are_ignored(tmp_path):
    path = tmp_path / "some.tar"
    with tarfile.open(path, "w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)):
            info = tarfile.TarInfo(f"{number}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("real.png")
        info.size = len(png())
        archive.addfile(info, io.BytesIO(png()))
    images = load(path)
    assert (len(images), images.skipped) == (1, ())


def test_an_encrypted_zip_is_refused(tmp_path):
    path = pack(tmp_path / "some.zip", {"1.png": png()})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flags in the member's own header
    content[content.index(b"PK\1\2") + 8] |= 1  # and in the central directory
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"some\.zip is encrypted: '1\.png' cannot be read"):
        load(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"no" * 600]
)
def test_a_truncated_or_foreign_file_is_damaged(tmp_path, kind, damage):
    path = pack(tmp_path / f"some.{kind}", {f"{n}.png": png(n) for n in range(20)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged, or is no archive of the kind") as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tar_damaged_between_members_does_not_lose_the_rest_in_silence(tmp_path):
    path = pack(tmp_path / "some.tar", {"1.png": png(), "2.png": png(), "3.png": png()})
    content = bytearray(path.read_bytes())
    content[content.index(b"2.png") + 150] ^= 1  # its header's checksum
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"is damaged.*neither a member nor the end mark at byte 1024"
    ):
        load(path)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz"])
def test_the_checksum_of_a_compressed_tar_is_verified(tmp_path, kind):
    path = pack(tmp_path / f"some.{kind}", {"1.png": png()})
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        load(path)


def test_a_damaged_member_of_a_zip_is_skipped(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.png", png(1))
        archive.writestr("2.png", png(2))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 1
    path.write_bytes(content)
    images = load(path)
    assert len(images) == 1
    assert images.skipped[0].startswith("1.png: Bad CRC-32")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_claims_too_much_is_skipped_unread(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("zerosum.data.archive.MAX_FILE_BYTES", 1000)
    images = load(pack(tmp_path / f"some.{kind}", {"1.png": png(), "bomb.png": bytes(100_000)}))
    assert images.skipped == ("bomb.png: claims 100,000 bytes; at most 1,000 are read",)


def test_a_zip_that_unpacks_to_more_than_it_claims_is_cut_at_its_claim(tmp_path):
    path = pack(tmp_path / "some.zip", {"1.png": png(), "bomb.png": bytes(10**6)})
    claim = (10**6).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(claim, (50).to_bytes(4, "little")))
    images = load(path)
    assert len(images) == 1
    assert images.skipped[0].startswith("bomb.png: ")


def test_an_archive_without_images_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"some\.zip holds no images: expected files ending in"):
        load(pack(tmp_path / "some.zip", {"notes.txt": b"hello"}))


def test_strict_holds_for_archives(tmp_path):
    path = pack(tmp_path / "some.zip", {"1.png": png(), "2.png": b"hello"})
    with pytest.raises(UserError, match=r"1 of the 2 images in .*some\.zip cannot be decoded: 2\."):
        load(path, strict=True)


class TestBombs:
    """What unpacks to far more than it says, or than anybody needs."""

    ZEROS = 30 * 2**20

    @pytest.fixture
    def peak(self):
        """What Python has allocated at most since then, in bytes."""
        tracemalloc.start()
        yield lambda: tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    @pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_zip_member_is_unpacked_up_to_its_claim(self, tmp_path, packing, peak):
        path = tmp_path / "some.zip"
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr("1.png", png())
            archive.writestr("bomb.png", bytes(self.ZEROS))
        claim = self.ZEROS.to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(claim, (1000).to_bytes(4, "little")))
        tracemalloc.reset_peak()
        images = load(path)
        assert peak() < self.ZEROS / 2  # LZMA takes 8 MB for itself
        assert len(images) == 1
        assert images.skipped[0].startswith("bomb.png: ")

    def test_a_packing_that_nothing_bounds_is_not_read(self, tmp_path):
        path = tmp_path / "some.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("1.png", png())
            archive.writestr("2.png", png())
        content = bytearray(path.read_bytes())
        for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
            place = content.index(header) + method
            content[place : place + 2] = (93).to_bytes(2, "little")  # Zstandard, of Python 3.14
        path.write_bytes(content)
        images = load(path)
        assert len(images) == 1
        assert images.skipped == ("1.png: packed in a way that is not read here",)

    @pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_however_a_zip_is_packed_its_images_are_the_same(self, tmp_path, packing):
        path = tmp_path / "some.zip"
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr("1.png", png(3))
        assert load(path).images.unique().tolist() == [3]
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\1\2") + 16] ^= 1  # the checksum
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"1\.png: "):
            load(path)

    def test_lzma_that_does_not_end_itself_is_read_too(self, tmp_path):
        path = tmp_path / "some.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("1.png", png(5))
        content = bytearray(path.read_bytes())
        for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            assert content[content.index(head) + flags] & 2
            content[content.index(head) + flags] &= ~2
        path.write_bytes(content)
        assert load(path).images.unique().tolist() == [5]

    @pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz"])
    @pytest.mark.parametrize("header", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
    def test_a_long_header_of_a_tar_is_refused_unread(self, tmp_path, kind, header, peak):
        path = tmp_path / f"some.{kind}"
        compression = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]
        with tarfile.open(path, compression) as archive:
            info = tarfile.TarInfo("././@LongLink")
            info.type, info.size = header, self.ZEROS
            archive.addfile(info, io.BytesIO(bytes(self.ZEROS)))
            info = tarfile.TarInfo("1.png")
            info.size = len(png())
            archive.addfile(info, io.BytesIO(png()))
        tracemalloc.reset_peak()
        with pytest.raises(
            UserError, match=r"is damaged.*a header of 31,457,280 bytes, where a name"
        ) as caught:
            load(path)
        assert peak() < self.ZEROS / 2  # LZMA takes 8 MB for itself
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_a_name_as_long_as_any_is_read(self, tmp_path, form):
        path = tmp_path / "some.tar"
        with tarfile.open(path, "w", format=form) as archive:
            info = tarfile.TarInfo("ä" * 120 + "/" + "1" * 200 + ".png")
            info.size = len(png())
            archive.addfile(info, io.BytesIO(png()))
        assert len(load(path)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["some.zip", "some.tar.gz", "some.npz", "some.npy"])
def test_a_named_pipe_in_an_archives_place_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="it is a named pipe and no file"):
        load(tmp_path / name)
