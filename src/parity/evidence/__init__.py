"""Measurements that others published, what Parity predicts for them, and the error between."""
