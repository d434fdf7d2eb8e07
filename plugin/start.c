#define _GNU_SOURCE
#include "start.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define START_NS (20 * SECOND) /* it may take so long until it listens, on a slow machine that has just been turned on */
#define RESTART_NS (5 * SECOND) /* one that has answered and ended is started again so long after its start */
#define MAX_VARIABLES 4096

extern char **environ;

static pid_t starter = -1; /* the shell that starts it, until its exit status has been taken */
static int64_t started, next_try;
static unsigned tries;

/* Write the path of a program that is on PATH. Return false where there is none. */
static bool find_on_path(const char *name, char *path, size_t size)
{
	const char *folder = getenv("PATH");
	while (folder && *folder) {
		size_t length = strcspn(folder, ":");
		int written = snprintf(path, size, "%.*s/%s", (int)length, folder, name);
		if (length && written > 0 && (size_t)written < size && !access(path, X_OK))
			return true;
		folder += length + (folder[length] == ':');
	}
	return false;
}

/* Write the path of the program: what HOUSEBAND_PROGRAM names (empty: nothing is started), else the one that the plugin
 * was installed by, else the one on PATH. */
static bool find_program(char *path, size_t size)
{
	const char *named = getenv("HOUSEBAND_PROGRAM");
	if (named)
		return *named && (size_t)snprintf(path, size, "%s", named) < size && !access(path, X_OK);
#ifdef HOUSEBAND_INSTALLED_PROGRAM
	if ((size_t)snprintf(path, size, "%s", HOUSEBAND_INSTALLED_PROGRAM) < size && !access(path, X_OK))
		return true;
#endif
	return find_on_path("houseband", path, size);
}

/* Fill in the daemon's environment: the host's without libraries that are the host's own, and with the socket. */
static void fill_environment(char **variables, char *socket_variable)
{
	static const char *const dropped[] = {"LD_LIBRARY_PATH=", "LD_PRELOAD=", "HOUSEBAND_PLUGIN_SOCKET="};
	size_t count = 0;
	for (char **each = environ; *each && count < MAX_VARIABLES - 2; each++) {
		bool keep = true;
		for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
			keep &= strncmp(*each, dropped[i], strlen(dropped[i])) != 0;
		if (keep)
			variables[count++] = *each;
	}
	variables[count++] = socket_variable;
	variables[count] = NULL;
}

/* Run a shell that starts the program behind itself and ends, so that the program is no child of the host. */
static bool spawn(char *program, char *socket_path)
{
	static char *variables[MAX_VARIABLES];
	static char shell[] = "sh", option[] = "-c", script[] = "\"$@\" &", run[] = "run", plugin[] = "--plugin";
	char socket_variable[PATH_MAX + 32];
	char *arguments[] = {shell, option, script, shell, program, run, plugin, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	snprintf(socket_variable, sizeof socket_variable, "HOUSEBAND_PLUGIN_SOCKET=%s", socket_path);
	fill_environment(variables, socket_variable);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
#if defined __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 34)
	posix_spawn_file_actions_addclosefrom_np(&actions, 3); /* the host's files and sockets stay the host's */
#endif
#endif
	posix_spawnattr_init(&attributes);
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	int error = posix_spawn(&starter, "/bin/sh", &actions, &attributes, arguments, variables);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error)
		starter = -1;
	return !error;
}

bool start_is_under_way(int64_t now)
{
	return started && now - started < START_NS;
}

bool start_daemon(const char *socket_path, int64_t now)
{
	static const int64_t pauses[] = {30 * SECOND, 60 * SECOND, 300 * SECOND};
	char program[PATH_MAX], path[PATH_MAX];
	if (now < next_try || starter >= 0 || !find_program(program, sizeof program))
		return false;
	size_t last = sizeof pauses / sizeof *pauses - 1;
	next_try = now + pauses[tries < last ? tries : last];
	tries++;
	snprintf(path, sizeof path, "%s", socket_path);
	if (!spawn(program, path))
		return false;
	started = now;
	return true;
}

void start_succeeded(void)
{
	tries = 0;
	if (started && next_try > started + RESTART_NS)
		next_try = started + RESTART_NS;
}

void start_reap(void)
{
	if (starter >= 0 && waitpid(starter, NULL, WNOHANG) != 0)
		starter = -1;
}

void start_forget(void)
{
	if (starter >= 0)
		waitpid(starter, NULL, 0);
	starter = -1;
	started = next_try = 0;
	tries = 0;
}
