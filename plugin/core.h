/* One instance of the plugin, without any plugin interface: where the host is, what has been played to the band, and
 * when the band's notes begin and end. LV2 and CLAP call the functions of this file; link.c speaks with the daemon.
 *
 * Threads. The functions under "audio thread" are called by one thread at a time, in the order in which things happen
 * in a block; they allocate nothing, lock nothing, and call no system (but while a host renders offline). The thread of
 * link.c takes what `up` holds and fills `down`. What else both read is atomic. All others: the host's main thread. */
#ifndef HOUSEBAND_CORE_H
#define HOUSEBAND_CORE_H

#include "epochs.h"
#include "parameters.h"
#include "ramp.h"
#include "ring.h"
#include "tempo.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TICKS_PER_QUARTER 24.0
#define MILLITICKS_PER_TICK 1000.0
#define MAX_NOTES 1024      /* beginnings and ends of notes that are still to come */
#define MAX_SOUNDING 128    /* notes of the band that have begun and not ended */
#define MAX_METRE_CHANGES 64
#define MAX_EPOCHS_AHEAD 8  /* epochs that the instance that leads is ahead: a host can start and jump in one block */
#define MAX_SESSION_BYTES 64

/* Roles, by their number in `plays`. */
enum role { ALL_ROLES, BASS, CHORDS, PAD, DRUMS, ROLE_COUNT };

/* What the port `status` says. */
enum status { STATUS_ABSENT, STATUS_CONNECTING, STATUS_PLAYING, STATUS_ERROR };

/* What a host tells of its transport at one sample. Positions and tempo are in quarter notes, whatever the metre. */
struct host_position {
	double speed;          /* 0: stopped; 1: as usual */
	double bpm;            /* quarter notes a minute */
	double bpm_per_frame;  /* by how much the tempo rises with every sample from here on */
	bool hides_ramps;      /* the host tells no bpm_per_frame: it follows from the positions told before */
	double rounded;        /* ticks by which the position may be wrong, for the host has rounded it */
	bool has_tick;         /* the host counts from the song's beginning: tick and bar_tick hold, and bar does not */
	double tick;           /* 24 a quarter note; 0 is the beginning of the host's first bar */
	double bar_tick;       /* where the bar begins */
	int64_t bar;           /* the bar's number, from 0 */
	double quarters;       /* quarter notes since the bar began */
	int beats, unit;       /* the metre: 6 and 8 for 6/8 */
	bool has_frame;
	double frame;          /* samples since the song's beginning */
	bool tells_loop; /* the host says where it repeats, if it does */
	bool has_loop;
	double loop_start, loop_end; /* ticks between which the host repeats */
};

/* Takes an outgoing MIDI message at a sample of the block. Returns false where there is no room for it. */
typedef bool (*emit_function)(void *context, uint32_t frame, const uint8_t *midi, uint32_t size);

/* A note of the band that is to begin, or to end. */
struct planned_note {
	uint32_t epoch;
	uint32_t serial; /* of the note, whose beginning and end have the same */
	uint8_t role, pitch;
	uint8_t velocity; /* 0: it ends */
	bool foretold; /* for a repetition that is only expected */
	double tick;
	double late; /* samples by which it comes later than its tick; below 0: earlier */
};

/* What has come of an epoch that this instance has not reached. */
struct told_until {
	uint32_t epoch;
	bool foretold; /* it is for a repetition that is only expected; otherwise the instance that leads is there already */
	double tick;
};

/* A note of the band that sounds. */
struct sounding_note {
	uint32_t serial;
	uint8_t role, pitch;
	bool overdue; /* it has to end with the next message that there is room for */
};

/* A bar from which on another metre holds, for hosts that count bars only. */
struct metre_change {
	int64_t bar;
	double tick, ticks_per_bar;
};

/* The metre changes of an instance, for others that are activated later. */
struct shared_metres {
	atomic_uint version; /* odd while they are written */
	atomic_uint count;
	struct {
		_Atomic int64_t bar;
		_Atomic double ticks_per_bar;
	} changes[MAX_METRE_CHANGES];
};

struct session;

struct band {
	/* set while no audio thread runs */
	double rate; /* samples a second */

