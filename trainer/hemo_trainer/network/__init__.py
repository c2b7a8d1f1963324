"""The CNN-LSTM-GRU: its graph, its beginnings, and what it says of series."""
