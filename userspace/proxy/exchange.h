/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request and its response: the one place where HTTP, OpenAI, origins and audit meet.
 * exchange.c holds its beginning and its end, exchange_request.c and exchange_response.c tell what
 * lies between, and exchange_event.c writes down what happened. */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "http/fields.h"
#include "io/share.h"
#include "backend/id_scan.h"
#include "openai/operation.h"
#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/deadline.h"
#include "proxy/edit_memory.h"
#include "proxy/ending.h"
#include "proxy/intake.h"
#include "proxy/pool_table.h"
#include "proxy/replay.h"
#include "proxy/session.h"

/* How far the answer that the client gets has come. */
enum exchange_answer {
	ANSWER_NONE,
	ANSWER_BEGUN,  /* its head is handed over, from the origin */
	ANSWER_MARKED, /* its stream has said that it is over: what follows waits in tail */
};

#define EXCHANGE_KIND 512 /* bytes, with a NUL; of a longer name the beginning counts */

/* Which backends of its pool an exchange has asked, and what the last one has said. */
struct exchange_pool {
	const struct pool_entry *entry; /* NULL: the origin that the client named */
	uint64_t tried;			/* one bit for each member … */
	uint64_t unfit;			/* … and for those that cannot take this call */
	struct choice choice;		/* the last one; member -1: none yet */
	char kind[EXCHANGE_KIND];	/* what it was chosen for, and what came of it is known for */
	bool open;			/* what came of it is not recorded yet … */
	enum backend_outcome outcome;	/* … and this is what was */
	enum backend_outcome says;	/* what the status of its answer says */
	bool has_reading;
	struct reading reading;
	/* What the request refers to by name, and the backend that keeps it; -1: nobody knows. */
	bool refers;
	int owner;
	bool asks_around;     /* the last one does not know it: another one may */
	bool spills;	      /* the last one may say that it is too long for its model */
	struct id_scan scan;  /* of the response */
	uint64_t learned;     /* the hash of the name that was learned last */
	unsigned throttled; /* so many of them were over their limit */
	bool patient;	/* the first output is waited for, however long it takes */
	unsigned reason_late; /* the try whose reason is not waited for any more */
	uint64_t wait_ns; /* of our own answer: until one may be asked; 0: it is not known */
};

/* What can be said of an answer that the client has not seen yet. */
enum exchange_judgement { JUDGEMENT_OPEN, JUDGEMENT_ANSWER, JUDGEMENT_ERROR };

/* Whose tokens an answer tells of. */
enum exchange_spend {
	SPEND_UNKNOWN, /* it was not asked yet */
	SPEND_NOW,     /* the call's, or of what somebody began before; they count here */
	SPEND_LATER,   /* the call has begun something; who asks for it is told them */
	SPEND_AGAIN,   /* they were counted before */
	SPEND_NONE     /* it tells of none, and costs none */
};

struct exchange {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	struct client_slot *client;	/* NULL once it is gone */
	enum exchange_phase phase;
	struct deadline owed;		/* who owes the next bytes */
	double owed_since;		/* ev_now of the last of them */
	uint64_t owed_taken;		/* what that side had taken then, if it is to take bytes */
	double awaited_since;		/* ev_now when the last try's request was all written */
	ev_timer timer;			/* of owed; may fire early */
	struct share share;		/* of the work that reading is */

	/* the request */
	const struct head *head;	/* the client's reader's; NULL with the client */
	struct buf text;		/* owns the slices below */
	struct slice method, target, user_agent;
	const struct config_host *host;
	bool gateway;			/* the client calls the appliance itself */
	struct operation_match match;
	struct exchange_policy *policy; /* NULL before its head was taken */
	struct exchange_limits *limits; /* NULL: nothing is reserved yet */
	struct intake request;
	struct replay replay;		/* of its body */
	struct fields trailers;
	bool unreadable;		/* the body cannot be read; counted */

	struct session *session;	/* of a WebSocket; NULL: it is none */

	/* the tries */
	struct exchange_pool pool;
	const struct config_backend *backend; /* of it; NULL: the origin the client named */
	struct attempt attempt;		/* the last one */
	struct credential credential;	/* that it is made with; its secret is shared */
	struct buf moved_model;		/* what the last try has added to the body */
	struct attempt_record tried[ATTEMPTS_MAX + 1]; /* one is made for our edit's sake */
	unsigned tries;
	enum edit_known edit_known;	/* what this model makes of our edit */

