#include "core.h"

#include "lv2/atom/atom.h"
#include "lv2/core/lv2.h"
#include "lv2/midi/midi.h"
#include "lv2/state/state.h"
#include "lv2/time/time.h"
#include "lv2/urid/urid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BAND_URI "urn:houseband:band"
#define STATE_KEY BAND_URI "#state"
#define MAX_STATE_BYTES 4096
/* the tempo of a host that names none */
#define STANDARD_BPM 120
/* Hosts such as Ardour tell the nearest of so many parts of a beat, though samples are finer. */
#define PARTS_PER_BEAT 1920
/* A host does so that has done it so often: of other positions two in a hundred lie there by chance. */
#define ROUNDED_OFTEN 4
/* A property that Ardour alone adds to positions. It tells the part of a beat that has passed, and the tempo, in quarter
 * notes, whatever the unit of the metre (as of 7.3). */
#define ARDOUR_SCALE "http://ardour.org/lv2/time#scale"

/* Numbers of the ports; the parameters follow in their order. */
enum port { PORT_IN, PORT_OUT, PORT_STATUS, PORT_FREEWHEEL, PORT_PARAMETERS };

struct uris {
	LV2_URID midi, object, blank, sequence, integer, whole, single, number, string, position, state;
	LV2_URID bar, bar_beat, beat_unit, beats_per_bar, beats_per_minute, frame, speed, ardour_scale;
};

struct plugin {
	struct band *band;
	struct uris uris;
	const LV2_Atom_Sequence *in;
	LV2_Atom_Sequence *out;
	uint32_t out_capacity; /* bytes */
	float *status;
	const float *freewheel;
	const float *parameters[PARAMETER_COUNT];
	double bar_beat, beats_per_minute; /* as the host told last */
	unsigned rounded_count; /* positions on parts of a beat, without another among them */
};

static void map_uris(struct uris *uris, LV2_URID_Map *map)
{
	const struct {
		LV2_URID *urid;
		const char *uri;
	} all[] = {
		{&uris->midi, LV2_MIDI__MidiEvent},       {&uris->object, LV2_ATOM__Object},
		{&uris->blank, LV2_ATOM__Blank},          {&uris->sequence, LV2_ATOM__Sequence},
		{&uris->integer, LV2_ATOM__Int},          {&uris->whole, LV2_ATOM__Long},
		{&uris->single, LV2_ATOM__Float},         {&uris->number, LV2_ATOM__Double},
		{&uris->string, LV2_ATOM__String},        {&uris->position, LV2_TIME__Position},
		{&uris->state, STATE_KEY},                {&uris->bar, LV2_TIME__bar},
		{&uris->bar_beat, LV2_TIME__barBeat},     {&uris->beat_unit, LV2_TIME__beatUnit},
		{&uris->beats_per_bar, LV2_TIME__beatsPerBar}, {&uris->beats_per_minute, LV2_TIME__beatsPerMinute},
		{&uris->frame, LV2_TIME__frame},          {&uris->speed, LV2_TIME__speed},
		{&uris->ardour_scale, ARDOUR_SCALE},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		*all[i].urid = map->map(map->handle, all[i].uri);
}

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate, const char *bundle,
                              const LV2_Feature *const *features)
{
	LV2_URID_Map *map = NULL;
	(void)descriptor;
	(void)bundle;
	for (; features && *features; features++)
		if (!strcmp((*features)->URI, LV2_URID__map))
			map = (*features)->data;
	if (!map)
		return NULL;
	struct plugin *plugin = calloc(1, sizeof *plugin);
	if (!plugin)
		return NULL;
	map_uris(&plugin->uris, map);
	plugin->beats_per_minute = STANDARD_BPM;
	plugin->band = band_create(rate);
	if (!plugin->band) {
		free(plugin);
		return NULL;
	}
	return plugin;
}

