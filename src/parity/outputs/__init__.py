"""Answers as sentences, tables and JSON."""
