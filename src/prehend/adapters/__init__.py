"""What others want from a hand: one module per consumer, plain numpy in and out (docs/ADAPTERS.md has the table).

Every function takes what a `HandEstimate` has (joints in metres in the camera's optical frame, MANO's joint rotations,
the side) and says in which frame, unit and order its answer is, and where that is written down.
"""
