#include "parameters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const PLAYS_LABELS[] = {"All", "Bass", "Chords", "Pad", "Drums", NULL};
static const char *const SENDS_LABELS[] = {"Parts without a track of their own", "All parts", "Nothing", NULL};
static const char *const STYLE_LABELS[] = {"Pop",   "Rock",     "Jazz",      "Ballad",
                                           "Piano", "Romantic", "Classical", "Chorale", NULL};
static const char *const STYLE_WORDS[] = {"pop",   "rock",     "jazz",      "ballad",
                                          "piano", "romantic", "classical", "chorale", NULL};
static const char *const TECHNIQUE_LABELS[] = {"GAN", "Transformer", NULL};
static const char *const TECHNIQUE_WORDS[] = {"gan", "transformer", NULL};
static const char *const HARMONY_LABELS[] = {"Melody", "Hands or else guessed", "Left hand", "Chart", NULL};
static const char *const HARMONY_WORDS[] = {"melody", "auto", "hands", "chart", NULL};
static const char *const KEY_LABELS[] = {"Any",     "C major", "Db major", "D major", "Eb major", "E major", "F major",
                                         "F# major", "G major", "Ab major", "A major", "Bb major", "B major", "C minor",
                                         "C# minor", "D minor", "Eb minor", "E minor", "F minor",  "F# minor", "G minor",
                                         "G# minor", "A minor", "Bb minor", "B minor", NULL};
static const char *const KEY_WORDS[] = {"auto",    "C major", "Db major", "D major", "Eb major", "E major", "F major",
                                        "F# major", "G major", "Ab major", "A major", "Bb major", "B major", "C minor",
                                        "C# minor", "D minor", "Eb minor", "E minor", "F minor",  "F# minor", "G minor",
                                        "G# minor", "A minor", "Bb minor", "B minor", NULL};
static const char *const START_LABELS[] = {"First note", "Band", NULL};
static const char *const START_WORDS[] = {"note", "band", NULL};

#define CHOOSE(symbol, name, control, standard, labels, words)                                                        \
	{symbol, name, control, CHOICE, 0, (double)(sizeof(labels) / sizeof *(labels)) - 2, standard, "", labels, words}
#define TURN(symbol, name, control, low, high, standard)                                                              \
	{symbol, name, control, CONTINUOUS, low, high, standard, "", NULL, NULL}
#define COUNT(symbol, name, control, low, high, standard, unit)                                                       \
	{symbol, name, control, INTEGER, low, high, standard, unit, NULL, NULL}
#define TOGGLE(symbol, name, control, standard) {symbol, name, control, SWITCH, 0, 1, standard, "", NULL, NULL}
#define PRESS(symbol, name, control) {symbol, name, control, TRIGGER, 0, 1, 0, "", NULL, NULL}

const struct parameter PARAMETERS[PARAMETER_COUNT] = {
	[PLAYS] = CHOOSE("plays", "Plays", NULL, 0, PLAYS_LABELS, NULL),
	[SENDS] = CHOOSE("sends", "All sends", NULL, 0, SENDS_LABELS, NULL),
	[THRU] = TOGGLE("thru", "MIDI through", NULL, 1),
	[ENABLED] = TOGGLE("enabled", "Enabled", NULL, 1),
	[STYLE] = CHOOSE("style", "Style", "style", 0, STYLE_LABELS, STYLE_WORDS),
	[TECHNIQUE] = CHOOSE("technique", "Technique", "technique", 0, TECHNIQUE_LABELS, TECHNIQUE_WORDS),
	[SEED] = COUNT("seed", "Seed", "seed", 0, 9999, 0, ""),
	[INTENSITY] = TURN("intensity", "Intensity", "intensity", 0, 1, 0.7),
	[DENSITY] = TURN("density", "Density", "density", 0, 2, 1),
	[TEMPERATURE] = TURN("temperature", "Temperature", "temperature", 0, 2, 1),
	[RECALL] = TURN("recall", "Recall", "recall", 0, 1, 1),
	[SWING] = TURN("swing", "Swing", "swing", 0, 1, 0),
	[HUMANISE] = TURN("humanise", "Humanise", "humanise", 0, 1, 0),
	[HARMONY] = CHOOSE("harmony", "Chords from", "harmony", 0, HARMONY_LABELS, HARMONY_WORDS),
	[KEY] = CHOOSE("key", "Key", "key", 0, KEY_LABELS, KEY_WORDS),
	[SPLIT] = COUNT("split", "Left hand below", "split", 0, 127, 0, ""),
	[TRANSPOSE] = COUNT("transpose", "Transpose", "transpose", -24, 24, 0, "st"),
	[START_WITH] = CHOOSE("start_with", "Starts with", "start_with", 0, START_LABELS, START_WORDS),
	[VAMP] = TOGGLE("vamp", "Repeat the section", "vamp", 0),
	[LEVEL_BASS] = TURN("level_bass", "Level of bass", "level.bass", 0, 1.5, 1),
	[LEVEL_CHORDS] = TURN("level_chords", "Level of chords", "level.chords", 0, 1.5, 1),
	[LEVEL_PAD] = TURN("level_pad", "Level of pad", "level.pad", 0, 1.5, 1),
	[LEVEL_DRUMS] = TURN("level_drums", "Level of drums", "level.drums", 0, 1.5, 1),
	[MUTE_BASS] = TOGGLE("mute_bass", "Mute bass", "mute.bass", 0),
	[MUTE_CHORDS] = TOGGLE("mute_chords", "Mute chords", "mute.chords", 0),
	[MUTE_PAD] = TOGGLE("mute_pad", "Mute pad", "mute.pad", 0),
	[MUTE_DRUMS] = TOGGLE("mute_drums", "Mute drums", "mute.drums", 0),
	[OCTAVE_BASS] = COUNT("octave_bass", "Octave of bass", "octave.bass", -4, 4, 0, "oct"),
	[OCTAVE_CHORDS] = COUNT("octave_chords", "Octave of chords", "octave.chords", -4, 4, 0, "oct"),
	[OCTAVE_PAD] = COUNT("octave_pad", "Octave of pad", "octave.pad", -4, 4, 0, "oct"),
	[FILL] = PRESS("fill", "Fill", "fill"),
	[VARIATION] = PRESS("variation", "Variation", "variation"),
	[ENDING] = PRESS("ending", "Ending", "ending"),
	[INTRO] = PRESS("intro", "Intro", "intro"),
	[PANIC] = PRESS("panic", "Panic", "panic"),
};

