"""`python -m zerosum` is `zerosum`."""

from zerosum.cli.main import main

if __name__ == "__main__":
    main()
