#include "clap_render.h"
#include "core.h"

#include "clap/entry.h"
#include "clap/ext/latency.h"
#include "clap/ext/note-ports.h"
#include "clap/ext/params.h"
#include "clap/ext/state.h"
#include "clap/plugin-factory.h"
#include "clap/plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATE_BYTES 4096
#define STATUS_ID 1000 /* far from the parameters' numbers, of which there may be more one day */

struct plugin {
	clap_plugin_t clap;
	struct band *band;
	const clap_output_events_t *out; /* of the block that is processed */
	int shown_status;
};

static struct band *band_of(const clap_plugin_t *clap)
{
	return ((struct plugin *)clap->plugin_data)->band;
}

/* --- Processing --- */

/* Send a MIDI message; an emit_function. */
static bool send_midi(void *context, uint32_t frame, const uint8_t *midi, uint32_t size)
{
	const clap_output_events_t *out = ((struct plugin *)context)->out;
	if (size > 3) {
		clap_event_midi_sysex_t sysex = {
			{sizeof sysex, frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI_SYSEX, 0}, 0, midi, size};
		return out->try_push(out, &sysex.header);
	}
	clap_event_midi_t event = {{sizeof event, frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, 0}, 0, {0}};
	memcpy(event.data, midi, size);
	return out->try_push(out, &event.header);
}

static double to_ticks(clap_beattime beats)
{
	return (double)beats / (double)CLAP_BEATTIME_FACTOR * TICKS_PER_QUARTER;
}

static void locate(struct plugin *plugin, uint32_t frame, const clap_event_transport_t *transport)
{
	struct host_position position;
	uint32_t flags = transport->flags;
	band_where(plugin->band, frame, &position);
	position.speed = flags & CLAP_TRANSPORT_IS_PLAYING ? 1 : 0;
	position.bpm_per_frame = 0;
	if (flags & CLAP_TRANSPORT_HAS_TEMPO) {
		position.bpm = transport->tempo;
		position.bpm_per_frame = transport->tempo_inc;
	}
	if (flags & CLAP_TRANSPORT_HAS_TIME_SIGNATURE && transport->tsig_num && transport->tsig_denom) {
		position.beats = transport->tsig_num;
		position.unit = transport->tsig_denom;
	}
	position.has_frame = flags & CLAP_TRANSPORT_HAS_SECONDS_TIMELINE;
	if (position.has_frame)
		position.frame = (double)transport->song_pos_seconds / (double)CLAP_SECTIME_FACTOR * plugin->band->rate;
	position.has_tick = true;
	if (flags & CLAP_TRANSPORT_HAS_BEATS_TIMELINE) {
		position.tick = to_ticks(transport->song_pos_beats);
		position.bar_tick = to_ticks(transport->bar_start);
	} else if (position.has_frame) {
		position.tick = position.frame / plugin->band->rate * position.bpm / 60 * TICKS_PER_QUARTER;
		position.bar_tick = 0;
	}
	position.tells_loop = flags & CLAP_TRANSPORT_HAS_BEATS_TIMELINE;
	position.has_loop = flags & CLAP_TRANSPORT_IS_LOOP_ACTIVE && flags & CLAP_TRANSPORT_HAS_BEATS_TIMELINE;
	position.loop_start = to_ticks(transport->loop_start_beats);
	position.loop_end = to_ticks(transport->loop_end_beats);
	band_locate(plugin->band, frame, &position);
}

static void hear_note(struct plugin *plugin, const clap_event_note_t *note)
{
	if (note->channel < 0 || note->channel > 15 || note->key < 0 || note->key > 127)
		return;
	bool on = note->header.type == CLAP_EVENT_NOTE_ON;
	long velocity = lround(note->velocity * 127);
	velocity = velocity < on ? on : velocity > 127 ? 127 : velocity;
	uint8_t midi[3] = {(uint8_t)((on ? 0x90 : 0x80) | note->channel), (uint8_t)note->key, (uint8_t)velocity};
	band_hear(plugin->band, note->header.time, midi, sizeof midi);
}

