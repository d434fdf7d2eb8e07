/* A host that plays a song at random for a simulated time, with one instance of the plugin for the melody and one for
 * each role, and checks what comes out. Prints one line of JSON; the exit status is 1 where something was wrong.
 *
 *     host lv2|clap BINARY SOCKET [SECONDS [SEED [nodaemon|quiet|start]]]
 *
 * A scene is a few seconds in one way: "exact" ones are rendered offline, where every note has to be there, at the
 * sample that is nearest to its position; in the others the host does not wait, the daemon may be killed or hang, and
 * instances are bypassed, told to play another role, or taken down; there every note that begins has to end. What a run
 * costs is measured in those: the plugin is shown a clock that goes as the host plays, and takes it for real time. */
#define _GNU_SOURCE
#include "host.h"

#include "parameters.h"

#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define INSTANCES 5
#define BARS 2000
#define LONGEST_BLOCK 8192u
#define PACE 10 /* a host that does not wait plays so many times faster than the daemon's clock goes */
#define MILLITICKS 24000.0 /* a quarter note */

static const uint8_t CHANNELS[] = {0, 1, 2, 3, 9};

static const struct driver *driver;
static const char *binary, *socket_path;
static void *instances[INSTANCES];
static int order[INSTANCES]; /* in which they are processed */
static double rate = 48000;

/* the song */
static struct {
	double begin;
	int beats, unit;
} bars[BARS + 1];

static struct place here = {.bpm = 120, .beats = 4, .unit = 4};
/* A plugin that is not told by how much the tempo rises (LV2) sees it after a while. */
static struct {
	double rise;        /* as the tempo rises */
	double steady;      /* samples for which it has done so */
	double doubt;       /* the plugin may take the tempo to rise by up to so much more or less; 0: it knows */
} known;
static int furthest_bar;          /* the host jumps no further than it has been */
static unsigned epoch;            /* of the host: starts, stops, jumps */
static int64_t expected[5];       /* milliticks at which the next note of each role begins */
static unsigned sounding[INSTANCES][16][128]; /* epoch in which a key began, plus 1; 0: it is up */
static bool exact;
static bool settles; /* the host waits for the daemon: for how many blocks, the machine's load says, so that nothing is drawn */

/* the result */
static unsigned long notes, blocks, wrong, epochs, through_in, through_out, wraps;
static unsigned long ramp_notes, doubtful_notes;
static double seconds, worst_ramp_deviation, worst_doubtful_deviation, worst_deviation;
static unsigned long long_runs; /* that took more than 5 % of the period */
/* What runs have cost, by the samples of their blocks. */
static struct cost_class {
	uint32_t most; /* samples */
	unsigned long runs;
	double sum_ns, worst_ns;
	double worst_share; /* of the period */
	double worst_undisturbed_ns; /* of those that no other process broke off */
	unsigned long worst_work;
} classes[] = {{.most = 8}, {.most = 63}, {.most = 256}, {.most = 1024}, {.most = UINT32_MAX}};
/* What the same small work costs each time: by so much the machine is wrong. */
static double control_sum_ns, worst_control_ns;
static unsigned long controls;
/* The work of a run, less what each sample of the block and each event that comes out may cost. */
#define WORK_PER_FRAME 6
#define WORK_PER_EVENT 100
static unsigned long all_work, worst_own_work;
static bool is_paced; /* the plugin is shown the host's clock */
static uint64_t state = 1;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	va_list arguments;
	if (wrong++ > 20)
		return;
	va_start(arguments, format);
	fprintf(stderr, "at %.3f s, epoch %u, quarter %.4f: ", seconds, epoch, here.quarters);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static double draw_number(double low, double high)
{
	return low + (high - low) * (double)draw(1000001) / 1e6;
}

static uint32_t draw_block(void)
{
	switch (draw(4)) {
	case 0:
		return 1 + (uint32_t)draw(64);
	case 1:
		return 1u << (4 + draw(10));
	default:
		return 1 + (uint32_t)draw(LONGEST_BLOCK);
	}
}

/* --- The song and the host's transport --- */

