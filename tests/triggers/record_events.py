"""Record the golden events anew: `python tests/triggers/record_events.py`, into tests/data/events/recorded."""

import json
import tempfile
import traceback
from pathlib import Path

from real_aws import RealAws
from scenarios import SCENARIOS

FOLDER = Path(__file__).resolve().parents[1] / "data" / "events" / "recorded"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        aws = RealAws(Path(folder))
        try:
            for scenario in SCENARIOS:
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
    main()