static uint32_t count_bytes(const clap_event_midi_t *event)
{
	uint8_t kind = event->data[0] & 0xF0;
	if (kind == 0xF0)
		return event->data[0] == 0xF2 ? 3 : event->data[0] == 0xF1 || event->data[0] == 0xF3 ? 2 : 1;
	return kind == 0xC0 || kind == 0xD0 ? 2 : 3;
}

static void take_event(struct plugin *plugin, const clap_event_header_t *header)
{
	if (header->space_id != CLAP_CORE_EVENT_SPACE_ID)
		return;
	if (header->type == CLAP_EVENT_MIDI) {
		const clap_event_midi_t *event = (const clap_event_midi_t *)header;
		band_hear(plugin->band, header->time, event->data, count_bytes(event));
	} else if (header->type == CLAP_EVENT_MIDI_SYSEX) {
		const clap_event_midi_sysex_t *event = (const clap_event_midi_sysex_t *)header;
		if (event->size > 3)
			band_hear(plugin->band, header->time, event->buffer, event->size);
	} else if (header->type == CLAP_EVENT_NOTE_ON || header->type == CLAP_EVENT_NOTE_OFF ||
	           header->type == CLAP_EVENT_NOTE_CHOKE) {
		hear_note(plugin, (const clap_event_note_t *)header);
	} else if (header->type == CLAP_EVENT_TRANSPORT) {
		locate(plugin, header->time, (const clap_event_transport_t *)header);
	} else if (header->type == CLAP_EVENT_PARAM_VALUE) {
		const clap_event_param_value_t *event = (const clap_event_param_value_t *)header;
		band_set(plugin->band, event->param_id, event->value);
	}
}

/* Tell the host what the daemon does, where that has changed. */
static void show_status(struct plugin *plugin, uint32_t frame)
{
	int status = band_status(plugin->band);
	if (status == plugin->shown_status)
		return;
	clap_event_param_value_t event = {
		{sizeof event, frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_PARAM_VALUE, CLAP_EVENT_DONT_RECORD},
		STATUS_ID, NULL, -1, -1, -1, -1, status};
	if (plugin->out->try_push(plugin->out, &event.header))
		plugin->shown_status = status;
}

static clap_process_status CLAP_ABI process(const clap_plugin_t *clap, const clap_process_t *process)
{
	struct plugin *plugin = clap->plugin_data;
	uint32_t count = process->in_events ? process->in_events->size(process->in_events) : 0;
	plugin->out = process->out_events;
	band_begin(plugin->band, process->frames_count, send_midi, plugin);
	if (process->transport)
		locate(plugin, 0, process->transport);
	for (uint32_t i = 0; i < count; i++)
		take_event(plugin, process->in_events->get(process->in_events, i));
	band_end(plugin->band);
	show_status(plugin, process->frames_count ? process->frames_count - 1 : 0);
	return CLAP_PROCESS_CONTINUE;
}

/* --- Parameters --- */

static uint32_t CLAP_ABI count_params(const clap_plugin_t *clap)
{
	(void)clap;
	return PARAMETER_COUNT + 1;
}

static bool CLAP_ABI get_param_info(const clap_plugin_t *clap, uint32_t index, clap_param_info_t *info)
{
	(void)clap;
	if (index > PARAMETER_COUNT)
		return false;
	memset(info, 0, sizeof *info);
	if (index == PARAMETER_COUNT) {
		info->id = STATUS_ID;
		info->flags = CLAP_PARAM_IS_STEPPED | CLAP_PARAM_IS_READONLY;
		info->max_value = STATUS_ERROR;
		snprintf(info->name, sizeof info->name, "Status");
		return true;
	}
	const struct parameter *parameter = &PARAMETERS[index];
	info->id = index;
	info->flags = CLAP_PARAM_IS_AUTOMATABLE;
	if (parameter->kind != CONTINUOUS)
		info->flags |= CLAP_PARAM_IS_STEPPED;
	info->min_value = parameter->low;
	info->max_value = parameter->high;
	info->default_value = parameter->standard;
	snprintf(info->name, sizeof info->name, "%s", parameter->name);
	return true;
}

