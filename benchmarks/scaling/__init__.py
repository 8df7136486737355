"""What benchmarks/scale.py is made of: cells measured one by one, the plan drawn from them, a run
under a cap."""
