"""The parts of `benchmarks/loading.py`; `peers/` has one file a library that is measured."""
