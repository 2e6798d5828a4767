"""Parity plans AI compute on the chips you can actually get."""
