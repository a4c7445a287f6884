// SPDX-License-Identifier: GPL-2.0-or-later
/* Who owes the next bytes of an exchange, in every phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proxy/deadline.h"

#define BODY  (1 * NS_PER_S)
#define FIRST (2 * NS_PER_S)
#define IDLE  (3 * NS_PER_S)
#define DRAIN (4 * NS_PER_S)
#define UNREAD (5 * NS_PER_S)

static const struct config config = {
	.http = {.body_ns = BODY, .unread_ns = UNREAD},
	.origin = {.first_byte_ns = FIRST, .idle_ns = IDLE, .drain_ns = DRAIN},
};

static void test_who_owes(void **state)
{
	static const struct {
		struct deadline_view view;
		enum deadline_kind kind;
		enum ending_side side;
		uint64_t ns;
		enum deadline_since since;
	} cases[] = {
		{{.phase = EXCHANGE_HOLDING}, DEADLINE_CLIENT_BODY,
			ENDING_BY_CLIENT, BODY, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_SENDING}, DEADLINE_CLIENT_BODY,
			ENDING_BY_CLIENT, BODY, SINCE_SIDE_MOVED},
		/* What the origin has not taken yet is no reason to stop reading the client … */
		{{.phase = EXCHANGE_SENDING, .origin_unsent = true}, DEADLINE_CLIENT_BODY,
			ENDING_BY_CLIENT, BODY, SINCE_SIDE_MOVED},
		/* … but a window of it is, and then the client is not waited for. */
		{{.phase = EXCHANGE_SENDING, .origin_unsent = true, .origin_full = true},
			DEADLINE_ORIGIN_ROOM, ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_AWAITING, .origin_unsent = true}, DEADLINE_ORIGIN_ROOM,
			ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_AWAITING}, DEADLINE_ORIGIN_HEAD,
			ENDING_BY_ORIGIN, FIRST, SINCE_SIDE_MOVED},
		/* An origin is not read while the client has no room, in whatever phase. */
		{{.phase = EXCHANGE_AWAITING, .client_full = true}, DEADLINE_CLIENT_ROOM,
			ENDING_BY_CLIENT, UNREAD, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_AWAITING, .origin_unsent = true, .client_full = true},
			DEADLINE_ORIGIN_ROOM, ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_JUDGING, .client_full = true}, DEADLINE_CLIENT_ROOM,
			ENDING_BY_CLIENT, UNREAD, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_JUDGING}, DEADLINE_ORIGIN_BODY,
			ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING}, DEADLINE_ORIGIN_BODY,
			ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .client_full = true}, DEADLINE_CLIENT_ROOM,
			ENDING_BY_CLIENT, UNREAD, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .end_mark = true}, DEADLINE_ORIGIN_END,
			ENDING_BY_ORIGIN, NS_PER_S, SINCE_BEGUN},
		/* The origin that answers early may wait for the rest of the request … */
		{{.phase = EXCHANGE_ANSWERING, .request_open = true}, DEADLINE_CLIENT_BODY,
			ENDING_BY_CLIENT, BODY, SINCE_ANYONE_MOVED},
		/* … unless it does not take it. */
		{{.phase = EXCHANGE_ANSWERING, .request_open = true, .origin_full = true},
			DEADLINE_ORIGIN_BODY, ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .request_open = true, .client_full = true},
			DEADLINE_CLIENT_ROOM, ENDING_BY_CLIENT, UNREAD, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_DRAINING}, DEADLINE_DRAIN, ENDING_BY_US, DRAIN,
			SINCE_BEGUN},
		{{.phase = EXCHANGE_DRAINING, .reading = true}, DEADLINE_DRAIN, ENDING_BY_US, DRAIN,
			SINCE_BEGUN},
		/* While we are the slow ones, nobody is blamed. */
		{{.phase = EXCHANGE_HOLDING, .reading = true}, DEADLINE_NONE,
			ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .reading = true}, DEADLINE_NONE,
			ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		/* Where another backend can be asked, it is not waited for as long. */
		{{.phase = EXCHANGE_AWAITING, .first_output_ns = BODY}, DEADLINE_ORIGIN_OUTPUT,
			ENDING_BY_ORIGIN, BODY, SINCE_BEGUN},
		{{.phase = EXCHANGE_AWAITING, .first_output_ns = FIRST + 1}, DEADLINE_ORIGIN_HEAD,
			ENDING_BY_ORIGIN, FIRST, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_JUDGING, .first_output_ns = BODY}, DEADLINE_ORIGIN_OUTPUT,
			ENDING_BY_ORIGIN, BODY, SINCE_BEGUN},
		{{.phase = EXCHANGE_ANSWERING, .first_output_ns = BODY}, DEADLINE_ORIGIN_BODY,
			ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		/* A WebSocket is asked for; once it stands, silence is no debt. */
		{{.phase = EXCHANGE_SENDING, .session = true, .request_open = true}, DEADLINE_ORIGIN_HEAD,
			ENDING_BY_ORIGIN, FIRST, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .session = true, .request_open = true}, DEADLINE_NONE,
			ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .session = true, .origin_full = true},
			DEADLINE_ORIGIN_ROOM, ENDING_BY_ORIGIN, IDLE, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_ANSWERING, .session = true, .client_full = true},
			DEADLINE_CLIENT_ROOM, ENDING_BY_CLIENT, UNREAD, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_CONNECTING}, DEADLINE_NONE, ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		/* A finished exchange hears no deadline. */
		{{.phase = EXCHANGE_RECORDING}, DEADLINE_NONE, ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_RECORDING, .client_full = true, .origin_full = true},
			DEADLINE_NONE, ENDING_BY_US, 0, SINCE_SIDE_MOVED},
		{{.phase = EXCHANGE_OVER}, DEADLINE_NONE, ENDING_BY_US, 0, SINCE_SIDE_MOVED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct deadline owed = deadline_of(&cases[i].view, &config);

		if (owed.kind != cases[i].kind || owed.side != cases[i].side ||
			owed.ns != cases[i].ns || owed.since != cases[i].since)
			fail_msg("case %zu: kind %d, side %d, %llu ns, since %d", i, owed.kind,
				owed.side, (unsigned long long)owed.ns, owed.since);
	}
}

/* Given a deadline that ends an exchange, the one who owed is the one who is blamed. */
static void test_who_owes_is_blamed(void **state)
{
	(void)state;
	for (int bits = 0; bits < 256; bits++)
		for (int phase = 0; phase <= EXCHANGE_OVER; phase++) {
			struct deadline_view view = {(enum exchange_phase)phase, bits & 1, bits & 2,
				bits & 4, bits & 8, bits & 16, bits & 32, bits & 64,
				bits & 128 ? BODY : 0};
			struct deadline owed = deadline_of(&view, &config);

			if (owed.ending != ENDING_NONE)
				assert_int_equal(ending_row(owed.ending)->side, owed.side);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_owes),
		cmocka_unit_test(test_who_owes_is_blamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
