// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/credential_report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/log.h"
#include "supervise/accounting.h"
#include "supervise/parent.h"

static const char *state_name(uint32_t state)
{
	static const char *const names[CREDENTIAL_STATES] = {
		[CREDENTIAL_STATE_AWAITED] = "awaited",
		[CREDENTIAL_STATE_FRESH] = "fresh",
		[CREDENTIAL_STATE_KEPT] = "kept",
		[CREDENTIAL_STATE_MISSING] = "missing",
	};

	return names[state];
}

/* ---- the file ---- */

static bool report_path(const struct parent *parent, const char *suffix, char path[PATH_MAX])
{
	const char *directory = parent->current->config->appliance.run_directory;

	return snprintf(path, PATH_MAX, "%s/" CREDENTIAL_REPORT_FILE "%s", directory, suffix) <
	       PATH_MAX;
}

static char *report_text(const struct generation *generation, size_t *len)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *list = yyjson_mut_arr(doc);
	char *text;

	yyjson_mut_doc_set_root(doc, list);
	for (size_t i = 0; i < generation->config->ncredentials; i++) {
		const struct config_credential *credential = &generation->config->credentials[i];
		const struct control_credential *told = &generation->credentials[i].told;
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);

		yyjson_mut_obj_add_str(doc, o, "name", credential->name);
		yyjson_mut_obj_add_str(doc, o, "from", config_credential_from(credential));
		yyjson_mut_obj_add_str(doc, o, "state", state_name(told->state));
		if (told->got_ns)
			yyjson_mut_obj_add_uint(doc, o, "got_ns", told->got_ns);
		if (told->expires_ns)
			yyjson_mut_obj_add_uint(doc, o, "expires_ns", told->expires_ns);
		if (told->next_ns)
			yyjson_mut_obj_add_uint(doc, o, "next_ns", told->next_ns);
		if (told->error[0])
			yyjson_mut_obj_add_str(doc, o, "error", told->error);
	}
	text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, len);
	yyjson_mut_doc_free(doc);
	return text;
}

void credential_report_write(const struct parent *parent)
{
	char path[PATH_MAX], new_path[PATH_MAX];
	size_t len = 0;
	char *text = report_text(parent->current, &len);
	int fd = -1;

	if (!text || !report_path(parent, "", path) || !report_path(parent, ".new", new_path))
		goto out;
	unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || rename(new_path, path) < 0) {
		log_warning("%s cannot be written: %s", path, strerror(errno));
		unlink(new_path);
	}
out:
	if (fd >= 0)
		close(fd);
	free(text);
}

void credential_report_remove(const struct parent *parent)
{
	char path[PATH_MAX];

	if (report_path(parent, "", path))
		unlink(path);
}

/* ---- the events ---- */

static bool is_bad(uint32_t state)
{
	return state == CREDENTIAL_STATE_KEPT || state == CREDENTIAL_STATE_MISSING;
}

static void tell_change(struct parent *parent, const char *name,
	const struct control_credential *before, const struct control_credential *now)
{
	char subject[160];

	snprintf(subject, sizeof(subject), "credential %s", name);
	if (is_bad(now->state) && (now->state != before->state))
		accounting_state(parent->accounting, subject, state_name(now->state), now->error);
	else if (now->renewed)
		accounting_state(parent->accounting, subject, "renewed", "another value has come");
	else if (now->state == CREDENTIAL_STATE_FRESH && is_bad(before->state))
		accounting_state(parent->accounting, subject, state_name(now->state),
			"it can be had again");
}

void credential_report_take(
	struct parent *parent, const struct service *keeper, const struct ipc_message *message)
{
	struct generation *generation = keeper->generation;
	struct control_credential now, *before;

	if (message->len != sizeof(now) || !generation->config)
		return;
	memcpy(&now, message->body, sizeof(now));
	if (now.index >= generation->config->ncredentials || now.state >= CREDENTIAL_STATES)
		return;
	now.error[sizeof(now.error) - 1] = '\0';
	before = &generation->credentials[now.index].told;
	if (!generation->draining)
		tell_change(parent, generation->config->credentials[now.index].name, before, &now);
	*before = now;
	if (generation == parent->current)
		credential_report_write(parent);
}
