/* The parameters of the plugin, in one table that LV2, CLAP, the state and the daemon's controls share. */
#ifndef HOUSEBAND_PARAMETERS_H
#define HOUSEBAND_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

/* Numbers of the parameters. They are CLAP's identifiers and the order of LV2's ports: a new one goes last. */
enum parameter_number {
	PLAYS,
	SENDS,
	THRU,
	ENABLED,
	STYLE,
	TECHNIQUE,
	SEED,
	INTENSITY,
	DENSITY,
	TEMPERATURE,
	RECALL,
	SWING,
	HUMANISE,
	HARMONY,
	KEY,
	SPLIT,
	TRANSPOSE,
	START_WITH,
	VAMP,
	LEVEL_BASS,
	LEVEL_CHORDS,
	LEVEL_PAD,
	LEVEL_DRUMS,
	MUTE_BASS,
	MUTE_CHORDS,
	MUTE_PAD,
	MUTE_DRUMS,
	OCTAVE_BASS,
	OCTAVE_CHORDS,
	OCTAVE_PAD,
	FILL,
	VARIATION,
	ENDING,
	INTRO,
	PANIC,
	PARAMETER_COUNT
};

enum parameter_kind {
	CONTINUOUS, /* any number of the range */
	INTEGER,    /* whole numbers of the range */
	CHOICE,     /* one of the words, by its index */
	SWITCH,     /* 0 off, 1 on */
	TRIGGER     /* acts whenever it goes from off to on */
};

struct parameter {
	const char *symbol;  /* LV2's port symbol, and the key in the state */
	const char *name;    /* what a host shows */
	const char *control; /* the daemon's control that it turns; NULL: it concerns the plugin alone */
	enum parameter_kind kind;
	double low, high, standard;
	const char *unit;          /* as a host shows it after the number, or "" */
	const char *const *labels; /* CHOICE: what a host shows for each value, ended by NULL */
	const char *const *words;  /* CHOICE: what the daemon is sent for each value; NULL: nothing is sent */
};

extern const struct parameter PARAMETERS[PARAMETER_COUNT];

/* Return a value brought into the parameter's range, whole where it must be; what is no number is the standard. */
double parameter_limit(unsigned number, double value);

/* Write a value as a host shows it. */
void parameter_show(unsigned number, double value, char *text, size_t size);

/* Read a value as a host shows it. Return false where the text is none. */
bool parameter_read(unsigned number, const char *text, double *value);

/* Write the value that the daemon is sent; never with a decimal comma, whatever the locale. */
void parameter_word(unsigned number, double value, char *text, size_t size);

#endif
