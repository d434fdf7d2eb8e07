#define _GNU_SOURCE
#include "link.h"

#include "core.h"
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL_VERSION 1
#define MAX_LINE 1024
#define MAX_UNSENT 65536
#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

/* The thread looks for what instances have to say so often: they cannot wake it without a system call. */
#define BUSY_MS 1
#define OFFLINE_US 100
#define IDLE_MS 20
/* It counts as busy for so long after something was said. */
#define BUSY_NS (200 * MS)
/* A start or jump that an instance tells which only receives is passed on after this, unless the lead tells it before. */
#define LEAD_NS (5 * MS)
#define REPORT_NS (4 * MS)
#define SIGN_OF_LIFE_NS (700 * MS)
#define SILENCE_NS (3 * SECOND)
#define ERROR_SHOWN_NS (5 * SECOND)
#define LATE_END_VELOCITY 64
/* Notes that are kept for instances which join, or turn out to be in another epoch than was thought. */
#define MAX_KEPT 512

enum phase { AWAY, GREETED, WELCOME };

/* The beginning of an epoch that an instance told which is not the lead. */
struct early {
	uint32_t epoch; /* 0: there is none */
	int64_t until;  /* ns: the lead is waited for until then */
	struct message message;
};

/* What the daemon has told of an epoch, as the session counts it. */
struct kept {
	long long epoch;
	struct message message;
};

/* A project of the host: its instances in this process, and their connection. */
struct session {
	char id[MAX_SESSION_BYTES + 1];
	struct session *next;
	struct band *bands;
	struct band *lead; /* the instance whose melody, controls and position are passed on; NULL: none is active */

	int fd; /* -1: there is none */
	enum phase phase;
	int64_t next_try, heard, said; /* ns */
	unsigned tries;
	bool given_up;        /* the daemon refused this session for good */
	enum status told;     /* what the daemon says of itself */
	int64_t error_until;  /* ns: an error is shown until then */
	char in[MAX_LINE];
	size_t in_used;
	bool in_skips; /* the rest of a line that was too long is to be left out */
	char out[MAX_UNSENT];
	size_t out_used;

