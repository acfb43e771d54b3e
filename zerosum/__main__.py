"""`python -m zerosum` is `zerosum`."""

from __future__ import annotations

from zerosum.streams import quiet_interrupts


def main() -> None:
    """Run the command line of this process."""
    with quiet_interrupts():
        from zerosum.cli import main as command_line
    command_line.main()


if __name__ == "__main__":
    main()
