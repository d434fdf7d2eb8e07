/* Epochs: the stretches of the host's way between its starts, stops and jumps. Every instance counts its own, a session
 * those that its instances were in; here their counts are brought into agreement. Nothing of this is thread-safe. */
#ifndef HOUSEBAND_EPOCHS_H
#define HOUSEBAND_EPOCHS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_KNOWN_EPOCHS 16

/* What tells one epoch from another. Rounds of a loop begin at one place: there the counts alone tell. */
struct stretch {
	int64_t begun; /* thousandths of a tick */
	bool stopped;
};

/* The epochs of a session. */
struct epochs {
	uint32_t newest; /* 0: none */
	int64_t reached; /* where the host is in it: thousandths of a tick */
	struct stretch known[MAX_KNOWN_EPOCHS]; /* the newest ones, each at its number modulo the size */
};

/* What an instance has told of its epochs. */
struct epoch_count {
	bool holds;           /* it has told of one */
	uint32_t own;         /* as it counts, when it told last */
	struct stretch at;    /* the same epoch */
	int64_t offset;       /* the session's number of an epoch less its own */
	bool sure;            /* where the epoch began says that the offset is right; it may be a guess otherwise */
	int64_t behind_since; /* ns; 0: it is not behind the session */
	int64_t reached;      /* where it was when it told last, which whoever takes what it tells keeps here: thousandths of a tick */
};

/* Let an epoch of the session begin. */
void epochs_begin(struct epochs *epochs, uint32_t number, struct stretch stretch);
/* Take in which epoch an instance is by its own count, and return the session's number of it. One that is larger than
 * `newest` is of an epoch that the session has yet to begin. leads: the session follows this instance. */
int64_t epochs_take(const struct epochs *epochs, struct epoch_count *count, uint32_t own, struct stretch at, bool leads,
                    int64_t now);
/* Bring an instance that only receives into agreement with an epoch that has just begun. */
void epochs_match(const struct epochs *epochs, struct epoch_count *count);

#endif
