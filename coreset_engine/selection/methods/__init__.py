"""Selection methods, one function each, listed in the METHODS registry."""
