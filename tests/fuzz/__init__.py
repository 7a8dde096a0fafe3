"""Generators and judges of the fuzz tests."""
