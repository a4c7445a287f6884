// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever the text, it is a configuration or a refusal with a reason that names the line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice yaml = slice_of((const char *)data, size);
	struct config *config = NULL;
	struct why why = {""};

	if (config_parse("fuzz", yaml, &config, &why) < 0) {
		if (config || strncmp(why.text, "fuzz:", 5) != 0)
			abort();
		return 0;
	}
	if (!config->datapath.inside || !config->nhosts || !config->endpoints.nports ||
		!config->processes.signer.uid)
		abort();
	config_host_find(config, slice_first(yaml, 300));
	config_free(config);
	return 0;
}
