"""Record the golden events anew: `python tests/triggers/record_events.py [name…]`, into tests/data/events/recorded."""

import json
import sys
import tempfile
import traceback
from pathlib import Path

from real_aws import RealAws
from rooms import all_scenarios

FOLDER = Path(__file__).resolve().parents[1] / "data" / "events" / "recorded"


def main(names: list[str]) -> None:
    """Record the scenarios of these names, or all of them."""
    with tempfile.TemporaryDirectory() as folder:
        aws = RealAws(Path(folder))
        try:
            for scenario in [one for one in all_scenarios() if not names or one.__name__ in names]:
                try:
                    event = scenario(aws)
                except Exception:
                    traceback.print_exc()
                    continue
                path = FOLDER / f"{scenario.__name__}.json"
                path.write_text(json.dumps(event, indent=2, ensure_ascii=False) + "\n")
                print(path.name)
        finally:
            aws.close()


if __name__ == "__main__":
    main(sys.argv[1:])