	struct epochs epochs; /* none: no instance has told where the host is */
	uint32_t epoch_base;  /* the wire's epoch is this one's less so much */
	struct message at;    /* where the host is */
	int64_t at_said;     /* ns */
	bool at_waits;       /* `at` has not been passed on */
	bool held_waits;     /* the keys that are down are to be told of again, once the daemon knows where the host is */
	int64_t begun;       /* position at which the epoch began, for this connection */
	struct early early[MAX_EPOCHS_AHEAD]; /* each at its epoch modulo the size */
	struct message waiting; /* of an instance that waits for notes in a rendering, while `waits` */
	int plays_said, lead_said;
	int taken; /* bits as in `plays` of what all connections of the session play */
	bool values_waited; /* all values are to be sent */
	uint64_t held[16][2]; /* keys, by channel, that the daemon has been told of as down */
	struct kept notes[MAX_KEPT]; /* the newest ones, each at its number modulo the size */
	unsigned note_count;         /* ever kept */
	struct kept untils[MAX_EPOCHS_AHEAD]; /* each at its epoch modulo the size */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *sessions;
static unsigned band_count;
static pthread_t thread;
static bool running, quitting;
static int wake_pipe[2] = {-1, -1};
static char latest_id[MAX_SESSION_BYTES + 1]; /* the session that a new instance joins */

static int64_t read_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* --- What is sent --- */

static void hang_up(struct session *session, int64_t now);

static void say(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct session *session, const char *format, ...)
{
	size_t room = sizeof session->out - session->out_used;
	va_list arguments;
	if (session->fd < 0)
		return;
	va_start(arguments, format);
	int length = vsnprintf(session->out + session->out_used, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		hang_up(session, read_clock_ns()); /* it has not read for long */
	else
		session->out_used += (size_t)length;
}

static long long to_wire(const struct session *session, uint32_t epoch)
{
	return (long long)epoch - (long long)session->epoch_base;
}

static void say_at(struct session *session, int64_t now)
{
	const struct message *at = &session->at;
	double us = 60e6 / fmin(fmax(at->value, 1), 60e6);
	say(session, "at %lld %lld %lld %d %lld %lld %d %d %lld %lld %lld\n", to_wire(session, session->epochs.newest),
	    (long long)session->begun, (long long)at->position, at->data[0], llround(us), (long long)at->bar, at->data[1],
	    at->data[2], (long long)at->ahead, (long long)at->loop_start, (long long)at->loop_end);
	session->at_waits = false;
	session->at_said = now;
}

/* Tell a MIDI message, and keep which keys are down. */
static void say_midi(struct session *session, const struct message *message, uint32_t epoch)
{
	say(session, "in %lld %lld %d %d %d\n", to_wire(session, epoch), (long long)message->position, message->data[0],
	    message->data[1], message->data[2]);
	uint8_t kind = message->data[0] & 0xF0;
	if (kind != 0x80 && kind != 0x90)
		return;
	uint64_t *word = &session->held[message->data[0] & 15][message->data[1] / 64 & 1];
	uint64_t bit = UINT64_C(1) << (message->data[1] % 64);
	*word = kind == 0x90 && message->data[2] ? *word | bit : *word & ~bit;
}

/* Tell that every key is let go (as_ends), or once more which are down. */
static void say_held(struct session *session, bool as_ends)
{
	for (unsigned channel = 0; channel < 16; channel++)
		for (unsigned key = 0; key < 128; key++)
			if (session->held[channel][key / 64] >> (key % 64) & 1) {
				struct message message = {.position = session->at.position};
				message.data[0] = (uint8_t)((as_ends ? 0x80 : 0x90) | channel);
				message.data[1] = (uint8_t)key;
				message.data[2] = LATE_END_VELOCITY;
				say_midi(session, &message, session->epochs.newest);
			}
}

static void say_value(struct session *session, unsigned number, double value, long long epoch, long long position)
{
	char word[64];
	if (PARAMETERS[number].kind == TRIGGER)
		snprintf(word, sizeof word, "true");
	else if (PARAMETERS[number].kind == SWITCH)
		snprintf(word, sizeof word, "%s", value > 0 ? "true" : "false");
	else
		parameter_word(number, value, word, sizeof word);
	say(session, "set %lld %lld %s %s\n", epoch, position, PARAMETERS[number].control, word);
}

static void say_values(struct session *session)
{
	session->values_waited = false;
	if (!session->lead)
		return;
	atomic_store(&session->lead->unsent, false);
	/* the technique comes first: which styles there are depends on it */
	say_value(session, TECHNIQUE, band_get(session->lead, TECHNIQUE), 0, 0);
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		if (PARAMETERS[i].control && PARAMETERS[i].kind != TRIGGER && i != TECHNIQUE)
			say_value(session, i, band_get(session->lead, i), 0, 0);
}

/* --- What is put into the instances' rings --- */

static void flush_band(struct band *band)
{
	atomic_store_explicit(&band->flush, true, memory_order_release);
}

/* Put a message; the room that is left at the end is for what ends notes. */
static void put(struct band *band, const struct message *message)
{
	bool is_beginning = message->type == MESSAGE_NOTE && message->data[2];
	if (!atomic_load(&band->active) || (is_beginning && ring_room(&band->down) < RING_SIZE / 2))
		return;
	if (!ring_put(&band->down, message))
		flush_band(band);
}

/* Put a message for an instance with its own count of the epochs. */
static void put_to_one(const struct session *session, struct band *band, const struct message *message, long long epoch)
{
	long long own = epoch - band->count.offset;
	bool for_role = message->type != MESSAGE_NOTE || atomic_load(&band->outputs) >> message->data[0] & 1;
	if (!band->count.holds || own < 0 || own > UINT32_MAX || !for_role)
		return;
	struct message counted = *message;
	counted.epoch = (uint32_t)own;
	counted.foretold = epoch > (long long)session->epochs.newest;
	put(band, &counted);
}

/* Keep what is told of an epoch, and forget what is no more to be told. */
static void keep(struct session *session, const struct message *message, long long epoch)
{
	if (message->type == MESSAGE_NOTE) {
		session->notes[session->note_count++ % MAX_KEPT] = (struct kept){epoch, *message};
	} else if (message->type == MESSAGE_UNTIL && epoch > 0) {
		session->untils[epoch % MAX_EPOCHS_AHEAD] = (struct kept){epoch, *message};
	} else if (message->type != MESSAGE_PROGRAM) {
		for (unsigned i = 0; i < MAX_KEPT; i++)
			if (message->type == MESSAGE_PANIC ||
			    (message->type == MESSAGE_FORGET && session->notes[i].epoch == epoch) ||
			    (message->type == MESSAGE_STOP && session->notes[i].message.data[0] == message->data[0]))
				session->notes[i].epoch = 0;
		if (message->type == MESSAGE_FORGET && epoch > 0)
			session->untils[epoch % MAX_EPOCHS_AHEAD].epoch = 0;
	}
}

static void forget_kept(struct session *session)
{
	memset(session->notes, 0, sizeof session->notes);
	memset(session->untils, 0, sizeof session->untils);
}

/* Tell an instance once more what was told of the epoch that it is in, and of later ones. */
static void tell_again(struct session *session, struct band *band)
{
	long long epoch = (long long)band->count.own + band->count.offset;
	const struct message forget = {.type = MESSAGE_FORGET, .data = {true}, .epoch = band->count.own};
	put(band, &forget);
	for (unsigned i = 0; i < MAX_KEPT; i++) {
		const struct kept *note = &session->notes[(session->note_count + i) % MAX_KEPT];
		if (note->epoch && note->epoch >= epoch)
			put_to_one(session, band, &note->message, note->epoch);
	}
	for (unsigned i = 0; i < MAX_EPOCHS_AHEAD; i++)
		if (session->untils[i].epoch && session->untils[i].epoch >= epoch)
			put_to_one(session, band, &session->untils[i].message, session->untils[i].epoch);
}

/* Pass a message on to all instances, each with its own count of the epochs. */
static void put_to_all(struct session *session, struct message *message, long long wire_epoch)
{
	long long epoch = wire_epoch + session->epoch_base;
	keep(session, message, epoch);
	for (struct band *band = session->bands; band; band = band->next)
		put_to_one(session, band, message, epoch);
}

static void show_status(struct session *session, int64_t now)
{
	enum status status = STATUS_ABSENT;
	if (now < session->error_until || session->given_up)
		status = STATUS_ERROR;
	else if (session->phase == WELCOME)
		status = session->told;
	else if (session->phase == GREETED || start_is_under_way(now))
		status = STATUS_CONNECTING;
	for (struct band *band = session->bands; band; band = band->next)
		atomic_store_explicit(&band->status, (int)status, memory_order_relaxed);
}

/* --- What is received --- */

/* Read a whole number and the space behind it. Return false where there is none. */
static bool read_integer(char **text, long long *number)
{
	char *end;
	if (!(**text == '-' || (**text >= '0' && **text <= '9')))
		return false;
	errno = 0;
	*number = strtoll(*text, &end, 10);
	if (errno || end == *text || (*end && *end != ' '))
		return false;
	*text = *end ? end + 1 : end;
	return true;
}

/* Cut off the next word. */
static char *read_word(char **text)
{
	char *word = *text, *end = strchr(word, ' ');
	*text = end ? end + 1 : word + strlen(word);
	if (end)
		*end = 0;
	return word;
}

/* Return the number of a role, 0 for one that is nobody's. */
static uint8_t read_role(const char *word)
{
	static const struct {
		const char *word;
		uint8_t role;
	} roles[] = {{"bass", BASS}, {"chords", CHORDS}, {"pad", PAD}, {"drums", DRUMS}, {"click", DRUMS}, {"edits", CHORDS}};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (!strcmp(word, roles[i].word))
			return roles[i].role;
	return 0;
}

static bool hear_note(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_NOTE};
	long long epoch, position, pitch, velocity, late;
	if (!read_integer(&text, &epoch))
		return false;
	message.data[0] = read_role(read_word(&text));
	if (!read_integer(&text, &position) || !read_integer(&text, &pitch) || !read_integer(&text, &velocity) ||
	    !read_integer(&text, &late) || pitch < 0 || pitch > 127 || velocity < 0 || velocity > 127)
		return false;
	message.data[1] = (uint8_t)pitch;
	message.data[2] = (uint8_t)velocity;
	message.position = position;
	message.late_ns = late;
	if (message.data[0])
		put_to_all(session, &message, epoch);
	return true;
}

static bool hear_until(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_UNTIL};
	long long epoch, position;
	if (!read_integer(&text, &epoch) || !read_integer(&text, &position))
		return false;
	message.position = position;
	put_to_all(session, &message, epoch);
	return true;
}

