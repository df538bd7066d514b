"""Rows in, a model artifact out: no store, no environment."""
