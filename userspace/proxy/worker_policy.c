// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/worker_policy.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "tls/issue.h"

static int read_fd(struct role_context *context, const char *name, size_t max, struct buf *text,
	struct why *why)
{
	int fd = role_fd(context, name), error;

	if (fd < 0)
		return why_set(why, ENOENT, "the parent handed over no %s", name);
	error = file_read_fd(fd, max, text, why);
	close(fd);
	return error;
}

/* An empty file: no keys are issued here. */
static int parse_keys(const char *path, struct slice text, struct key_table **keys, struct why *why)
{
	*keys = NULL;
	return text.len ? key_table_parse(path, text, keys, why) : 0;
}

/* Cells that were not lent are nobody's: then whatever is limited is refused. */
static int open_limits(struct worker_policy *policy, struct role_context *context, struct why *why)
{
	int fd = role_fd(context, "limits");
	uint32_t worker = LIMIT_NOBODY;

	policy->limit_cells = fd;
	if (fd >= 0) {
		policy->limit_table = limit_table_map(fd, true, why);
		if (!policy->limit_table)
			return -EINVAL;
		worker = limit_table_lent(policy->limit_table, fd);
	}
	policy->limits = limits_new(&policy->file->limits, policy->limit_table, worker);
	return policy->limits ? 0 : why_set(why, ENOMEM, "out of memory");
}

int worker_policy_open(
	struct worker_policy *policy, struct role_context *context, struct why *why)
{
	const struct config_policy_files *files = &context->config->policy;
	struct buf text = BUF_EMPTY;
	int error = read_fd(context, "policy", POLICY_FILE_MAX, &text, why);

	policy->limit_cells = -1;
	/* The hours of rules are those of this place; its file cannot be opened later. */
	tzset();
	if (!error)
		error = policy_file_parse(files->file ? files->file : "policy", buf_slice(&text),
			&policy->file, NULL, NULL, NULL, why);
	buf_clear(&text);
	if (!error)
		error = read_fd(context, "issued_keys", KEY_FILE_MAX, &text, why);
	if (!error)
		error = parse_keys(files->keys_file, buf_slice(&text), &policy->keys, why);
	buf_free(&text);
	return error ? error : open_limits(policy, context, why);
}

void worker_policy_keys(struct worker_policy *policy, int fd)
{
	struct buf text = BUF_EMPTY;
	struct key_table *keys = NULL;
	struct why why = {""};
	int error = file_read_fd(fd, KEY_FILE_MAX, &text, &why);

	close(fd);
	if (!error)
		error = parse_keys("issued keys", buf_slice(&text), &keys, &why);
	buf_free(&text);
	if (error) {
		/* The parent has read them: it is memory that is missing. */
		log_error("the keys of before stay: %s", why.text);
		return;
	}
	key_table_free(policy->keys);
	policy->keys = keys;
}

void worker_policy_close(struct worker_policy *policy)
{
	limits_free(policy->limits);
	if (policy->limit_table)
		close(policy->limit_cells);
	limit_table_free(policy->limit_table);
	policy_file_free(policy->file);
	key_table_free(policy->keys);
	buf_free(&policy->groups);
}

struct slice worker_policy_groups(struct worker_policy *policy, const struct address *address)
{
	struct slice groups[SUBJECT_GROUPS];
	size_t n = policy_groups(policy->file->policy, address, groups, SUBJECT_GROUPS);

	buf_clear(&policy->groups);
	for (size_t i = 0; i < n; i++)
		if (buf_printf(&policy->groups, "%s%.*s", i ? "," : "", SLICE_ARG(groups[i])) < 0)
			return SLICE_NONE;
	return buf_slice(&policy->groups);
}

struct subject_means worker_policy_means(struct worker_policy *policy,
	bool (*is_service)(void *context, struct slice text),
	enum token_state (*token)(
		void *context, struct slice text, uint64_t now_s, const struct token **token),
	void *context)
{
	return (struct subject_means){
		.policy = policy->file->policy,
		.keys = policy->keys,
		.digest = issue_digest,
		.token = token,
		.is_service = is_service,
		.context = context,
	};
}
