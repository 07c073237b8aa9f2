"""`encoderfleet-encoder` and `python -m fleet_encoder`: the command, or one line that says which package is missing."""

from fleet_encoder.extras import encoder_extra


def main() -> None:
    """Run one encoder; see `command`.

    Raises:
        SystemExit: Always, in the end.
    """
    with encoder_extra():
        from fleet_encoder import command
    command.main()


if __name__ == "__main__":
    main()
