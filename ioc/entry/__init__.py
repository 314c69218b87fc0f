"""Figures typed by a person and approved by a second one: a source like any other."""