static void make_song(void)
{
	static const int metres[][2] = {{4, 4}, {3, 4}, {6, 8}, {2, 4}, {5, 4}, {7, 8}};
	int metre = 0;
	double begin = 0;
	for (int i = 0; i <= BARS; i++) {
		if (i % 40 == 39)
			metre = (int)draw(6);
		bars[i].begin = begin;
		bars[i].beats = metres[metre][0];
		bars[i].unit = metres[metre][1];
		begin += 4.0 * bars[i].beats / bars[i].unit;
	}
}

static double frames_to_quarters(double frames)
{
	return (here.bpm * frames + here.bpm_per_frame * frames * frames / 2) / (60 * rate);
}

/* Return after how many samples, a fraction too, so many quarter notes have passed. */
static double quarters_to_frames(double quarters)
{
	double minutes = 60 * rate * quarters;
	if (fabs(here.bpm_per_frame) < 1e-12)
		return minutes / here.bpm;
	double squared = here.bpm * here.bpm + 2 * here.bpm_per_frame * minutes;
	return squared < 0 ? 1e9 : (sqrt(squared) - here.bpm) / here.bpm_per_frame;
}

static void find_bar(void)
{
	while (here.bar < BARS && here.quarters >= bars[here.bar + 1].begin - 1e-9)
		here.bar++;
	while (here.bar > 0 && here.quarters < bars[here.bar].begin - 1e-9)
		here.bar--;
	here.bar_begin = bars[here.bar].begin;
	here.beats = bars[here.bar].beats;
	here.unit = bars[here.bar].unit;
	if (here.bar > furthest_bar)
		furthest_bar = (int)here.bar;
}

static void begin_epoch(void)
{
	epoch++;
	epochs++;
	if (getenv("HOST_LOG"))
		fprintf(stderr, "epoch %u at %.3f s: quarter %.5f frame %lld rolling %d loop %d %g %g bpm %g %g\n", epoch, seconds, here.quarters, (long long)here.frame, here.rolling, here.loops, here.loop_start, here.loop_end, here.bpm, here.bpm_per_frame);
	for (int role = 1; role <= 4; role++) {
		int64_t step = fake_step(role), position = llround(here.quarters * MILLITICKS);
		expected[role] = (position + step - 1) / step * step;
	}
}

static void jump(double quarters)
{
	if (fabs(here.quarters - quarters) < 0.1)
		return; /* no jump that anybody could tell */
	here.quarters = quarters;
	here.frame = llround(quarters * 24000) + (int64_t)draw(3) * 1000000;
	find_bar();
	begin_epoch();
}

/* The pieces of a block, within which the host goes on evenly. */
struct piece {
	uint32_t begin;
	double doubt; /* as `known` has it */
	double bpm_before; /* at its end, of the piece before */
	struct place place;
	unsigned epoch;
	int64_t expected[5];
};

/* --- What comes out --- */

/* Learn what the plugin may know of the tempo at a place that is told. */
static void doubt_tempo(bool jumps)
{
	double need = fmax(fabs(here.bpm_per_frame), known.doubt);
	need = need > 0 ? 3 * sqrt(1e-3 * rate / need) : 0;
	if (driver != &lv2_driver)
		return;
	if (here.bpm_per_frame != known.rise || jumps) {
		known.doubt = fmax(known.doubt, fmax(fabs(known.rise), fabs(here.bpm_per_frame)));
		known.rise = here.bpm_per_frame;
		known.steady = 0;
	} else if (known.steady > need) {
		known.doubt = 0;
	}
}

static bool is_bar_line(int64_t position)
{
	int64_t bar = here.bar > 0 ? here.bar - 1 : 0;
	while (bar < BARS && bars[bar].begin * MILLITICKS < (double)position - 0.5)
		bar++;
	return llround(bars[bar].begin * MILLITICKS) == position;
}

