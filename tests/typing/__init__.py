"""Tests of the types that users of the library see."""
