"""The entry point of `kata` and `python -m kata_cli`. `--version` is answered before anything is imported."""

import gc
import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    if sys.argv[1:] == ["--version"]:
        from kata_cli import __version__

        try:
            os.write(1, f"kata {__version__}\n".encode())
        except OSError:
            pass  # the long way tells what is wrong with stdout
        else:
            return
    import signal

    # During the imports Ctrl-C ends this process as it ends any other: without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Until a run begins (`core.loop`) there is nothing but imports, and no garbage worth a look.
    gc.disable()
    from kata_cli.cli.main import run_and_exit

    run_and_exit(sys.argv[1:])


if __name__ == "__main__":
    main()
