/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workers, as the keeper sees them: a socket each, over which they are told the latest value of
 * every credential. */
#ifndef KEEPER_PEERS_H
#define KEEPER_PEERS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "keeper/held.h"

/* Of a credential, what the workers are to know. */
struct peer_news {
	const struct held *held;
	uint32_t edition; /* raised when there is something new to tell; 0: nothing yet */
};

struct peers {
	struct ev_loop *loop;
	struct list all;
	const struct peer_news *news;
	size_t n;
	bool all_known; /* each credential was tried for once */
	void (*gone)(struct peers *peers); /* one has left */
	/* One says that the service refused the value of that version. */
	void (*refused)(struct peers *peers, size_t index, uint32_t version);
};

void peers_open(struct peers *peers, struct ev_loop *loop, const struct peer_news *news, size_t n,
	void (*gone)(struct peers *peers),
	void (*refused)(struct peers *peers, size_t index, uint32_t version));
/* fd is the peers' from now on. 0 or -ENOMEM. */
int peers_add(struct peers *peers, int fd);
/* Tells each what it does not know yet. One whose socket is full is told when there is room. */
void peers_tell(struct peers *peers);
void peers_close(struct peers *peers);

#endif
