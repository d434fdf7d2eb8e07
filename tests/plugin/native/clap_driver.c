#include "host.h"

#include "clap_render.h"
#include "parameters.h"

#include "clap/entry.h"
#include "clap/ext/params.h"
#include "clap/ext/state.h"
#include "clap/plugin-factory.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS 64

union any_event {
	clap_event_header_t header;
	clap_event_midi_t midi;
	clap_event_note_t note;
	clap_event_transport_t transport;
	clap_event_param_value_t value;
};

struct instance {
	void *library;
	const clap_plugin_entry_t *entry;
	const clap_plugin_t *plugin;
	union any_event in[MAX_EVENTS + MAX_SETS];
	uint32_t in_count;
	clap_event_param_value_t sets[MAX_SETS];
	unsigned set_count;
	clap_event_transport_t transport;
	struct events *out;
};

static const void *get_host_extension(const clap_host_t *host, const char *id)
{
	(void)host;
	(void)id;
	return NULL;
}

static void request(const clap_host_t *host)
{
	(void)host;
}

static const clap_host_t HOST = {CLAP_VERSION_INIT, NULL, "test", "test", "", "1", get_host_extension, request, request, request};

static void *create(const char *path, double rate)
{
	struct instance *instance = calloc(1, sizeof *instance);
	(void)rate;
	instance->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!instance->library) {
		fprintf(stderr, "%s\n", dlerror());
		return NULL;
	}
	instance->entry = dlsym(instance->library, "clap_entry");
	instance->entry->init(path);
	const clap_plugin_factory_t *factory = instance->entry->get_factory(CLAP_PLUGIN_FACTORY_ID);
	const clap_plugin_descriptor_t *descriptor = factory->get_plugin_descriptor(factory, 0);
	instance->plugin = factory->create_plugin(factory, &HOST, descriptor->id);
	if (!instance->plugin || !instance->plugin->init(instance->plugin))
		return NULL;
	return instance;
}

static void destroy(void *it)
{
	struct instance *instance = it;
	instance->plugin->destroy(instance->plugin);
	instance->entry->deinit();
	dlclose(instance->library);
	free(instance);
}

static void activate(void *it, double rate, uint32_t longest)
{
	struct instance *instance = it;
	instance->plugin->activate(instance->plugin, rate, 1, longest);
	instance->plugin->start_processing(instance->plugin);
}

static void deactivate(void *it)
{
	struct instance *instance = it;
	instance->plugin->stop_processing(instance->plugin);
	instance->plugin->deactivate(instance->plugin);
}

static void set(void *it, const char *symbol, double value)
{
	struct instance *instance = it;
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		if (!strcmp(PARAMETERS[i].symbol, symbol) && instance->set_count < MAX_SETS)
			instance->sets[instance->set_count++] = (clap_event_param_value_t){
				{sizeof(clap_event_param_value_t), 0, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_PARAM_VALUE, 0},
				i, NULL, -1, -1, -1, -1, value};
}

static void render(void *it, bool offline)
{
	struct instance *instance = it;
	const struct render_extension *extension = instance->plugin->get_extension(instance->plugin, EXTENSION_RENDER);
	extension->set(instance->plugin, offline ? RENDER_OFFLINE : RENDER_REALTIME);
}

static clap_event_transport_t tell(uint32_t frame, const struct place *place)
{
	double seconds = (double)place->frame / 48000; /* the song's time line, which the host counts so at any rate */
	clap_event_transport_t told = {
		{sizeof told, frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_TRANSPORT, 0},
		.flags = CLAP_TRANSPORT_HAS_TEMPO | CLAP_TRANSPORT_HAS_BEATS_TIMELINE | CLAP_TRANSPORT_HAS_TIME_SIGNATURE,
		.song_pos_beats = llround(place->quarters * (double)CLAP_BEATTIME_FACTOR),
		.song_pos_seconds = llround(seconds * (double)CLAP_SECTIME_FACTOR),
		.tempo = place->bpm,
		.tempo_inc = place->bpm_per_frame,
		.bar_start = llround(place->bar_begin * (double)CLAP_BEATTIME_FACTOR),
		.bar_number = (int32_t)place->bar,
		.tsig_num = (uint16_t)place->beats,
		.tsig_denom = (uint16_t)place->unit,
		.loop_start_beats = llround(place->loop_start * (double)CLAP_BEATTIME_FACTOR),
		.loop_end_beats = llround(place->loop_end * (double)CLAP_BEATTIME_FACTOR)};
	if (place->rolling)
		told.flags |= CLAP_TRANSPORT_IS_PLAYING;
	if (place->loops)
		told.flags |= CLAP_TRANSPORT_IS_LOOP_ACTIVE;
	return told;
}

