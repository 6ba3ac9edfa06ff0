"""Fake tensors, which have a device, a type and a shape, but no numbers.

``FakeTensorMode`` is what ``torch.compile`` traces with, but it has no public name. Without it, or
if it changes, the tests of ``test_device_placement.py`` fail, and nothing else.
"""

from torch._subclasses import FakeTensorMode

__all__ = ["FakeTensorMode"]
