"""The live side of houseband: clocks, ports, the conductor, the players. Never imports torch, models or export."""
