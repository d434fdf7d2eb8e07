/* An LV2 plugin for tests: writes down each MIDI message with the sample of the song at which it is, and each change of
 * the transport, into a file of its own in the folder HOUSEBAND_WITNESS. It is not real-time safe. Lines:
 *
 *     NUMBER PASSED FRAME SPEED HEX   PASSED: samples since the first block; FRAME: of the song; HEX: a MIDI message, or
 *                                     at:BAR:BEAT:BPM where the transport is told
 */
#include "lv2/atom/atom.h"
#include "lv2/atom/util.h"
#include "lv2/core/lv2.h"
#include "lv2/midi/midi.h"
#include "lv2/time/time.h"
#include "lv2/urid/urid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct witness {
	LV2_URID midi, object, sequence, position, frame, speed, bar, bar_beat, bpm, whole, single;
	const LV2_Atom_Sequence *in;
	LV2_Atom_Sequence *out;
	const float *number;
	FILE *file;
	long passed;
	double song, speed_now; /* of the sample `passed` */
	double bar_now, bar_beat_now, bpm_now; /* as told last */
};

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate, const char *bundle,
                              const LV2_Feature *const *features)
{
	static int count;
	struct witness *witness = calloc(1, sizeof *witness);
	const char *folder = getenv("HOUSEBAND_WITNESS");
	char path[4096];
	(void)descriptor, (void)rate, (void)bundle;
	for (; *features; features++)
		if (!strcmp((*features)->URI, LV2_URID__map)) {
			LV2_URID_Map *map = (*features)->data;
			witness->midi = map->map(map->handle, LV2_MIDI__MidiEvent);
			witness->object = map->map(map->handle, LV2_ATOM__Object);
			witness->sequence = map->map(map->handle, LV2_ATOM__Sequence);
			witness->whole = map->map(map->handle, LV2_ATOM__Long);
			witness->single = map->map(map->handle, LV2_ATOM__Float);
			witness->position = map->map(map->handle, LV2_TIME__Position);
			witness->frame = map->map(map->handle, LV2_TIME__frame);
			witness->speed = map->map(map->handle, LV2_TIME__speed);
			witness->bar = map->map(map->handle, LV2_TIME__bar);
			witness->bar_beat = map->map(map->handle, LV2_TIME__barBeat);
			witness->bpm = map->map(map->handle, LV2_TIME__beatsPerMinute);
		}
	snprintf(path, sizeof path, "%s/%ld-%d.txt", folder ? folder : "/nowhere", (long)getpid(), count++);
	witness->file = fopen(path, "w");
	if (witness->file)
		setvbuf(witness->file, NULL, _IOLBF, 4096);
	return witness;
}

static void connect_port(LV2_Handle handle, uint32_t port, void *data)
{
	struct witness *witness = handle;
	if (port == 0)
		witness->in = data;
	else if (port == 1)
		witness->out = data;
	else
		witness->number = data;
}

static void write_down(struct witness *witness, long frame, const uint8_t *midi, uint32_t size)
{
	if (!witness->file)
		return;
	fprintf(witness->file, "%d %ld %.0f %g ", (int)*witness->number, witness->passed + frame,
	        witness->song + (double)frame * witness->speed_now, witness->speed_now);
	for (uint32_t i = 0; i < size; i++)
		fprintf(witness->file, "%02x", midi[i]);
	if (!size)
		fprintf(witness->file, "at:%.0f:%.9g:%.9g", witness->bar_now, witness->bar_beat_now, witness->bpm_now);
	fputc('\n', witness->file);
}

static void locate(struct witness *witness, long frame, const LV2_Atom_Object *object)
{
	double song = witness->song + (double)frame * witness->speed_now, speed = witness->speed_now;
	LV2_ATOM_OBJECT_FOREACH (object, property) {
		if (property->key == witness->frame && property->value.type == witness->whole)
			song = (double)((const LV2_Atom_Long *)&property->value)->body;
		else if (property->key == witness->speed && property->value.type == witness->single)
			speed = ((const LV2_Atom_Float *)&property->value)->body;
		else if (property->key == witness->bar && property->value.type == witness->whole)
			witness->bar_now = (double)((const LV2_Atom_Long *)&property->value)->body;
		else if (property->key == witness->bar_beat && property->value.type == witness->single)
			witness->bar_beat_now = ((const LV2_Atom_Float *)&property->value)->body;
		else if (property->key == witness->bpm && property->value.type == witness->single)
			witness->bpm_now = ((const LV2_Atom_Float *)&property->value)->body;
	}
	witness->speed_now = speed;
	witness->song = song - (double)frame * speed;
	write_down(witness, frame, NULL, 0);
}

static void run(LV2_Handle handle, uint32_t frames)
{
	struct witness *witness = handle;
	const uint32_t capacity = witness->out->atom.size;
	lv2_atom_sequence_clear(witness->out);
	witness->out->atom.type = witness->sequence;
	LV2_ATOM_SEQUENCE_FOREACH (witness->in, event) {
		if (event->body.type == witness->midi) {
			write_down(witness, event->time.frames, (const uint8_t *)(event + 1), event->body.size);
			lv2_atom_sequence_append_event(witness->out, capacity, event);
		} else if (event->body.type == witness->object &&
		           ((const LV2_Atom_Object *)&event->body)->body.otype == witness->position) {
			locate(witness, event->time.frames, (const LV2_Atom_Object *)&event->body);
		}
	}
	witness->passed += frames;
	witness->song += frames * witness->speed_now;
}

static void cleanup(LV2_Handle handle)
{
	struct witness *witness = handle;
	if (witness->file)
		fclose(witness->file);
	free(witness);
}

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index)
{
	static const LV2_Descriptor descriptor = {"urn:houseband:witness", instantiate, connect_port, NULL, run, NULL, cleanup, NULL};
	return index == 0 ? &descriptor : NULL;
}
