/* Counts what the plugin does, in the blocks of its code that are run through: as many each time, whatever else the
 * machine does. For this the plugin is built with -fsanitize-coverage=trace-pc. */
#include "host.h"

static _Thread_local unsigned long done;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	done++;
}

unsigned long work_done(void)
{
	return done;
}
