"""A network as other programs have it: a file for ONNX, a module of torch."""
