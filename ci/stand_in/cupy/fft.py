"""CuPy's Fourier transforms: none, but array_api_compat imports the module."""
