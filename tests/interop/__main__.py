"""SGLang for the tests, from its own wheel: `python -m tests.interop install`."""

import argparse
import sys
from collections.abc import Sequence

from tests.cluster.cache import MissingProgramError
from tests.interop import install


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code, 0 also where a wheel cannot be got here: the tests then skip."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("install", help="install SGLang into an environment of its own, once")
    parser.parse_args(arguments)
    try:
        if install.find() is not None:
            print(f"==> SGLang {install.VERSION} (installed already, in {install.root()})")
        install.ensure()
    except install.UnobtainableSGLangError as error:
        print(f"interop: its tests will skip: {error}", file=sys.stderr)
    except (install.MissingSGLangError, MissingProgramError) as error:
        print(f"interop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