static bool CLAP_ABI get_param(const clap_plugin_t *clap, clap_id id, double *value)
{
	if (id == STATUS_ID)
		*value = band_status(band_of(clap));
	else if (id < PARAMETER_COUNT)
		*value = band_get(band_of(clap), id);
	else
		return false;
	return true;
}

static bool CLAP_ABI show_param(const clap_plugin_t *clap, clap_id id, double value, char *text, uint32_t size)
{
	static const char *const statuses[] = {"Absent", "Connecting", "Playing", "Error"};
	(void)clap;
	if (id == STATUS_ID && value >= STATUS_ABSENT && value <= STATUS_ERROR)
		snprintf(text, size, "%s", statuses[(int)value]);
	else if (id < PARAMETER_COUNT)
		parameter_show(id, value, text, size);
	else
		return false;
	return true;
}

static bool CLAP_ABI read_param(const clap_plugin_t *clap, clap_id id, const char *text, double *value)
{
	(void)clap;
	return id < PARAMETER_COUNT && parameter_read(id, text, value);
}

static void CLAP_ABI flush_params(const clap_plugin_t *clap, const clap_input_events_t *in,
                                  const clap_output_events_t *out)
{
	struct plugin *plugin = clap->plugin_data;
	uint32_t count = in ? in->size(in) : 0;
	for (uint32_t i = 0; i < count; i++) {
		const clap_event_header_t *header = in->get(in, i);
		if (header->space_id == CLAP_CORE_EVENT_SPACE_ID && header->type == CLAP_EVENT_PARAM_VALUE)
			take_event(plugin, header);
	}
	plugin->out = out;
	if (out)
		show_status(plugin, 0);
}

/* --- Ports, state, latency, rendering --- */

static uint32_t CLAP_ABI count_note_ports(const clap_plugin_t *clap, bool is_input)
{
	(void)clap;
	(void)is_input;
	return 1;
}

static bool CLAP_ABI get_note_port(const clap_plugin_t *clap, uint32_t index, bool is_input, clap_note_port_info_t *info)
{
	(void)clap;
	if (index > 0)
		return false;
	memset(info, 0, sizeof *info);
	info->id = is_input ? 0 : 1;
	info->preferred_dialect = CLAP_NOTE_DIALECT_MIDI;
	info->supported_dialects = is_input ? CLAP_NOTE_DIALECT_MIDI | CLAP_NOTE_DIALECT_CLAP : CLAP_NOTE_DIALECT_MIDI;
	snprintf(info->name, sizeof info->name, "%s", is_input ? "in" : "out");
	return true;
}

static bool CLAP_ABI save_state(const clap_plugin_t *clap, const clap_ostream_t *stream)
{
	char text[MAX_STATE_BYTES];
	size_t size = band_save(band_of(clap), text, sizeof text), written = 0;
	if (size >= sizeof text)
		return false;
	while (written < size) {
		int64_t bytes = stream->write(stream, text + written, size - written);
		if (bytes <= 0)
			return false;
		written += (size_t)bytes;
	}
	return true;
}

static bool CLAP_ABI load_state(const clap_plugin_t *clap, const clap_istream_t *stream)
{
	char text[MAX_STATE_BYTES];
	size_t size = 0;
	int64_t bytes;
	while (size < sizeof text - 1 && (bytes = stream->read(stream, text + size, sizeof text - 1 - size)) != 0) {
		if (bytes < 0)
			return false;
		size += (size_t)bytes;
	}
	text[size] = 0;
	return band_load(band_of(clap), text);
}

static uint32_t CLAP_ABI get_latency(const clap_plugin_t *clap)
{
	(void)clap;
	return 0;
}

static bool CLAP_ABI needs_real_time(const clap_plugin_t *clap)
{
	(void)clap;
	return false;
}

static bool CLAP_ABI set_render_mode(const clap_plugin_t *clap, int32_t mode)
{
	atomic_store(&band_of(clap)->offline, mode == RENDER_OFFLINE);
	return true;
}

