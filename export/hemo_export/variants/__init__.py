"""The precisions of a bundle: made, and measured for speed and memory."""
