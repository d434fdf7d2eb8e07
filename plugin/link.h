/* The way between the instances of the plugin in this process and the daemon: one thread and, for each session, one
 * connection. daemon/plugin/protocol.md describes what is said. */
#ifndef HOUSEBAND_LINK_H
#define HOUSEBAND_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct band;

/* Take an instance in, and start the thread with the first. Return false where that fails. */
bool link_join(struct band *band);
/* Let an instance go; the last ends the connection and the thread, before this returns. */
void link_leave(struct band *band);
/* Let an instance know which metre changes the others of its session have met. */
void link_copy_metres(struct band *band);
/* Write the id of an instance's session, at most MAX_SESSION_BYTES and a zero. */
void link_get_session(struct band *band, char *text, size_t size);
/* Move an instance to the session of an id. Return false where it is none. */
bool link_set_session(struct band *band, const char *id);

#endif
