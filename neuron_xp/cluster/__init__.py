"""Dask: the only room that imports dask, distributed or fsspec. Imported inside functions."""
