"""Gallery: what each unit likes best."""

import streamlit as st

st.info("Activation maximization is not installed.")
