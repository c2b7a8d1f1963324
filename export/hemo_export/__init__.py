"""Keras model in, checked and sealed ONNX bundle out."""