static void check_begin(int role, uint32_t frame, const struct piece *piece)
{
	double frames = (double)frame - piece->begin, doubt = piece->doubt, position = (here.quarters + frames_to_quarters(frames)) * MILLITICKS;
	double per_frame = (here.bpm + here.bpm_per_frame * frames) * MILLITICKS / (60 * rate);
	if (here.quarters * MILLITICKS > (double)expected[role]) /* it was due between the last sample of a piece and this one */
		per_frame = fmax(per_frame, piece->bpm_before * MILLITICKS / (60 * rate));
	double deviation = fabs(position - (double)expected[role]) / per_frame;
	double allowed = 0.52, *worst = &worst_deviation;
	if (!exact)
		return;
	if (doubt > 0) {
		allowed = 1 + 2 * doubt * frames * frames / fmin(here.bpm, here.bpm + here.bpm_per_frame * frames);
		worst = &worst_doubtful_deviation;
		doubtful_notes++;
	} else if (here.bpm_per_frame != 0) {
		allowed = 0.65; /* the host tells float numbers */
		worst = &worst_ramp_deviation;
		ramp_notes++;
	}
	/* a bar line may be the end of a loop that the host does not tell, where nothing comes before its sample */
	bool may_be_late = driver == &lv2_driver && is_bar_line(expected[role]);
	if (deviation > allowed + 0.6 * may_be_late)
		complain("role %d begins %.2f samples from %lld, of which %.2f may be", role, deviation, (long long)expected[role], allowed);
	else if (!may_be_late)
		*worst = fmax(*worst, deviation);
	expected[role] += fake_step(role);
}

static void check_event(int instance, const struct event *event, const struct piece *piece)
{
	int channel = event->midi[0] & 15, kind = event->midi[0] & 0xF0;
	unsigned *began = &sounding[instance][channel][event->midi[1] & 127];
	bool on = kind == 0x90 && event->midi[2];
	if (channel == 0) {
		through_out++;
		return;
	}
	if (kind != 0x90 && kind != 0x80)
		return;
	if (on && *began)
		complain("instance %d: a key of channel %d begins that sounds", instance, channel);
	if (!on && !*began)
		complain("instance %d: a key of channel %d ends that does not sound", instance, channel);
	*began = on ? epoch + 1 : 0;
	if (!on)
		return;
	notes++;
	if (exact && instance > 0 && channel != CHANNELS[instance])
		complain("instance %d plays on channel %d", instance, channel);
	if (instance > 0)
		check_begin(instance, event->frame, piece);
}

/* Complain of every key that still sounds though the host has jumped or stopped. */
static void check_ends(int instance, unsigned current)
{
	for (int channel = 1; channel < 16; channel++)
		for (int key = 0; key < 128; key++)
			if (sounding[instance][channel][key] && sounding[instance][channel][key] != current + 1) {
				complain("instance %d: key %d of channel %d goes on after a jump", instance, key, channel);
				sounding[instance][channel][key] = 0;
			}
}

/* --- A block --- */

static double read_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What the newest run took, without the work of the driver. */
static struct {
	double cpu_ns, wall_ns;
	unsigned long work;
	bool waited, broken_off;
} cost;
static _Thread_local bool is_shown; /* now: the plugin runs */
static struct rusage usage_before;
static double cpu_before, wall_before;
static unsigned long work_before;

void cost_begin(void)
{
	getrusage(RUSAGE_THREAD, &usage_before);
	wall_before = read_ns(CLOCK_MONOTONIC);
	is_shown = is_paced;
	work_before = work_done();
	cpu_before = read_ns(CLOCK_THREAD_CPUTIME_ID);
}

void cost_end(void)
{
	struct rusage usage;
	cost.cpu_ns = read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_before;
	is_shown = false;
	cost.wall_ns = read_ns(CLOCK_MONOTONIC) - wall_before;
	cost.work = work_done() - work_before;
	getrusage(RUSAGE_THREAD, &usage);
	cost.waited = usage.ru_nvcsw != usage_before.ru_nvcsw;
	cost.broken_off = usage.ru_nivcsw != usage_before.ru_nivcsw;
}

