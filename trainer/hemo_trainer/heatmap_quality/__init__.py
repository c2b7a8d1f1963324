"""How good the heat maps are.

Do they point at the bleed, does the score hang on what they mark, and do they depend on what the model learned? None of
it needs a reader; the first needs boxes.
"""
