#define _POSIX_C_SOURCE 200809L
#include "core.h"

#include "link.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* MIDI channels of the roles, from 0: 2, 3, 4 and General MIDI's drums as people count them. */
static const uint8_t CHANNELS[ROLE_COUNT] = {[BASS] = 1, [CHORDS] = 2, [PAD] = 3, [DRUMS] = 9};

#define NOTE_OFF 0x80
#define NOTE_ON 0x90
#define SYSTEM 0xF0

/* A note may come so late and still be played, at once; what comes later is dropped. */
#define LATE_SECONDS 0.03
/* A daemon that stays so far behind the host's position has lost it: what sounds ends. */
#define LOST_TICKS (2 * TICKS_PER_QUARTER)
/* Notes are asked for so far ahead of what the next block needs: the time that daemon and socket take. */
#define WAY_SECONDS 0.025
/* The host's position is passed on no more often than this, so that blocks of one sample do not flood the daemon. */
#define REPORT_SECONDS 0.002
/* What a block may cost is bounded: the work for messages of the daemon that it takes (each costs one, and one more for so
 * many notes that are planned, among which it has to be placed), the notes that it begins or ends, and the keys that it
 * lets go for the daemon. What is left waits for the next block. */
#define WORK_AT_ONCE 4
#define FRAMES_PER_WORK 8
#define NOTES_PER_WORK 8
#define EVENTS_AT_ONCE 64
#define FRAMES_PER_EVENT 8
#define RELEASES_AT_ONCE 16
/* By so much (samples) the end of a loop may be known wrongly. */
#define WRAP_FRAMES 0.05
/* Positions are told in whole milliticks; so much (milliticks) of what is asked for may be rounded away. */
#define ROUNDED_AWAY 1
/* Ticks by which what the host repeats may differ from whole bars. */
#define WHOLE_TICKS 0.05
/* Ticks by which the tempo within a block may make a position differ from what was reckoned. */
#define DRIFT_TICKS 1.5
/* ... where the sample that the host names says that it went on, and only its tempo map may have been changed */
#define EDIT_TICKS 6.0
/* ... and by which two distances that a host has rounded are the same */
#define SEAM_TICKS 0.02
/* A host whose position runs so far (s) ahead of real time renders; so far behind again, it plays. */
#define OUTRUN_SECONDS 0.5
#define CAUGHT_UP_SECONDS 0.25
/* In an offline rendering the daemon is waited for at most this long (ns). */
#define OFFLINE_WAIT_NS 10000000000
#define ABSENT_WAIT_NS 300000000
#define OFFLINE_NAP_NS 100000
/* ... and asked again after so long, should what was said have been lost */
#define ASK_AGAIN_NS 50000000
#define NS_PER_SECOND 1000000000

#define EVERY_ROLE (~0)
/* a tick that no host is at */
#define NO_TICK (-1e15)

static int64_t read_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now); /* needs no system call where the audio thread uses it */
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* --- Where the host is --- */

static bool is_rolling(const struct band *band)
{
	return band->located && band->at.speed > 0 && band->at.bpm > 0;
}

static double count_ticks_per_frame(const struct band *band)
{
	return is_rolling(band) ? band->at.bpm * band->at.speed * TICKS_PER_QUARTER / (60 * band->rate) : 0;
}

static double find_tick(const struct band *band, double frame)
{
	double frames = frame - band->origin;
	double rise = band->at.bpm > 0 ? band->at.bpm_per_frame / band->at.bpm * frames / 2 : 0;
	return band->at.tick + frames * (1 + fmax(rise, -0.5)) * count_ticks_per_frame(band); /* it never falls */
}

void band_where(const struct band *band, double frame, struct host_position *position)
{
	double frames = frame - band->origin, tick = find_tick(band, frame);
	*position = band->at;
	position->tick = tick;
	position->frame += frames * band->at.speed;
	if (is_rolling(band))
		position->bpm = fmax(band->at.bpm + band->at.bpm_per_frame * frames, 1);
}

/* Move the sample of which `at` speaks. */
static void move_origin(struct band *band, double frame)
{
	band_where(band, frame, &band->at);
	band->origin = frame;
}

/* Return the newest metre change at a bar or before it; the first where the bar comes before all. */
static unsigned find_metre(const struct band *band, int64_t bar)
{
	unsigned found = 0;
	while (found + 1 < band->metre_count && band->metres[found + 1].bar <= bar)
		found++;
	return found;
}

static void insert_metre(struct band *band, unsigned place, int64_t bar, double ticks_per_bar)
{
	memmove(&band->metres[place + 1], &band->metres[place], (band->metre_count - place) * sizeof *band->metres);
	band->metres[place] = (struct metre_change){.bar = bar, .ticks_per_bar = ticks_per_bar};
	band->metre_count++;
}

/* Give the metre changes their ticks, and show them to the other threads. */
static void place_metres(struct band *band)
{
	struct shared_metres *shared = &band->shared_metres;
	unsigned version = atomic_load_explicit(&shared->version, memory_order_relaxed);
	atomic_store_explicit(&shared->version, version + 1, memory_order_relaxed);
	for (unsigned i = 0; i < band->metre_count; i++) {
		struct metre_change *change = &band->metres[i];
		const struct metre_change *before = i ? change - 1 : change;
		change->tick = i ? before->tick + (double)(change->bar - before->bar) * before->ticks_per_bar : 0;
		atomic_store_explicit(&shared->changes[i].bar, change->bar, memory_order_release);
		atomic_store_explicit(&shared->changes[i].ticks_per_bar, change->ticks_per_bar, memory_order_release);
	}
	atomic_store_explicit(&shared->count, band->metre_count, memory_order_release);
	atomic_store_explicit(&shared->version, version + 2, memory_order_release);
}

