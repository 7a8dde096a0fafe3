"""Access control: a token in the link is required if the server is reachable from other machines."""

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
    """Stop the page unless the server listens on this machine alone or the session has given its token."""
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
    """Return True if only this machine reaches a server at this address; None stands for all addresses."""
    return bool(address) and (address.startswith("unix://") or only_this_machine(address))


def matches(given: str) -> bool:
    """Compare a text with the token in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token().encode())


@st.cache_resource(max_entries=1, show_spinner=False)
def token() -> str:
    """Return the server's token: the one set by `workbench app`, else a new one that is logged."""
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    made = secrets.token_urlsafe(24)
    LOG.warning("This dashboard listens on more than this machine. Add ?%s=%s to its address.", TOKEN, made)
    return made


def query() -> dict[str, str]:
    """Return the token as a query for links, if the session was admitted with it."""
    return {TOKEN: token()} if st.session_state.get(ADMITTED) else {}
