"""How well fits are determined: statistics, intervals and bands."""