static bool hear_forget(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_FORGET};
	long long epoch;
	if (!read_integer(&text, &epoch))
		return false;
	put_to_all(session, &message, epoch);
	return true;
}

static bool hear_panic(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_PANIC};
	(void)text;
	put_to_all(session, &message, session->epochs.newest);
	return true;
}

static bool hear_stop(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_STOP};
	message.data[0] = read_role(read_word(&text));
	if (message.data[0])
		put_to_all(session, &message, session->epochs.newest);
	return true;
}

static bool hear_program(struct session *session, char *text)
{
	struct message message = {.type = MESSAGE_PROGRAM};
	long long program, bank;
	message.data[0] = read_role(read_word(&text));
	if (!read_integer(&text, &program) || !read_integer(&text, &bank) || program < 0 || program > 128 || bank < 0 ||
	    bank > 16383)
		return false;
	message.data[1] = (uint8_t)program;
	message.position = bank;
	if (message.data[0])
		put_to_all(session, &message, session->epochs.newest);
	return true;
}

static bool hear_welcome(struct session *session, char *text)
{
	long long version;
	if (!read_integer(&text, &version) || version != PROTOCOL_VERSION)
		return false;
	session->phase = WELCOME;
	session->tries = 0;
	start_succeeded();
	return true;
}

