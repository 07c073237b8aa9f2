"""`encoderfleet-encoder` and `python -m fleet_encoder`: the command, or one line that says which package is missing."""


def main() -> None:
    """Run one encoder; see `command`.

    Raises:
        SystemExit: Always, in the end.
    """
    try:
        from fleet_encoder import command
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("fleet_"):
            raise
        raise SystemExit(f"Error: the encoder needs {error.name}: pip install 'encoderfleet[encoder]'") from None
    command.main()


if __name__ == "__main__":
    main()
