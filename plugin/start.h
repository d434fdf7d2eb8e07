/* Starting the daemon where none runs. The functions are called by the thread of link.c. */
#ifndef HOUSEBAND_START_H
#define HOUSEBAND_START_H

#include <stdbool.h>
#include <stdint.h>

/* Start `houseband run --plugin` for a socket, unless that was tried a short while ago. Return true if it was started.
 * It belongs to nobody and ends by itself when its last plugin has gone. now: ns of the monotonic clock. */
bool start_daemon(const char *socket_path, int64_t now);
/* Tell whether it was started so shortly ago that it may not yet listen. */
bool start_is_under_way(int64_t now);
/* Note that it has answered: once it has ended, it may be started again soon. */
void start_succeeded(void);
/* Take the exit status of the process that starts it. */
void start_reap(void);
/* Forget all attempts; waits for the process that starts it, which takes no time. */
void start_forget(void);

#endif
