/* The state of an instance as text, which a host keeps in its project:
 *
 *     houseband 1
 *     session 0123...
 *     ahead_us 46333
 *     plays 2
 *     style jazz
 *     ...
 *
 * A later version may have more lines, and an older one fewer: lines that are not known are left out, and a parameter
 * of which there is no line has its standard value. ahead_us: by how much notes were needed ahead in real time. */
#include "core.h"
#include "link.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUE_BYTES 64

static void append(char *text, size_t size, size_t *used, const char *key, const char *value)
{
	size_t room = *used < size ? size - *used : 0;
	int length = snprintf(room ? text + *used : NULL, room, "%s %s\n", key, value);
	*used += length > 0 ? (size_t)length : 0;
}

size_t band_save(struct band *band, char *text, size_t size)
{
	char value[MAX_SESSION_BYTES + 1];
	size_t used = 0;
	append(text, size, &used, "houseband", "1");
	link_get_session(band, value, sizeof value);
	append(text, size, &used, "session", value);
	snprintf(value, sizeof value, "%ld", lround(atomic_load(&band->ahead_s) * 1e6));
	append(text, size, &used, "ahead_us", value);
	for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
		if (PARAMETERS[i].kind == TRIGGER)
			continue;
		if (PARAMETERS[i].words || PARAMETERS[i].kind != CHOICE)
			parameter_word(i, band_get(band, i), value, sizeof value);
		else
			snprintf(value, sizeof value, "%d", (int)band_get(band, i));
		append(text, size, &used, PARAMETERS[i].symbol, value);
	}
	return used;
}

static void load_value(struct band *band, const char *key, const char *text)
{
	double value;
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		if (PARAMETERS[i].kind != TRIGGER && !strcmp(key, PARAMETERS[i].symbol) && parameter_read(i, text, &value))
			atomic_store_explicit(&band->values[i], value, memory_order_relaxed);
}

static void load_ahead(struct band *band, const char *text)
{
	long us = strtol(text, NULL, 10);
	if (us > 0 && us < 60000000)
		atomic_store(&band->ahead_s, (double)us / 1e6);
}

bool band_load(struct band *band, const char *text)
{
	char key[MAX_VALUE_BYTES], value[MAX_VALUE_BYTES + 1];
	int version = 0, length = 0;
	if (sscanf(text, "houseband %9d%n", &version, &length) != 1 || version < 1)
		return false;
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		atomic_store_explicit(&band->values[i], PARAMETERS[i].standard, memory_order_relaxed);
	for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
		if (sscanf(line + 1, "%63[^ \n] %64[^\n]", key, value) == 2) {
			if (!strcmp(key, "session"))
				link_set_session(band, value);
			else if (!strcmp(key, "ahead_us"))
				load_ahead(band, value);
			else
				load_value(band, key, value);
		}
	atomic_store(&band->unsent, true); /* from here on the thread of link.c sends them all */
	return true;
}