/* Show the plugin the host's own clock where that does not go with the world's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*next)(clockid_t, struct timespec *);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	if (!is_shown || clock != CLOCK_MONOTONIC)
		return next(clock, now);
	now->tv_sec = (time_t)seconds;
	now->tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
	return 0;
}

/* Measure a small work that is the same each time. */
static void measure_control(void)
{
	static volatile double number = 1;
	double begun = read_ns(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < 500; i++)
		number = number * 1.0000001;
	double ns = read_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
	worst_control_ns = fmax(worst_control_ns, ns);
	control_sum_ns += ns;
	controls++;
}

/* Keep what a run cost, but for those in which the plugin may wait. A run that another process broke off goes on with
 * caches that are empty, so that those without are told apart. */
static void measure(int instance, uint32_t frames, const struct events *out)
{
	if (!is_paced)
		return;
	struct cost_class *class = classes;
	while (frames > class->most)
		class++;
	class->runs++;
	class->sum_ns += cost.cpu_ns;
	class->worst_ns = fmax(class->worst_ns, cost.cpu_ns);
	double share = cost.cpu_ns / 1e9 * rate / frames;
	class->worst_share = fmax(class->worst_share, share);
	if (!cost.broken_off)
		class->worst_undisturbed_ns = fmax(class->worst_undisturbed_ns, cost.cpu_ns);
	if (cost.work > class->worst_work)
		class->worst_work = cost.work;
	all_work += cost.work;
	unsigned long allowed = WORK_PER_FRAME * (unsigned long)frames + WORK_PER_EVENT * (unsigned long)out->count;
	if (cost.work > allowed && cost.work - allowed > worst_own_work)
		worst_own_work = cost.work - allowed;
	if (cost.waited)
		complain("instance %d waits in real time", instance);
	measure_control();
	if (frames < 64 || share <= 0.05)
		return;
	long_runs++;
	if (getenv("HOST_LOG"))
		fprintf(stderr, "instance %d: %.1f us, work %lu, for %u samples at %g Hz, %u events out\n", instance,
		        cost.cpu_ns / 1e3, cost.work, frames, rate, out->count);
}

static void put_melody(struct events *in, uint32_t frame)
{
	static uint8_t key;
	static bool down;
	if (settles || draw(4))
		return;
	if (!down)
		key = (uint8_t)(60 + draw(24));
	in->list[in->count] = (struct event){.frame = frame, .midi = {down ? 0x80 : 0x90, key, 90}};
	in->count++;
	through_in++;
	down = !down;
}

static void run_instance(int i, uint32_t frames, const struct events *in, const struct piece *pieces, unsigned count)
{
	static struct events out;
	struct events melody = *in;
	if (i != 0) { /* the melody is on its own track */
		melody.count = 0;
		for (unsigned k = 0; k < in->count; k++)
			if (in->list[k].is_place)
				melody.list[melody.count++] = in->list[k];
	}
	driver->run(instances[i], frames, &melody, &out);
	measure(i, frames, &out);
	struct place after = here;
	unsigned epoch_after = epoch, piece = 0;
	int64_t expected_after = expected[i > 0 ? i : 1];
	epoch = pieces[0].epoch;
	here = pieces[0].place;
	if (i > 0)
		expected[i] = pieces[0].expected[i];
	uint32_t last = 0;
	for (unsigned k = 0; k < out.count; k++) {
		const struct event *event = &out.list[k];
		if (event->frame < last || event->frame >= frames)
			complain("instance %d: an event at %u after %u in a block of %u", i, event->frame, last, frames);
		last = event->frame;
		bool on = (event->midi[0] & 0xF0) == 0x90 && event->midi[2];
		while (piece + 1 < count && (event->frame > pieces[piece + 1].begin || (on && event->frame == pieces[piece + 1].begin))) {
			piece++;
			if (i > 0 && pieces[piece].epoch != epoch)
				expected[i] = pieces[piece].expected[i];
			epoch = pieces[piece].epoch;
			here = pieces[piece].place;
		}
		check_event(i, event, &pieces[piece]);
	}
	if (i > 0 && piece + 1 < count && pieces[count - 1].epoch != epoch)
		expected[i] = pieces[count - 1].expected[i];
	here = after;
	epoch = epoch_after;
	check_ends(i, pieces[count - 1].epoch);
	if (i > 0 && epoch != pieces[count - 1].epoch)
		expected[i] = expected_after; /* the host has jumped at the end of the block */
	double reached = here.quarters * MILLITICKS - here.bpm * MILLITICKS / (60 * rate);
	if (i > 0 && exact && !pieces[count - 1].doubt && here.rolling && (double)expected[i] < reached)
		complain("role %d: the note at %lld is missing", i, (long long)expected[i]);
}

