"""Two trained judges of generated bands: does a part belong to its melody, and can one hear which style it plays.

They judge and are no part of the product. `python -m tests.programs.judges --help` says how they are run; each is
trained in minutes on one core when it is first needed, from the collections of songs, and kept under runs/.
"""
