from pathlib import Path

import pytest

from zerosum.data.addresses import is_address


@pytest.mark.parametrize("source", ["https://host/a", "http://host", "hf:owner/name"])
def test_addresses(source):
    assert is_address(source)


@pytest.mark.parametrize("source", ["mnist", "./hf", "hf", "https", "/a/https://b", Path("hf:a")])
def test_all_else_is_a_path_or_a_name(source):
    assert not is_address(source)
