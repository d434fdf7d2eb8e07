/* The extension clap.render of CLAP 1.1, by which a host says that it renders offline. The CLAP headers in include/ are
 * those of a distribution that leaves it out. */
#ifndef HOUSEBAND_CLAP_RENDER_H
#define HOUSEBAND_CLAP_RENDER_H

#include "clap/plugin.h"

#define EXTENSION_RENDER "clap.render"

enum render_mode { RENDER_REALTIME, RENDER_OFFLINE };

struct render_extension {
	/* Tell whether the plugin cannot be faster or slower than real time. */
	bool(CLAP_ABI *has_hard_realtime_requirement)(const clap_plugin_t *plugin);
	/* Take the mode (an enum render_mode) of what is processed from now on. */
	bool(CLAP_ABI *set)(const clap_plugin_t *plugin, int32_t mode);
};

#endif