bool band_copy_metres(struct band *band, struct band *from)
{
	struct shared_metres *shared = &from->shared_metres;
	for (int tries = 0; tries < 1000; tries++) {
		unsigned version = atomic_load_explicit(&shared->version, memory_order_acquire);
		unsigned count = atomic_load_explicit(&shared->count, memory_order_acquire);
		if (!count)
			return false;
		for (unsigned i = 0; i < count; i++) {
			band->metres[i].bar = atomic_load_explicit(&shared->changes[i].bar, memory_order_acquire);
			band->metres[i].ticks_per_bar = atomic_load_explicit(&shared->changes[i].ticks_per_bar, memory_order_acquire);
		}
		band->metre_count = count;
		if (version % 2 == 0 && version == atomic_load_explicit(&shared->version, memory_order_relaxed))
			break; /* nothing was written meanwhile */
	}
	place_metres(band);
	return true;
}

/* Learn a bar's length. Hosts that count bars tell the metre of the bar that they are in and of no other, so that the
 * distance of a bar from the first follows from the metres met so far. */
static void learn_metre(struct band *band, int64_t bar, double ticks_per_bar)
{
	if (band->metre_count >= MAX_METRE_CHANGES - 1)
		band->metre_count = 0;
	bool is_first = !band->metre_count;
	if (is_first)
		insert_metre(band, 0, 0, ticks_per_bar);
	unsigned found = find_metre(band, bar);
	if (!is_first && band->metres[found].ticks_per_bar == ticks_per_bar)
		return;
	if (band->metres[found].bar == bar)
		band->metres[found].ticks_per_bar = ticks_per_bar;
	else if (bar > band->metres[found].bar)
		insert_metre(band, found + 1, bar, ticks_per_bar);
	place_metres(band);
}

/* Give a position that names bars its tick. */
static void place_bar(struct band *band, struct host_position *position)
{
	double ticks_per_bar = TICKS_PER_QUARTER * 4 * position->beats / position->unit;
	learn_metre(band, position->bar, ticks_per_bar);
	const struct metre_change *metre = &band->metres[find_metre(band, position->bar)];
	position->bar_tick = metre->tick + (double)(position->bar - metre->bar) * metre->ticks_per_bar;
	position->tick = position->bar_tick + position->quarters * TICKS_PER_QUARTER;
}

/* Tell whether the host simply went on from where it was. `at` speaks of the sample that the position speaks of. */
static bool goes_on(const struct band *band, const struct host_position *position)
{
	if (!band->located || (position->speed > 0) != (band->at.speed > 0))
		return false;
	double ticks = fabs(position->tick - band->at.tick);
	if (!(position->speed > 0))
		return ticks < 1 / MILLITICKS_PER_TICK;
	if (!position->has_frame || !band->at.has_frame)
		return ticks < DRIFT_TICKS;
	double samples = fabs(position->frame - band->at.frame);
	return samples < 2 + band->rate / 2000 && ticks < EDIT_TICKS;
}

/* Make a position exact that the host has rounded, by the one before, the samples since, and a tempo that stayed or rose
 * evenly between them, as far as that agrees with it. */
static void refine(const struct band *band, struct host_position *position)
{
	const struct tempo_point *last = &band->ramp.last;
	double frames = position->frame - last->frame;
	if (!(position->rounded > 0) || !position->has_frame || !band->located || !band->at.has_frame)
		return;
	double ticks_per_bpm = frames * TICKS_PER_QUARTER / (60 * band->rate);
	double held = last->tick + last->bpm * ticks_per_bpm;
	double even = held + (position->bpm - last->bpm) / 2 * ticks_per_bpm;
	bool is_near = frames > 0 && frames < band->rate;
	double reckoned = is_near && fabs(position->tick - even) <= position->rounded ? even : held;
	double apart = position->tick - reckoned;
	if (fabs(apart) <= position->rounded)
		position->tick = reckoned;
	else if (is_near && fabs(apart) <= 2 * position->rounded)
		position->tick -= copysign(position->rounded, apart);
}

/* Find by how much the tempo rises, where the host does not say so. */
static void guess_ramp(struct band *band, struct host_position *position, double told, bool goes_on)
{
	const struct tempo_point point = {position->frame, position->tick, position->bpm, told, position->rounded};
	if (!position->hides_ramps)
		return;
	if (goes_on && position->has_frame && position->speed == 1 && position->frame > band->ramp.last.frame)
		ramp_follow(&band->ramp, &point, band->rate);
	else if (!goes_on || position->frame != band->ramp.last.frame)
		ramp_begin(&band->ramp, &point);
	position->bpm_per_frame = band->ramp.rise;
}

/* Tell whether the host renders, so that it may be held up. */
static bool is_offline(const struct band *band)
{
	return band->outruns || atomic_load_explicit(&band->offline, memory_order_relaxed);
}

/* Find the tempo, and the exact place, of a host that rounds its positions and, within a ramp, tells only the tempo at
 * which that began. `told`: the place as it was told. */
static void guess_tempo(struct band *band, struct host_position *position, double told, bool goes_on)
{
	const struct told_place place = {position->frame, told, position->rounded, position->bpm};
	bool is_apt = position->rounded > 0 && position->has_frame && position->speed == 1 && position->hides_ramps;
	if (!is_apt || !goes_on)
		band->tempo.count = 0;
	if (!is_apt || (band->tempo.count && position->frame == band->tempo.last.frame && position->bpm == band->tempo.last.bpm))
		return;
	tempo_follow(&band->tempo, &place, band->rate);
	if (!band->tempo.is_ramp)
		return;
	position->tick = band->tempo.tick;
	position->bpm = tempo_get(&band->tempo, band->rate, &position->bpm_per_frame);
	const struct tempo_point point = {position->frame, position->tick, position->bpm, told, position->rounded};
	ramp_begin(&band->ramp, &point);
}

/* --- Notes --- */

static bool emit(struct band *band, uint32_t frame, const uint8_t *midi, uint32_t size)
{
	if (band->output_full || !band->emit || !band->emit(band->context, frame, midi, size)) {
		band->output_full = true;
		return false;
	}
	return true;
}