static bool hear_refused(struct session *session, char *text)
{
	long long seconds;
	int64_t now = read_clock_ns();
	if (!read_integer(&text, &seconds) || seconds < 0 || seconds > 3600)
		return false;
	hang_up(session, now);
	session->given_up = seconds == 0;
	session->next_try = now + seconds * SECOND;
	session->error_until = session->next_try;
	return true;
}

static bool hear_state(struct session *session, char *text)
{
	long long status;
	if (!read_integer(&text, &status) || status < STATUS_ABSENT || status > STATUS_ERROR)
		return false;
	session->told = (enum status)status;
	return true;
}

static bool hear_taken(struct session *session, char *text)
{
	long long mask;
	if (!read_integer(&text, &mask))
		return false;
	session->taken = (int)(mask & 31);
	return true;
}

static bool hear_error(struct session *session, char *text)
{
	(void)text;
	session->error_until = read_clock_ns() + ERROR_SHOWN_NS;
	return true;
}

/* Work off a line. Return false where a word that is known has fields that cannot be read. */
static bool hear(struct session *session, char *line)
{
	static const struct {
		const char *word;
		bool (*hear)(struct session *session, char *text);
	} words[] = {
		{"note", hear_note},       {"until", hear_until},     {"forget", hear_forget}, {"panic", hear_panic},
		{"stop", hear_stop},       {"program", hear_program}, {"state", hear_state},   {"taken", hear_taken},
		{"welcome", hear_welcome}, {"refused", hear_refused}, {"error", hear_error},
	};
	char *text = line;
	const char *word = read_word(&text);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(word, words[i].word))
			return words[i].hear(session, text);
	return true;
}

/* --- The connection --- */

/* Give up the connection; what sounds of the band ends. */
static void hang_up(struct session *session, int64_t now)
{
	static const int64_t pauses[] = {SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND};
	size_t last = sizeof pauses / sizeof *pauses - 1;
	if (session->fd >= 0)
		close(session->fd);
	session->fd = -1;
	session->phase = AWAY;
	session->told = STATUS_CONNECTING;
	session->next_try = now + pauses[session->tries < last ? session->tries : last];
	session->tries++;
	session->taken = 0;
	forget_kept(session);
	for (struct band *band = session->bands; band; band = band->next)
		flush_band(band);
}

static void write_out(struct session *session, int64_t now)
{
	if (session->fd < 0 || !session->out_used)
		return;
	ssize_t sent = send(session->fd, session->out, session->out_used, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0) {
		session->out_used -= (size_t)sent;
		memmove(session->out, session->out + sent, session->out_used);
		session->said = now;
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		hang_up(session, now);
	}
}