static void cleanup(LV2_Handle handle)
{
	struct plugin *plugin = handle;
	band_destroy(plugin->band);
	free(plugin);
}

static void connect_port(LV2_Handle handle, uint32_t port, void *data)
{
	struct plugin *plugin = handle;
	if (port == PORT_IN)
		plugin->in = data;
	else if (port == PORT_OUT)
		plugin->out = data;
	else if (port == PORT_STATUS)
		plugin->status = data;
	else if (port == PORT_FREEWHEEL)
		plugin->freewheel = data;
	else if (port - PORT_PARAMETERS < PARAMETER_COUNT)
		plugin->parameters[port - PORT_PARAMETERS] = data;
}

static void activate(LV2_Handle handle)
{
	band_activate(((struct plugin *)handle)->band, 0);
}

static void deactivate(LV2_Handle handle)
{
	band_deactivate(((struct plugin *)handle)->band);
}

/* Append a MIDI message to the output; an emit_function. */
static bool append(void *context, uint32_t frame, const uint8_t *midi, uint32_t size)
{
	struct plugin *plugin = context;
	LV2_Atom_Sequence *out = plugin->out;
	uint32_t needed = (uint32_t)sizeof(LV2_Atom_Event) + ((size + 7u) & ~7u);
	if (!out || size > plugin->out_capacity || sizeof(LV2_Atom) + out->atom.size + needed > plugin->out_capacity)
		return false;
	LV2_Atom_Event *event = (LV2_Atom_Event *)((char *)&out->body + out->atom.size);
	event->time.frames = frame;
	event->body.type = plugin->uris.midi;
	event->body.size = size;
	memcpy(event + 1, midi, size);
	out->atom.size += needed;
	return true;
}

/* Read a number of any type. Return false where an atom is none. */
static bool read_number(const struct uris *uris, const LV2_Atom *atom, double *number)
{
	const void *body = atom + 1;
	if (atom->type == uris->integer)
		*number = *(const int32_t *)body;
	else if (atom->type == uris->whole)
		*number = (double)*(const int64_t *)body;
	else if (atom->type == uris->single)
		*number = *(const float *)body;
	else if (atom->type == uris->number)
		*number = *(const double *)body;
	else
		return false;
	return isfinite(*number);
}

/* What a position names; NAN where it does not. */
struct told {
	double bar, bar_beat, unit, beats, bpm, frame, speed, ardour_scale;
};

static void read_position(const struct uris *uris, const LV2_Atom_Object *object, struct told *told)
{
	const struct {
		LV2_URID key;
		double *number;
	} keys[] = {{uris->bar, &told->bar},           {uris->bar_beat, &told->bar_beat},
	            {uris->beat_unit, &told->unit},    {uris->beats_per_bar, &told->beats},
	            {uris->beats_per_minute, &told->bpm}, {uris->frame, &told->frame},
	            {uris->speed, &told->speed},         {uris->ardour_scale, &told->ardour_scale}};
	const char *end = (const char *)&object->body + object->atom.size;
	const char *at = (const char *)(&object->body + 1);
	while (at + sizeof(LV2_Atom_Property_Body) <= end) {
		const LV2_Atom_Property_Body *property = (const LV2_Atom_Property_Body *)at;
		size_t i = 0, count = sizeof keys / sizeof *keys;
		while (i < count && property->key != keys[i].key)
			i++;
		if (i < count && !read_number(uris, &property->value, keys[i].number))
			*keys[i].number = NAN;
		at += sizeof *property + ((property->value.size + 7u) & ~7u);
	}
}

/* Return the quarter notes since the song's beginning that are expected: as the host goes on, else as if the tempo had
 * been the same ever since. */
static double expect_quarters(const struct plugin *plugin, const struct host_position *before, const struct told *told)
{
	bool goes_on = before->has_frame && fabs(told->frame - before->frame) < 2;
	if (goes_on || isnan(told->frame))
		return (before->tick - before->bar_tick) / TICKS_PER_QUARTER;
	return told->frame / plugin->band->rate * plugin->beats_per_minute / 60;
}

