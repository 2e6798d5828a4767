"""How a chip comes to be and to reach you: making, and the rules on where it may go."""
