"""Write the list of the trained networks' weights into a wheel that does not hold them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INDEX = "weights.json"


class WeightsIndex(BuildHookInterface):
    """Adds `workbench/models/weights.json`; an editable install reads the checkout's own folder instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        path = Path(self.directory, f".{INDEX}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(index(Path(self.root, "models")), indent=1) + "\n", encoding="utf-8")
        build_data["force_include"][str(path)] = f"workbench/models/{INDEX}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        Path(self.directory, f".{INDEX}").unlink(missing_ok=True)


def index(models: Path) -> dict[str, dict[str, Any]]:
    """Size, sha256 and header of every file of weights below a folder of trained networks."""
    entries = {}
    for path in sorted(models.rglob("*.safetensors")):
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header.get("__metadata__", {}).get("workbench", "{}"))
        digest = hashlib.sha256(content).hexdigest()
        entries[path.relative_to(models).as_posix()] = {"sha256": digest, "bytes": len(content), "about": about}
    for card in models.glob("*/card.json"):
        named = json.loads(card.read_text(encoding="utf-8"))["weights_sha256"]
        if entries[f"{card.parent.name}/weights.safetensors"]["sha256"] != named:
            raise ValueError(f"{card} names other weights than those beside it.")
    return entries
