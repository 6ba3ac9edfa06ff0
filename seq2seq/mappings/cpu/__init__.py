"""Compiled kernels for rows in the memory of the CPU.

``kernels`` is the entrance; importing it loads numba, so it is imported when a kernel is needed.
"""