static void tell(struct events *in, uint32_t frame)
{
	in->list[in->count++] = (struct event){.frame = frame, .is_place = true, .place = here};
}

/* Go on to the end of the block, with the host's loop. Returns the pieces. */
static unsigned go_on(uint32_t frames, struct events *in, struct piece *pieces)
{
	static unsigned told_epoch;
	static double bpm_before;
	uint32_t at = 0;
	unsigned count = 0;
	tell(in, 0);
	doubt_tempo(epoch != told_epoch);
	for (;;) {
		told_epoch = epoch;
		pieces[count] = (struct piece){.begin = at, .doubt = known.doubt, .bpm_before = bpm_before, .place = here, .epoch = epoch};
		memcpy(pieces[count++].expected, expected, sizeof expected);
		put_melody(in, at);
		if (!here.rolling)
			return count;
		double until_wrap = here.loops && here.quarters < here.loop_end ? ceil(quarters_to_frames(here.loop_end - here.quarters) - 1e-6) : 1e9;
		uint32_t step = until_wrap < frames - at ? (uint32_t)until_wrap : frames - at;
		here.quarters += frames_to_quarters(step);
		here.frame += step;
		here.bpm += here.bpm_per_frame * step;
		bpm_before = here.bpm;
		known.steady += step;
		at += step;
		find_bar();
		if (at >= frames && until_wrap > step)
			return count;
		jump(here.loop_start);
		wraps++;
		if (at >= frames)
			return count;
		tell(in, at);
		doubt_tempo(true);
	}
}

static void run_block(uint32_t frames)
{
	static struct events in;
	static struct piece pieces[256];
	in.count = 0;
	unsigned count = go_on(frames, &in, pieces);
	for (int i = 0; i < INSTANCES; i++)
		run_instance(order[i], frames, &in, pieces, count);
	blocks++;
	seconds += frames / rate;
}

/* --- Scenes --- */

/* Process the instances in another order: hosts sort their tracks by what feeds what. */
static void shuffle_instances(void)
{
	for (int i = 0; i < INSTANCES; i++) {
		int other = (int)draw((uint64_t)i + 1);
		order[i] = order[other];
		order[other] = i;
	}
}

static void create_instances(void)
{
	for (int i = 0; i < INSTANCES; i++) {
		instances[i] = driver->create(binary, rate);
		if (!instances[i])
			exit(2);
		driver->set(instances[i], "plays", i);
		driver->activate(instances[i], rate, LONGEST_BLOCK);
	}
}

static void destroy_instances(void)
{
	for (int i = 0; i < INSTANCES; i++) {
		driver->deactivate(instances[i]);
		driver->destroy(instances[i]);
	}
	memset(sounding, 0, sizeof sounding); /* a host ends by itself what a plugin leaves that it takes down */
}

/* Stand still until the daemon has answered all instances. */
static void settle(void)
{
	if (here.rolling) {
		here.rolling = false;
		begin_epoch();
	}
	bool all = false;
	settles = true;
	for (int i = 0; i < 3000 && !(all && i > 10); i++) {
		all = true;
		run_block(64);
		for (int k = 0; k < INSTANCES; k++)
			all &= driver->status(instances[k]) == 2;
		usleep(5000);
	}
	settles = false;
	if (!all)
		complain("the daemon is there, and the status does not say so");
}

static void turn_tempo(void)
{
	here.bpm_per_frame = 0;
	if (draw(3) == 0)
		here.bpm_per_frame = draw_number(-20, 20) / rate;
	else
		here.bpm = draw_number(40, 300);
}

