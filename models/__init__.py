"""Where the players are made: modules, losses, data, training. torch stays here and in export/.

Importing this bare package imports no torch: the daemon reads `models.pretrained` through importlib.resources.
"""
