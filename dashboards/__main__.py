"""Writes the dashboards into the chart: `python -m dashboards`, or `make dashboards`."""

from pathlib import Path

from dashboards.board import as_json
from dashboards.encoder import encoder
from dashboards.fleet import fleet
from dashboards.operator import operator
from dashboards.pool import pool

FOLDER = Path(__file__).parents[1] / "charts" / "encoder-fleet" / "dashboards"


def files() -> dict[str, str]:
    """Name and text of each file."""
    made = {"fleet": fleet(), "pool": pool(), "encoder": encoder(), "operator": operator()}
    return {f"{name}.json": as_json(each) for name, each in made.items()}


def main() -> None:
    """Write them; a file that is no dashboard any more goes."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, text in files().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
