"""Let ``python -m kaggle_digits`` run ``kaggle-digits``."""

import sys


def main() -> None:
    """Run the command line; handle Ctrl-C also while it is imported."""
    try:
        from kaggle_digits import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