/* Hand a MIDI message over: keys as CLAP's notes for every other key, else as MIDI. */
static void put_midi(union any_event *event, uint32_t frame, const uint8_t *midi)
{
	bool is_key = (midi[0] & 0xE0) == 0x80 && midi[1] % 2;
	if (is_key)
		event->note = (clap_event_note_t){{sizeof event->note, frame, CLAP_CORE_EVENT_SPACE_ID,
		                                   (midi[0] & 0x10) ? CLAP_EVENT_NOTE_ON : CLAP_EVENT_NOTE_OFF, 0},
		                                  -1, 0, midi[0] & 15, midi[1], midi[2] / 127.0};
	else
		event->midi = (clap_event_midi_t){
			{sizeof event->midi, frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, 0}, 0, {midi[0], midi[1], midi[2]}};
}

static uint32_t count_in(const clap_input_events_t *list)
{
	return ((struct instance *)list->ctx)->in_count;
}

static const clap_event_header_t *get_in(const clap_input_events_t *list, uint32_t index)
{
	return &((struct instance *)list->ctx)->in[index].header;
}

static bool push_out(const clap_output_events_t *list, const clap_event_header_t *header)
{
	struct events *out = ((struct instance *)list->ctx)->out;
	if (header->type != CLAP_EVENT_MIDI)
		return true;
	if (out->count == MAX_EVENTS)
		return false;
	out->list[out->count] = (struct event){.frame = header->time};
	memcpy(out->list[out->count++].midi, ((const clap_event_midi_t *)header)->data, 3);
	return true;
}

static void run(void *it, uint32_t frames, const struct events *in, struct events *out)
{
	struct instance *instance = it;
	const clap_input_events_t inputs = {instance, count_in, get_in};
	const clap_output_events_t outputs = {instance, push_out};
	instance->in_count = 0;
	for (unsigned i = 0; i < instance->set_count; i++)
		instance->in[instance->in_count++].value = instance->sets[i];
	instance->set_count = 0;
	for (unsigned i = 0; i < in->count; i++) {
		if (in->list[i].is_place && in->list[i].frame == 0)
			instance->transport = tell(0, &in->list[i].place);
		else if (in->list[i].is_place)
			instance->in[instance->in_count++].transport = tell(in->list[i].frame, &in->list[i].place);
		else
			put_midi(&instance->in[instance->in_count++], in->list[i].frame, in->list[i].midi);
	}
	instance->out = out;
	out->count = 0;
	clap_process_t process = {.steady_time = -1, .frames_count = frames, .transport = &instance->transport,
	                          .in_events = &inputs, .out_events = &outputs};
	cost_begin();
	instance->plugin->process(instance->plugin, &process);
	cost_end();
}

static int status(void *it)
{
	struct instance *instance = it;
	const clap_plugin_params_t *params = instance->plugin->get_extension(instance->plugin, CLAP_EXT_PARAMS);
	double value = 0;
	params->get_value(instance->plugin, 1000, &value);
	return (int)value;
}

struct kept {
	char text[8192];
	uint64_t size, read;
};

static int64_t write_kept(const clap_ostream_t *stream, const void *buffer, uint64_t size)
{
	struct kept *kept = stream->ctx;
	if (size > 100)
		size = 100; /* as a host may that writes through a pipe */
	memcpy(kept->text + kept->size, buffer, size);
	kept->size += size;
	return (int64_t)size;
}

static int64_t read_kept(const clap_istream_t *stream, void *buffer, uint64_t size)
{
	struct kept *kept = stream->ctx;
	uint64_t left = kept->size - kept->read;
	size = size < left ? size : left;
	size = size < 100 ? size : 100;
	memcpy(buffer, kept->text + kept->read, size);
	kept->read += size;
	return (int64_t)size;
}

static bool copy_state(void *from, void *to)
{
	static struct kept kept, again;
	struct instance *source = from, *target = to;
	const clap_plugin_state_t *state = source->plugin->get_extension(source->plugin, CLAP_EXT_STATE);
	const clap_ostream_t out = {&kept, write_kept}, out_again = {&again, write_kept};
	const clap_istream_t in = {&kept, read_kept};
	memset(&kept, 0, sizeof kept);
	memset(&again, 0, sizeof again);
	return state->save(source->plugin, &out) && state->load(target->plugin, &in) &&
	       state->save(target->plugin, &out_again) && !strcmp(kept.text, again.text);
}

const struct driver clap_driver = {create, destroy, activate, deactivate, set, render, run, status, copy_state};
