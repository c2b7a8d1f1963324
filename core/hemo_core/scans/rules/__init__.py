"""What the words in headers mean: a vocabulary of several languages that a site can extend."""