static const void *CLAP_ABI get_extension(const clap_plugin_t *clap, const char *id)
{
	static const clap_plugin_params_t params = {count_params, get_param_info, get_param,
	                                            show_param,   read_param,     flush_params};
	static const clap_plugin_note_ports_t note_ports = {count_note_ports, get_note_port};
	static const clap_plugin_state_t state = {save_state, load_state};
	static const clap_plugin_latency_t latency = {get_latency};
	static const struct render_extension render = {needs_real_time, set_render_mode};
	const struct {
		const char *id;
		const void *extension;
	} all[] = {{CLAP_EXT_PARAMS, &params},
	           {CLAP_EXT_NOTE_PORTS, &note_ports},
	           {CLAP_EXT_STATE, &state},
	           {CLAP_EXT_LATENCY, &latency},
	           {EXTENSION_RENDER, &render}};
	(void)clap;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(id, all[i].id))
			return all[i].extension;
	return NULL;
}

/* --- Life of an instance --- */

static bool CLAP_ABI init(const clap_plugin_t *clap)
{
	struct plugin *plugin = clap->plugin_data;
	plugin->band = band_create(0);
	return plugin->band != NULL;
}

static void CLAP_ABI destroy(const clap_plugin_t *clap)
{
	struct plugin *plugin = clap->plugin_data;
	band_destroy(plugin->band);
	free(plugin);
}

static bool CLAP_ABI activate(const clap_plugin_t *clap, double rate, uint32_t min_frames, uint32_t max_frames)
{
	(void)min_frames;
	(void)max_frames;
	band_activate(band_of(clap), rate);
	return true;
}

static void CLAP_ABI deactivate(const clap_plugin_t *clap)
{
	band_deactivate(band_of(clap));
}

static bool CLAP_ABI start_processing(const clap_plugin_t *clap)
{
	(void)clap;
	return true;
}

static void CLAP_ABI stop_processing(const clap_plugin_t *clap)
{
	(void)clap;
}

static void CLAP_ABI reset(const clap_plugin_t *clap)
{
	atomic_store(&band_of(clap)->flush, true);
}

static void CLAP_ABI on_main_thread(const clap_plugin_t *clap)
{
	(void)clap;
}

static const char *const FEATURES[] = {CLAP_PLUGIN_FEATURE_NOTE_EFFECT, CLAP_PLUGIN_FEATURE_UTILITY, NULL};

static const clap_plugin_descriptor_t DESCRIPTOR = {
	.clap_version = CLAP_VERSION_INIT,
	.id = "houseband.band",
	.name = "houseband",
	.vendor = "houseband",
	.url = "",
	.manual_url = "",
	.support_url = "",
	.version = "1",
	.description = "Plays bass, chords, pad and drums to a melody, together with the houseband program.",
	.features = (const char **)FEATURES,
};

static uint32_t CLAP_ABI count_plugins(const clap_plugin_factory_t *factory)
{
	(void)factory;
	return 1;
}

static const clap_plugin_descriptor_t *CLAP_ABI get_descriptor(const clap_plugin_factory_t *factory, uint32_t index)
{
	(void)factory;
	return index == 0 ? &DESCRIPTOR : NULL;
}

static const clap_plugin_t *CLAP_ABI create(const clap_plugin_factory_t *factory, const clap_host_t *host, const char *id)
{
	(void)factory;
	if (!clap_version_is_compatible(host->clap_version) || strcmp(id, DESCRIPTOR.id) != 0)
		return NULL;
	struct plugin *plugin = calloc(1, sizeof *plugin);
	if (!plugin)
		return NULL;
	plugin->clap = (clap_plugin_t){&DESCRIPTOR,      plugin,          init,  destroy, activate,      deactivate,
	                               start_processing, stop_processing, reset, process, get_extension, on_main_thread};
	return &plugin->clap;
}

static bool CLAP_ABI enter(const char *path)
{
	(void)path;
	return true;
}

static void CLAP_ABI leave(void)
{
}

static const void *CLAP_ABI get_factory(const char *id)
{
	static const clap_plugin_factory_t factory = {count_plugins, get_descriptor, create};
	return strcmp(id, CLAP_PLUGIN_FACTORY_ID) == 0 ? &factory : NULL;
}

CLAP_EXPORT const clap_plugin_entry_t clap_entry = {CLAP_VERSION_INIT, enter, leave, get_factory};
