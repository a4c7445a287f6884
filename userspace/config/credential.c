// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

const char *config_credential_from(const struct config_credential *credential)
{
	static const char *const words[] = {
		[CONFIG_CREDENTIAL_FILE] = "file",
		[CONFIG_CREDENTIAL_SYSTEMD] = "systemd",
	};

	return words[credential->from];
}

const char *config_credential_path(
	const struct config_credential *credential, char path[CONFIG_PATH_SIZE])
{
	const char *directory;

	if (credential->from == CONFIG_CREDENTIAL_FILE)
		return credential->file;
	/* systemd.exec(5), CREDENTIALS: readable by the service alone, in memory that is not swapped. */
	directory = getenv("CREDENTIALS_DIRECTORY");
	if (!directory || snprintf(path, CONFIG_PATH_SIZE, "%s/%s", directory, credential->name) >=
				  CONFIG_PATH_SIZE)
		return NULL;
	return path;
}
