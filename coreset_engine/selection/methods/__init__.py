"""Selection methods, one function each, listed in the METHODS registry.

All have one signature, `method(inputs, k, config, seed, *, preselected=None) -> Ranking`, so their
docstrings say only what each one does.

Parameters of every method
--------------------------
inputs : Artefacts
    Finished stages; a method reads those that its row names in `needs`. N images.
k : int
    Images to keep, 1 <= k <= N. A nested method may ignore it.
config : dataclass
    An instance of the row's config, checked.
seed : int
    For what the row names in `random`.
preselected : ndarray, (P,) int64, or None
    Positions that are kept already, P <= k. The order starts with them.

Returns
-------
Ranking
    `order`: (M,) int64 positions, k <= M <= N, best first, or hard to easy for a method that prunes
    at both ends; `scores`: (N,) float64; `weights`: (N,) float64 or None.

Raises
------
BadInput
    For parameters that do not fit the data, with the remedy.
"""
