"""``python -m cartwheel``: the command line."""

from cartwheel.cli.app import main

if __name__ == "__main__":
    main()