/* Return by how much two places in bars of a length differ, whichever bars they are in. */
static double compare_in_bar(double one, double other, double bar)
{
	return fabs(remainder(one - other, bar));
}

/* Return the quarter notes since the bar began; in_quarters: the part of the beat is told in them. Of a beat longer than a
 * quarter note that may be 1 and more, which is told as if it were another beat, or the next bar's first: then what was
 * expected decides. */
static double count_quarters(double beat, const struct host_position *metre, bool in_quarters, double expected)
{
	double whole = floor(beat), part = beat - whole, length = 4.0 / metre->unit, bar = length * metre->beats;
	if (!in_quarters || part >= length)
		return beat * length;
	double nearest = whole * length + part;
	for (double over = 1; over + part < length && over <= whole + 1; over++) {
		double other = (whole - over) * length + part + over;
		if (compare_in_bar(other, expected, bar) < compare_in_bar(nearest, expected, bar))
			nearest = other;
	}
	return nearest;
}

/* Tell whether a host rounds so: what it told last lies all on such parts. */
static bool is_rounded(struct plugin *plugin, double beat)
{
	double parts = beat * PARTS_PER_BEAT;
	bool is_on_part = fabs(parts - round(parts)) < 0.01; /* a float is as exact for the first 40 beats of a bar */
	plugin->rounded_count = is_on_part ? plugin->rounded_count + (plugin->rounded_count < ROUNDED_OFTEN) : 0;
	return plugin->rounded_count == ROUNDED_OFTEN;
}

static void locate(struct plugin *plugin, uint32_t frame, const LV2_Atom_Object *object)
{
	struct told told = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	struct host_position position;
	read_position(&plugin->uris, object, &told);
	band_where(plugin->band, frame, &position);
	if (told.beats >= 1 && told.beats < 256)
		position.beats = (int)lround(told.beats);
	if (told.unit >= 1 && told.unit <= 32)
		position.unit = (int)lround(told.unit);
	if (!isnan(told.bpm) && told.bpm > 0)
		plugin->beats_per_minute = told.bpm;
	double quarters_per_beat = 4.0 / position.unit;
	bool in_quarters = !isnan(told.ardour_scale);
	double expected = expect_quarters(plugin, &position, &told);
	position.bpm = plugin->beats_per_minute * (in_quarters ? 1 : quarters_per_beat);
	position.bpm_per_frame = 0;
	position.hides_ramps = true;
	position.rounded = 0;
	position.tells_loop = position.has_loop = false;
	position.has_tick = true;
	if (!isnan(told.speed))
		position.speed = fmax(told.speed, 0);
	if (!isnan(told.frame)) {
		position.has_frame = true;
		position.frame = told.frame;
	}
	if (!isnan(told.bar) && fabs(told.bar) < 1e9 && !isnan(told.bar_beat)) {
		position.has_tick = false;
		position.bar = (int64_t)floor(told.bar);
		position.quarters = count_quarters(told.bar_beat, &position, in_quarters, expected);
		if (is_rounded(plugin, told.bar_beat))
			position.rounded = 0.51 * TICKS_PER_QUARTER / PARTS_PER_BEAT * (in_quarters ? 1 : fmax(quarters_per_beat, 1));
	} else if (!isnan(told.frame)) { /* a host without bars, such as JACK without a timebase master */
		position.tick = told.frame / plugin->band->rate * position.bpm / 60 * TICKS_PER_QUARTER;
		position.bar_tick = 0;
	}
	band_locate(plugin->band, frame, &position);
}

