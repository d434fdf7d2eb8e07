#define _GNU_SOURCE
#include "host.h"

#include "parameters.h"

#include "lv2/atom/atom.h"
#include "lv2/core/lv2.h"
#include "lv2/midi/midi.h"
#include "lv2/state/state.h"
#include "lv2/time/time.h"
#include "lv2/urid/urid.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES 65536
#define FIRST_PARAMETER 4

struct instance {
	void *library;
	const LV2_Descriptor *descriptor;
	LV2_Handle handle;
	_Alignas(8) uint8_t in[BUFFER_BYTES];
	_Alignas(8) uint8_t out[BUFFER_BYTES];
	float status, freewheel, parameters[PARAMETER_COUNT];
};

static char *uris[256];

static LV2_URID map_uri(LV2_URID_Map_Handle handle, const char *uri)
{
	LV2_URID i = 0;
	(void)handle;
	for (; uris[i]; i++)
		if (!strcmp(uris[i], uri))
			return i + 1;
	uris[i] = strdup(uri);
	return i + 1;
}

static LV2_URID_Map map = {NULL, map_uri};

static void *create(const char *path, double rate)
{
	struct instance *instance = aligned_alloc(64, (sizeof *instance + 63) / 64 * 64);
	LV2_Feature feature = {LV2_URID__map, &map};
	const LV2_Feature *features[] = {&feature, NULL};
	memset(instance, 0, sizeof *instance);
	instance->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!instance->library) {
		fprintf(stderr, "%s\n", dlerror());
		return NULL;
	}
	LV2_Descriptor_Function descriptor;
	*(void **)&descriptor = dlsym(instance->library, "lv2_descriptor");
	instance->descriptor = descriptor(0);
	instance->handle = instance->descriptor->instantiate(instance->descriptor, rate, "", features);
	instance->descriptor->connect_port(instance->handle, 0, instance->in);
	instance->descriptor->connect_port(instance->handle, 1, instance->out);
	instance->descriptor->connect_port(instance->handle, 2, &instance->status);
	instance->descriptor->connect_port(instance->handle, 3, &instance->freewheel);
	for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
		instance->parameters[i] = (float)PARAMETERS[i].standard;
		instance->descriptor->connect_port(instance->handle, FIRST_PARAMETER + i, &instance->parameters[i]);
	}
	return instance;
}

static void destroy(void *it)
{
	struct instance *instance = it;
	instance->descriptor->cleanup(instance->handle);
	dlclose(instance->library);
	free(instance);
}

static void activate(void *it, double rate, uint32_t longest)
{
	struct instance *instance = it;
	(void)rate; /* an LV2 instance has one rate for its life */
	(void)longest;
	instance->descriptor->activate(instance->handle);
}

static void deactivate(void *it)
{
	struct instance *instance = it;
	instance->descriptor->deactivate(instance->handle);
}

static void set(void *it, const char *symbol, double value)
{
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		if (!strcmp(PARAMETERS[i].symbol, symbol))
			((struct instance *)it)->parameters[i] = (float)value;
}

static void render(void *it, bool offline)
{
	((struct instance *)it)->freewheel = offline;
}

static void *append(LV2_Atom_Sequence *sequence, uint32_t frame, const char *type, uint32_t size)
{
	LV2_Atom_Event *event = (LV2_Atom_Event *)((char *)&sequence->body + sequence->atom.size);
	event->time.frames = frame;
	event->body.type = map_uri(NULL, type);
	event->body.size = size;
	sequence->atom.size += (uint32_t)sizeof *event + ((size + 7u) & ~7u);
	return event + 1;
}

static void put_property(char **at, const char *key, const char *type, const void *value, uint32_t size)
{
	LV2_Atom_Property_Body *property = (LV2_Atom_Property_Body *)*at;
	property->key = map_uri(NULL, key);
	property->context = 0;
	property->value.type = map_uri(NULL, type);
	property->value.size = size;
	memset(property + 1, 0, 8);
	memcpy(property + 1, value, size);
	*at += sizeof *property + 8;
}