/* End a note that sounds; where there is no room for the message, with the next for which there is. */
static bool end_note(struct band *band, unsigned index, uint32_t frame)
{
	struct sounding_note *note = &band->sounding[index];
	uint8_t off[3] = {(uint8_t)(NOTE_OFF | CHANNELS[note->role]), note->pitch, 64};
	if (!emit(band, frame, off, sizeof off)) {
		note->overdue = true;
		return false;
	}
	*note = band->sounding[--band->sounding_count];
	return true;
}

/* End what sounds of the roles that are not in a mask of bits 1 << role. */
static void silence_roles(struct band *band, uint32_t frame, int kept)
{
	for (unsigned i = band->sounding_count; i-- > 0;)
		if (!(kept >> band->sounding[i].role & 1))
			end_note(band, i, frame);
	band->due_known = false;
}

static void silence(struct band *band, uint32_t frame)
{
	silence_roles(band, frame, 0);
}

static void remove_planned(struct band *band, unsigned index)
{
	band->note_count--;
	memmove(&band->notes[index], &band->notes[index + 1], (band->note_count - index) * sizeof *band->notes);
}

/* Plan a note at its place in the table, which is in the order of epochs and ticks; behind those of the same tick. */
static void insert_planned(struct band *band, const struct planned_note *note)
{
	unsigned place = band->note_count++;
	while (place > 0 && (band->notes[place - 1].epoch > note->epoch ||
	                     (band->notes[place - 1].epoch == note->epoch && band->notes[place - 1].tick > note->tick)))
		place--;
	memmove(&band->notes[place + 1], &band->notes[place], (band->note_count - 1 - place) * sizeof *band->notes);
	band->notes[place] = *note;
	band->earliest = fmax(band->note_count > 1 ? band->earliest : 0, -note->late);
}

/* Forget what is planned for the epochs up to one, of the roles of a mask. */
static void forget_planned(struct band *band, uint32_t epoch, int roles)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < band->note_count; i++)
		if (band->notes[i].epoch > epoch || !(roles >> band->notes[i].role & 1))
			band->notes[kept++] = band->notes[i];
	band->note_count = kept;
	band->due_known = false;
}

/* Forget what has come for a repetition that does not. */
static void forget_foretold(struct band *band)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < MAX_EPOCHS_AHEAD; i++)
		if (band->told[i].foretold)
			band->told[i].epoch = 0;
	band->foretold = false;
	for (unsigned i = 0; i < band->note_count; i++)
		if (!band->notes[i].foretold)
			band->notes[kept++] = band->notes[i];
	band->note_count = kept;
	band->due_known = false;
}

static int find_sounding(const struct band *band, unsigned role, unsigned pitch)
{
	for (unsigned i = 0; i < band->sounding_count; i++)
		if (band->sounding[i].role == role && band->sounding[i].pitch == pitch)
			return (int)i;
	return -1;
}

/* Begin a note; a key that sounds already is let go first. */
static void begin_note(struct band *band, const struct planned_note *note, uint32_t frame)
{
	int again = find_sounding(band, note->role, note->pitch);
	if (again >= 0 && !end_note(band, (unsigned)again, frame))
		return;
	uint8_t on[3] = {(uint8_t)(NOTE_ON | CHANNELS[note->role]), note->pitch, note->velocity};
	if (band->sounding_count == MAX_SOUNDING || !emit(band, frame, on, sizeof on)) {
		band->refused_notes++;
		return;
	}
	band->sounding[band->sounding_count++] =
		(struct sounding_note){.serial = note->serial, .role = note->role, .pitch = note->pitch};
}

/* Play what is due of the plan, which it leaves. */
static void play_planned(struct band *band, unsigned index, uint32_t frame)
{
	struct planned_note note = band->notes[index];
	remove_planned(band, index);
	if (note.velocity) {
		if (band->enabled && band->playing >> note.role & 1)
			begin_note(band, &note, frame);
		return;
	}
	int sounding = find_sounding(band, note.role, note.pitch);
	if (sounding >= 0 && band->sounding[sounding].serial == note.serial) {
		end_note(band, (unsigned)sounding, frame);
		return;
	}
	for (unsigned i = band->note_count; i-- > 0;)
		if (band->notes[i].serial == note.serial) /* it was to begin later than it ends: it has no length */
			remove_planned(band, i);
}

/* Return the moment at which the host is at a tick, in samples of the block and fractions of one. */
static double find_time(const struct band *band, double tick)
{
	double frames = (tick - band->at.tick) / count_ticks_per_frame(band);
	if (band->at.bpm_per_frame != 0) { /* frames * (1 + rise / 2 * frames) is what it would be without */
		double root = 1 + 2 * band->at.bpm_per_frame / band->at.bpm * frames;
		frames = root < 0 ? copysign(HUGE_VAL, frames) : 2 * frames / (1 + sqrt(root));
	}
	return band->origin + frames;
}

/* Tell whether the host is expected to jump back before it comes to what lies behind a tick, and which. */
static bool expects_wrap(const struct band *band, double *end)
{
	*end = band->at.has_loop ? band->at.loop_end : band->wrap_from;
	return (band->at.has_loop || band->wraps) && band->at.tick < *end - 1 / MILLITICKS_PER_TICK;
}

/* Return the sample before which nothing comes that lies behind the end of a loop: at the loop's end the host goes back,
 * so that what is there must not be rounded to a sample before it; if the host goes on, it is a sample late at most. */
static double find_wrap(const struct band *band, double *end)
{
	return expects_wrap(band, end) ? ceil(find_time(band, *end) + WRAP_FRAMES) : -HUGE_VAL;
}

/* Return the sample at which something of the plan for this epoch comes whose tick is at a sample: below 0 if it is too
 * late for it. */
