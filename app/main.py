"""Entry script of the dashboard: navigation and title, then the heavy libraries, then the page."""

import streamlit as st

from app import style
from app.state import access, address, jobs, pages
from app.text.errors import explain
from app.text.escaping import escape
from app.text.technique_help import show_summary

st.set_page_config("Interpretability workbench", page_icon=str(style.ICON), layout="wide")
page, script = pages.navigate()
access.require()
style.apply()
st.title("Interpretability workbench" if page.name == "home" else escape(page.title), anchor=False)
if page.lead:
    st.caption(escape(page.lead))
notices = st.container()
if address.begin(page.name):
    jobs.leave_page()
complete = False
with explain():
    if page.light:
        jobs.warm_up()
    else:
        jobs.wait_for_library()
    if page.technique:
        show_summary(page.technique)
    script.run()
    complete = True
if complete:
    with notices:
        address.report_unread()
address.finish(complete)