/* Write a place as Ardour and Carla do: numbers of beats as float. */
static void put_place(LV2_Atom_Sequence *sequence, uint32_t frame, const struct place *place)
{
	char body[512], *at = body + sizeof(LV2_Atom_Object_Body);
	LV2_Atom_Object_Body *object = (LV2_Atom_Object_Body *)body;
	int64_t position = place->frame, bar = place->bar;
	float speed = place->rolling, beats = (float)place->beats, bpm = (float)(place->bpm * place->unit / 4);
	float bar_beat = (float)((place->quarters - place->bar_begin) * place->unit / 4);
	int32_t unit = place->unit;
	object->id = 0;
	object->otype = map_uri(NULL, LV2_TIME__Position);
	put_property(&at, LV2_TIME__frame, LV2_ATOM__Long, &position, 8);
	put_property(&at, LV2_TIME__speed, LV2_ATOM__Float, &speed, 4);
	put_property(&at, LV2_TIME__bar, LV2_ATOM__Long, &bar, 8);
	put_property(&at, LV2_TIME__barBeat, LV2_ATOM__Float, &bar_beat, 4);
	put_property(&at, LV2_TIME__beatUnit, LV2_ATOM__Int, &unit, 4);
	put_property(&at, LV2_TIME__beatsPerBar, LV2_ATOM__Float, &beats, 4);
	put_property(&at, LV2_TIME__beatsPerMinute, LV2_ATOM__Float, &bpm, 4);
	memcpy(append(sequence, frame, LV2_ATOM__Object, (uint32_t)(at - body)), body, (size_t)(at - body));
}

static void read_out(const struct instance *instance, struct events *out)
{
	const LV2_Atom_Sequence *sequence = (const LV2_Atom_Sequence *)instance->out;
	const char *at = (const char *)(&sequence->body + 1), *end = (const char *)&sequence->body + sequence->atom.size;
	out->count = 0;
	while (at < end && out->count < MAX_EVENTS) {
		const LV2_Atom_Event *event = (const LV2_Atom_Event *)at;
		struct event *read = &out->list[out->count++];
		read->frame = (uint32_t)event->time.frames;
		read->is_place = false;
		memcpy(read->midi, event + 1, event->body.size < 3 ? event->body.size : 3);
		at += sizeof *event + ((event->body.size + 7u) & ~7u);
	}
}

static void run(void *it, uint32_t frames, const struct events *in, struct events *out)
{
	struct instance *instance = it;
	LV2_Atom_Sequence *sequence = (LV2_Atom_Sequence *)instance->in;
	sequence->atom.type = map_uri(NULL, LV2_ATOM__Sequence);
	sequence->atom.size = sizeof sequence->body;
	sequence->body.unit = sequence->body.pad = 0;
	for (unsigned i = 0; i < in->count; i++) {
		if (in->list[i].is_place)
			put_place(sequence, in->list[i].frame, &in->list[i].place);
		else
			memcpy(append(sequence, in->list[i].frame, LV2_MIDI__MidiEvent, 3), in->list[i].midi, 3);
	}
	((LV2_Atom_Sequence *)instance->out)->atom.size = BUFFER_BYTES - sizeof(LV2_Atom);
	cost_begin();
	instance->descriptor->run(instance->handle, frames);
	cost_end();
	read_out(instance, out);
}

static int status(void *it)
{
	return (int)((struct instance *)it)->status;
}

struct kept {
	char text[8192];
	size_t size;
	uint32_t type;
};

static LV2_State_Status store(LV2_State_Handle handle, uint32_t key, const void *value, size_t size, uint32_t type,
                              uint32_t flags)
{
	struct kept *kept = handle;
	(void)key;
	(void)flags;
	memcpy(kept->text, value, size);
	kept->size = size;
	kept->type = type;
	return LV2_STATE_SUCCESS;
}

static const void *retrieve(LV2_State_Handle handle, uint32_t key, size_t *size, uint32_t *type, uint32_t *flags)
{
	struct kept *kept = handle;
	(void)key;
	*size = kept->size;
	*type = kept->type;
	*flags = 0;
	return kept->text;
}

static bool copy_state(void *from, void *to)
{
	static struct kept kept, again;
	struct instance *source = from, *target = to;
	const LV2_State_Interface *state = source->descriptor->extension_data(LV2_STATE__interface);
	return !state->save(source->handle, store, &kept, 0, NULL) &&
	       !state->restore(target->handle, retrieve, &kept, 0, NULL) &&
	       !state->save(target->handle, store, &again, 0, NULL) && !strcmp(kept.text, again.text);
}

const struct driver lv2_driver = {create, destroy, activate, deactivate, set, render, run, status, copy_state};