static double find_moment(const struct band *band, const struct planned_note *note, double written)
{
	double frame = floor(written + note->late + 0.5);
	if (frame >= band->now)
		return frame;
	bool is_early = written + 1 >= band->now; /* it was to come before its tick, but the tick is still to come */
	bool in_time = frame + LATE_SECONDS * band->rate >= band->now;
	return !note->velocity || is_early || in_time ? (double)band->now : -1;
}

/* Tell whether something of the plan goes before what is due at the same sample: what ends, but for what begins there. */
static bool goes_first(const struct planned_note *note, const struct planned_note *first)
{
	return !note->velocity && first->velocity && note->serial != first->serial;
}

/* Find what of the plan comes next, as its place and its sample, HUGE_VAL if nothing does. What is too late is dropped.
 * Only what could come first is looked at, however much is planned. */
static unsigned find_due(struct band *band, double *frame)
{
	unsigned first = 0, kept = 0, i = 0, count = is_rolling(band) ? band->note_count : 0;
	double end, wrap = count ? find_wrap(band, &end) : -HUGE_VAL;
	*frame = HUGE_VAL;
	for (; i < count && band->notes[i].epoch == band->epoch; i++) {
		double written = floor(find_time(band, band->notes[i].tick) + 0.5);
		if (written - band->earliest - 1 > *frame)
			break;
		double moment = find_moment(band, &band->notes[i], written);
		if (wrap > moment && band->notes[i].tick >= end - 1 / MILLITICKS_PER_TICK)
			moment = wrap;
		if (moment < 0) {
			band->late_notes++;
			continue;
		}
		band->notes[kept] = band->notes[i];
		if (moment < *frame || (moment == *frame && goes_first(&band->notes[kept], &band->notes[first]))) {
			*frame = moment;
			first = kept;
		}
		kept++;
	}
	if (kept < i) {
		memmove(&band->notes[kept], &band->notes[i], (band->note_count - i) * sizeof *band->notes);
		band->note_count -= i - kept;
	}
	return first;
}

static void end_overdue(struct band *band)
{
	for (unsigned i = band->sounding_count; i-- > 0;)
		if (band->sounding[i].overdue && !end_note(band, i, band->now))
			return;
}

static void play_due(struct band *band, uint32_t until)
{
	if (band->due_known && band->next_due >= until)
		return;
	end_overdue(band);
	while (!band->output_full) {
		double frame;
		unsigned index = find_due(band, &frame);
		band->due_known = true;
		band->next_due = frame;
		if (frame >= until)
			return;
		if (!band->events_left && !is_offline(band))
			break;
		band->events_left -= band->events_left > 0;
		band->now = (uint32_t)frame;
		play_planned(band, index, band->now);
	}
	band->due_known = false;
}

/* --- To and from the daemon --- */

static int64_t to_milliticks(double ticks)
{
	return llround(fmax(fmin(ticks, 1e12), -1e12) * MILLITICKS_PER_TICK);
}

/* Return where the bar begins in which a tick lies. */
static double find_bar(const struct band *band, double tick)
{
	double length = TICKS_PER_QUARTER * 4 * band->at.beats / band->at.unit;
	return band->at.bar_tick + floor((tick - band->at.bar_tick) / length) * length;
}

/* Tell the ticks between which the host repeats: as it says, or as it was seen to. */
static void report_loop(const struct band *band, struct message *message)
{
	if (band->at.has_loop) {
		message->loop_start = to_milliticks(band->at.loop_start);
		message->loop_end = to_milliticks(band->at.loop_end);
	} else if (band->wraps) {
		message->loop_start = to_milliticks(band->wrap_to);
		message->loop_end = to_milliticks(band->wrap_from);
	}
}

/* Return how far ahead of the host's position notes are needed (s): for the longest block and the time of the way. A
 * rendering asks for as much as real time did, so that the band knows as much of the melody and plays the same notes. */
static double find_ahead(struct band *band)
{
	double block = band->longest_block / band->rate, live = block + WAY_SECONDS;
	if (is_offline(band))
		return fmax(block, atomic_load_explicit(&band->ahead_s, memory_order_relaxed));
	if (is_rolling(band))
		atomic_store_explicit(&band->ahead_s, live, memory_order_relaxed);
	return live;
}

/* Tell the daemon where the host is at a sample of the block, before which everything played has been told; waits: up to
 * which sample notes are waited for, or 0. */
static void report(struct band *band, uint32_t frame, uint32_t waits)
{
	struct message message = {.type = MESSAGE_TRANSPORT, .epoch = band->epoch, .value = band->at.bpm};
	double tick = find_tick(band, frame), ahead = find_ahead(band) * band->at.bpm * TICKS_PER_QUARTER / 60;
	bool begins = tick <= band->landed;
	message.data[0] = !is_rolling(band) ? MODE_STOPPED : is_offline(band) ? MODE_OFFLINE : MODE_ROLLING;
	message.data[1] = (uint8_t)band->at.beats;
	message.data[2] = (uint8_t)band->at.unit;
	message.position = to_milliticks(tick);
	message.begun = to_milliticks(band->landed);
	message.bar = to_milliticks(find_bar(band, begins ? tick : tick - 1 / MILLITICKS_PER_TICK));
	message.waits = waits > 0;
	message.ahead = to_milliticks(waits ? fmax(ahead, find_tick(band, waits) - tick) : ahead) + ROUNDED_AWAY;
	report_loop(band, &message);
	if (!ring_put(&band->up, &message))
		return;
	band->unreported = 0;
	band->reported_epoch = band->epoch;
	band->reported_bpm = band->at.bpm;
}

static bool is_mine(const struct band *band, unsigned role)
{
	return role > ALL_ROLES && role < ROLE_COUNT && (band->plays == ALL_ROLES || band->plays == (int)role);
}

