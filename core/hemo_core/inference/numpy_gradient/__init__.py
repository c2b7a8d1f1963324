"""Grad-CAM without TensorFlow: the gradient of the bundle's own ONNX head, worked out in numpy."""
