"""Older Keras models of single pictures, rebuilt in the shape that every export starts from."""