	/* the response */
	enum exchange_answer answer;
	char wait_text[2][24];		/* of its fields: what pool.wait_ns is */
	struct buf tail;
	const struct secret *mask;	/* the service key, which no error is to show; or NULL */
	struct secret_masking
		masked; /* the body, of which is held back what may be the key's beginning */

	/* the record */
	enum exchange_spend spend;
	char job_owner[STANDING_JOB_OWNER]; /* who began what the answer is about; or empty */
	struct recorder_waiter waiter;
	enum ending ending;
	bool drained;			/* the rest was read for its usage */
	struct address_port source, destination;
	char sni[HOST_NAME_SIZE];
	const char *tls_version;
	bool tls_resumed;
	uint64_t started_ns, started_realtime_ns, handshake_ns, first_byte_ns;
	uint64_t response_bytes, drain_bytes;
	struct client_traffic traffic; /* at the start */
	int status;
	const char *action;		/* the verdict */
	const char *error_type;		/* of ending; NULL: none */
	struct why why;
};

struct event;
struct exchange_policy;
struct policy_facts;

struct exchange *exchange_of(struct list *node);

/* ---- called by the client ---- */

/* A request's head was read; fin: it has no body. The slot's exchange, unless there is no memory and
 * the client is closed, or the exchange is over already. */
void exchange_start(struct client_slot *client, const struct head *head, bool fin);
/* Answers what is not a request at all, with that error. */
void exchange_refuse(
	struct client_slot *client, enum ending ending, const struct ending_detail *detail);
bool exchange_wants_input(struct exchange *exchange);
/* The next bytes of the body; fin: the last ones (span may be empty then). */
void exchange_body(struct exchange *exchange, struct slice span, bool fin);
/* The end of the body, with trailers. */
void exchange_trailers(struct exchange *exchange, const struct header *fields, size_t n);
/* The body turned out to be malformed. */
void exchange_body_error(struct exchange *exchange, const struct message_fault *fault);
void exchange_client_gone(struct exchange *exchange);
void exchange_client_flushed(struct exchange *exchange);
/* Ends at once, recorded as far as it came: the worker has no more time. */
void exchange_cut(struct exchange *exchange);
/* Whether its connection becomes the exchange's alone when a 101 is answered: all that comes then is
 * its body. */
static inline bool exchange_is_session(const struct exchange *exchange)
{
	return exchange->session != NULL;
}
/* Records a connection that never came to a request. */
void exchange_record_handshake(struct client *client, const char *type, const char *message);

/* ---- between the files of the exchange ---- */

/* exchange.c, of calls inside of a session: one that is as the session is but for its request, or NULL
 * without memory; it is its maker's until it was refused, or ends. */
struct exchange *exchange_new_inside(const struct exchange *session);
/* exchange_request.c: reads the request of such a call, which was asked for with that head. held: it
 * waits for policy. False: it is denied, and over. */
bool exchange_read_inside(
	struct exchange *inside, const struct head *head, struct slice request, bool held);
/* exchange_response.c: the next of its answer, as a stream of events. 0 or -ENOMEM. */
int exchange_answer_inside(struct exchange *inside, struct slice events);
/* Ends; ENDING_NONE: as the answer says. */
void exchange_finish_inside(struct exchange *inside, enum ending ending);
/* The session ends for that reason, and all that its client is told is handed over. */
void exchange_end_session(
	struct exchange *exchange, enum ending ending, const struct ending_detail *detail);

/* exchange_request.c: sends an upgrade, whose exchange has a session. */
void exchange_upgrade(struct exchange *exchange);
/* The reader of the body, where the operation is one we read. 0 or -ENOMEM. */
int exchange_open_request_reader(struct exchange *exchange, const struct head *head);
/* Whether all of the request has come and is read. */
bool exchange_request_is_whole(const struct exchange *exchange);

/* Whether what is read of the request may be held or sent now. */
bool exchange_takes_request(const struct exchange *exchange);

/* Goes on with the reading of a body, in a later turn. */
void exchange_read_request_on(struct exchange *exchange);
void exchange_read_response_on(struct exchange *exchange);

