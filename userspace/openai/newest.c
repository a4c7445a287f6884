// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/newest.h"

#include "openai/json_mend.h"
#include "openai/json_scan.h"

#define USER 0x80000000u
/* The beginning, and a user's message that would go, have a quarter each. */
#define PART 4
/* What closes JSON that is cut. */
#define CLOSING (JSON_SCAN_DEPTH + 1)

void newest_init(struct newest *n, size_t max)
{
	*n = (struct newest){.max = max};
	abridge_init(&n->alone, abridge_within(max));
}

void newest_free(struct newest *n)
{
	buf_free(&n->json);
	buf_free(&n->lengths);
	buf_free(&n->user);
	abridge_free(&n->alone);
	newest_init(n, n->max);
}

/* Elements of which the lengths are known: all but those of the beginning and those that went. */
static size_t waiting(const struct newest *n)
{
	return buf_len(&n->lengths) / sizeof(uint32_t);
}

static uint32_t first_length(const struct newest *n)
{
	uint32_t length;

	memcpy(&length, buf_slice(&n->lengths).data, sizeof(length));
	return length;
}

static void length_add(struct newest *n, size_t length, uint32_t flag)
{
	uint32_t known = (uint32_t)length | flag;

	if (buf_append(&n->lengths, &known, sizeof(known)) < 0)
		n->no_memory = true;
}

static void length_consume(struct newest *n)
{
	buf_consume(&n->lengths, sizeof(uint32_t));
}

/* The element whose comma is at that offset. */
static struct slice element_at(const struct newest *n, size_t comma, size_t length)
{
	return slice_first(slice_after(buf_slice(&n->json), comma + 1), length);
}

/* The beginning of an element, as JSON of at most room bytes; empty where nothing of it fits. */
static struct buf shortened(struct newest *n, struct slice element, size_t room)
{
	struct buf b = BUF_EMPTY;
	size_t kept = room > CLOSING ? room - CLOSING : 0;

	if (buf_append_slice(&b, slice_first(element, kept)) < 0 || json_mend(&b) < 0)
		n->no_memory = true;
	n->cut += element.len - (buf_len(&b) < element.len ? buf_len(&b) : element.len);
	return b;
}

/* What is kept of an element that was fed; empty where nothing of it fits. Afterwards the next may be. */
static struct buf abridged_end(struct newest *n, struct abridge *abridge)
{
	struct buf b = BUF_EMPTY;

	if (abridge_end(abridge, &b) < 0 || (abridge->full && json_mend(&b) < 0))
		n->no_memory = true;
	n->spent += abridge->spent + buf_len(&b);
	n->cut += abridge->cut;
	abridge_init(abridge, abridge->max);
	return b;
}

/* The element, the longest of its strings without their middles, as JSON of at most room bytes; empty
 * where nothing of it fits. */
static struct buf abridged(struct newest *n, struct slice element, size_t room)
{
	struct abridge abridge;
	struct buf b;

	abridge_init(&abridge, abridge_within(room));
	if (!abridge.max) {
		n->cut += element.len;
		return (struct buf)BUF_EMPTY;
	}
	abridge_feed(&abridge, element);
	b = abridged_end(n, &abridge);
	n->spent += element.len;
	return b;
}

/* Puts what stands for the last element in its place; false: it is empty, and the element gone. */
static bool last_replace(struct newest *n, size_t comma, struct buf *element)
{
	bool kept = buf_len(element) > 0;

	n->json.end = n->json.start + comma + kept;
	if (kept && buf_append_slice(&n->json, buf_slice(element)) < 0) {
		n->json.end = n->json.start + comma;
		n->no_memory = true;
		kept = false;
	}
	buf_free(element);
	return kept;
}

void newest_begin(struct newest *n)
{
	n->begun = buf_len(&n->json);
	if (buf_append(&n->json, ",", 1) < 0)
		n->no_memory = true;
}

void newest_overflow(struct newest *n, struct slice bytes)
{
	if (!abridge_begun(&n->alone)) {
		abridge_feed(&n->alone, element_at(n, n->begun, SIZE_MAX));
		n->json.end = n->json.start + n->begun + 1;
	}
	abridge_feed(&n->alone, bytes);
}

/* The bytes that the array would have now. */
static size_t size_of(const struct newest *n)
{
	size_t user = buf_len(&n->user);

	return buf_len(&n->json) - (n->tail - n->head) + (user ? user + 1 : 0) + 1;
}