static void surprise(void)
{
	switch (draw(8)) {
	case 0:
		jump(bars[draw((uint64_t)furthest_bar + 1)].begin);
		break;
	case 1:
		jump(draw_number(0, here.quarters));
		break;
	case 2:
		here.rolling = !here.rolling;
		begin_epoch();
		break;
	case 3: {
		int bar = (int)draw((uint64_t)furthest_bar + 1);
		here.loops = !here.loops;
		here.loop_start = bars[bar].begin;
		here.loop_end = bars[bar + 1 + draw(4)].begin;
		if (here.loops)
			jump(here.loop_start);
		break;
	}
	default:
		turn_tempo();
	}
	if (here.bar > BARS - 100)
		jump(0);
}

static void disturb(void)
{
	int i = (int)draw(INSTANCES);
	switch (draw(12)) {
	case 0:
		driver->set(instances[i], "enabled", (double)draw(2));
		break;
	case 1:
		driver->set(instances[i], "plays", (double)draw(5));
		break;
	case 2:
		driver->deactivate(instances[i]);
		driver->activate(instances[i], rate, LONGEST_BLOCK);
		break;
	case 3:
		driver->set(instances[i], "fill", (double)draw(2));
		driver->set(instances[i], "intensity", draw_number(0, 1));
		break;
	case 4:
		driver->set(instances[i], "sends", (double)draw(3));
		break;
	default:
		break;
	}
}

static void undo_disturbances(void)
{
	for (int i = 0; i < INSTANCES; i++) {
		driver->set(instances[i], "enabled", 1);
		driver->set(instances[i], "plays", i);
		driver->set(instances[i], "sends", 0);
	}
}

static void clamp_tempo(void)
{
	if (here.bpm < 40 || here.bpm > 300) {
		here.bpm_per_frame = 0;
		here.bpm = fmin(fmax(here.bpm, 40), 300);
	}
}

static void play_exact_scene(double length, bool quiet)
{
	undo_disturbances();
	settle();
	for (int i = 0; i < INSTANCES; i++)
		driver->render(instances[i], true);
	run_block(64);
	exact = true;
	here.rolling = true;
	begin_epoch();
	double until = seconds + length;
	while (seconds < until) {
		run_block(draw_block());
		clamp_tempo();
		if (!quiet && draw(60) == 0)
			surprise();
		if (draw(20) == 0)
			shuffle_instances();
	}
	here.rolling = false;
	begin_epoch();
	run_block(64);
	exact = false;
	for (int i = 0; i < INSTANCES; i++)
		driver->render(instances[i], false);
}

static void play_rough_scene(double length)
{
	uint64_t way = draw(8);
	if (getenv("HOST_LOG"))
		fprintf(stderr, "rough scene %d\n", (int)way);
	here.rolling = true;
	begin_epoch();
	double until = seconds + length;
	if (way == 0)
		fake_stop();
	fake_hang(way == 1);
	is_paced = true;
	while (seconds < until) {
		uint32_t frames = draw_block();
		run_block(frames);
		usleep((useconds_t)(frames / rate * 1e6 / PACE));
		clamp_tempo();
		if (draw(40) == 0)
			surprise();
		if (draw(40) == 0)
			disturb();
		if (draw(20) == 0)
			shuffle_instances();
	}
	is_paced = false;
	fake_hang(false);
	if (way == 0)
		fake_start(socket_path);
}

static void change_rate(void)
{
	static const double rates[] = {22050, 44100, 48000, 96000, 192000};
	undo_disturbances();
	destroy_instances();
	rate = rates[draw(5)];
	here.bpm_per_frame = 0;
	furthest_bar = 0;
	jump(0);
	create_instances();
}

static void play_without_daemon(double length)
{
	here.rolling = true;
	begin_epoch();
	while (seconds < length) {
		run_block(draw_block());
		if (draw(60) == 0)
			surprise();
	}
	if (notes)
		complain("notes without a daemon");
	for (int i = 0; i < INSTANCES; i++)
		if (driver->status(instances[i]) != 0)
			complain("instance %d: status %d without a daemon", i, driver->status(instances[i]));
}

