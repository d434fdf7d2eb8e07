#include "ramp.h"

#include <float.h>
#include <math.h>

/* Hosts tell beats as float, of which a bar may have sixteen: by so much (ticks) two of them may be wrong. */
#define FLOAT_NOISE 24e-6
/* What is to be told from noise has to be so many times larger. */
#define CLEAR 4
/* Where noise hides the way, a tempo that changes no faster (quarter notes a minute, in a second) is taken to rise. */
#define PLAUSIBLE_RISE 60
/* Points so far apart (s) make a rise known well enough. */
#define LONG_SECONDS 0.05
/* A rise that cannot be told for so long (s) is none. */
#define GIVE_UP_SECONDS 1
/* at one quarter note a minute */
#define TICKS_PER_SECOND (24.0 / 60)

void ramp_begin(struct ramp *ramp, const struct tempo_point *point)
{
	ramp->last = ramp->anchor = *point;
	ramp->rise = 0;
}

/* Find the rise between a point and another. Return false where noise may be as large. */
static bool judge(const struct ramp *ramp, const struct tempo_point *from, const struct tempo_point *to, double rate,
                  double *rise)
{
	double frames = to->frame - from->frame, change = to->bpm - from->bpm;
	double ticks = fmax(FLOAT_NOISE, from->noise + to->noise);
	double noise = FLT_EPSILON * to->bpm + ticks / TICKS_PER_SECOND * rate / frames;
	if (noise * CLEAR > fmax(fabs(change), fabs(ramp->rise * frames)))
		return false;
	/* the way between them says whether the tempo changed evenly, or at once */
	double mean = (to->told - from->told) / TICKS_PER_SECOND * rate / frames;
	bool is_even = fabs(mean - (from->bpm + to->bpm) / 2) < fabs(change) / 4;
	*rise = is_even && fabs(change) > FLT_EPSILON * to->bpm ? change / frames : 0;
	return true;
}

void ramp_follow(struct ramp *ramp, const struct tempo_point *point, double rate)
{
	double frames = point->frame - ramp->anchor.frame, rise;
	bool is_expected = fabs(point->bpm - ramp->anchor.bpm - ramp->rise * frames) <= FLT_EPSILON * point->bpm;
	if (is_expected && frames < LONG_SECONDS * rate) {
		ramp->last = *point;
	} else if (is_expected) {
		ramp->last = ramp->anchor = *point;
	} else if (judge(ramp, &ramp->last, point, rate, &rise) || judge(ramp, &ramp->anchor, point, rate, &rise)) {
		ramp->last = ramp->anchor = *point;
		ramp->rise = rise;
	} else if (frames > GIVE_UP_SECONDS * rate) {
		ramp_begin(ramp, point);
	} else {
		rise = (point->bpm - ramp->last.bpm) / (point->frame - ramp->last.frame);
		ramp->rise = fabs(rise) * rate <= PLAUSIBLE_RISE ? rise : 0;
		ramp->last = *point;
	}
}
