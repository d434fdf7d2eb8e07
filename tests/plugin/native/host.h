/* A host for tests: what it drives (an LV2 or a CLAP plugin), and the daemon that answers. */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_EVENTS 4096

/* Where the host is at a sample, in quarter notes. */
struct place {
	bool rolling;
	double quarters; /* since the song's beginning */
	double bpm, bpm_per_frame;
	int64_t frame; /* samples since the song's beginning */
	int64_t bar;   /* from 0 */
	double bar_begin; /* quarters */
	int beats, unit;
	bool loops;
	double loop_start, loop_end; /* quarters */
};

struct event {
	uint32_t frame;
	bool is_place; /* else MIDI */
	struct place place;
	uint8_t midi[3];
};

struct events {
	struct event list[MAX_EVENTS];
	unsigned count;
};

/* A plugin interface. */
struct driver {
	/* Open the binary and make instances of it; returns NULL with a message on failure. */
	void *(*create)(const char *path, double rate);
	void (*destroy)(void *instance);
	void (*activate)(void *instance, double rate, uint32_t longest);
	void (*deactivate)(void *instance);
	void (*set)(void *instance, const char *symbol, double value); /* with the next block */
	void (*render)(void *instance, bool offline);
	/* Run a block; `in` is sorted and holds the place at its beginning, if that is to be told. */
	void (*run)(void *instance, uint32_t frames, const struct events *in, struct events *out);
	int (*status)(void *instance);
	/* Save the state, load it into another instance, and tell whether that saves the same. */
	bool (*copy_state)(void *from, void *to);
};

extern const struct driver lv2_driver, clap_driver;

/* For drivers: the plugin is called, and has returned. */
void cost_begin(void);
void cost_end(void);

/* Return what this thread has done in the plugin, in blocks of its code; 0 where it is not built to be counted. */
unsigned long work_done(void);

/* The daemon. */
void fake_start(const char *path);
void fake_stop(void); /* as kill -9 does */
void fake_hang(bool hangs);
/* Milliticks at which a role (1 to 4) begins notes, and how long each lasts. */
int64_t fake_step(int role);
int64_t fake_length(int role);

#endif
