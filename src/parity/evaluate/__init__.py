"""Memory, step time and energy of one case or of arrays of cases."""
