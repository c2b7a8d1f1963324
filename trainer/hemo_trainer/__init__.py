"""Fits the CNN-LSTM-GRU. Imports nothing heavy until asked."""