/* The first time that something has to go: decides what the beginning is. */
static void shed_begin(struct newest *n)
{
	size_t length = first_length(n) & ~USER, quarter = n->max / PART;
	struct buf b;

	n->shed = true;
	if (1 + length > quarter) {
		/* Of the user's last message the end counts as well. */
		b = n->last_user == 1 ? abridged(n, element_at(n, 0, length), quarter)
				      : shortened(n, element_at(n, 0, length), quarter);
		if (buf_len(&b)) {
			memcpy(n->json.memory + n->json.start + 1, buf_slice(&b).data, buf_len(&b));
			n->head = 1 + buf_len(&b);
		}
		buf_free(&b);
		n->tail = 1 + length;
		length_consume(n);
		return;
	}
	while (waiting(n) > 1 && n->head + 1 + (first_length(n) & ~USER) <= quarter) {
		n->head += 1 + (first_length(n) & ~USER);
		length_consume(n);
	}
	n->tail = n->head;
}

/* The oldest element behind the beginning goes. */
static void shed_one(struct newest *n)
{
	uint32_t first = first_length(n);
	size_t length = first & ~USER;

	if ((first & USER) && n->elements - waiting(n) + 1 == n->last_user)
		n->user = abridged(n, element_at(n, n->tail, length), n->max / PART);
	else
		n->cut += length;
	n->tail += 1 + length;
	length_consume(n);
	if (n->tail - n->head > n->max) {
		char *json = n->json.memory + n->json.start;

		memmove(json + n->head, json + n->tail, buf_len(&n->json) - n->tail);
		n->json.end -= n->tail - n->head;
		n->tail = n->head;
	}
}

/* The newest element alone is too long. */
static void shorten_last(struct newest *n)
{
	uint32_t first = first_length(n);
	size_t length = first & ~USER, others = size_of(n) - length;
	struct buf b = abridged(
		n, element_at(n, n->tail, length), n->max > others ? n->max - others : 0);
	size_t kept = buf_len(&b);

	length_consume(n);
	if (last_replace(n, n->tail, &b))
		length_add(n, kept, first & USER);
	else
		n->elements--;
}

static void newest_fit(struct newest *n)
{
	while (size_of(n) > n->max && waiting(n) > 1)
		if (n->shed)
			shed_one(n);
		else
			shed_begin(n);
	if (size_of(n) > n->max && waiting(n))
		shorten_last(n);
}

void newest_add(struct newest *n, uint64_t written, bool user)
{
	size_t length = buf_len(&n->json) - n->begun - 1;
	struct buf b = BUF_EMPTY;

	n->elements++;
	if (n->no_memory)
		return;
	if (abridge_begun(&n->alone)) {
		b = abridged_end(n, &n->alone);
	} else if (written > length) {
		n->cut += written - length;
		b = shortened(n, element_at(n, n->begun, length), n->max);
	}
	if (written > length) {
		length = buf_len(&b);
		if (!last_replace(n, n->begun, &b)) {
			n->elements--;
			return;
		}
	}
	if (user) {
		n->cut += buf_len(&n->user);
		buf_free(&n->user);
		n->last_user = n->elements;
	}
	length_add(n, length, user ? USER : 0);
	newest_fit(n);
}

void newest_add_unfinished(struct newest *n)
{
	struct slice element = element_at(n, n->begun, SIZE_MAX);
	struct buf b = BUF_EMPTY;

	n->elements++;
	if (n->no_memory)
		return;
	if (abridge_begun(&n->alone)) {
		b = abridged_end(n, &n->alone);
		if (json_mend(&b) < 0)
			n->no_memory = true;
	} else if (buf_append_slice(&b, element) < 0 || json_mend(&b) < 0) {
		n->no_memory = true;
	}
	element.len = buf_len(&b);
	if (!last_replace(n, n->begun, &b)) {
		n->elements--;
		return;
	}
	length_add(n, element.len, 0);
	newest_fit(n);
}

uint64_t newest_spent(struct newest *n)
{
	uint64_t spent = n->spent + n->alone.spent;

	n->spent = n->alone.spent = 0;
	return spent;
}

void newest_end(struct newest *n, struct buf *array)
{
	struct slice json = buf_slice(&n->json);
	bool good;

	if (!buf_len(&n->user) && n->tail == n->head && buf_len(&n->json)) {
		/* All of it is there: nothing is copied. */
		good = buf_append(&n->json, "]", 1) == 0;
		*array = n->json;
		n->json = BUF_EMPTY;
	} else {
		good = buf_reserve(array, size_of(n) + 1) &&
		       buf_append_slice(array, slice_first(json, n->head)) == 0 &&
		       (!buf_len(&n->user) || (buf_append(array, ",", 1) == 0 &&
						      buf_append_slice(array, buf_slice(&n->user)) == 0)) &&
		       buf_append_slice(array, slice_after(json, n->tail)) == 0;
		if (good && !buf_len(array))
			good = buf_append(array, "[", 1) == 0;
		good = good && buf_append(array, "]", 1) == 0;
	}
	if (good && !n->no_memory) {
		array->memory[array->start] = '[';
	} else {
		buf_free(array);
		n->no_memory = true;
	}
	buf_free(&n->json);
	buf_free(&n->lengths);
	buf_free(&n->user);
}
