/* The tempo of a host that tells it at single samples, and not by how much it rises from one to the next (LV2). */
#ifndef HOUSEBAND_RAMP_H
#define HOUSEBAND_RAMP_H

#include <stdbool.h>

/* What a host tells at a sample. */
struct tempo_point {
	double frame, tick, bpm;
	double told;  /* the tick as the host told it, where it rounds and `tick` is more exact ... */
	double noise; /* ... and by how much it may be wrong */
};

struct ramp {
	struct tempo_point last;
	struct tempo_point anchor; /* the tempo has risen evenly since, as far as can be told */
	double rise;               /* quarter notes a minute, with every sample */
};

/* Begin where nothing is known but a tempo. */
void ramp_begin(struct ramp *ramp, const struct tempo_point *point);
/* Take what the host tells next, in samples of a rate; `rise` is then what is to be expected from there on. */
void ramp_follow(struct ramp *ramp, const struct tempo_point *point, double rate);

#endif