/* Take back the beginnings of a key that are not before its end. */
static void take_back(struct band *band, const struct planned_note *end)
{
	for (unsigned i = band->note_count; i-- > 0;) {
		const struct planned_note *note = &band->notes[i];
		if (note->epoch < end->epoch || (note->epoch == end->epoch && note->tick < end->tick))
			return;
		if (note->epoch == end->epoch && note->role == end->role && note->pitch == end->pitch && note->velocity)
			remove_planned(band, i);
	}
}

/* Return the serial number of the last beginning of a key, planned or played; 0 where there is none. */
static uint32_t find_serial(const struct band *band, const struct planned_note *end)
{
	for (unsigned i = band->note_count; i-- > 0;) {
		const struct planned_note *note = &band->notes[i];
		if (note->velocity && note->epoch == end->epoch && note->role == end->role && note->pitch == end->pitch)
			return note->serial;
	}
	int sounding = end->epoch == band->epoch ? find_sounding(band, end->role, end->pitch) : -1;
	return sounding < 0 ? 0 : band->sounding[sounding].serial;
}

/* Plan the end of a note; without room for it, the note ends at once, or does not begin. */
static void plan_end(struct band *band, struct planned_note *end)
{
	take_back(band, end);
	end->serial = find_serial(band, end);
	if (!end->serial)
		return;
	if (band->note_count < MAX_NOTES) {
		insert_planned(band, end);
		return;
	}
	int sounding = find_sounding(band, end->role, end->pitch);
	if (sounding >= 0 && band->sounding[sounding].serial == end->serial)
		band->sounding[sounding].overdue = true;
	for (unsigned i = band->note_count; i-- > 0;)
		if (band->notes[i].serial == end->serial)
			remove_planned(band, i);
}

static void plan_note(struct band *band, const struct message *message)
{
	if (!is_mine(band, message->data[0]) || message->data[1] > 127 || message->data[2] > 127 ||
	    message->epoch < band->epoch || message->epoch >= band->epoch + MAX_EPOCHS_AHEAD)
		return;
	struct planned_note note = {.epoch = message->epoch, .role = message->data[0], .pitch = message->data[1]};
	note.velocity = message->data[2];
	note.foretold = message->foretold;
	band->foretold |= note.foretold;
	note.tick = (double)message->position / MILLITICKS_PER_TICK;
	note.late = (double)message->late_ns * band->rate / NS_PER_SECOND;
	if (!note.velocity) {
		plan_end(band, &note);
	} else if (band->note_count < MAX_NOTES - MAX_SOUNDING) { /* what sounds can always be ended */
		if (++band->serial == 0)
			band->serial = 1;
		note.serial = band->serial;
		insert_planned(band, &note);
	} else {
		band->refused_notes++;
	}
}

/* Send a role's bank and program, where it asks for one. */
static void choose_program(struct band *band, const struct message *message)
{
	unsigned role = message->data[0], program = message->data[1];
	if (!is_mine(band, role) || program < 1 || program > 128 || !band->enabled)
		return;
	uint8_t channel = CHANNELS[role];
	uint8_t high[3] = {(uint8_t)(0xB0 | channel), 0, (uint8_t)(message->position >> 7 & 127)};
	uint8_t low[3] = {(uint8_t)(0xB0 | channel), 32, (uint8_t)(message->position & 127)};
	uint8_t change[2] = {(uint8_t)(0xC0 | channel), (uint8_t)(program - 1)};
	if (message->position && emit(band, band->now, high, 3))
		emit(band, band->now, low, 3);
	emit(band, band->now, change, 2);
}

static void panic(struct band *band)
{
	silence(band, band->now);
	forget_planned(band, UINT32_MAX, EVERY_ROLE);
}

static void take_until(struct band *band, const struct message *message)
{
	double tick = (double)message->position / MILLITICKS_PER_TICK;
	band->gave_up = false;
	if (message->epoch == band->epoch)
		band->until = tick;
	else if (message->epoch > band->epoch)
		band->told[message->epoch % MAX_EPOCHS_AHEAD] =
			(struct told_until){message->epoch, message->foretold, tick};
}

/* Return up to which tick everything of the epoch that begins has come already. */
static double find_until(const struct band *band, bool wraps)
{
	const struct told_until *told = &band->told[band->epoch % MAX_EPOCHS_AHEAD];
	return told->epoch == band->epoch && (wraps || !told->foretold) ? told->tick : NO_TICK;
}

/* Forget everything of an epoch, or of later ones, too. */
static void forget_epoch(struct band *band, uint32_t epoch, bool later)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < band->note_count; i++)
		if (band->notes[i].epoch < epoch || (band->notes[i].epoch > epoch && !later))
			band->notes[kept++] = band->notes[i];
	band->note_count = kept;
	if (epoch == band->epoch)
		band->until = NO_TICK;
	for (unsigned i = 0; i < MAX_EPOCHS_AHEAD; i++)
		if (band->told[i].epoch == epoch || (band->told[i].epoch > epoch && later))
			band->told[i].epoch = 0;
}

static void take_message(struct band *band, const struct message *message)
{
	int role = 1 << (message->data[0] & 7);
	if (message->type == MESSAGE_NOTE) {
		plan_note(band, message);
	} else if (message->type == MESSAGE_UNTIL) {
		take_until(band, message);
	} else if (message->type == MESSAGE_FORGET) {
		forget_epoch(band, message->epoch, message->data[0]);
	} else if (message->type == MESSAGE_PANIC) {
		panic(band);
	} else if (message->type == MESSAGE_STOP) {
		silence_roles(band, band->now, ~role);
		forget_planned(band, UINT32_MAX, role);
	} else if (message->type == MESSAGE_PROGRAM) {
		choose_program(band, message);
	}
}

/* Take what has come, as far as it costs no more work than so much. */
static void take_messages(struct band *band, unsigned most)
{
	struct message message;
	if (atomic_exchange_explicit(&band->flush, false, memory_order_acquire)) {
		ring_clear(&band->down);
		panic(band);
		band->until = NO_TICK;
		memset(band->told, 0, sizeof band->told);
	}
	for (unsigned work = 0; work < most && ring_take(&band->down, &message);) {
		work += 1 + band->note_count / NOTES_PER_WORK;
		take_message(band, &message);
		band->due_known = false;
	}
}

