"""What the gates compare: the Keras model's answers and the exported graphs' answers to the same input."""