/* Work off the lines that have come whole. */
static void read_lines(struct session *session, int64_t now)
{
	char *begin = session->in, *end;
	while (session->fd >= 0 && (end = memchr(begin, '\n', session->in_used - (size_t)(begin - session->in)))) {
		*end = 0;
		if (!hear(session, begin))
			hang_up(session, now);
		begin = end + 1;
	}
	if (session->fd < 0) {
		session->in_used = 0;
		return;
	}
	session->in_used -= (size_t)(begin - session->in);
	memmove(session->in, begin, session->in_used);
	if (session->in_used == sizeof session->in)
		hang_up(session, now); /* no line is so long */
}

static void read_in(struct session *session, int64_t now)
{
	/* no more at once than half a ring holds, so that the instances can follow */
	for (int i = 0; i < 32 && session->fd >= 0; i++) {
		size_t room = sizeof session->in - session->in_used;
		ssize_t got = recv(session->fd, session->in + session->in_used, room, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (got <= 0) {
			hang_up(session, now);
			return;
		}
		session->heard = now;
		session->in_used += (size_t)got;
		read_lines(session, now);
	}
}

static bool find_address(struct sockaddr_un *address)
{
	const char *named = getenv("HOUSEBAND_PLUGIN_SOCKET"), *folder = getenv("XDG_RUNTIME_DIR");
	int length;
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (named && *named == '/')
		length = snprintf(address->sun_path, sizeof address->sun_path, "%s", named);
	else if (folder && *folder == '/')
		length = snprintf(address->sun_path, sizeof address->sun_path, "%s/houseband/plugin.sock", folder);
	else
		length = snprintf(address->sun_path, sizeof address->sun_path, "/run/user/%lu/houseband/plugin.sock",
		                  (unsigned long)getuid());
	return length > 0 && (size_t)length < sizeof address->sun_path;
}

static int open_connection(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void greet(struct session *session, int64_t now)
{
	session->phase = GREETED;
	session->told = STATUS_CONNECTING;
	session->heard = now;
	session->in_used = session->out_used = 0;
	session->epoch_base = session->epochs.newest ? session->epochs.newest - 1 : 0;
	session->plays_said = session->lead_said = -1;
	session->values_waited = true;
	session->at_waits = session->held_waits = session->epochs.newest > 0;
	session->at_said = 0;
	session->begun = session->at.position; /* for this connection, which has told of nothing before */
	say(session, "hello %d %s a host with pid %ld\n", PROTOCOL_VERSION, session->id, (long)getpid());
}

static void try_to_connect(struct session *session, int64_t now)
{
	struct sockaddr_un address;
	if (session->given_up || now < session->next_try || !find_address(&address))
		return;
	session->fd = open_connection(&address);
	if (session->fd >= 0) {
		greet(session, now);
		return;
	}
	bool started = start_daemon(address.sun_path, now);
	session->next_try = now + (started || start_is_under_way(now) ? SECOND / 4 : SECOND);
}

/* --- The instances --- */

static bool plays_all(const struct band *band)
{
	return band_get(band, PLAYS) == ALL_ROLES;
}

/* Return the instance that leads: the first that plays all, else the first; only active ones count. */
static struct band *find_lead(const struct session *session)
{
	struct band *first = NULL;
	for (struct band *band = session->bands; band; band = band->next) {
		if (!atomic_load(&band->active))
			continue;
		if (plays_all(band))
			return band;
		if (!first)
			first = band;
	}
	return first;
}

static int find_mask(const struct session *session)
{
	int mask = 0;
	for (struct band *band = session->bands; band; band = band->next)
		if (atomic_load(&band->active))
			mask |= 1 << (int)band_get(band, PLAYS);
	return mask;
}

/* Say which roles each instance plays: an instance for all leaves those to others that have one of their own. */
static void share_roles(struct session *session, int mask)
{
	enum { UNUSED, EVERYTHING, NOTHING };
	int taken = (mask | session->taken) & ~1;
	for (struct band *band = session->bands; band; band = band->next) {
		int sends = (int)band_get(band, SENDS), outputs = ~0;
		if (plays_all(band) && sends != EVERYTHING)
			outputs = sends == NOTHING ? 0 : ~taken;
		atomic_store_explicit(&band->outputs, outputs, memory_order_relaxed);
	}
}

static void choose_lead(struct session *session)
{
	struct band *lead = find_lead(session);
	int mask = find_mask(session);
	/* without an instance for all here, another process may have it */
	int leads = lead && (mask & 1 || !(session->taken & 1));
	if (lead != session->lead) {
		say_held(session, true);
		session->lead = lead;
		session->values_waited = true;
	}
	share_roles(session, mask);
	if (session->fd < 0)
		return;
	if (mask != session->plays_said || leads != session->lead_said)
		say(session, "plays %d %d\n", mask, leads);
	session->plays_said = mask;
	session->lead_said = leads;
	if (session->lead && atomic_load(&session->lead->unsent))
		session->values_waited = true;
	if (session->values_waited)
		say_values(session);
}

static struct stretch find_stretch(const struct message *message)
{
	return (struct stretch){message->begun, message->data[0] == MODE_STOPPED};
}

static void begin_epoch(struct session *session, const struct message *message, uint32_t epoch, int64_t now)
{
	epochs_begin(&session->epochs, epoch, find_stretch(message));
	session->epochs.reached = message->position;
	session->at = *message;
	session->begun = message->begun;
	session->waiting.waits = false;
	for (struct band *band = session->bands; band; band = band->next) {
		int64_t offset = band->count.offset;
		if (band != session->lead)
			epochs_match(&session->epochs, &band->count);
		if (band->count.offset != offset)
			tell_again(session, band);
	}
	say_at(session, now);
}

/* Take where the host is from the instance that leads. */
static void take_lead(struct session *session, const struct message *message, int64_t now)
{
	bool changed = message->data[0] != session->at.data[0];
	session->at = *message;
	session->epochs.reached = message->position;
	session->at_waits = true;
	if (message->data[0] == MODE_OFFLINE || changed || now - session->at_said >= REPORT_NS)
		say_at(session, now);
}

/* Ask for notes further ahead where an instance waits, in a rendering, that is processed before the lead: the block is
 * longer, or the tempo faster, than the lead has told. */
static void ask_for_waiting(struct session *session, int64_t now)
{
	const struct message *waiting = &session->waiting;
	bool is_there = waiting->position <= session->at.position + (int64_t)MILLITICKS_PER_TICK;
	if (!waiting->waits || session->at.data[0] != MODE_OFFLINE || !is_there)
		return;
	session->waiting.waits = false;
	int64_t ahead = waiting->position + waiting->ahead - session->at.position;
	if (ahead <= session->at.ahead)
		return;
	session->at.ahead = ahead;
	say_at(session, now);
}

/* Keep that an instance is in an epoch which the lead has yet to begin. */
static void keep_early(struct session *session, const struct message *message, uint32_t epoch, int64_t now)
{
	struct early *early = &session->early[epoch % MAX_EPOCHS_AHEAD];
	if (early->epoch != epoch && epoch <= session->epochs.newest + MAX_EPOCHS_AHEAD)
		*early = (struct early){epoch, now + LEAD_NS, *message};
}

/* Begin the next epoch where the lead does not. */
static void begin_early(struct session *session, int64_t now)
{
	for (uint32_t epoch = session->epochs.newest + 1; epoch <= session->epochs.newest + MAX_EPOCHS_AHEAD; epoch++) {
		const struct early *early = &session->early[epoch % MAX_EPOCHS_AHEAD];
		if (early->epoch != epoch)
			continue;
		if (now >= early->until)
			begin_epoch(session, &early->message, epoch, now);
		return;
	}
}

/* Take where the host is from an instance. */
static void take_transport(struct session *session, struct band *band, const struct message *message, int64_t now)
{
	struct epoch_count before = band->count;
	if (!session->epochs.newest)
		epochs_begin(&session->epochs, 1, (struct stretch){0, true});
	int64_t epoch = epochs_take(&session->epochs, &band->count, message->epoch, find_stretch(message),
	                            band == session->lead, now);
	band->count.reached = message->position;
	if (!before.holds || band->count.offset != before.offset)
		tell_again(session, band);
	bool is_new = epoch > (int64_t)session->epochs.newest && epoch <= UINT32_MAX;
	if (band == session->lead && is_new) {
		begin_epoch(session, message, (uint32_t)epoch, now);
	} else if (band == session->lead && epoch == (int64_t)session->epochs.newest) {
		take_lead(session, message, now);
	} else if (epoch == (int64_t)session->epochs.newest) {
		if (message->waits)
			session->waiting = *message;
	} else if (is_new) {
		keep_early(session, message, (uint32_t)epoch, now);
	}
}

static bool has_others(const struct session *session, const struct band *left)
{
	for (const struct band *band = session->bands; band; band = band->next)
		if (band != left && atomic_load(&band->active))
			return true;
	return false;
}

/* Take that an instance is processed no more. With the last one, the host has stopped as far as the band can tell. */
static void take_leave(struct session *session, struct band *band, int64_t now)
{
	band->count.holds = false;
	if (has_others(session, band) || !session->epochs.newest || session->at.data[0] == MODE_STOPPED)
		return;
	struct message stopped = session->at;
	stopped.data[0] = MODE_STOPPED;
	stopped.begun = stopped.position;
	begin_epoch(session, &stopped, session->epochs.newest + 1, now);
	say_held(session, true);
}

static void take_set(struct session *session, struct band *band, const struct message *message)
{
	int64_t epoch = (int64_t)message->epoch + band->count.offset;
	bool is_placed = band->count.holds && epoch == (int64_t)session->epochs.newest;
	if (message->data[0] < PARAMETER_COUNT && session->fd >= 0)
		say_value(session, message->data[0], message->value, is_placed ? to_wire(session, session->epochs.newest) : 0,
		          is_placed ? (long long)message->position : 0);
}

static bool take_messages(struct session *session, struct band *band, int64_t now)
{
	struct message message;
	bool any = false;
	while (ring_take(&band->up, &message)) {
		any = true;
		if (message.type == MESSAGE_TRANSPORT)
			take_transport(session, band, &message, now);
		else if (message.type == MESSAGE_LEAVE)
			take_leave(session, band, now);
		else if (band != session->lead)
			continue;
		else if (message.type == MESSAGE_SET)
			take_set(session, band, &message);
		else if (band->count.holds && (int64_t)message.epoch + band->count.offset == (int64_t)session->epochs.newest)
			say_midi(session, &message, session->epochs.newest);
	}
	return any;
}

/* Do all that there is to do for a session. Return true where its instances had something to say. */
static bool serve(struct session *session, int64_t now)
{
	bool any = false;
	if (session->fd < 0 && find_lead(session))
		try_to_connect(session, now);
	choose_lead(session);
	/* the lead comes last, so that what the others told before it jumped is of epochs which are the newest still */
	for (struct band *band = session->bands; band; band = band->next)
		if (band != session->lead)
			any |= take_messages(session, band, now);
	if (session->lead)
		any |= take_messages(session, session->lead, now);
	ask_for_waiting(session, now);
	begin_early(session, now);
	if (session->fd < 0) {
		show_status(session, now);
		return any;
	}
	if (session->epochs.newest && ((session->at_waits && now - session->at_said >= REPORT_NS) || now - session->at_said >= SECOND))
		say_at(session, now);
	if (session->held_waits && !session->at_waits) {
		session->held_waits = false;
		say_held(session, false);
	}
	if (now - session->said >= SIGN_OF_LIFE_NS && !session->out_used)
		say(session, "ping\n");
	write_out(session, now);
	read_in(session, now);
	if (session->fd >= 0 && now - session->heard >= SILENCE_NS)
		hang_up(session, now);
	show_status(session, now);
	return any;
}

/* --- The thread --- */

static bool is_offline(const struct session *session)
{
	return session->at.data[0] == MODE_OFFLINE && session->phase == WELCOME;
}

/* Wait until the daemon says something, or it is time to look at the rings. */
static void wait_for_more(int64_t pause_ns)
{
	struct pollfd polled[17] = {{.fd = wake_pipe[0], .events = POLLIN}};
	nfds_t count = 1;
	pthread_mutex_lock(&lock);
	for (struct session *session = sessions; session && count < 17; session = session->next)
		if (session->fd >= 0)
			polled[count++] = (struct pollfd){.fd = session->fd, .events = POLLIN};
	pthread_mutex_unlock(&lock);
	const struct timespec pause = {.tv_sec = pause_ns / SECOND, .tv_nsec = pause_ns % SECOND};
	ppoll(polled, count, &pause, NULL);
}

static void *run_thread(void *nothing)
{
	int64_t busy_until = 0;
	for (;;) {
		int64_t now = read_clock_ns();
		bool offline = false;
		pthread_mutex_lock(&lock);
		bool quits = quitting;
		for (struct session *session = sessions; session; session = session->next) {
			if (serve(session, now))
				busy_until = now + BUSY_NS;
			offline |= is_offline(session);
		}
		pthread_mutex_unlock(&lock);
		start_reap();
		if (quits)
			return nothing;
		wait_for_more(offline ? OFFLINE_US * 1000 : (now < busy_until ? BUSY_MS : IDLE_MS) * MS);
	}
}

static bool start_thread(void)
{
	sigset_t all, before;
	if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK))
		return false;
	quitting = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the host's signals are not for this thread */
	running = pthread_create(&thread, NULL, run_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return running;
}

/* --- Sessions --- */

static void make_id(char *id)
{
	unsigned char bytes[16];
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (unsigned char)((uint64_t)read_clock_ns() >> (i % 8 * 8) ^ ((uint64_t)getpid() << i % 5));
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

static struct session *find_session(const char *id)
{
	struct session *session = sessions;
	while (session && strcmp(session->id, id) != 0)
		session = session->next;
	if (session)
		return session;
	session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	snprintf(session->id, sizeof session->id, "%s", id);
	session->fd = -1;
	session->told = STATUS_CONNECTING;
	session->next = sessions;
	sessions = session;
	return session;
}

static void end_session(struct session *session)
{
	struct session **place = &sessions;
	while (*place != session)
		place = &(*place)->next;
	*place = session->next;
	if (session->fd >= 0) {
		say(session, "bye\n");
		write_out(session, read_clock_ns());
		if (session->fd >= 0)
			close(session->fd);
	}
	free(session);
}

/* Take an instance out of its session, which ends with its last one. */
static void remove_band(struct band *band)
{
	struct session *session = band->session;
	struct band **place = &session->bands;
	while (*place != band)
		place = &(*place)->next;
	*place = band->next;
	if (session->lead == band) {
		say_held(session, true);
		session->lead = NULL;
	}
	if (!session->bands)
		end_session(session);
}

static void add_band(struct band *band, struct session *session)
{
	struct band **place = &session->bands;
	while (*place)
		place = &(*place)->next;
	*place = band;
	band->next = NULL;
	band->session = session;
	band->count.holds = false;
	snprintf(latest_id, sizeof latest_id, "%s", session->id);
}

bool link_join(struct band *band)
{
	pthread_mutex_lock(&lock);
	if (!band_count || !*latest_id)
		make_id(latest_id);
	struct session *session = find_session(latest_id);
	bool joined = session && (running || start_thread());
	if (joined) {
		add_band(band, session);
		band_count++;
	} else if (session && !session->bands) {
		end_session(session);
	}
	pthread_mutex_unlock(&lock);
	return joined;
}

void link_leave(struct band *band)
{
	pthread_mutex_lock(&lock);
	remove_band(band);
	bool is_last = --band_count == 0;
	quitting = is_last;
	pthread_mutex_unlock(&lock);
	if (!is_last)
		return;
	ssize_t woken = write(wake_pipe[1], "", 1);
	(void)woken; /* where that fails, the thread looks by itself before long */
	pthread_join(thread, NULL);
	running = false;
	close(wake_pipe[0]);
	close(wake_pipe[1]);
	start_forget();
}

void link_copy_metres(struct band *band)
{
	pthread_mutex_lock(&lock);
	struct band *lead = band->session->lead, *other = band->session->bands;
	bool copied = lead && lead != band && band_copy_metres(band, lead);
	for (; other && !copied; other = other->next)
		copied = other != band && band_copy_metres(band, other);
	pthread_mutex_unlock(&lock);
}

void link_get_session(struct band *band, char *text, size_t size)
{
	pthread_mutex_lock(&lock);
	snprintf(text, size, "%s", band->session->id);
	pthread_mutex_unlock(&lock);
}

static bool is_id(const char *id)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
	size_t length = strlen(id);
	return length >= 1 && length <= MAX_SESSION_BYTES && strspn(id, allowed) == length;
}

bool link_set_session(struct band *band, const char *id)
{
	if (!is_id(id))
		return false;
	pthread_mutex_lock(&lock);
	struct session *session = find_session(id);
	if (session && session != band->session) {
		remove_band(band);
		add_band(band, session);
		flush_band(band);
	}
	if (session)
		snprintf(latest_id, sizeof latest_id, "%s", id);
	pthread_mutex_unlock(&lock);
	return session != NULL;
}
