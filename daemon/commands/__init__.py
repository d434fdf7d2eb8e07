"""The live commands: one module each, named as the command, whose `command` is a click command. They import what they
need when they are called, so that `--help` is quick."""
