"""Kernels of the coverage scores: CPU (SIMD) and CUDA."""
