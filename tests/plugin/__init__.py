"""Tests of a plug-in package that extends the workbench."""
