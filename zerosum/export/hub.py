"""Exported folders on the Hugging Face hub: `--push OWNER/NAME`, and `hf://OWNER/NAME`.

The address is the package's own setting, HF_ENDPOINT, and so is the token, HF_TOKEN or `hf auth
login`. Of what lies there only JSON and safetensors are fetched: no code, no pickle.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, pip_install
from zerosum.inference.exported import FACTS, WEIGHTS

PREFIX = "hf://"


def require_hub() -> Any:
    """Import the hub's package.

    Raises:
        UserError: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f"The hub needs a package that is not installed ({error}). Install it: "
            f"{pip_install('hub')}."
        ) from None
    return huggingface_hub


def require_name(name: str) -> None:
    """Refuse what is no name on the hub.

    Raises:
        UserError: it is none.
    """
    part = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
    if not re.fullmatch(rf"{part}/{part}", name) or ".." in name or "--" in name:
        raise UserError(
            f"'{name}' is no name on the hub: expected OWNER/NAME of letters, digits, '-', '_' and "
            "'.', such as ada/digits."
        )


def push_folder(folder: Path, name: str) -> str:
    """Upload an exported folder, in one commit.

    The repository is made, for everybody to see, if it is not there.

    Args:
        folder: as `zerosum export` writes it.
        name: OWNER/NAME.

    Returns:
        The address of the repository.

    Raises:
        UserError: the name is none, or the hub cannot be reached or refuses.
    """
    require_name(name)
    hub = require_hub()
    api = hub.HfApi()
    try:
        address = str(api.create_repo(name, exist_ok=True))
        api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="A generator, by zerosum export"
        )
    except Exception as error:  # the package's, its transport's and the system's
        raise cannot(f"'{folder}' could not be uploaded to {name}", error) from None
    return address


def fetch_folder(address: str) -> Path:
    """Download the description and the weights of a generator, or find them in the hub's cache.

    Args:
        address: hf://OWNER/NAME.

    Returns:
        The folder where they are.

    Raises:
        UserError: the name is none, the hub cannot be reached, or nothing of the kind is there.
    """
    name = address.removeprefix(PREFIX)
    require_name(name)
    hub = require_hub()
    try:
        folder = hub.snapshot_download(name, allow_patterns=[FACTS, WEIGHTS])
    except Exception as error:  # the package's, its transport's and the system's
        raise cannot(f"No generator could be fetched from {address}", error) from None
    return Path(folder)


def cannot(what: str, error: Exception) -> UserError:
    """Build the error for what the hub did not do."""
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UserError(
        f"{what}: {reason:.300}. Check the name, the network and the token (hf auth login, or "
        f"HF_TOKEN). Expected there: {FACTS} and {WEIGHTS}, as zerosum export writes them."
    )
