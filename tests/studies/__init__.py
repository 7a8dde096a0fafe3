"""Tests of the findings of the studies."""