double parameter_limit(unsigned number, double value)
{
	const struct parameter *p = &PARAMETERS[number];
	if (!isfinite(value))
		return p->standard;
	if (p->kind == SWITCH || p->kind == TRIGGER)
		return value >= 0.5 ? 1 : 0;
	if (p->kind != CONTINUOUS)
		value = round(value);
	return value < p->low ? p->low : value > p->high ? p->high : value;
}

/* Write a number with at most three decimals and a point, which printf does not promise in every locale. */
static void write_number(double value, char *text, size_t size)
{
	long thousandths = lround(value * 1000);
	const char *sign = thousandths < 0 ? "-" : "";
	long magnitude = labs(thousandths);
	if (magnitude % 1000)
		snprintf(text, size, "%s%ld.%03ld", sign, magnitude / 1000, magnitude % 1000);
	else
		snprintf(text, size, "%s%ld", sign, magnitude / 1000);
}

void parameter_show(unsigned number, double value, char *text, size_t size)
{
	const struct parameter *p = &PARAMETERS[number];
	value = parameter_limit(number, value);
	if (p->kind == CHOICE) {
		snprintf(text, size, "%s", p->labels[(size_t)value]);
	} else if (p->kind == SWITCH || p->kind == TRIGGER) {
		snprintf(text, size, "%s", value > 0 ? "On" : "Off");
	} else {
		char written[32];
		write_number(value, written, sizeof written);
		snprintf(text, size, "%s%s%s", written, *p->unit ? " " : "", p->unit);
	}
}

/* Read digits with an optional sign and fraction; a decimal comma is taken, too. */
static bool read_number(const char *text, double *value)
{
	double sign = 1, number = 0, place = 0;
	bool any = false;
	while (*text == ' ')
		text++;
	if (*text == '-' || *text == '+')
		sign = *text++ == '-' ? -1 : 1;
	for (; (*text >= '0' && *text <= '9') || ((*text == '.' || *text == ',') && place == 0); text++) {
		if (*text == '.' || *text == ',') {
			place = 1;
			continue;
		}
		any = true;
		number = number * 10 + (*text - '0');
		place *= 10;
	}
	*value = sign * number / (place > 0 ? place : 1);
	return any;
}

bool parameter_read(unsigned number, const char *text, double *value)
{
	const struct parameter *p = &PARAMETERS[number];
	if (p->kind == CHOICE)
		for (size_t i = 0; p->labels[i]; i++)
			if (!strcmp(text, p->labels[i]) || (p->words && !strcmp(text, p->words[i]))) {
				*value = (double)i;
				return true;
			}
	if ((p->kind == SWITCH || p->kind == TRIGGER) && (!strcmp(text, "On") || !strcmp(text, "Off"))) {
		*value = text[1] == 'n';
		return true;
	}
	if (!read_number(text, value))
		return false;
	*value = parameter_limit(number, *value);
	return true;
}

void parameter_word(unsigned number, double value, char *text, size_t size)
{
	const struct parameter *p = &PARAMETERS[number];
	value = parameter_limit(number, value);
	if (p->kind == CHOICE)
		snprintf(text, size, "%s", p->words ? p->words[(size_t)value] : "");
	else
		write_number(value, text, size);
}