/* The only ways on are those of the table in exchange.c. */
void exchange_enter(struct exchange *exchange, enum exchange_phase phase);
/* Nothing more is read, sent or timed: all is said, and perhaps not yet recorded. */
bool exchange_is_over(const struct exchange *exchange);
/* Who owes the next bytes is asked anew, after something has moved. */
void exchange_moved(struct exchange *exchange, enum ending_side side);

/* Ends: answers with the ending's error in the client's dialect, or cuts a response that has
 * begun. detail: what the case knows better than the ending's row, or NULL. */
void exchange_fail(struct exchange *exchange, enum ending ending,
	const struct ending_detail *detail);
/* The last try has ended, and what came of it does not go on: the request is sent once more where
 * that is safe, or the exchange fails with the try's ending. */
void exchange_attempt_over(struct exchange *exchange, const struct attempt_end *end);
/* The connection was lost with this error (a positive errno, or 0 for its end). */
void exchange_origin_lost(struct exchange *exchange, int error);
/* There is room again for what is held of the body. 0, or -ECANCELED: the exchange is over. */
int exchange_send_on(struct exchange *exchange);
/* Sends what is handed to the origin. */
void exchange_flush_origin(struct exchange *exchange);
/* All is composed: records, and then lets the last bytes and the exchange go. */
void exchange_finish(struct exchange *exchange);

/* The request is sent once more, to ex->backend; why: the try before has been left. */
void exchange_try_again(struct exchange *exchange, enum attempt_left why);

/* exchange_map.c: the members of the pool that cannot take the call, because the form of the API that
 * they speak does not have it exactly; a bit each. */
uint64_t exchange_unfit(const struct exchange *exchange);
/* Whether the backend is asked otherwise than the client has; its path and query, which are appended to
 * out (0 or -ENOMEM); and what is edited in the body (0, -ENOMEM, or -EINVAL: it cannot be); whether the
 * body is held because that is not known yet. */
bool exchange_maps(const struct exchange *exchange);
int exchange_map_target(const struct exchange *exchange, struct buf *out);
int exchange_map_body(struct exchange *exchange);
bool exchange_awaits_model(const struct exchange *exchange);
/* In which form of the API, and of which version, the backend is asked. */
struct exchange_form {
	enum dialect dialect;
	struct slice api_version;
};
struct exchange_form exchange_form(const struct exchange *exchange);

/* exchange_pool.c: finds the pool of the exchange's host. */
void exchange_pool_open(struct exchange *exchange);
/* Chooses the backend of the next try. False: nobody is to be asked now. */
bool exchange_choose_backend(struct exchange *exchange);
void exchange_fail_for_want_of_backends(struct exchange *exchange);
/* What came of the last try; once, and once more when an answer that has begun is lost. */
void exchange_backend_outcome(struct exchange *exchange, enum backend_outcome outcome);
/* As that, and sends the request to another backend where that is safe. False: it does not. */
bool exchange_turn_away(struct exchange *exchange, enum backend_outcome outcome);
/* A response's head: what it says of the backend and of its limits; whether it may be one for which
 * another backend is asked instead; what is known of that by now, whether it is not to be waited for any
 * longer, and the outcome when it is an error. */
void exchange_pool_head(struct exchange *exchange, const struct head *head);
bool exchange_pool_judges(const struct exchange *exchange, const struct head *head);
enum exchange_judgement exchange_pool_judgement(const struct exchange *exchange);
bool exchange_pool_held_enough(const struct exchange *exchange);
enum backend_outcome exchange_judged_outcome(const struct exchange *exchange);
/* A piece of the response, whose names the backend keeps. */
void exchange_learn_owner(struct exchange *exchange, struct slice span);
/* Our own error says more than this answer of the last backend. */
bool exchange_has_better(const struct exchange *exchange);
/* Until one of the backends may be asked, in ns; 0: it is not known, or there is one alone. */
uint64_t exchange_pool_wait(const struct exchange *exchange);
/* The answer is no, and why is still to come. */
bool exchange_awaits_reason(const struct exchange *exchange);
/* How much longer the first output is waited for, whatever comes before it; 0: as for every origin. */
uint64_t exchange_first_output_ns(const struct exchange *exchange);
/* The exchange has ended. */
void exchange_pool_close(struct exchange *exchange);

