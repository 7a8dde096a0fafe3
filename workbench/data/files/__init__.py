"""Files on this machine: download, verification, storage."""
