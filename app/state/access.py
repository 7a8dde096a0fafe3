"""Access to the dashboard: from this machine without a word, from another one with the token of the link."""

from __future__ import annotations

import hmac
import logging
import os
import secrets

import streamlit as st

from workbench.cli.dashboard import TOKEN_VARIABLE, only_this_machine

LOG = logging.getLogger(__name__)
TOKEN, ADMITTED = "token", "admitted"


def require() -> None:
    """End the page here unless the server listens on this machine alone or the reader has its token."""
    if is_local(st.get_option("server.address")) or st.session_state.get(ADMITTED):
        return
    if matches(st.query_params.get(TOKEN, "")):
        st.session_state[ADMITTED] = True
        return
    st.title("Interpretability workbench", anchor=False)
    st.info(
        "This dashboard is open to other machines, so it asks for a token. It is part of the link that `workbench app` "
        "printed; a dashboard that was started otherwise writes it to its log."
    )
    typed = st.text_input("Token", type="password", key="typed token")
    if typed and matches(typed):
        st.session_state[ADMITTED] = True
        st.rerun()
    if typed:
        st.error("This is not the token of this dashboard.")
    st.stop()


def is_local(address: str | None) -> bool:
    """Test whether a server at this address is reached from its own machine alone; None stands for every address."""
    return bool(address) and (address.startswith("unix://") or only_this_machine(address))


def matches(given: str) -> bool:
    """Compare a text with the token in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token().encode())


@st.cache_resource(max_entries=1, show_spinner=False)
def token() -> str:
    """The token of this server: the one that `workbench app` made, else a new one, written to the log."""
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    made = secrets.token_urlsafe(24)
    LOG.warning("This dashboard listens on more than this machine. Add ?%s=%s to its address.", TOKEN, made)
    return made


def query() -> dict[str, str]:
    """The token for links and for the address of a reader who was admitted with it."""
    return {TOKEN: token()} if st.session_state.get(ADMITTED) else {}
