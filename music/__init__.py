"""The vocabulary that training, export and the live side share: notes, rolls, files, figures.

Depends on numpy and mido only.
"""
