"""Pages without a server are pages of this machine."""

from __future__ import annotations

from streamlit import config

config.set_option("server.address", "localhost")
