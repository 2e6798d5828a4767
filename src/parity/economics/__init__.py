"""What work on chips costs and earns: rent, ownership, energy, token prices, margins, payback."""