/* Wait until the plugin has started the program that HOUSEBAND_PROGRAM names. */
static void wait_for_start(void)
{
	for (int i = 0; i < 1000; i++) {
		run_block(64);
		if (driver->status(instances[0]) == 1)
			return;
		usleep(10000);
	}
	complain("the program was not started");
}

static void play_scenes(double length, bool quiet)
{
	unsigned scene = 0;
	while (seconds < length) {
		shuffle_instances();
		if (scene % 4 == 3 && !quiet)
			play_rough_scene(draw_number(2, 8));
		else
			play_exact_scene(draw_number(5, 30), quiet);
		if (++scene % 9 == 8 && !quiet)
			change_rate();
	}
	settle();
	if (!driver->copy_state(instances[2], instances[3]))
		complain("a state that is saved and loaded is another");
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 2;
	driver = strcmp(arguments[1], "lv2") == 0 ? &lv2_driver : &clap_driver;
	binary = arguments[2];
	socket_path = arguments[3];
	double length = count > 4 ? atof(arguments[4]) : 60;
	read_ns(CLOCK_MONOTONIC); /* finds the system's own function, before there are other threads */
	state = 88172645463325252u + (count > 5 ? strtoull(arguments[5], NULL, 10) : 0) * 7919;
	const char *way = count > 6 ? arguments[6] : "";
	setenv("HOUSEBAND_PLUGIN_SOCKET", socket_path, 1);
	if (getenv("HOST_LOG"))
		setvbuf(stderr, NULL, _IOFBF, 1 << 26);
	make_song();
	shuffle_instances();
	create_instances();
	if (strcmp(way, "nodaemon") == 0) {
		play_without_daemon(length);
	} else if (strcmp(way, "start") == 0) {
		wait_for_start();
	} else {
		fake_start(socket_path);
		play_scenes(length, strcmp(way, "quiet") == 0);
	}
	unsigned hanging = 0;
	for (int i = 0; i < INSTANCES; i++)
		for (int channel = 1; channel < 16; channel++)
			for (int key = 0; key < 128; key++)
				hanging += sounding[i][channel][key] != 0;
	destroy_instances();
	if (strcmp(way, "nodaemon") != 0 && strcmp(way, "start") != 0)
		fake_stop();
	printf("{\"format\": \"%s\", \"seconds\": %.1f, \"blocks\": %lu, \"notes\": %lu, \"epochs\": %lu, \"wraps\": %lu, "
	       "\"wrong\": %lu, \"hanging\": %u, \"worst_deviation_samples\": %.3f, \"worst_ramp_deviation_samples\": %.3f, "
	       "\"ramp_notes\": %lu, \"worst_doubtful_deviation_samples\": %.1f, \"doubtful_notes\": %lu, "
	       "\"runs_above_5_percent\": %lu, \"work\": %lu, \"worst_own_work\": %lu, \"control_us\": [%.2f, %.2f], \"runs\": {",
	       arguments[1], seconds, blocks, notes, epochs, wraps, wrong, hanging, worst_deviation,
	       worst_ramp_deviation, ramp_notes, worst_doubtful_deviation, doubtful_notes, long_runs, all_work, worst_own_work,
	       controls ? control_sum_ns / 1e3 / (double)controls : 0, worst_control_ns / 1e3);
	uint32_t least = 1;
	for (struct cost_class *class = classes; class < classes + sizeof classes / sizeof *classes; class++) {
		printf("%s\"%u-%u\": {\"count\": %lu, \"mean_us\": %.2f, \"worst_us\": %.1f, \"worst_undisturbed_us\": %.1f, "
		       "\"worst_percent_of_period\": %.2f, \"worst_work\": %lu}",
		       class == classes ? "" : ", ", least, class->most == UINT32_MAX ? LONGEST_BLOCK : class->most, class->runs,
		       class->runs ? class->sum_ns / 1e3 / (double)class->runs : 0, class->worst_ns / 1e3,
		       class->worst_undisturbed_ns / 1e3, 100 * class->worst_share, class->worst_work);
		least = class->most + 1;
	}
	printf("}, \"melody\": [%lu, %lu]}\n", through_in, through_out);
	return wrong || hanging;
}
