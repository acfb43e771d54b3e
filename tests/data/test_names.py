from zerosum.data.names import is_hidden, is_image, natural_key, num_shared_folders, printable


def test_natural_order_is_total():
    assert sorted(["a10", "a9", "a1b10", "a09", "a1b2"], key=natural_key) == [
        "a1b2",
        "a1b10",
        "a09",
        "a9",
        "a10",
    ]


def test_hidden_is_what_a_system_keeps_beside_images():
    for name in (".1.png", "a/.git/1.png", "__MACOSX/a/1.png", "@eaDir/1.jpg/thumb.jpg"):
        assert is_hidden(name)
        assert not is_image(name)
    assert is_image("a.b/1.PNG")
    assert not is_image("1.heicx")


def test_shared_folders_are_those_of_all_files():
    assert num_shared_folders(["a/b/1", "a/b/c/2"]) == 2
    assert num_shared_folders(["1", "a/2"]) == 0


def test_a_name_can_do_nothing_to_a_terminal():
    assert printable("a\x1b[2J") == "a\\x1b[2J"
    assert printable("höhe") == "höhe"
