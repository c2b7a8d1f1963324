"""What a training step is made of: slices drawn, augmented, and packed into arrays."""
