/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A doubly linked list whose nodes live inside their owners; the head is a node too. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))
#define list_for_each(node, head) \
	for (struct list *node = (head)->next; node != (head); node = node->next)
/* Allows the removal of node itself inside the loop. */
#define list_for_each_safe(node, head)                                               \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
		node = node##_next, node##_next = node->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *node)
{
	node->next = at->next;
	node->prev = at;
	at->next->prev = node;
	at->next = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_after(head->prev, node);
}

/* Moves all nodes of another list to the end of this one. */
static inline void list_splice(struct list *head, struct list *other)
{
	if (list_empty(other))
		return;
	other->next->prev = head->prev;
	other->prev->next = head;
	head->prev->next = other->next;
	head->prev = other->prev;
	list_init(other);
}

/* Removes node, which may be removed again or tested by list_empty afterwards. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
