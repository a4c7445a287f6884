// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "config/config.h"

const char *config_datapath_restart(
	const struct config_datapath *old, const struct config_datapath *new)
{
	if (strcmp(old->inside, new->inside) != 0)
		return "datapath.inside";
	if (strcmp(old->bpf_directory, new->bpf_directory) != 0)
		return "datapath.bpf_directory";
	if (old->xdp != new->xdp)
		return "datapath.xdp";
	if (old->forward != new->forward)
		return "datapath.forward";
	if (old->mark != new->mark)
		return "datapath.mark";
	if (old->table != new->table)
		return "datapath.table";
	if (old->queue_base != new->queue_base)
		return "datapath.queue_base";
	if (old->listen_base != new->listen_base)
		return "datapath.listen_base";
	if (old->max_sources != new->max_sources)
		return "datapath.max_sources";
	if (old->max_flows != new->max_flows)
		return "datapath.max_flows";
	if (old->max_endpoints != new->max_endpoints)
		return "datapath.max_endpoints";
	return NULL;
}
