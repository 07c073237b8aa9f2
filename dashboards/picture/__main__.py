"""Draws the four dashboards: `python -m dashboards.picture PROMETHEUS_URL FOLDER`."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashboards.picture.answers import answers
from dashboards.picture.asking import AskingError, Prometheus
from dashboards.picture.whole import Drawn, draw
from dashboards.picture.window import Window, window

FILES = Path(__file__).parents[2] / "charts" / "encoder-fleet" / "dashboards"
SCRAPE_INTERVAL = 15
"""Seconds; what Grafana takes for it where nobody says."""


def pictures(url: str, folder: Path, shown: Window, wanted: Mapping[str, str]) -> dict[str, Drawn]:
    """Draw all dashboards; what is in each picture, by its name.

    Args:
        url: Of Prometheus.
        folder: Where the pictures shall be; it is made if need be.
        shown: The time.
        wanted: Values of variables.

    Raises:
        AskingError: Prometheus does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = Prometheus(url)
    made = {}
    for file in sorted(FILES.glob("*.json")):
        dashboard = json.loads(file.read_text())
        made[file.stem] = draw(dashboard, answers(server, dashboard, shown, wanted), folder / f"{file.stem}.png")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw them and say what is in them; 1 if Prometheus does not answer."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.picture", description="Pictures of the dashboards.")
    parser.add_argument("url", help="of Prometheus: http://127.0.0.1:9090")
    parser.add_argument("folder", type=Path, help="where the pictures shall be")
    parser.add_argument("--minutes", type=float, default=20, help="how long a time is shown (default: 20)")
    parser.add_argument("--until", type=float, help="where it ends, in seconds since 1970 (default: now)")
    parser.add_argument(
        "--scrape-interval", type=int, default=SCRAPE_INTERVAL, help="of Prometheus, in seconds (default: 15)"
    )
    parser.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_choice,
        help="value of a variable: pool=vision; may be given more than once",
    )
    given = parser.parse_args(arguments)
    shown = window(given.until or time.time(), given.minutes, given.scrape_interval)
    try:
        made = pictures(given.url, given.folder, shown, dict(given.choose))
    except AskingError as error:
        print(error, file=sys.stderr)
        return 1
    for name, each in made.items():
        without = f"; without data: {', '.join(each.empty)}" if each.empty else ""
        print(f"{name}.png: {each.width} x {each.height}, {len(each.panels)} panels{without}")
    return 0


def _choice(said: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{said}: not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
