#include "epochs.h"

/* An instance that tells for so long (ns) of an epoch before the session's has missed a jump. */
#define LOST_NS INT64_C(100000000)
/* An instance that begins an epoch by itself so close (thousandths of a tick) to where the host is comes in between:
 * it was added ... */
#define CLOSE INT64_C(12000)
/* ... or has not been processed for a while. It is where the last block ended, and a jump leads elsewhere. */
#define SAME INT64_C(1000)

/* An instance is no further behind the session than so many epochs: their messages are as old as those of the instance
 * that leads, but for the time of a look at all of them. */
#define MAX_EPOCHS_BEHIND 4

static bool are_alike(struct stretch one, struct stretch other)
{
	return one.begun == other.begun && one.stopped == other.stopped;
}

void epochs_begin(struct epochs *epochs, uint32_t number, struct stretch stretch)
{
	const struct stretch untold = {INT64_MIN, false};
	for (uint32_t i = 1; i < MAX_KNOWN_EPOCHS && epochs->newest + i < number; i++)
		epochs->known[(number - i) % MAX_KNOWN_EPOCHS] = untold;
	epochs->newest = number;
	epochs->reached = stretch.begun;
	epochs->known[number % MAX_KNOWN_EPOCHS] = stretch;
}

static bool is_known_as(const struct epochs *epochs, int64_t number, struct stretch stretch)
{
	int64_t newest = epochs->newest;
	return number > 0 && number <= newest && newest - number < MAX_KNOWN_EPOCHS &&
	       are_alike(epochs->known[number % MAX_KNOWN_EPOCHS], stretch);
}

/* Tell whether what an instance takes for an epoch of its own is a part of the session's newest. Who has only not been
 * processed for a while is not further back than it was. */
static bool comes_in_between(const struct epochs *epochs, const struct epoch_count *count, struct stretch at, int64_t close)
{
	struct stretch newest = epochs->known[epochs->newest % MAX_KNOWN_EPOCHS];
	int64_t apart = at.begun - epochs->reached;
	bool goes_back = count->holds && !count->at.stopped && at.begun < count->reached;
	return !goes_back && !at.stopped && !newest.stopped && at.begun > newest.begun && apart > -close && apart < close;
}

/* Return the number of the newest epoch that is like a stretch; 0 where none of late is. */
static int64_t find(const struct epochs *epochs, struct stretch stretch)
{
	int64_t number = epochs->newest;
	for (int i = 0; i <= MAX_EPOCHS_BEHIND && number > 0; i++, number--)
		if (is_known_as(epochs, number, stretch))
			return number;
	return 0;
}

/* Find the epoch of an instance whose count does not tell. */
static int64_t choose(const struct epochs *epochs, const struct epoch_count *count, struct stretch at, bool leads)
{
	if (leads && !is_known_as(epochs, epochs->newest, at) && !comes_in_between(epochs, count, at, CLOSE))
		return (int64_t)epochs->newest + 1;
	int64_t found = leads ? 0 : find(epochs, at);
	return found ? found : epochs->newest;
}

/* Tell whether the count of an instance that is in another epoch than before disagrees with where that began. */
static bool disagrees(const struct epochs *epochs, const struct epoch_count *count, int64_t number, struct stretch at,
                      bool leads)
{
	if (number <= epochs->newest)
		return !is_known_as(epochs, number, at);
	return !leads && (comes_in_between(epochs, count, at, SAME) || (!count->sure && is_known_as(epochs, epochs->newest, at)));
}

/* Tell whether no other epoch that is known is like the one of a number. */
static bool is_unique(const struct epochs *epochs, int64_t number, struct stretch at)
{
	if (!is_known_as(epochs, number, at) || number < (int64_t)epochs->newest - MAX_EPOCHS_BEHIND)
		return false;
	for (int64_t other = epochs->newest; other > 0 && other > (int64_t)epochs->newest - MAX_KNOWN_EPOCHS; other--)
		if (other != number && is_known_as(epochs, other, at))
			return false;
	return true;
}

int64_t epochs_take(const struct epochs *epochs, struct epoch_count *count, uint32_t own, struct stretch at, bool leads,
                    int64_t now)
{
	int64_t number = own + count->offset, newest = epochs->newest;
	bool is_news = !count->holds || own != count->own;
	bool is_behind = count->holds && number < newest;
	bool is_lost = is_behind && count->behind_since && now - count->behind_since > LOST_NS;
	if (!is_behind)
		count->behind_since = 0;
	else if (!count->behind_since)
		count->behind_since = now;
	if (!count->holds || (is_news && disagrees(epochs, count, number, at, leads))) {
		number = choose(epochs, count, at, leads);
		count->sure = false;
	} else if (is_lost) {
		number = leads ? choose(epochs, count, at, true) : newest;
	}
	*count = (struct epoch_count){.holds = true, .own = own, .at = at, .offset = number - own,
	                              .sure = count->sure || is_unique(epochs, number, at),
	                              .behind_since = number < newest ? count->behind_since : 0,
	                              .reached = count->reached};
	return number;
}

void epochs_match(const struct epochs *epochs, struct epoch_count *count)
{
	int64_t number = count->own + count->offset;
	bool is_there = is_known_as(epochs, epochs->newest, count->at);
	if (count->holds && is_there && number < epochs->newest && !is_known_as(epochs, number, count->at))
		count->offset = (int64_t)epochs->newest - count->own;
	if (count->holds && is_unique(epochs, count->own + count->offset, count->at))
		count->sure = true;
}
