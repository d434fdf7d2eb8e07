/* A queue of messages with one thread that puts and one that takes; neither ever waits for the other. */
#ifndef HOUSEBAND_RING_H
#define HOUSEBAND_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE 2048u /* messages; a power of two, so that counters may overflow */

enum message_type {
	/* to the daemon */
	MESSAGE_TRANSPORT,
	MESSAGE_MIDI,
	MESSAGE_SET,
	MESSAGE_LEAVE, /* the host processes this instance no more */
	/* from the daemon */
	MESSAGE_NOTE,
	MESSAGE_UNTIL,   /* everything of the epoch before the position has been sent */
	MESSAGE_FORGET,  /* forget everything of the epoch */
	MESSAGE_PANIC,   /* end what sounds and forget what is planned */
	MESSAGE_STOP,    /* the same for the role in data[0] */
	MESSAGE_PROGRAM  /* choose an instrument */
};

/* What the host does, in data[0] of a TRANSPORT. */
enum mode { MODE_STOPPED, MODE_ROLLING, MODE_OFFLINE };

/* Positions are in thousandths of a tick. */
struct message {
	uint8_t type;
	uint8_t data[3]; /* MIDI: the bytes; NOTE: role, pitch, velocity (0: it ends); PROGRAM: role, program from 1 on;
	                  * FORGET: later epochs, too; SET: the parameter's number; TRANSPORT: an enum mode, beats and unit of the metre */
	uint32_t epoch;
	bool foretold;       /* NOTE, UNTIL: for an epoch that nobody has begun yet */
	int64_t position;    /* PROGRAM: the bank; TRANSPORT: where the host is */
	int64_t late_ns;     /* NOTE: it comes so much later than its position */
	double value;        /* SET; TRANSPORT: quarter notes a minute */
	/* of TRANSPORT alone */
	bool waits;          /* the instance does not go on before it has the notes */
	int64_t begun;       /* where the epoch began */
	int64_t bar;         /* where the bar begins */
	int64_t ahead;       /* notes are needed so far ahead of the host's position */
	int64_t loop_start;  /* the host repeats from here ... */
	int64_t loop_end;    /* ... to here; both 0 where it does not */
};

struct ring {
	struct message messages[RING_SIZE];
	_Alignas(64) atomic_uint put;   /* messages ever put */
	_Alignas(64) atomic_uint taken; /* messages ever taken */
};

/* Put a message. Return false where the ring is full. */
static inline bool ring_put(struct ring *ring, const struct message *message)
{
	unsigned put = atomic_load_explicit(&ring->put, memory_order_relaxed);
	if (put - atomic_load_explicit(&ring->taken, memory_order_acquire) == RING_SIZE)
		return false;
	ring->messages[put % RING_SIZE] = *message;
	atomic_store_explicit(&ring->put, put + 1, memory_order_release);
	return true;
}

/* Take the oldest message. Return false where there is none. */
static inline bool ring_take(struct ring *ring, struct message *message)
{
	unsigned taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	if (taken == atomic_load_explicit(&ring->put, memory_order_acquire))
		return false;
	*message = ring->messages[taken % RING_SIZE];
	atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
	return true;
}

/* Take all messages, and look at none. */
static inline void ring_clear(struct ring *ring)
{
	atomic_store_explicit(&ring->taken, atomic_load_explicit(&ring->put, memory_order_acquire), memory_order_release);
}

/* Return how many messages there is room for, as the thread that puts may count on. */
static inline unsigned ring_room(struct ring *ring)
{
	return RING_SIZE - (atomic_load_explicit(&ring->put, memory_order_relaxed) -
	                    atomic_load_explicit(&ring->taken, memory_order_acquire));
}

#endif
