"""``python -m kaggle_digits`` is ``kaggle-digits``."""

import sys


def main() -> None:
    """Run the command line, which may be interrupted even while it is imported."""
    try:
        from kaggle_digits import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