/* exchange_edit.c: whether this operation's requests are edited at all; how much of the body is held
 * for it; what this try edits now, and whether it may edit more later; up to which offset the body
 * may go on, which makes an edit that has become known. */
bool exchange_may_edit(const struct exchange *exchange);
size_t exchange_hold_max(const struct exchange *exchange);
void exchange_choose_edit(struct exchange *exchange);
uint64_t exchange_settle_edit(struct exchange *exchange);
/* The answer: whether it may be an error about the edit; that it is none; whether what is held of
 * it, which is whole, is. */
bool exchange_judges(const struct exchange *exchange, const struct head *head);
void exchange_edit_succeeded(struct exchange *exchange);
bool exchange_edit_was_refused(struct exchange *exchange);

/* exchange_response.c: the user of slots, and the composition of our own answers. */
extern const struct upstream_user exchange_upstream_user;
int exchange_compose_error(struct exchange *exchange, int status, bool final);
/* Why the answer is no has not come in time. */
void exchange_reason_is_late(struct exchange *exchange);
/* The grace after the stream's end mark has passed: it is the end. */
void exchange_end_by_mark(struct exchange *exchange);
/* Goes on reading the response, unless there is no room for it. */
void exchange_watch_origin(struct exchange *exchange);
/* Hands over what waited behind the end mark. 0 or -ENOMEM. */
int exchange_join_tail(struct exchange *exchange);

/* exchange_policy.c: who the call is from, and whether it may be made: asked when its head was read,
 * and again, where that does not tell, when its body was, before the last of it goes on. */
/* The head is refused for another reason: only who the call is from. */
void exchange_policy_know(struct exchange *exchange, const struct head *head);
/* The head was read. True: the call is denied, and answered. */
bool exchange_policy_head(struct exchange *exchange, const struct head *head);
/* So many bytes more of the body were read, or the last of them. True: likewise. */
bool exchange_policy_body(struct exchange *exchange, size_t more);
/* Whether a field goes on to the origin, as far as policy says, and whether the query must be taken
 * for one with credentials: a key that was issued here is nobody else's. */
bool exchange_policy_hides_field(const struct exchange *exchange, const struct header *header);
bool exchange_policy_hides_query(const struct exchange *exchange);
/* What the event says of it; and whether there is an event at all. */
void exchange_policy_event(const struct exchange *exchange, struct event *event);
bool exchange_policy_records(const struct exchange *exchange);
void exchange_policy_free(struct exchange *exchange);
/* What rules and limits are asked about: complete when the request is whole, with so many bytes more. */
const struct policy_facts *exchange_policy_facts(struct exchange *exchange, size_t more);

/* exchange_job.c: whose the tokens are that the answer tells of; when it has ended. */
enum exchange_spend exchange_spend(struct exchange *exchange);
/* exchange_policy.c: who the call is from, in short. */
void exchange_policy_owner(const struct exchange *exchange, char owner[STANDING_JOB_OWNER]);

/* exchange_limits.c: all of the request was read, so many bytes more: what it can need is reserved, before the last of it goes
 * on. True: it is refused, and answered. */
bool exchange_limits_take(struct exchange *exchange, size_t more);
/* The last of it goes to an origin. */
void exchange_limits_send(struct exchange *exchange);
/* It is over: what it has used counts. */
void exchange_limits_settle(struct exchange *exchange);
/* The fields that tell the client what is left, LIMIT_FIELDS_MAX at most; how many. Whether the origin's
 * field of that name gives way to them; whether it makes no sense to try again soon. */
#define LIMIT_FIELDS_MAX 18
size_t exchange_limits_fields(struct exchange *exchange, struct header *fields);
bool exchange_limits_hide(const struct exchange *exchange, struct slice name);
bool exchange_limits_final(const struct exchange *exchange);
void exchange_limits_event(const struct exchange *exchange, struct event *event);
void exchange_limits_free(struct exchange *exchange);

/* exchange_event.c: whether the call cost something, as far as it came. */
bool exchange_was_served(const struct exchange *exchange);
/* Once. 0, or -EAGAIN: the exchange's waiter waits for room in the audit ring. */
int exchange_record(struct exchange *exchange);

#endif
