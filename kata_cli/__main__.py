"""The entry point of `kata` and `python -m kata_cli`. `--version` is answered before anything is imported."""

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    if sys.argv[1:] == ["--version"]:
        from kata_cli import __version__

        sys.stdout.write(f"kata {__version__}\n")
        return
    from kata_cli.cli.main import run_and_exit

    run_and_exit(sys.argv[1:])


if __name__ == "__main__":
    main()
