"""Weights & Biases: offline, in RUN/wandb, unless the user has an account there set up."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from zerosum.callbacks.loggers import Entry, Sent

PROJECT = "zerosum"
"""Unless WANDB_PROJECT names another."""


class WandbLogger:
    """See `zerosum.callbacks.loggers.Logger`."""

    last_step: int | None = None
    """Of a run that is not on a server wandb cannot tell; there it leaves out what it has."""

    def __init__(self, run: Sent) -> None:
        import wandb

        offline = is_offline()
        self._image = wandb.Image
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.named(run.path.resolve().name),
            id=run.named(run.identity),
            resume=None if offline else "allow",
            dir=str(run.path),
            config=dict(run.settings),
            mode="offline" if offline else None,
            # A run of its own, beside one that the user may have open in this process.
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_git=True),
        )
        folder = shlex.quote(str(Path(self._run.dir).parent))
        self.where = f"wandb sync {folder}" if offline else str(self._run.url)
        """How what is on the disk gets there, or the run's page."""

    def send(self, entry: Entry) -> None:
        """Hand an entry to wandb's own process, which writes and sends it."""
        values: dict[str, object] = {**entry.scalars, **entry.texts}
        if entry.picture is not None:
            values["samples"] = self._image(str(entry.picture))
        self._run.log(values, step=entry.step)

    def close(self) -> None:
        """Wait until all is written or sent."""
        self._run.finish()


def is_offline() -> bool:
    """Whether to keep it on the disk: neither WANDB_MODE nor an account says otherwise."""
    import wandb
    from requests.utils import get_netrc_auth

    asked = os.environ.get("WANDB_MODE")
    if asked:
        return asked == "offline"
    # Where wandb itself looks; its own ways to ask warn of their end, or ask its server.
    settings = wandb.setup().settings
    token = getattr(settings, "identity_token_file", None)  # which old versions have not
    return not (settings.api_key or token or get_netrc_auth(settings.base_url))


def open_run(run: Sent) -> WandbLogger:
    """Begin a run of wandb, or go on with it under the same id."""
    return WandbLogger(run)