/* Tell whether all notes have come that begin before a sample of the block, to which those of the last half are rounded. */
static bool is_known(const struct band *band, uint32_t frame)
{
	return band->until >= find_tick(band, frame - 0.5);
}

/* While a host renders offline, wait until the notes of this block have come. */
static void wait_for_notes(struct band *band, uint32_t until)
{
	if (!is_offline(band) || !is_rolling(band) || band->gave_up || is_known(band, until))
		return;
	if (band->grows || band->plays != ALL_ROLES)
		report(band, band->now, until); /* the lead may not have told yet of such a block, or tempo */
	band->grows = false;
	int64_t begun = read_clock_ns(), waited = 0, asks = ASK_AGAIN_NS, patience;
	const struct timespec nap = {.tv_nsec = OFFLINE_NAP_NS};
	do {
		nanosleep(&nap, NULL);
		take_messages(band, UINT_MAX);
		if (is_known(band, until))
			return;
		/* one that is absent may be found or started at once; the players of one that gets ready are loaded */
		int status = atomic_load_explicit(&band->status, memory_order_relaxed);
		patience = status == STATUS_ABSENT || status == STATUS_ERROR ? ABSENT_WAIT_NS : OFFLINE_WAIT_NS;
		waited = read_clock_ns() - begun;
		if (waited >= asks) {
			report(band, band->now, until);
			asks = waited + ASK_AGAIN_NS;
		}
	} while (waited < patience);
	band->gave_up = true;
}

/* --- The block --- */

/* Note where the host repeats: a jump back by whole bars while it plays, which is likely to come again, also after a stop. */
static void learn_wrap(struct band *band, double from, double to, bool rolled)
{
	double bar = TICKS_PER_QUARTER * 4 * band->at.beats / band->at.unit, bars = round((from - to) / bar);
	if (!is_rolling(band))
		return;
	if (!rolled || to >= from || band->at.tells_loop) {
		band->wraps = band->wraps && to < band->wrap_from && !band->at.tells_loop;
		band->wraps_unannounced = false;
		return;
	}
	band->wraps_unannounced = false;
	band->wraps = bars >= 1 && fabs(from - to - bars * bar) < WHOLE_TICKS;
	band->wrap_from = to + bars * bar;
	band->wrap_to = to;
}

/* Tell whether a jump to a tick is the repetition that the daemon was told of. */
static bool is_wrap(const struct band *band, double to)
{
	double start = band->at.has_loop ? band->at.loop_start : band->wrap_to;
	return (band->at.has_loop || band->wraps) && fabs(to - start) <= 1;
}

/* Begin another epoch: the host started, stopped or jumped. */
static void begin_epoch(struct band *band, uint32_t frame, struct host_position *position, double told)
{
	bool rolled = is_rolling(band), wraps = is_wrap(band, position->tick);
	double from = band->at.tick;
	silence(band, frame);
	forget_planned(band, band->epoch, EVERY_ROLE);
	if (!wraps)
		forget_foretold(band);
	band->epoch++;
	band->until = find_until(band, wraps);
	band->gave_up = false;
	guess_ramp(band, position, told, false);
	guess_tempo(band, position, told, false);
	band->at = *position;
	band->located = true;
	band->landed = position->tick;
	learn_wrap(band, from, position->tick, rolled);
}

/* Return the ticks since the last beat. */
static double find_rest(const struct host_position *position)
{
	double length = TICKS_PER_QUARTER * 4 / position->unit;
	return fmod(fmod(position->tick - position->bar_tick, length) + length, length);
}

/* Find where in the block before the host went round, if it tells of it now, as Ardour does: it processes the block in
 * which its loop ends as a whole. Loops begin and end on beats, and it is as far behind both now. */
static void find_seam(struct band *band, const struct host_position *from, const struct host_position *to)
{
	double since_end = find_rest(from), since_begin = find_rest(to);
	double block = band->block_before * from->bpm * TICKS_PER_QUARTER / (60 * band->rate);
	bool is_whole = band->block_before == band->frames && !to->has_loop && to->has_frame && from->has_frame;
	bool is_same = fabs(since_end / from->bpm - since_begin / to->bpm) * from->bpm < SEAM_TICKS;
	if (!band->wraps || !is_whole || !is_same || since_end > block || since_end < SEAM_TICKS)
		return;
	band->wraps_unannounced = true;
	band->wrap_from -= since_begin;
	band->wrap_to -= since_begin;
	band->wrap_frames = from->frame - to->frame;
	band->wrap_bpm = to->bpm;
}

/* Play what is due before a sample of the block, in which the host does not jump. */
static void play_straight(struct band *band, uint32_t until)
{
	if (until > band->now)
		wait_for_notes(band, until);
	play_due(band, until);
	if (until > band->now)
		band->now = until;
}

/* Go round where the host is going to, though it tells of it only with the next block. */
static void go_round(struct band *band, uint32_t frame)
{
	struct host_position position;
	double from = band->wrap_from, to = band->wrap_to;
	play_straight(band, frame);
	move_origin(band, frame);
	position = band->at;
	position.tick = to;
	position.bar_tick -= from - to;
	position.frame -= band->wrap_frames;
	position.bpm = band->wrap_bpm;
	begin_epoch(band, frame, &position, to);
	band->wraps_unannounced = true;
	band->wrap_from = from;
	band->due_known = false;
	report(band, frame, 0);
}

/* Play what is due before a sample of the block. */
static void play_until(struct band *band, uint32_t until)
{
	if (until > band->frames)
		until = band->frames;
	if (band->wraps_unannounced && is_rolling(band)) {
		double seam = floor(find_time(band, band->wrap_from) + 0.5);
		if (seam > band->origin && seam >= band->now && seam <= until && seam < band->frames)
			go_round(band, (uint32_t)seam);
	}
	play_straight(band, until);
}

