/* How a host goes that rounds its positions and tells, within a ramp of the tempo, only the tempo at which it began (Ardour):
 * a Kalman filter over the positions that it told. */
#ifndef HOUSEBAND_TEMPO_H
#define HOUSEBAND_TEMPO_H

#include <stdbool.h>

/* What a host that plays tells at a sample. */
struct told_place {
	double frame;
	double tick;  /* as it was rounded ... */
	double noise; /* ... by so much at most */
	double bpm;
};

struct tempo_filter {
	struct told_place last;
	unsigned count;   /* places since it began */
	double tick;      /* at the sample of `last` ... */
	double speed;     /* ... and the ticks a second there ... */
	double growth;    /* ... which grow by such a share of themselves in a second */
	double doubt[3][3]; /* covariance of tick, speed and growth */
	bool is_ramp;     /* the places say that the tempo is another than the host says */
};

/* Begin at a place; is_sure: the tempo is the one that is told. */
void tempo_begin(struct tempo_filter *filter, const struct told_place *place, bool is_sure);
/* Take the next place, at a rate of samples. */
void tempo_follow(struct tempo_filter *filter, const struct told_place *place, double rate);
/* Return the tempo (quarter notes a minute), and by how much it rises with every sample. */
double tempo_get(const struct tempo_filter *filter, double rate, double *rise);

#endif
