"""The background service on a real systemd with a real ALSA sequencer: `make test-vm`."""