static bool is_sane(const struct host_position *position)
{
	return isfinite(position->speed) && isfinite(position->bpm) && isfinite(position->bpm_per_frame) &&
	       isfinite(position->tick) && isfinite(position->quarters) && isfinite(position->bar_tick) &&
	       isfinite(position->frame) && position->beats > 0 && position->beats < 256 && position->unit > 0 &&
	       position->unit <= 32 && !(position->unit & (position->unit - 1)) && fabs(position->tick) < 1e12 && llabs(position->bar) < 1000000000 &&
	       position->bpm > 0 && position->bpm < 100000;
}

void band_locate(struct band *band, uint32_t frame, const struct host_position *told)
{
	struct host_position position = *told;
	if (!is_sane(&position))
		return;
	if (frame > band->frames)
		frame = band->frames;
	play_until(band, frame);
	if (!position.has_tick)
		place_bar(band, &position);
	move_origin(band, frame);
	band->due_known = false;
	double told_tick = position.tick;
	bool goes = goes_on(band, &position);
	refine(band, &position);
	if (goes) {
		bool loops_on = position.has_loop == band->at.has_loop && position.loop_start == band->at.loop_start &&
		                position.loop_end == band->at.loop_end;
		guess_ramp(band, &position, told_tick, true);
		guess_tempo(band, &position, told_tick, true);
		band->at = position;
		if (!loops_on)
			forget_foretold(band);
		return;
	}
	const struct host_position before = band->at;
	begin_epoch(band, frame, &position, told_tick);
	if (!frame)
		find_seam(band, &before, &position);
	report(band, frame, 0);
}

/* Tell whether the host's position runs ahead of real time, as in a rendering of which the host says nothing. */
static bool detect_outrun(struct band *band)
{
	int64_t now = read_clock_ns();
	double passed = (double)(now - band->rolled_since) / NS_PER_SECOND;
	if (!is_rolling(band) || band->rolled < passed) {
		band->rolled = 0;
		band->rolled_since = now;
		return false;
	}
	double ahead = band->rolled - passed;
	return ahead > OUTRUN_SECONDS || (band->outruns && ahead > CAUGHT_UP_SECONDS);
}

/* Let go, for the daemon, of keys that it has been told of as down, no more than so many. */
static void release_heard(struct band *band, double tick, unsigned most)
{
	for (unsigned channel = 0; channel < 16 && band->heard_count; channel++)
		for (unsigned key = 0; key < 128; key++) {
			uint64_t *word = &band->heard[channel][key / 64], bit = UINT64_C(1) << (key % 64);
			if (!*word)
				key |= 63; /* on to the next word */
			if (!(*word & bit))
				continue;
			struct message off = {.type = MESSAGE_MIDI, .epoch = band->epoch, .position = to_milliticks(tick)};
			off.data[0] = (uint8_t)(NOTE_OFF | channel);
			off.data[1] = (uint8_t)key;
			if (!most-- || !ring_put(&band->up, &off))
				return; /* asked for again with the next block */
			*word &= ~bit;
			band->heard_count--;
		}
}

static int get_choice(const struct band *band, unsigned number)
{
	return (int)atomic_load_explicit(&band->values[number], memory_order_relaxed);
}

static bool feeds_band(const struct band *band)
{
	return band->enabled && band->plays == ALL_ROLES;
}

/* Obey the parameters that say which notes are the plugin's. */
static void obey_switches(struct band *band)
{
	int plays = get_choice(band, PLAYS), playing = atomic_load_explicit(&band->outputs, memory_order_relaxed);
	bool enabled = get_choice(band, ENABLED) > 0;
	if (plays != band->plays)
		panic(band);
	else if (!enabled && band->enabled)
		silence(band, band->now);
	else if (playing != band->playing)
		silence_roles(band, band->now, playing);
	band->plays = plays;
	band->playing = playing;
	band->enabled = enabled;
	if (!feeds_band(band))
		release_heard(band, find_tick(band, band->now), RELEASES_AT_ONCE);
}

void band_begin(struct band *band, uint32_t frames, emit_function emit_message, void *context)
{
	band->emit = emit_message;
	band->context = context;
	band->frames = frames;
	band->now = 0;
	band->output_full = false;
	band->grows = frames > band->longest_block;
	if (band->grows)
		band->longest_block = frames;
	band->outruns = detect_outrun(band);
	end_overdue(band);
	band->events_left = EVENTS_AT_ONCE + frames / FRAMES_PER_EVENT;
	take_messages(band, is_offline(band) ? UINT_MAX : WORK_AT_ONCE + frames / FRAMES_PER_WORK);
	obey_switches(band);
}

/* Pass a parameter on with the position at which it was set. */
static void send_parameter(struct band *band, unsigned number, double value)
{
	bool is_pressed = PARAMETERS[number].kind == TRIGGER && value > 0;
	if (!PARAMETERS[number].control || (PARAMETERS[number].kind == TRIGGER && !is_pressed))
		return;
	struct message message = {.type = MESSAGE_SET, .epoch = band->epoch, .value = value};
	message.data[0] = (uint8_t)number;
	message.position = to_milliticks(find_tick(band, band->now));
	if (!ring_put(&band->up, &message))
		atomic_store_explicit(&band->unsent, true, memory_order_relaxed);
}

void band_set(struct band *band, unsigned number, double value)
{
	if (number >= PARAMETER_COUNT)
		return;
	double before = atomic_load_explicit(&band->values[number], memory_order_relaxed);
	if (value == before)
		return; /* at once, for LV2 hosts tell all parameters in every block */
	value = parameter_limit(number, value);
	if (value == before)
		return;
	atomic_store_explicit(&band->values[number], value, memory_order_relaxed);
	send_parameter(band, number, value);
}

