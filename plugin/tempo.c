#include "tempo.h"

#include <math.h>

#define TICKS_PER_SECOND (24.0 / 60) /* at one quarter note a minute */
/* What is not known at first, as standard deviations: the speed where only the tempo is known at which a ramp began, or
 * where the tempo was told anew within the last block; and how fast it changes (shares of it). */
#define UNKNOWN_SPEED 0.3
#define KNOWN_SPEED 0.002
#define UNKNOWN_GROWTH 0.15
/* By so much the growth may change in a second: hardly within a ramp; before it is one, which may begin anywhere, freely. */
#define RAMP_DRIFT 0.001
#define FREE_DRIFT 0.3
/* The speed has to be so many standard deviations from what is told to make it a ramp ... */
#define CLEAR 4
/* ... after so many places at least. */
#define MIN_PLACES 4
/* A place that is so many times further off than its rounding allows is no part of the same ramp. */
#define LOST 3
/* So long (s) without a place, nothing is known. */
#define MAX_GAP_SECONDS 1

void tempo_begin(struct tempo_filter *filter, const struct told_place *place, bool is_sure)
{
	double speed = place->bpm * TICKS_PER_SECOND;
	double speed_doubt = speed * (is_sure ? KNOWN_SPEED : UNKNOWN_SPEED);
	*filter = (struct tempo_filter){.last = *place, .count = 1, .tick = place->tick, .speed = speed};
	filter->doubt[0][0] = place->noise * place->noise / 3;
	filter->doubt[1][1] = speed_doubt * speed_doubt;
	filter->doubt[2][2] = UNKNOWN_GROWTH * UNKNOWN_GROWTH;
}

/* Go on by so many seconds. */
static void predict(struct tempo_filter *filter, double seconds)
{
	double grown = filter->growth * seconds, factor = 1 + grown * (1 + grown / 2);
	double way = seconds * (1 + grown / 2 * (1 + grown / 3)); /* at a speed of one */
	double step[3][3] = {{1, way, filter->speed * seconds * seconds / 2 * (1 + 2 * grown / 3)},
	                     {0, factor, filter->speed * seconds * factor},
	                     {0, 0, 1}};
	double half[3][3] = {{0}}, whole[3][3] = {{0}};
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			for (int k = 0; k < 3; k++)
				half[i][j] += step[i][k] * filter->doubt[k][j];
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			for (int k = 0; k < 3; k++)
				whole[i][j] += half[i][k] * step[j][k];
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			filter->doubt[i][j] = whole[i][j];
	double drift = filter->is_ramp ? RAMP_DRIFT : FREE_DRIFT;
	filter->doubt[2][2] += drift * drift * seconds;
	filter->tick += filter->speed * way;
	filter->speed *= factor;
}

/* Correct what is known by the place that is told. */
static void correct(struct tempo_filter *filter, double apart, double noise)
{
	double gain[3], row[3], all = filter->doubt[0][0] + noise * noise / 3;
	for (int i = 0; i < 3; i++) {
		gain[i] = filter->doubt[i][0] / all;
		row[i] = filter->doubt[0][i];
	}
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			filter->doubt[i][j] -= gain[i] * row[j];
	filter->tick += gain[0] * apart;
	filter->speed += gain[1] * apart;
	filter->growth += gain[2] * apart;
}

void tempo_follow(struct tempo_filter *filter, const struct told_place *place, double rate)
{
	double seconds = (place->frame - filter->last.frame) / rate;
	bool is_change = filter->count && place->bpm != filter->last.bpm;
	if (!filter->count || is_change || seconds <= 0 || seconds > MAX_GAP_SECONDS) {
		tempo_begin(filter, place, is_change && seconds > 0);
		return;
	}
	predict(filter, seconds);
	double apart = place->tick - filter->tick;
	if (fabs(apart) > LOST * (place->noise + sqrt(filter->doubt[0][0]))) {
		tempo_begin(filter, place, false);
		return;
	}
	correct(filter, apart, place->noise);
	filter->last = *place;
	filter->count += filter->count < MIN_PLACES;
	double beside = fabs(filter->speed - place->bpm * TICKS_PER_SECOND);
	if (filter->count == MIN_PLACES && beside > CLEAR * sqrt(fmax(filter->doubt[1][1], 0)))
		filter->is_ramp = true;
}

double tempo_get(const struct tempo_filter *filter, double rate, double *rise)
{
	double bpm = fmax(filter->speed / TICKS_PER_SECOND, 1);
	*rise = bpm * filter->growth / rate;
	return bpm;
}
