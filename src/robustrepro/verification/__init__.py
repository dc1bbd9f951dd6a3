"""Exact verification of piecewise linear networks in ℓ∞ balls: bounds, linear programs, mixed-integer programs."""
