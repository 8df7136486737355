"""Selection methods, one function each, listed in the METHODS registry.

All have one signature, `method(inputs, k, config, seed, *, preselected=None) -> Ranking`, whose
parameters, answer and errors `selection.contract` describes once; their docstrings say only what is
their own.
"""