static void take_event(struct plugin *plugin, const LV2_Atom_Event *event)
{
	uint32_t frame = event->time.frames < 0 ? 0 : (uint32_t)event->time.frames;
	if (event->body.type == plugin->uris.midi) {
		band_hear(plugin->band, frame, (const uint8_t *)(event + 1), event->body.size);
	} else if (event->body.type == plugin->uris.object || event->body.type == plugin->uris.blank) {
		const LV2_Atom_Object *object = (const LV2_Atom_Object *)&event->body;
		if (object->body.otype == plugin->uris.position)
			locate(plugin, frame, object);
	}
}

static void take_events(struct plugin *plugin)
{
	const LV2_Atom_Sequence *in = plugin->in;
	if (!in || in->atom.type != plugin->uris.sequence || in->atom.size < sizeof in->body)
		return;
	const char *end = (const char *)&in->body + in->atom.size;
	const char *at = (const char *)(&in->body + 1);
	while (at + sizeof(LV2_Atom_Event) <= end) {
		const LV2_Atom_Event *event = (const LV2_Atom_Event *)at;
		if (event->body.size > (size_t)(end - at) - sizeof *event)
			return;
		take_event(plugin, event);
		at += sizeof *event + ((event->body.size + 7u) & ~7u);
	}
}

static void run(LV2_Handle handle, uint32_t frames)
{
	struct plugin *plugin = handle;
	if (plugin->out) {
		plugin->out_capacity = plugin->out->atom.size;
		plugin->out->atom.type = plugin->uris.sequence;
		plugin->out->atom.size = sizeof plugin->out->body;
		plugin->out->body.unit = plugin->out->body.pad = 0;
	}
	atomic_store_explicit(&plugin->band->offline, plugin->freewheel && *plugin->freewheel > 0, memory_order_relaxed);
	band_begin(plugin->band, frames, append, plugin);
	for (unsigned i = 0; i < PARAMETER_COUNT; i++)
		if (plugin->parameters[i])
			band_set(plugin->band, i, *plugin->parameters[i]);
	take_events(plugin);
	band_end(plugin->band);
	if (plugin->status)
		*plugin->status = (float)band_status(plugin->band);
}

static LV2_State_Status save(LV2_Handle handle, LV2_State_Store_Function store, LV2_State_Handle state, uint32_t flags,
                             const LV2_Feature *const *features)
{
	struct plugin *plugin = handle;
	char text[MAX_STATE_BYTES];
	size_t size = band_save(plugin->band, text, sizeof text);
	(void)flags;
	(void)features;
	if (size >= sizeof text)
		return LV2_STATE_ERR_UNKNOWN;
	return store(state, plugin->uris.state, text, size + 1, plugin->uris.string,
	             LV2_STATE_IS_POD | LV2_STATE_IS_PORTABLE);
}

static LV2_State_Status restore(LV2_Handle handle, LV2_State_Retrieve_Function retrieve, LV2_State_Handle state,
                                uint32_t flags, const LV2_Feature *const *features)
{
	struct plugin *plugin = handle;
	char text[MAX_STATE_BYTES];
	size_t size = 0;
	uint32_t type = 0;
	(void)flags;
	(void)features;
	const char *stored = retrieve(state, plugin->uris.state, &size, &type, &flags);
	if (!stored)
		return LV2_STATE_SUCCESS; /* a project that knows the parameters only, or a preset */
	if (type != plugin->uris.string || size >= sizeof text)
		return LV2_STATE_ERR_BAD_TYPE;
	memcpy(text, stored, size);
	text[size] = 0;
	return band_load(plugin->band, text) ? LV2_STATE_SUCCESS : LV2_STATE_ERR_UNKNOWN;
}

static const void *extension_data(const char *uri)
{
	static const LV2_State_Interface state = {save, restore};
	return strcmp(uri, LV2_STATE__interface) == 0 ? &state : NULL;
}

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index)
{
	static const LV2_Descriptor descriptor = {BAND_URI, instantiate, connect_port, activate, run, deactivate, cleanup,
	                                          extension_data};
	return index == 0 ? &descriptor : NULL;
}
