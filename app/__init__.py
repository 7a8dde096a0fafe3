"""Dashboard of the workbench, written in Streamlit."""
