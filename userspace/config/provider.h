/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose API a host speaks: the one thing of the configuration that those know who read calls. */
#ifndef CONFIG_PROVIDER_H
#define CONFIG_PROVIDER_H

enum config_provider { CONFIG_PROVIDER_AZURE, CONFIG_PROVIDER_OPENAI };

#endif