	/* of the audio thread */
	emit_function emit;
	void *context;
	uint32_t frames;         /* samples of the block */
	uint32_t now;            /* sample of the block up to which everything has been sent */
	bool output_full;        /* a message of this block found no room; whatever else is due waits for the next block */
	unsigned events_left;    /* notes that may begin or end in this block; what else is due waits for the next block */
	uint32_t longest_block;  /* samples */
	bool grows;              /* the block is longer than all before, of which was not told yet */
	uint32_t epoch;          /* rises with every start, stop and jump of the host */
	bool located;            /* the host has told where it is, at least once */
	struct host_position at; /* as told last; tick, bar_tick and frame are those of the sample `origin` */
	struct ramp ramp;        /* of a host that hides how the tempo rises ... */
	struct tempo_filter tempo; /* ... and of one that rounds its positions, and hides the tempo itself in ramps */
	double origin;           /* sample of the block, or of one before (below 0), that `at` speaks of */
	double landed;           /* tick at which this epoch began */
	bool wraps;              /* the host jumped back by whole bars while it played, and is likely to do so again ... */
	double wrap_from, wrap_to; /* ... between these ticks */
	bool wraps_unannounced;  /* ... within a block, of which it tells with the next only ... */
	double wrap_frames, wrap_bpm; /* ... by so many samples of the song, and to this tempo */
	uint32_t block_before;   /* samples of the block before */
	uint32_t unreported;     /* samples since the host's position was last passed on */
	uint32_t reported_epoch; /* of the position that was last passed on ... */
	double reported_bpm;     /* ... and the tempo */
	struct planned_note notes[MAX_NOTES];
	unsigned note_count;     /* in the order of their epochs and ticks */
	bool foretold;           /* something of it is for a repetition that is only expected */
	double earliest;         /* samples by which one of them may come earlier than its tick */
	struct sounding_note sounding[MAX_SOUNDING];
	unsigned sounding_count;
	bool due_known;          /* next_due holds */
	double next_due;         /* sample of the block before which no note begins or ends */
	uint32_t serial;         /* of the newest note that was planned */
	double until;            /* tick: everything of this epoch before it has come; below `landed`: nothing has */
	struct told_until told[MAX_EPOCHS_AHEAD]; /* the same of epochs to come, each at its number modulo the size */
	struct metre_change metres[MAX_METRE_CHANGES];
	unsigned metre_count;
	uint64_t heard[16][2];   /* keys, by channel, that the band has been told of as down ... */
	unsigned heard_count;    /* ... and how many */
	uint64_t passed[16][2];  /* keys, by channel, that were passed through as down */
	double rolled;           /* seconds that the host has played since `rolled_since` */
	int64_t rolled_since;    /* ns of the monotonic clock */
	bool outruns;            /* the host's position runs ahead of real time: it renders */
	bool gave_up;            /* a wait in an offline rendering was in vain; none before the daemon has answered again */
	int plays;               /* the parameter as it was obeyed last */
	int playing;             /* `outputs` as it was obeyed last */
	bool enabled;            /* the parameter as it was obeyed last */
	uint64_t late_notes;     /* notes that came after their time and were dropped */
	uint64_t refused_notes;  /* notes for which a table had no room */

	/* between the threads */
	struct ring up, down;
	_Atomic double values[PARAMETER_COUNT];
	_Atomic double ahead_s;               /* s ahead of the host's position that notes were needed in real time; 0: unknown */
	struct shared_metres shared_metres;
	atomic_bool unsent;                   /* a value has changed of which `up` does not tell */
	atomic_bool flush;                    /* what sounds is to end, and what is planned is to be forgotten */
	atomic_int outputs;                   /* bits (1 << role) of the roles that this instance plays */
	atomic_int status;                    /* an enum status */
	atomic_bool offline;                  /* the host says that it renders */
	atomic_bool active;                   /* the host calls the audio thread's functions */

	/* of link.c, under its lock */
	struct session *session;
	struct band *next;
	struct epoch_count count;
};

/* main thread */

struct band *band_create(double rate);
void band_destroy(struct band *band);
/* Begin and end a stretch in which the audio thread's functions are called. */
void band_activate(struct band *band, double rate);
void band_deactivate(struct band *band);
enum status band_status(const struct band *band);
double band_get(const struct band *band, unsigned number);

/* Write the state as text, ended by a zero; return the bytes that it takes without it. */
size_t band_save(struct band *band, char *text, size_t size);
/* Read a state of this version or an older one. Return false, and change nothing, where it is none. */
bool band_load(struct band *band, const char *text);

/* Take over the metre changes that another instance has met, while no audio thread runs for this one. */
bool band_copy_metres(struct band *band, struct band *from);

/* audio thread */

void band_begin(struct band *band, uint32_t frames, emit_function emit, void *context);
/* Fill in where the host is at a sample of the block by what it has told before. */
void band_where(const struct band *band, double frame, struct host_position *position);
/* Take what the host tells of its transport at a sample of the block. */
void band_locate(struct band *band, uint32_t frame, const struct host_position *position);
/* Take a MIDI message that comes in at a sample of the block. */
void band_hear(struct band *band, uint32_t frame, const uint8_t *midi, uint32_t size);
/* Set a parameter; for any thread where no audio thread runs. */
void band_set(struct band *band, unsigned number, double value);
/* Play what is due in the rest of the block, and tell the daemon how far the host is. */
void band_end(struct band *band);

#endif