/* Keep in a table of keys by channel which are down. Return whether the key was down before. */
static bool note_key(uint64_t keys[16][2], const uint8_t *midi, bool down)
{
	uint64_t *word = &keys[midi[0] & 15][(midi[1] & 127) / 64], bit = UINT64_C(1) << (midi[1] % 64);
	bool was_down = *word & bit;
	*word = down ? *word | bit : *word & ~bit;
	return was_down;
}

static bool is_note_off(const uint8_t *midi)
{
	return (midi[0] & 0xF0) == NOTE_OFF || ((midi[0] & 0xF0) == NOTE_ON && midi[2] == 0);
}

/* Tell the daemon what is played: channel messages, with the tick at which they were. */
static void feed(struct band *band, uint32_t frame, const uint8_t *midi, uint32_t size)
{
	struct message message = {.type = MESSAGE_MIDI, .epoch = band->epoch};
	memcpy(message.data, midi, size);
	message.position = to_milliticks(find_tick(band, frame));
	bool is_key = (midi[0] & 0xE0) == NOTE_OFF; /* on or off */
	if (!ring_put(&band->up, &message) || !is_key)
		return;
	bool down = !is_note_off(midi), was_down = note_key(band->heard, midi, down);
	band->heard_count += (unsigned)down - (unsigned)was_down;
}

/* Tell whether a message goes out again: all while the way through is open, and ends of what has gone through. */
static bool passes(struct band *band, const uint8_t *midi, uint32_t size)
{
	bool open = get_choice(band, THRU) > 0 || !band->enabled;
	bool is_key = size == 3 && (midi[0] & 0xE0) == NOTE_OFF;
	if (!is_key)
		return open;
	bool off = is_note_off(midi);
	if (!off && !open)
		return false;
	return note_key(band->passed, midi, !off) || open;
}

void band_hear(struct band *band, uint32_t frame, const uint8_t *midi, uint32_t size)
{
	if (!size || frame >= band->frames)
		return;
	play_until(band, frame);
	bool is_channel = midi[0] >= NOTE_OFF && midi[0] < SYSTEM && size >= 2 && size <= 3;
	bool is_whole = size == 3 || (midi[0] & 0xE0) == 0xC0; /* program and channel pressure have two bytes */
	if (is_channel && is_whole && feeds_band(band))
		feed(band, frame, midi, size);
	if (!(is_channel && !is_whole) && passes(band, midi, size) && band->emit)
		band->emit(band->context, frame, midi, size);
}

/* Expect no repetition any more where the host went on. */
static void look_for_wrap(struct band *band)
{
	double end = band->at.has_loop ? band->at.loop_end : band->wrap_from;
	if (!is_rolling(band) || band->at.tick <= end + DRIFT_TICKS)
		return;
	band->wraps = false;
	if (band->foretold)
		forget_foretold(band);
}

/* Carry what is counted in samples of the block over into the next. */
static void end_block(struct band *band)
{
	move_origin(band, band->frames);
	band->origin = 0;
	band->block_before = band->frames;
	band->next_due -= band->frames;
	if (is_rolling(band))
		band->rolled += band->frames / band->rate;
	band->unreported += band->frames;
}

/* End what sounds where the daemon has not told for two beats what comes. */
static void end_abandoned(struct band *band)
{
	bool abandoned = band->at.tick > fmax(band->until, band->landed) + LOST_TICKS;
	if (is_rolling(band) && abandoned && band->sounding_count)
		panic(band);
}

void band_end(struct band *band)
{
	obey_switches(band);
	play_until(band, band->frames);
	if (band->frames) {
		band->now = band->frames - 1; /* the last sample: what ends now ends there */
		end_abandoned(band);
	}
	end_block(band);
	look_for_wrap(band);
	bool due = is_offline(band) || band->unreported >= REPORT_SECONDS * band->rate;
	bool news = is_rolling(band) || band->epoch != band->reported_epoch || band->at.bpm != band->reported_bpm;
	if (band->located && due && news)
		report(band, 0, 0);
}

/* --- The main thread --- */

struct band *band_create(double rate)
{
	struct band *band = aligned_alloc(64, (sizeof *band + 63) / 64 * 64);
	if (!band)
		return NULL;
	memset(band, 0, sizeof *band);
	band->rate = rate > 0 ? rate : 48000;
	band->until = NO_TICK;
	band->enabled = true;
	band->playing = EVERY_ROLE;
	atomic_init(&band->outputs, EVERY_ROLE);
	band->at.beats = band->at.unit = 4;
	band->at.bpm = 120;
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		atomic_init(&band->values[i], PARAMETERS[i].standard);
	if (!link_join(band)) {
		free(band);
		return NULL;
	}
	return band;
}

void band_destroy(struct band *band)
{
	if (!band)
		return;
	link_leave(band);
	free(band);
}

void band_activate(struct band *band, double rate)
{
	if (rate > 0)
		band->rate = rate;
	link_copy_metres(band);
	band->located = false; /* the host's next position begins another epoch */
	band->origin = 0;
	band->longest_block = 0;
	band->rolled = 0;
	band->due_known = false;
	atomic_store(&band->active, true);
}

void band_deactivate(struct band *band)
{
	if (!atomic_load(&band->active))
		return;
	const struct message leaves = {.type = MESSAGE_LEAVE};
	release_heard(band, band->at.tick, UINT_MAX);
	ring_put(&band->up, &leaves);
	/* Nothing can be sent any more. Where the host did not end by itself what sounded, the next block does. */
	for (unsigned i = 0; i < band->sounding_count; i++)
		band->sounding[i].overdue = true;
	forget_planned(band, UINT32_MAX, EVERY_ROLE);
	atomic_store(&band->active, false);
}

enum status band_status(const struct band *band)
{
	return (enum status)atomic_load_explicit(&band->status, memory_order_relaxed);
}

double band_get(const struct band *band, unsigned number)
{
	return atomic_load_explicit(&band->values[number], memory_order_relaxed);
}
