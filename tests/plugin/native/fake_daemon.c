/* A daemon that speaks the plugin's protocol and plays a rhythm for each role, whatever the melody. */
#define _GNU_SOURCE
#include "host.h"

#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 8

struct client {
	int fd;
	char in[8192];
	size_t used;
	long long epoch, sent; /* everything of the epoch before the position has been sent */
};

static pthread_t thread;
static atomic_bool quits, hangs;
static int listener = -1;
static struct client clients[MAX_CLIENTS];
static const char *const ROLES[] = {"", "bass", "chords", "pad", "drums"};

int64_t fake_step(int role)
{
	static const int64_t steps[] = {0, 12000, 24000, 48000, 6000};
	return steps[role];
}

int64_t fake_length(int role)
{
	static const int64_t lengths[] = {0, 9000, 24000, 47000, 1500};
	return lengths[role];
}

static int64_t round_up(int64_t value, int64_t step)
{
	int64_t quotient = value / step;
	if (value > 0 && value % step)
		quotient++;
	return quotient * step;
}

static void say(struct client *client, const char *text)
{
	size_t size = strlen(text);
	if (client->fd >= 0 && send(client->fd, text, size, MSG_NOSIGNAL) < 0) {
		close(client->fd);
		client->fd = -1;
	}
}

/* Send everything of an epoch up to a position. */
static void play(struct client *client, long long epoch, int64_t from, int64_t until)
{
	static char text[1 << 20];
	size_t used = 0;
	for (int role = 1; role <= 4; role++)
		for (int64_t at = round_up(from, fake_step(role)); at < until && used < sizeof text - 512; at += fake_step(role)) {
			int pitch = 36 + 12 * role % 48 + (int)(llabs(at / fake_step(role)) % 7);
			used += (size_t)snprintf(text + used, sizeof text - used, "note %lld %s %lld %d 100 0\nnote %lld %s %lld %d 0 0\n",
			                         epoch, ROLES[role], (long long)at, pitch, epoch, ROLES[role],
			                         (long long)(at + fake_length(role)), pitch);
		}
	snprintf(text + used, sizeof text - used, "until %lld %lld\n", epoch, (long long)until);
	say(client, text);
}

static void hear(struct client *client, char *line)
{
	long long epoch, begin, heard, us, bar, ahead;
	int mode, beats, unit;
	if (getenv("FAKE_LOG"))
		fprintf(stderr, "%d< %s\n", client->fd, line);
	if (!strncmp(line, "hello ", 6)) {
		client->epoch = client->sent = 0;
		say(client, "welcome 1 test\nstate 2 \n");
	} else if (sscanf(line, "at %lld %lld %lld %d %lld %lld %d %d %lld", &epoch, &begin, &heard, &mode, &us, &bar, &beats,
	                  &unit, &ahead) == 9) {
		if (ahead < 12000)
			ahead = 12000;
		if (epoch != client->epoch) {
			client->epoch = epoch;
			client->sent = begin;
		}
		if (mode && heard + ahead > client->sent) {
			play(client, epoch, client->sent, heard + ahead);
			client->sent = heard + ahead;
		}
	} else if (!strncmp(line, "ping", 4)) {
		say(client, "ping\n");
	}
}

static void read_from(struct client *client)
{
	ssize_t got = recv(client->fd, client->in + client->used, sizeof client->in - 1 - client->used, MSG_DONTWAIT);
	if (got <= 0) {
		close(client->fd);
		client->fd = -1;
		return;
	}
	client->used += (size_t)got;
	client->in[client->used] = 0;
	char *line = client->in, *end;
	while ((end = strchr(line, '\n'))) {
		*end = 0;
		hear(client, line);
		line = end + 1;
	}
	client->used -= (size_t)(line - client->in);
	memmove(client->in, line, client->used);
}

static void *serve(void *nothing)
{
	bool hung = false;
	while (!atomic_load(&quits)) {
		struct pollfd polled[MAX_CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};
		for (int i = 0; i < MAX_CLIENTS; i++)
			polled[i + 1] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
		poll(polled, MAX_CLIENTS + 1, 20);
		if (atomic_load(&hangs)) {
			hung = true;
			usleep(10000);
			continue;
		}
		for (int i = 0; hung && i < MAX_CLIENTS; i++)
			say(&clients[i], "ping\n"); /* at once, before the plugin takes the connection for lost */
		hung = false;
		for (int i = 0; i < MAX_CLIENTS; i++)
			if (polled[i + 1].revents && clients[i].fd >= 0)
				read_from(&clients[i]);
		if (polled[0].revents)
			for (int i = 0; i < MAX_CLIENTS; i++)
				if (clients[i].fd < 0) {
					clients[i].fd = accept(listener, NULL, NULL);
					clients[i].used = 0;
					break;
				}
	}
	return nothing;
}

void fake_start(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	for (int i = 0; i < MAX_CLIENTS; i++)
		clients[i].fd = -1;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8)) {
		perror(path);
		exit(2);
	}
	atomic_store(&quits, false);
	pthread_create(&thread, NULL, serve, NULL);
}

void fake_stop(void)
{
	atomic_store(&quits, true);
	pthread_join(thread, NULL);
	close(listener);
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (clients[i].fd >= 0)
			close(clients[i].fd);
}

void fake_hang(bool now)
{
	atomic_store(&hangs, now);
}
